"""Intervals of one run and the plain equivalence test: published figures and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.row_scores import MOST_FOR_BCA, bounds_of
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metrics import (
    F1,
    Accuracy,
    BalancedAccuracy,
    LabelF1,
    MacroF1,
    MatthewsCorrelation,
    MeanAbsoluteError,
    MicroF1,
    Pearson,
    Precision,
    Recall,
    Spearman,
)
from bakeoff.contracts.unit import CORRELATION, OWN_UNIT, PERCENT, SHARE, Unit
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION, Kind
from bakeoff.statistics.exact import mcnemar_p
from bakeoff.statistics.intervals import Estimate, bca, mean_estimate, ratio_estimate, score_interval, share_interval

REFERENCES = np.repeat([1, 0, 1, 0], [260, 39, 19, 90])
COURSE = np.repeat([1, 1, 0, 0], [260, 39, 19, 90])
"""The course's Trainer run: 260 true and 39 false positives, 19 false and 90 true negatives."""


def split(answers: ArrayLike, labels: ArrayLike, *, kind: Kind = CLASSIFICATION) -> SplitOutputs:
    """One row's answers (K, N)."""
    given, truth = np.atleast_2d(answers), np.asarray(labels)
    return SplitOutputs(
        ids=tuple(map(str, range(len(truth)))),
        labels=truth,
        tokens=np.ones(len(truth), dtype=np.int64),
        slices={},
        answers={"row": given},
        seeds={"row": tuple(range(len(given)))},
        streams={"row": {}},
        calibration={},
        kind=kind,
    )


def f1(numerator: np.ndarray, denominator: np.ndarray, axis: int) -> np.ndarray:
    return numerator.sum(axis=axis) / denominator.sum(axis=axis)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.255288, 0.366210),
        (15, 148, 0.062386, 0.160487),
        (0, 20, 0.0, 0.161125),
        (1, 29, 0.006113, 0.171755),
        (350, 408, 0.820614, 0.888397),
        (344, 408, 0.804668, 0.875205),
    ],
)
def test_wilsons_interval_is_newcombes_and_the_courses(successes: int, n: int, low: float, high: float) -> None:
    assert share_interval(successes / n, n) == pytest.approx((low, high), abs=1e-6)  # .2552885 is printed as .255288


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 2000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_statsmodels_and_stays_within_0_and_1(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    low, high = share_interval(successes / n, n, level=level)
    assert (low, high) == pytest.approx(proportion_confint(successes, n, alpha=1 - level, method="wilson"), abs=1e-9)
    assert 0 <= low <= successes / n <= high <= 1


def test_the_courses_confusion_matrix_and_the_floor_of_mrpc() -> None:
    assert Accuracy().score(COURSE, REFERENCES) == pytest.approx(0.8578431373, abs=5e-11)
    assert F1(1).score(COURSE, REFERENCES) == pytest.approx(0.8996539792, abs=5e-11)
    always = [metric.score(np.ones_like(REFERENCES), REFERENCES) for metric in (Accuracy(), F1(1))]
    assert [*always, sum(always) / 2] == pytest.approx([0.6838235294, 0.8122270742, 0.7480253018], abs=5e-11)


def test_the_courses_f1_by_the_delta_method() -> None:
    assert ratio_estimate(*F1(1).ratio_terms(COURSE, REFERENCES)).interval() == pytest.approx((0.8739, 0.9254), abs=1e-4)


def test_the_courses_f1_by_bca() -> None:
    parts = F1(1).ratio_terms(COURSE, REFERENCES)
    assert bca(parts, f1) == pytest.approx((0.8719, 0.9231), abs=1e-3)
    assert bca(parts, f1) == bca(parts, f1)
    low, high = bca(parts, f1, level=0.99)
    assert low < bca(parts, f1)[0] < bca(parts, f1)[1] < high


def test_a_perfect_run_has_a_point_by_resampling_and_no_nan() -> None:
    """Which `bounds_of` does not show: see below."""
    parts = F1(1).ratio_terms(REFERENCES, REFERENCES)
    assert bca(parts, f1, resamples=200) == (1.0, 1.0)
    assert ratio_estimate(*parts).interval() == pytest.approx((1.0, 1.0))


def test_students_sleep_data_are_not_equivalent() -> None:
    x = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    y = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    answer = mean_estimate(x - y)
    assert answer.p_above(-0.5) == pytest.approx(0.98924076, abs=5e-9)
    assert answer.p_below(0.5) == pytest.approx(2.319e-4, abs=5e-8)
    assert answer.equivalence_p(0.5) == answer.p_above(-0.5)


def test_five_close_pairs_are_equivalent_within_a_point() -> None:
    a = np.array([0.8578, 0.8627, 0.8529, 0.8701, 0.8603])
    b = np.array([0.8603, 0.8578, 0.8554, 0.8676, 0.8627])
    answer = mean_estimate(a - b)
    assert answer.difference == pytest.approx(0, abs=1e-12)
    assert answer.se * np.sqrt(5) == pytest.approx(0.0034828, abs=5e-8)
    assert answer.equivalence_p(0.01) == pytest.approx(0.00151264, abs=5e-9)
    assert answer.interval(0.90) == pytest.approx((-0.0033205, 0.0033205), abs=5e-8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 20), margin=st.floats(0.1, 2))
def test_tost_agrees_with_statsmodels(seed: int, k: int, margin: float) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, k))
    p, (_, p_low, _), (_, p_high, _) = ttost_paired(a, b, -margin, margin)
    answer = mean_estimate(a - b)
    found = answer.equivalence_p(margin), answer.p_above(-margin), answer.p_below(margin)
    assert found == pytest.approx((p, p_low, p_high))


def test_example_noise_alone_needs_six_examples_to_speak() -> None:
    assert mcnemar_p(5, 0) > 0.05 > mcnemar_p(6, 0)


def test_a_correlation_over_many_examples_has_the_interval_of_fisher() -> None:
    """Beyond the reach of BCa, whose time grows with the square of the examples."""
    n = MOST_FOR_BCA + 1000
    rng = np.random.default_rng(6)
    truth = rng.standard_normal(n)
    answers = (truth + rng.standard_normal(n))[None]
    found = bounds_of(split(answers, truth), Pearson(), "row")
    middle, half = np.arctanh(np.corrcoef(truth, answers[0])[0, 1]), 1.96 / np.sqrt(n - 3)
    assert (found.low, found.high) == pytest.approx((np.tanh(middle - half), np.tanh(middle + half)), abs=0.003)
    assert found.method == "examples only (one run)"


# --- within the metric's range, and never a point ----------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    place=st.floats(0, 1),
    spread=st.floats(0, 3),
    df=st.floats(1, 500),
    n=st.integers(0, 3000),
    unit=st.sampled_from([SHARE, CORRELATION, PERCENT, Unit(low=1.0, high=5.0)]),
)
def test_an_interval_lies_within_the_range_holds_the_mean_and_is_no_point(
    place: float, spread: float, df: float, n: int, unit: Unit
) -> None:
    assert unit.low is not None
    assert unit.high is not None
    width = unit.high - unit.low
    mean = unit.low + place * width
    low, high = score_interval(Estimate(mean, (spread * width) ** 2, df), unit, n)
    assert low is not None
    assert high is not None
    assert unit.low <= low <= mean + 1e-9 * width
    assert mean - 1e-9 * width <= high <= unit.high
    assert low < high


def test_in_the_middle_of_the_range_the_interval_is_nearly_the_plain_one() -> None:
    estimate = Estimate(0.7970, 0.0059**2 / 5, 8.0)
    assert score_interval(estimate, SHARE, 1725) == pytest.approx(estimate.interval(), abs=1e-4)


def test_of_a_correlation_it_is_fishers() -> None:
    mean, error, df = 0.83, 0.02, 12.0
    half = 2.1788128 * error / (1 - mean**2)
    expected = np.tanh(np.arctanh(mean) - half), np.tanh(np.arctanh(mean) + half)
    assert score_interval(Estimate(mean, error**2, df), CORRELATION, 300) == pytest.approx(expected, abs=1e-7)


def test_of_one_end_it_is_on_the_log_of_the_distance_and_of_none_it_is_plain() -> None:
    estimate = Estimate(0.5, 0.2**2, 3.0)
    low, high = score_interval(estimate, Unit(low=0.0), 50)
    assert (low, high) == pytest.approx((0.5 / np.exp(3.1824463 * 0.4), 0.5 * np.exp(3.1824463 * 0.4)))
    assert score_interval(Estimate(-0.5, 0.2**2, 3.0), Unit(high=0.0), 50) == pytest.approx((-high, -low))  # type: ignore[operator]
    assert score_interval(estimate, OWN_UNIT, 50) == estimate.interval()
    for unit in (OWN_UNIT, Unit(low=0.0)):
        assert score_interval(Estimate(0.0, 0.0, 3.0), unit, 50) == (None, None), "nothing tells how far it may be off"


HALVES = np.arange(20) % 2
NUMBERS = np.linspace(0.0, 5.0, 20)
FLIPPED = 1 - HALVES
FEW = np.where(np.arange(20) < 3, 1, 0)
"""Three cases of the label that F1, recall and precision look at."""


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize(
    ("metric", "answers", "labels", "end", "counted"),
    [
        (Accuracy(), HALVES, HALVES, 1, 20),
        (Accuracy(), FLIPPED, HALVES, 0, 20),
        (F1(1), HALVES, HALVES, 1, 10),
        (F1(1), np.zeros(20, dtype=int), HALVES, 0, 10),
        (F1(1), FEW, FEW, 1, 3),
        (Recall(1), np.zeros(20, dtype=int), HALVES, 0, 10),
        (Recall(1), np.ones(20, dtype=int), FEW, 1, 3),
        (Precision(1), FEW, FEW, 1, 3),
        (MacroF1(), HALVES, HALVES, 1, 20),
        (BalancedAccuracy(), FLIPPED, HALVES, 0, 20),
        (MatthewsCorrelation(), HALVES, HALVES, 1, 20),
        (MatthewsCorrelation(), FLIPPED, HALVES, 0, 20),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_at_the_end_of_the_range_it_is_wilsons_over_the_examples_that_count_not_over_seeds(
    metric: Metric, answers: np.ndarray, labels: np.ndarray, end: int, counted: int, k: int
) -> None:
    outputs = split(np.tile(answers, (k, 1)), labels)
    drawn = outputs.resample(metric, ["row"]) if k > 1 else None
    found = bounds_of(outputs, metric, "row", replicates=drawn)
    low, high = share_interval(end, counted)
    unit = metric.unit
    assert unit.low is not None
    assert unit.high is not None
    scale = unit.high - unit.low
    assert (found.low, found.high) == pytest.approx((unit.low + scale * low, unit.low + scale * high))


@pytest.mark.parametrize("metric", [Pearson(), Spearman()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("k", [1, 3])
def test_a_correlation_of_one_has_an_interval_that_ends_there(metric: Metric, k: int) -> None:
    outputs = split(np.tile(NUMBERS, (k, 1)), NUMBERS, kind=REGRESSION)
    found = bounds_of(outputs, metric, "row", replicates=outputs.resample(metric, ["row"]) if k > 1 else None)
    assert found.high == pytest.approx(1)
    assert found.low is not None
    assert 0.5 < found.low < 0.9


@pytest.mark.parametrize("metric", [MicroF1(MULTILABEL), LabelF1()], ids=lambda metric: metric.name)
def test_sets_that_are_all_right_have_an_interval_too(metric: Metric) -> None:
    sets = np.array([1, 3, 2, 0, 1, 3])
    outputs = split(np.tile(sets, (2, 1)), sets, kind=MULTILABEL)
    found = bounds_of(outputs, metric, "row", replicates=outputs.resample(metric, ["row"]))
    assert found.low is not None
    assert (0.3 < found.low < 0.7, found.high) == (True, 1.0)


def test_errors_of_nothing_have_no_interval_and_others_one_above_zero() -> None:
    perfect = split(np.tile(NUMBERS, (3, 1)), NUMBERS, kind=REGRESSION)
    assert bounds_of(perfect, MeanAbsoluteError(), "row").low is None
    wild = np.stack([NUMBERS, NUMBERS + np.linspace(0, 9, 20)])
    found = bounds_of(split(wild, NUMBERS, kind=REGRESSION), MeanAbsoluteError(), "row")
    assert found.low is not None
    assert found.low > 0, "a plain t interval of two runs so unlike begins below 0"


def test_two_seeds_that_are_right_on_each_others_errors_have_no_point() -> None:
    """Every example is right at one seed of two, and every seed on half: all three mean squares cancel."""
    answers = np.stack([np.where(np.arange(20) < 10, HALVES, FLIPPED), np.where(np.arange(20) < 10, FLIPPED, HALVES)])
    found = bounds_of(split(answers, HALVES), Accuracy(), "row")
    assert (found.low, found.high) == pytest.approx(share_interval(0.5, 20))


def test_near_an_end_a_hundred_answers_of_twenty_examples_are_no_hundred_examples() -> None:
    """One answer of a hundred is wrong: five runs of it tell of one example, and the interval begins no later than Wilson's."""
    answers = np.tile(HALVES, (5, 1))
    answers[0, 0] = 1 - answers[0, 0]
    found = bounds_of(split(answers, HALVES), Accuracy(), "row")
    assert found.low is not None
    assert found.low <= share_interval(0.99, 20)[0]
    assert found.high is not None
    assert 0.99 < found.high < 1


@pytest.mark.parametrize(("n", "examples"), [(0, 2), (1, 2), (20, 20)])
def test_a_share_of_nothing_may_be_anything(n: int, examples: int) -> None:
    low, high = share_interval(1.0, n)
    assert (low == 0.0, high) == (n == 0, 1.0)
    nothing = np.zeros((3, examples), dtype=int)
    found = bounds_of(split(nothing, np.ones(examples, dtype=int)), Precision(1), "row")
    assert (found.low, found.high) == (0.0, 1.0), "nothing was predicted, so nothing counts"
