"""Ratios of costs, dominance under uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.statistics.cost_ratios import Objective, dominates, front_probability, log_ratio
from bakeoff.statistics.twoway import two_way

SLOW, FAST = np.array([141.0, 139, 150, 143, 146]), np.array([118.0, 121, 119, 130, 117])


def test_five_paired_times_give_the_known_ratio() -> None:
    answer = log_ratio(SLOW, FAST)
    assert answer.ratio == pytest.approx(0.84113537, abs=5e-9)
    assert (answer.low, answer.high) == pytest.approx((0.78363541, 0.90285446), abs=5e-9)
    assert answer.p == pytest.approx(0.00246543, abs=5e-9)


def test_unpaired_times_are_welchs_on_logs() -> None:
    answer, expected = log_ratio(SLOW, FAST[:3], paired=False), stats.ttest_ind(np.log(FAST[:3]), np.log(SLOW), equal_var=False)
    bounds = expected.confidence_interval(0.95)
    assert answer.p == pytest.approx(expected.pvalue)
    assert (answer.low, answer.high) == pytest.approx((math.exp(bounds.low), math.exp(bounds.high)))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 9), paired=st.booleans())
def test_the_ratio_the_other_way_round_is_its_inverse(seed: int, k: int, paired: bool) -> None:
    a, b = np.exp(np.random.default_rng(seed).normal(size=(2, k)))
    here, there = log_ratio(a, b, paired=paired), log_ratio(b, a, paired=paired)
    assert (there.ratio, there.low, there.high) == pytest.approx((1 / here.ratio, 1 / here.high, 1 / here.low))
    assert there.p == pytest.approx(here.p)


def test_equal_times_are_a_ratio_of_1_without_nan() -> None:
    for paired in (True, False):
        answer = log_ratio(np.full(3, 7.0), np.full(3, 7.0), paired=paired)
        assert (answer.ratio, answer.low, answer.high, answer.p) == (1, 1, 1, 1)


@pytest.mark.parametrize("odd", [[1.0], [1.0, 0.0], [1.0, math.nan], [1.0, math.inf]])
def test_costs_that_have_no_logarithm_are_refused(odd: list[float]) -> None:
    with pytest.raises(ValueError, match="positive numbers"):
        log_ratio(np.array(odd), np.ones(len(odd)))


def fixed(low: float, high: float) -> object:
    return lambda level: (low, high)


@pytest.mark.parametrize(
    ("quality", "seconds", "answer"),
    [
        ((0.01, 0.03), (-0.2, -0.1), True),  # better and faster
        ((-0.005, 0.005), (-0.2, -0.1), True),  # as good within the margin, and faster
        ((-0.02, 0.005), (-0.2, -0.1), False),  # may be worse by more than the margin
        ((-0.005, 0.005), (-0.01, 0.02), False),  # superior in nothing
        ((0.01, 0.03), (0.1, 0.2), False),  # better and slower
        ((0.0, 0.0), (-0.2, -0.1), True),  # equal for certain
    ],
)
def test_dominance_asks_for_no_loss_anywhere_and_a_gain_somewhere(
    quality: tuple[float, float], seconds: tuple[float, float], answer: bool
) -> None:
    objectives = [Objective(fixed(*quality), margin=0.01), Objective(fixed(*seconds), margin=0.05, direction="lower")]
    assert dominates(objectives) is answer


def test_objectives_share_the_error_among_them() -> None:
    asked: list[float] = []

    def interval(level: float) -> tuple[float, float]:
        asked.append(level)
        return 0.1, 0.2

    assert dominates([Objective(interval)] * 4)
    assert asked == pytest.approx([0.9875] * 4)


def test_real_comparisons_are_objectives() -> None:
    rng = np.random.default_rng(0)
    better = two_way(0.1 + rng.normal(0, 0.1, (5, 200)))
    cheaper = log_ratio(SLOW, FAST)
    assert dominates([Objective(better.interval), Objective(cheaper.log.interval, direction="lower")])
    assert not dominates([Objective(better.interval), Objective(cheaper.log.interval, direction="higher")])


def test_the_probability_of_the_front_counts_replicates() -> None:
    quality = np.array([[0.9, 0.8, 0.7], [0.9, 0.95, 0.7]])
    seconds = np.array([[10.0, 12, 5], [10, 12, 5]])
    samples = np.stack([quality, seconds], axis=2)
    assert front_probability(samples, ["higher", "lower"]).tolist() == [1.0, 0.5, 1.0]
    same = np.ones((4, 3, 2))
    assert front_probability(same, ["higher", "lower"]).tolist() == [1.0] * 3
