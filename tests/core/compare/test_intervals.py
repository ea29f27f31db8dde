"""Intervals of one run and the plain equivalence test: published figures and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from bakeoff.compare.exact import mcnemar
from bakeoff.compare.intervals import bca, ratio_interval, tost_paired, wilson
from bakeoff.compare.outputs import SplitOutputs
from bakeoff.compare.rows import MOST_FOR_BCA, bounds_of
from bakeoff.metrics import F1, Accuracy, Pearson

REFERENCES = np.repeat([1, 0, 1, 0], [260, 39, 19, 90])
COURSE = np.repeat([1, 1, 0, 0], [260, 39, 19, 90])
"""The course's Trainer run: 260 true and 39 false positives, 19 false and 90 true negatives."""


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
    assert wilson(successes, n) == pytest.approx((low, high), abs=1e-6)  # .2552885 is printed as .255288


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 2000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_statsmodels_and_stays_within_0_and_1(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    low, high = wilson(successes, n, level=level)
    assert (low, high) == pytest.approx(proportion_confint(successes, n, alpha=1 - level, method="wilson"), abs=1e-9)
    assert 0 <= low <= successes / n <= high <= 1


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_share_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(successes, n)


def test_the_courses_confusion_matrix_and_the_floor_of_mrpc() -> None:
    assert Accuracy().score(COURSE, REFERENCES) == pytest.approx(0.8578431373, abs=5e-11)
    assert F1().score(COURSE, REFERENCES) == pytest.approx(0.8996539792, abs=5e-11)
    always = [metric.score(np.ones_like(REFERENCES), REFERENCES) for metric in (Accuracy(), F1())]
    assert [*always, sum(always) / 2] == pytest.approx([0.6838235294, 0.8122270742, 0.7480253018], abs=5e-11)


def test_the_courses_f1_by_the_delta_method() -> None:
    assert ratio_interval(*F1().parts(COURSE, REFERENCES)) == pytest.approx((0.8739, 0.9254), abs=1e-4)


def test_the_courses_f1_by_bca() -> None:
    parts = F1().parts(COURSE, REFERENCES)
    assert bca(parts, f1) == pytest.approx((0.8719, 0.9231), abs=1e-3)
    assert bca(parts, f1) == bca(parts, f1)
    low, high = bca(parts, f1, level=0.99)
    assert low < bca(parts, f1)[0] < bca(parts, f1)[1] < high


def test_a_perfect_run_has_a_point_and_no_nan() -> None:
    parts = F1().parts(REFERENCES, REFERENCES)
    assert bca(parts, f1, resamples=200) == (1.0, 1.0)
    assert ratio_interval(*parts) == pytest.approx((1.0, 1.0))


def test_students_sleep_data_are_not_equivalent() -> None:
    x = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    y = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    answer = tost_paired(x, y, 0.5)
    assert (answer.t_low, answer.t_high) == pytest.approx((-2.77664424, -5.34761113), abs=5e-9)
    assert answer.p_low == pytest.approx(0.98924076, abs=5e-9)
    assert answer.p_high == pytest.approx(2.319e-4, abs=5e-8)
    assert answer.p == answer.p_low


def test_five_close_pairs_are_equivalent_within_a_point() -> None:
    a = np.array([0.8578, 0.8627, 0.8529, 0.8701, 0.8603])
    b = np.array([0.8603, 0.8578, 0.8554, 0.8676, 0.8627])
    answer = tost_paired(a, b, 0.01)
    assert answer.difference == pytest.approx(0, abs=1e-12)
    assert answer.sd == pytest.approx(0.0034828, abs=5e-8)
    assert (answer.t_low, -answer.t_high) == pytest.approx((6.420289, 6.420289), abs=5e-7)
    assert answer.p == pytest.approx(0.00151264, abs=5e-9)
    assert answer.interval == pytest.approx((-0.0033205, 0.0033205), abs=5e-8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 20), margin=st.floats(0.1, 2))
def test_tost_agrees_with_statsmodels(seed: int, k: int, margin: float) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, k))
    p, (t_low, p_low, _), (t_high, p_high, _) = ttost_paired(a, b, -margin, margin)
    answer = tost_paired(a, b, margin)
    assert (answer.p, answer.p_low, answer.p_high) == pytest.approx((p, p_low, p_high))
    assert (answer.t_low, answer.t_high) == pytest.approx((t_low, t_high))


def test_example_noise_alone_needs_six_examples_to_speak() -> None:
    assert mcnemar(5, 0).p > 0.05 > mcnemar(6, 0).p


def test_a_correlation_over_many_examples_has_the_interval_of_fisher() -> None:
    """Beyond the reach of BCa, whose time grows with the square of the examples."""
    n = MOST_FOR_BCA + 1000
    rng = np.random.default_rng(6)
    truth = rng.standard_normal(n)
    answers = (truth + rng.standard_normal(n))[None]
    outputs = SplitOutputs(
        ids=tuple(map(str, range(n))),
        labels=truth,
        tokens=np.ones(n, dtype=np.int64),
        slices={},
        answers={"row": answers},
        seeds={"row": (0,)},
        calibration={},
    )
    found = bounds_of(outputs, Pearson(), "row")
    middle, half = np.arctanh(np.corrcoef(truth, answers[0])[0, 1]), 1.96 / np.sqrt(n - 3)
    assert (found.low, found.high) == pytest.approx((np.tanh(middle - half), np.tanh(middle + half)), abs=0.003)
    assert found.covers == "examples only (one run)"
