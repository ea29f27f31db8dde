"""Margins, gates and figures of metrics that are no share: errors, correlations, percentages, very small and large numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_experiment, scored_by

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.gate.gate import Check, judge
from bakeoff.analysis.results import Pair
from bakeoff.contracts.metric import Answers, Floats, Metric, Ratio
from bakeoff.contracts.metrics import BUILT_IN, OF_ONE_LABEL, MatthewsCorrelation, MeanAbsoluteError, Pearson
from bakeoff.contracts.unit import PERCENT, Unit
from bakeoff.records.experiment import Experiment
from bakeoff.report.text.latex import write_tex
from bakeoff.report.text.table_md import write_page

N, SEEDS = 300, 5
TRUTH = np.random.default_rng(0).normal(3.0, 1.0, N)
LABELS = np.zeros(N, dtype=np.int64)


class Percentage(Ratio):
    """Plugin metrics may run from 0 to 100, the higher the better."""

    name, higher_is_better, unit = "closeness", True, PERCENT

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return np.clip(100.0 - np.abs(predictions - references), 0, 100), np.ones(len(references))


class Loss(Ratio):
    """Nobody says in which unit."""

    name, higher_is_better, unit = "loss", True, Unit()

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return -np.abs(predictions - references), np.ones(len(references))


class ErrorRate(Ratio):
    """A share of which less is better."""

    name, higher_is_better = "error_rate", False

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return np.minimum(np.abs(predictions - references), 1.0), np.ones(len(references))


def with_error(mean: float, *, seed: int, spread: float = 0.02) -> np.ndarray[Any, Any]:
    """Answers (K, N) whose mean absolute error is about `mean`, moving by `spread` of it from seed to seed."""
    draw = np.random.default_rng(seed)
    size = mean * (1 + spread * draw.normal(size=(SEEDS, 1))) * (1 + 0.1 * draw.normal(size=(SEEDS, N)))
    return TRUTH + np.abs(size) * np.where(np.arange(N) % 2, 1, -1)


def made(metric: Metric, errors: dict[str, float], **declared: Any) -> Experiment:
    """A strategy for each error; the first is the baseline."""
    given = {name: with_error(error, seed=number) for number, (name, error) in enumerate(errors.items(), 1)}
    experiment = make_experiment(
        {name: np.zeros((SEEDS, N), dtype=np.int64) for name in errors}, LABELS, under_test=["trainer"], **declared
    )
    return scored_by(experiment, metric, kind="regression", truth=TRUTH, given=given)


def pair_of(experiment: Experiment) -> Pair:
    return compare(experiment).groups[0].to_baseline[0]


# --- margins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e6])
def test_an_error_four_times_as_large_is_never_equivalent_by_a_margin_of_points(scale: float) -> None:
    """The default margin of 1.0 was a whole unit of the error, whatever that is."""
    pair = pair_of(made(MeanAbsoluteError(), {"base": 0.001 * scale, "row": 0.004 * scale}))
    assert (pair.margin, pair.equivalence_p, pair.verdict) == (None, None, "worse")


def test_a_metric_that_declares_nothing_has_no_margin_either() -> None:
    pair = pair_of(made(Loss(), {"base": 0.001, "row": 0.004}))
    assert (pair.margin, pair.verdict) == (None, "worse")
    assert pair_of(made(Loss(), {"base": 0.0010, "row": 0.0010})).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("metric", "errors", "margin", "own", "verdict"),
    [
        (MeanAbsoluteError(), (0.50, 0.51), {"mae": 0.05}, 0.05, "equivalent"),
        (MeanAbsoluteError(), (0.50, 0.70), {"mae": 0.05}, 0.05, "worse"),
        (MeanAbsoluteError(), (5e5, 5.1e5), {"mae": 5e4}, 5e4, "equivalent"),
        (MeanAbsoluteError(), (5e-7, 5.1e-7), {"mae": 5e-8}, 5e-8, "equivalent"),
        (Loss(), (0.50, 0.51), {"loss": 0.05}, 0.05, "equivalent"),
        (Percentage(), (2.0, 2.1), {"points": 1.0}, 1.0, "equivalent"),
        (Percentage(), (2.0, 2.1), {}, 1.0, "equivalent"),
        (Percentage(), (2.0, 9.0), {}, 1.0, "worse"),
        (ErrorRate(), (0.20, 0.201), {"points": 2.0}, 0.02, "equivalent"),
        (ErrorRate(), (0.20, 0.30), {"points": 2.0}, 0.02, "worse"),
        (ErrorRate(), (0.20, 0.201), {"error_rate": 2.0, "points": 0.001}, 0.02, "equivalent"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_margin_is_in_the_unit_in_which_the_metric_is_shown(
    metric: Metric, errors: tuple[float, float], margin: dict[str, float], own: float, verdict: str
) -> None:
    pair = pair_of(made(metric, {"base": errors[0], "row": errors[1]}, margin=margin))
    assert pair.margin == pytest.approx(own)
    assert pair.verdict == verdict


@pytest.mark.parametrize("metric", [Pearson(), MatthewsCorrelation()], ids=["pearson", "mcc"])
def test_a_point_of_a_correlation_is_a_hundredth(metric: Metric) -> None:
    kind = "regression" if metric.name == "pearson" else "classification"
    truth = TRUTH if kind == "regression" else (TRUTH > 3).astype(np.int64)
    given = {"base": with_error(0.3, seed=1), "row": with_error(0.3, seed=2)}
    if kind == "classification":
        given = {name: np.stack([3.0 - rows, rows - 3.0], axis=2) for name, rows in given.items()}
    experiment = make_experiment(
        {name: np.zeros((SEEDS, N), dtype=np.int64) for name in given}, LABELS, under_test=["trainer"], margin=2.0
    )
    group = compare(scored_by(experiment, metric, kind=kind, truth=truth, given=given)).groups[0]
    assert group.margin == pytest.approx(0.02)
    assert (group.unit.low, group.unit.high, group.unit.scale) == (-1.0, 1.0, 100)


def test_a_margin_in_another_unit_is_told_and_not_left_out_in_silence() -> None:
    """As a plan that was migrated from schema 4 has it until the next `bakeoff run`."""
    old = made(MeanAbsoluteError(), {"base": 0.5, "row": 0.5}, margin={"points": 0.5})
    (note,) = compare(old).groups[0].notes
    assert "declared margin" in note
    assert "`margin: {mae: 0.05}`" in note
    assert compare(made(MeanAbsoluteError(), {"base": 0.5, "row": 0.5}, margin={"mae": 0.5})).groups[0].notes == []
    assert compare(made(MeanAbsoluteError(), {"base": 0.5}, margin={"points": 0.5})).groups[0].notes == []


def test_a_margin_smaller_than_the_digits_of_the_scores_never_reads_as_another() -> None:
    group = compare(made(MeanAbsoluteError(), {"base": 5e6, "row": 5e6}, margin={"mae": 1.5})).groups[0]
    assert group.figures.decimals < 0
    assert "difference of 1.5" in group.to_baseline[0].advice


# --- figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        ((0.001, 0.004), r"0\.00\d{3,5} ± 0\.000\d+"),
        ((1.5, 2.35), r"1\.\d{2,3} ± 0\.\d{2,3}"),
        ((5e-7, 2e-6), r"\d\.\d+e-7 ± \d(\.\d+)?e-[89]"),
        ((5e6, 2e7), r"\d,\d{3},000 ± \d+,\d00"),
    ],
)
def test_digits_follow_the_spread_in_every_output(errors: tuple[float, float], shown: str) -> None:
    experiment = made(MeanAbsoluteError(), {"base": errors[0], "row": errors[1]}, margin={"mae": errors[0]})
    comparison = compare(experiment)
    page = write_page(comparison)
    line = next(line for line in page.splitlines() if line.startswith("| base"))
    assert re.search(shown, line), line
    group = comparison.groups[0]
    (row,) = [standing for standing in group.rows if standing.strategy == "base"]
    mean = group.figures.number(row.scores["test"]["mae"].mean)
    assert mean in page
    assert mean in write_tex(comparison)
    pair = group.to_baseline[0]
    assert group.figures.signed(pair.low) in pair.sentence
    assert group.figures.signed(pair.difference) in page


def test_sentences_name_the_metrics_own_unit() -> None:
    metric = MeanAbsoluteError()
    metric.unit = Unit(name="stars", low=0.0)
    pair = pair_of(made(metric, {"base": 0.5, "row": 0.9}, margin={"mae": 0.1}))
    assert "mae higher" in pair.sentence
    assert "points" not in pair.sentence


def test_nothing_but_shares_is_read_as_counts_of_examples() -> None:
    """few-examples knows what examples can show of a share; what half a star is in examples nobody knows."""
    warnings = compare(made(MeanAbsoluteError(), {"base": 0.5, "row": 0.51}, margin={"mae": 0.001})).warnings
    assert "few-examples" not in {warning.name for warning in warnings}


# --- gates ---------------------------------------------------------------------------------------------------------------


def gated(metric: Metric, errors: tuple[float, float], rule: str) -> Check:
    baseline, candidate = (made(metric, {"row": error}, gate={"quality": rule}) for error in errors)
    moved = replace(
        candidate, records=tuple(r.model_copy(update={"started": "2027-01-01T00:00:00+00:00"}) for r in candidate.records)
    )
    return judge(moved, baseline).checks[0]


@pytest.mark.parametrize(
    ("metric", "errors", "rule", "result", "change"),
    [
        (MeanAbsoluteError(), (1.50, 2.35), "+0.05 mae", "fail", 0.85),
        (MeanAbsoluteError(), (1.50, 1.20), "+0.05 mae", "pass", -0.30),
        (MeanAbsoluteError(), (1.50, 2.35), "+1 mae", "pass", 0.85),
        (MeanAbsoluteError(), (1e-7, 4e-7), "+1e-8 mae", "fail", 3e-7),
        (ErrorRate(), (0.20, 0.30), "+1 error_rate", "fail", 10.0),
        (ErrorRate(), (0.20, 0.30), "+20 points", "pass", 10.0),
        (Percentage(), (2.0, 9.0), "-1 points", "fail", -7.0),
        (Percentage(), (2.0, 9.0), "-10 points", "pass", -7.0),
        (Loss(), (1.5, 2.35), "-1 points, -0.05 loss", "fail", -0.85),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_gate_is_in_the_metrics_unit_and_direction(
    metric: Metric, errors: tuple[float, float], rule: str, result: str, change: float
) -> None:
    check = gated(metric, errors, rule)
    assert check.result == result
    assert check.change == pytest.approx(change, rel=0.2)


@pytest.mark.parametrize(
    ("metric", "rule", "way_out"),
    [
        (MeanAbsoluteError(), "-10 points", "+0.05 mae`"),
        (MeanAbsoluteError(), "-0.05 mae", "+0.05 mae`"),
        (Loss(), "-10 points", "-0.05 loss`"),
        (ErrorRate(), "-10 points", "+0.05 error_rate`"),
        (Percentage(), "+10 points", "-0.05 points`"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_rule_of_another_unit_or_direction_lets_nothing_pass(metric: Metric, rule: str, way_out: str) -> None:
    check = gated(metric, (1.50, 1.50), rule)
    assert (check.result, check.change) == ("not enough evidence", None)
    assert check.reason.endswith(f", {way_out}") or check.reason.endswith(f"`quality: {way_out}")


def test_every_built_in_can_be_gated_and_has_a_unit_that_holds_its_scores() -> None:
    draw = np.random.default_rng(1)
    for name, kind in BUILT_IN.items():
        metric = kind(1) if name in OF_ONE_LABEL else kind()  # type: ignore[call-arg]
        answers = draw.integers(2, size=(2, 50)) if "regression" not in metric.kinds else draw.normal(size=(2, 50))
        assert metric.unit.holds(metric.score(*answers))
