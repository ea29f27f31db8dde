"""No figure that can't be: scores, intervals, differences, ranks and p-values of groups at the ends of what is possible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import importing, make_experiment, published, right_by_pattern
from core.analysis.found_warnings import the_warning
from numpy.typing import NDArray

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.gate.gate import judge
from bakeoff.analysis.rescoring import rescore
from bakeoff.contracts.metrics import BUILT_IN
from bakeoff.records.experiment import Experiment
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.latex import write_tex
from bakeoff.report.text.rescored import write_rescored
from bakeoff.report.text.table_md import write_page

TWENTY = np.arange(20) % 2


def answered(*shares: float, labels: NDArray[Any] = TWENTY) -> NDArray[np.int64]:
    """(K, N): each seed is right on the first so many examples."""
    return right_by_pattern(labels, [np.arange(len(labels)) < share * len(labels) for share in shares])


CASES: dict[str, tuple[dict[str, Any], NDArray[Any], dict[str, Any]]] = {
    "all right, against half": ({"base": answered(0.5, 0.5, 0.55), "row": answered(1, 1, 1)}, TWENTY, {}),
    "all right, against all wrong": ({"base": answered(0, 0, 0), "row": answered(1, 1, 1)}, TWENTY, {}),
    "all right but one answer of sixty": ({"base": answered(0.9, 1, 0.9), "row": answered(1, 0.95, 1)}, TWENTY, {}),
    "one seed": ({"base": answered(0.8), "row": answered(1)}, TWENTY, {}),
    "two seeds as unlike as can be": ({"base": answered(0, 1), "row": answered(1, 0)}, TWENTY, {}),
    "two equal seeds": ({"base": answered(0.7, 0.7), "row": answered(0.9, 0.9)}, TWENTY, {}),
    "two examples": (
        {"base": answered(0.5, 1, 0, labels=TWENTY[:2]), "row": answered(1, 1, 1, labels=TWENTY[:2])},
        TWENTY[:2],
        {},
    ),
    "a margin beyond the range": ({"base": answered(0.5, 0.6, 0.7), "row": answered(1, 1, 1)}, TWENTY, {"margin": 250.0}),
    "always one answer": ({"base": answered(0.8, 0.9, 0.85), "row": np.zeros((3, 20), dtype=int)}, TWENTY, {}),
    "slices of one example": (
        {"base": answered(0.5, 0.6, 0.7), "row": answered(1, 1, 0.95)},
        TWENTY,
        {"slices": {"source": [f"s{number % 11}" for number in range(20)]}},
    ),
    "other seeds": (
        {"base": answered(0.5, 0.6, 0.7), "row": answered(1, 1, 1)},
        TWENTY,
        {"seeds": {"base": (0, 1, 2), "row": (7, 8, 9)}},
    ),
    "many rows of few seeds": (
        {name: answered(*np.random.default_rng(seed).random(3).round(1)) for seed, name in enumerate("abcdefgh")},
        TWENTY,
        {},
    ),
}


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest) -> Experiment:
    answers, labels, keywords = CASES[request.param]
    made = make_experiment(answers, labels, under_test=["trainer"], **keywords)
    return replace(made, trials={}, controls=())


def inside(low: float | None, high: float | None, ends: tuple[float, float]) -> bool:
    """An interval that lies within the ends and is no point; or none."""
    if low is None or high is None:
        return low is high
    return bool(ends[0] <= low < high <= ends[1])


def impossible(group: ComparisonGroup) -> Iterator[str]:
    """What of a group in shares can't be."""
    for row in group.rows:
        for split, scores in row.scores.items():
            for metric, score in scores.items():
                if not (0 <= score.mean <= 1 and inside(score.low, score.high, (0, 1))):
                    yield f"{row.strategy} {split} {metric}: {score.mean} [{score.low}, {score.high}]"
        if row.rank is not None and not 1 <= row.rank[0] <= row.rank[1] <= len(group.rows):
            yield f"{row.strategy} rank {row.rank}"
        if not all(0 <= best <= 1 for best in row.expected_best):
            yield f"{row.strategy} best {row.expected_best}"
        if row.front_probability is not None and not 0 <= row.front_probability <= 1:
            yield f"{row.strategy} front {row.front_probability}"
    for pair in (*group.to_baseline, *group.all_pairs):
        ends = ((pair.low, pair.high), (pair.wide_low, pair.wide_high))
        if not (-1 <= pair.difference <= 1 and all(inside(low, high, (-1, 1)) for low, high in ends)):
            yield f"{pair.first}: {pair.difference} {ends}"
        if any(p is not None and not 0 < p <= 1 for p in (pair.p, pair.p_adjusted, pair.equivalence_p)):
            yield f"{pair.first}: p {pair.p}, {pair.p_adjusted}, {pair.equivalence_p}"
        for found in (pair.detectable, pair.detectable_with_all_seeds):
            if found is not None and found > 1:
                yield f"{pair.first}: finds {found}, more than two scores can differ by"
        if pair.detectable is not None and pair.detectable < 1 / pair.examples:
            yield f"{pair.first}: finds {pair.detectable}, less than one of {pair.examples} examples"
        if pair.tested and (pair.verdict == "identical") != (pair.low is None) and min(pair.seeds) > 1:
            yield f"{pair.first}: {pair.verdict} [{pair.low}, {pair.high}]"
    for part in group.slices:
        if not (0 <= part.score <= 1 and inside(part.low, part.high, (-1, 1))):
            yield f"{part.strategy} on {part.value}: {part.score} [{part.low}, {part.high}]"


def test_no_group_has_a_figure_that_cannot_be(made: Experiment) -> None:
    (group,) = compare(made).groups
    assert not list(impossible(group))
    if min(len(row.scores["test"]["accuracy"].seeds) for row in group.rows) > 1:
        assert all(row.scores["test"]["accuracy"].low is not None for row in group.rows)


def test_no_page_shows_one(made: Experiment) -> None:
    comparison = compare(made)
    pages = {
        "table.md": write_page(comparison),
        "table.tex": write_tex(comparison),
        "rescored": write_rescored(rescore(made), slices=True, calibration=True),
    }
    found = 0
    for name, page in pages.items():
        plain = page.replace("{[}", "[").replace("{]}", "]").replace("$-$", "−")
        bounds = re.findall(r"\[([+−]?[\d.]+), ([+−]?[\d.]+)\]|([+−]?\d+\.\d\d) to ([+−]?\d+\.\d\d)", plain)
        for low, high in ((one or three, two or four) for one, two, three, four in bounds):
            found += 1
            numbers = [float(bound.replace("−", "-")) for bound in (low, high)]
            assert -100 <= numbers[0] < numbers[1] <= 100, (name, low, high)
        assert "nan" not in page
    assert found > 2
    write_csv(comparison)
    write_json(comparison)


def axes(page: str) -> Iterator[list[float]]:
    """The numbers of each axis of the page's small drawings."""
    for axis in re.findall(r'<svg class="axis".*?</svg>', page, flags=re.DOTALL):
        yield [float(text.replace("−", "-")) for text in re.findall(r">([+−]?[\d.]+)</text>", axis)]


def test_no_axis_leads_beyond_what_is_possible(made: Experiment) -> None:
    page = write_html(compare(made), made.records, lambda run: None)
    found = list(axes(page))
    assert found
    assert all(-100 <= tick <= 100 for ticks in found for tick in ticks)


@pytest.mark.parametrize("name", [name for name, metric in BUILT_IN.items() if "classification" in metric.kinds])
def test_whatever_metric_it_is_scored_by(made: Experiment, name: str) -> None:
    (group,) = rescore(made, name).groups
    unit = BUILT_IN[name]().unit
    assert unit.low is not None
    assert unit.high is not None
    assert unit.span is not None
    for row in group.rows:
        score = row.score
        assert unit.low <= score.mean <= unit.high
        assert inside(score.low, score.high, (unit.low, unit.high)), (row.strategy, score)
        assert inside(row.low, row.high, (-unit.span, unit.span)), (row.strategy, row.low, row.high)


def test_a_gate_on_a_single_example_has_no_evidence() -> None:
    rows = {name: make_experiment({"row": [[answer]] * 3}, [1]) for name, answer in (("before", 1), ("after", 0))}
    later = [record.model_copy(update={"started": "2027-01-01T00:00:00+00:00"}) for record in rows["after"].records]
    declared = rows["after"].declared.model_copy(update={"gate": {"quality": "-1 points"}})
    found = judge(replace(rows["after"], records=tuple(later), declared=declared), replace(rows["before"], declared=declared))
    assert (found.result, found.checks[0].reason) == ("not enough evidence", "one example of test says nothing of others")


def test_errors_on_the_same_examples_are_not_shown_to_be_equal_by_twenty_examples() -> None:
    """Three labels: both rows are wrong on the same two examples, each in its own way. They never differ in being right."""
    labels = np.arange(20) % 3
    wrong = np.isin(np.arange(20), [3, 4])
    rows = {"base": np.tile(np.where(wrong, (labels + 1) % 3, labels), (5, 1))}
    rows["row"] = np.tile(np.where(wrong, (labels + 2) % 3, labels), (5, 1))
    made = make_experiment(rows, labels, under_test=["trainer"], margin=1.0)
    (group,) = compare(made).groups
    (pair,) = group.to_baseline
    assert (pair.difference, pair.verdict, pair.p) == (0, "inconclusive", 1.0)
    assert pair.low is not None
    assert pair.low < -0.1
    wide = make_experiment(rows, labels, under_test=["trainer"], margin=30.0)
    assert compare(wide).groups[0].to_baseline[0].verdict == "equivalent"


@pytest.mark.parametrize(
    ("metric", "value", "range_told"),
    [("accuracy", 84.07, "between 0 and 1 (84.07 points are 0.8407)"), ("f1", -0.2, "between 0 and 1")],
)
def test_a_published_figure_beyond_the_range_is_withheld_with_the_reason(metric: str, value: float, range_told: str) -> None:
    answers, labels, _ = CASES["all right, against half"]
    rows = {"f1": 0.5} | {metric: value}
    made = importing(make_experiment(answers, labels), published("theirs", **rows))
    comparison = compare(made)
    (row,) = comparison.groups[0].imported
    assert (metric in row.scores, row.impossible) == (False, {metric: value})
    assert range_told in the_warning(made, "different-metrics").what
    for page in (write_page(comparison), write_tex(comparison)):
        assert f"{100 * value:.2f}" not in page
    assert "is withheld, since" in " ".join(write_page(comparison).split())
