"""Seeds or looks that were changed when results were known leave no verdict; a changed question marks it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import BASELINE, LABELS, ROW, clean_answers, clean_experiment, declaring, make_folder

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.results import Checks
from bakeoff.records.history import reseeded
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import Change, Declared, EarlierDeclaration
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.table_md import write_page

WHEN = "2026-11-20T10:00:00+00:00"
SEEDS = list(range(8))


def looked(seeds: Sequence[int] = SEEDS, *changes: str) -> EarlierDeclaration:
    """Both rows had these seeds; `changes` are what was changed then."""
    return EarlierDeclaration(
        when=WHEN,
        seeds={BASELINE: list(seeds), ROW: list(seeds)},
        recorded=6,
        changes=[Change(what=what, before="x", after="y") for what in changes],
    )


def found(*history: EarlierDeclaration, **changes: Any) -> Comparison:
    """A row that is better than the baseline by far, with this history."""
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.6, seed=1), ROW: clean_answers(accuracy=0.9, seed=2)})
    return compare(declaring(made, history=list(history), **changes))


def cells(comparison: Comparison) -> dict[str, dict[str, str]]:
    return {line["strategy"]: line for line in csv.DictReader(io.StringIO(write_csv(comparison)))}


@pytest.mark.parametrize(
    "history",
    [[looked([0, 1, 2])], [looked([*SEEDS, 8])], [looked([9])], [looked(SEEDS, "looks")], [looked([0]), looked(SEEDS)]],
    ids=["added", "removed", "others", "looks", "long ago"],
)
def test_no_p_value_and_no_verdict_is_given_of_seeds_that_were_changed(history: list[EarlierDeclaration]) -> None:
    (group,) = found().groups
    assert (group.to_baseline[0].verdict, group.all_pairs[0].verdict) == ("better", "worse")
    assert {row.rank for row in group.rows} == {(1, 1), (2, 2)}
    comparison = found(*history)
    (group,) = comparison.groups
    for pair in (*group.to_baseline, *group.all_pairs):
        assert (pair.verdict, pair.finding, pair.p, pair.p_adjusted, pair.equivalence_p) == (
            "withheld",
            "withheld",
            *[None] * 3,
        )
        numbers = pair.checks.model_dump()
        assert {name for name, value in numbers.items() if value is not None} <= {
            "seed_correlation",
            "probability_of_improvement",
        }
    assert {row.rank for row in group.rows} == {None}
    assert all(one.p_adjusted is None for one in group.slices)
    assert "pilot" in group.to_baseline[0].advice
    assert "withheld" in comparison.answer
    assert (cells(comparison)[ROW]["verdict"], cells(comparison)[ROW]["p"]) == ("withheld", "")
    assert json.loads(write_json(comparison))["groups"][0]["to_baseline"][0]["verdict"] == "withheld"
    assert "| withheld" in write_page(comparison)
    assert "withheld" in write_html(comparison, [], lambda _: None)


def test_what_was_changed_before_results_withholds_nothing() -> None:
    assert found(looked(SEEDS)).groups[0].to_baseline[0].verdict == "better"


def test_a_strategy_that_came_later_has_seeds_of_its_own() -> None:
    history = EarlierDeclaration(when=WHEN, seeds={BASELINE: SEEDS}, recorded=8)
    assert found(history).groups[0].to_baseline[0].verdict == "better"


def test_only_pairs_with_changed_seeds_lose_their_verdict() -> None:
    rows = {name: clean_answers(accuracy=0.6 + 0.15 * n, seed=n) for n, name in enumerate((BASELINE, ROW, "third"))}
    history = EarlierDeclaration(when=WHEN, seeds={BASELINE: SEEDS, ROW: [0], "third": SEEDS}, recorded=3)
    made = declaring(clean_experiment(rows), history=[history])
    assert reseeded(made.declared) == {ROW}
    (group,) = compare(made).groups
    assert {(pair.first, pair.second): pair.verdict for pair in group.to_baseline} == {
        (ROW, BASELINE): "withheld",
        ("third", BASELINE): "better",
    }
    assert [row.strategy for row in group.rows if row.rank is None] == [ROW]


def test_identical_answers_stay_a_fact() -> None:
    same = clean_answers(seed=1)
    made = clean_experiment({BASELINE: same, ROW: same})
    (group,) = compare(declaring(made, history=[looked([0])])).groups
    assert group.to_baseline[0].verdict == "identical"


@pytest.mark.parametrize("what", ["margin", "baseline", "reported split", "under test", "strategies", "margin of other"])
def test_a_changed_question_marks_its_verdicts_in_every_output(what: str) -> None:
    comparison = found(looked(SEEDS, what))
    pair = comparison.groups[0].to_baseline[0]
    assert (pair.verdict, pair.question_changed, pair.marked_verdict) == ("better", [what], "better, question changed")
    assert what in comparison.answer
    assert cells(comparison)[ROW]["question_changed"] == what
    assert json.loads(write_json(comparison))["groups"][0]["to_baseline"][0]["question_changed"] == [what]
    assert "| better, question changed" in write_page(comparison)
    assert '<span class="sub">question changed</span>' in write_html(comparison, [], lambda _: None)


def test_of_several_rows_the_answer_is_marked_too() -> None:
    rows = {name: clean_answers(accuracy=0.6 + 0.15 * n, seed=n) for n, name in enumerate((BASELINE, ROW, "third"))}
    made = clean_experiment(rows)
    history = [EarlierDeclaration(when=WHEN, seeds={}, recorded=3, changes=[Change(what="margin", before="x", after="y")])]
    assert compare(declaring(made, history=history)).answer.endswith("margin changed when results were known.")


@pytest.mark.parametrize("what", ["gate", "trials of manual-loop", "primary metric of another"])
def test_what_no_verdict_hangs_on_marks_none(what: str) -> None:
    assert found(looked(SEEDS, what)).groups[0].to_baseline[0].question_changed == []


def test_the_primary_metric_of_the_task_is_part_of_its_question() -> None:
    task = found().groups[0].task
    what = f"primary metric of {task}"
    assert found(looked(SEEDS, what)).groups[0].to_baseline[0].question_changed == [what]
    assert Checks() == found(looked([0], what)).groups[0].all_pairs[0].checks
    assert isinstance(found().declared, Declared)


def test_in_several_experiments_no_look_judges_and_no_p_value_holds(tmp_path: Path) -> None:
    """Which seeds are there was decided by comparisons within each experiment."""
    names = ("base", "far"), ("near",)
    answers = {name: clean_answers(accuracy=0.7 + 0.1 * n, seed=n) for n, name in enumerate(("base", "far", "near"))}
    one, two = (
        make_folder(tmp_path / str(n), {name: answers[name] for name in own}, LABELS, **looks)
        for n, (own, looks) in enumerate(zip(names, ({"looks": [3, 5, 8]}, {}), strict=True))
    )
    assert compare(load_experiment([one])).groups[0].looks is not None
    made = load_experiment([one, two])
    (group,) = compare(made).groups
    assert (made.declared.looks, made.by_looks, group.looks) == ([], {"base", "far"}, None)
    assert {pair.first: pair.verdict for pair in group.to_baseline} == {"far": "withheld", "near": "withheld"}
    assert "look by look" in group.to_baseline[0].sentence
    assert {row.rank for row in group.rows} == {None}


def test_all_runs_are_withheld_too_where_some_collapsed() -> None:
    fallen = clean_answers(accuracy=0.9, seed=2)
    fallen[[2, 5]] = 1
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.6, seed=1), ROW: fallen})
    pair = compare(declaring(made, history=[looked([0])])).groups[0].to_baseline[0]
    assert pair.all_runs is not None
    assert (pair.verdict, pair.all_runs.finding, pair.all_runs.p_adjusted) == ("withheld", "withheld", None)
    assert "failed: 2 of 8" in pair.sentence


def test_with_looks_slices_are_shown_without_a_test() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.6, seed=1), ROW: clean_answers(accuracy=0.9, seed=2)}
    slices = {"half": ["a", "b"] * 200}
    fixed, looks = (compare(clean_experiment(rows, slices=slices, **more)).groups[0].slices for more in ({}, {"looks": [3, 8]}))
    assert {one.p_adjusted is None for one in fixed if one.strategy == ROW} == {False}
    assert {one.p_adjusted is None for one in looks} == {True}
    assert [one.difference for one in looks] == [one.difference for one in fixed]


def test_looks_that_changed_with_the_same_seeds_are_told_as_withheld() -> None:
    (warning,) = [one for one in found(looked(SEEDS, "looks")).warnings if one.name == "changed-after-looking"]
    assert "withheld" in warning.what
    (warning,) = [one for one in found(looked(SEEDS, "margin")).warnings if one.name == "changed-after-looking"]
    assert "withheld" not in warning.what
