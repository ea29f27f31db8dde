"""Holm, rank intervals and Friedman: published figures, statsmodels and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bakeoff.statistics.multiplicity import (
    critical_difference,
    friedman,
    holm,
    mean_ranks,
    rank_intervals,
    shuffled_p,
    tie_groups,
)

DEMSAR = [3.143, 2.000, 2.893, 1.964]


def test_holms_known_adjustment() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("m", [1, 2, 10, 45])
def test_holm_agrees_with_statsmodels(m: int) -> None:
    p = np.random.default_rng(m).random(m) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@settings(max_examples=100, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_never_lowers(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert (adjusted <= 1).all()


def test_what_was_never_tested_stays_out_of_the_family() -> None:
    adjusted = holm([0.02, math.nan, 0.03])
    assert adjusted[[0, 2]] == pytest.approx([0.04, 0.04])
    assert math.isnan(adjusted[1])
    assert not len(holm([]))


def test_ranks_are_intervals_and_equal_intervals_a_group() -> None:
    better = np.zeros((4, 4), dtype=bool)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    intervals = rank_intervals(better)
    assert intervals == [(1, 2), (1, 3), (2, 4), (3, 4)]
    assert tie_groups(intervals) == [1, 2, 3, 4]
    assert rank_intervals(np.zeros((3, 3), dtype=bool)) == [(1, 3)] * 3
    assert tie_groups([(2, 3), (1, 1), (2, 3)]) == [2, 1, 2]


def test_rows_that_beat_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="better than each other"):
        rank_intervals(np.ones((2, 2), dtype=bool))


def test_demsars_example() -> None:
    answer = friedman(DEMSAR, 14)
    assert answer.chi2 == pytest.approx(9.2836, abs=5e-5)
    assert answer.f == pytest.approx(3.6889, abs=5e-5)
    assert answer.f_p == pytest.approx(stats.f.sf(answer.f, 3, 39))
    assert critical_difference(4, 14) == pytest.approx(1.253559, abs=5e-7)
    assert critical_difference(4, 14) / math.sqrt(4 * 5 / (6 * 14)) == pytest.approx(2.569032, abs=5e-7)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.118060, abs=5e-7)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), tasks=st.integers(2, 12), k=st.integers(3, 6), levels=st.integers(2, 9))
def test_friedman_agrees_with_scipy_with_ties_too(seed: int, tasks: int, k: int, levels: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (tasks, k)).astype(np.float64)
    ranks, correction = mean_ranks(scores)
    assert ranks == pytest.approx(np.mean([stats.rankdata(-row) for row in scores], axis=0))
    if correction > 0:
        expected = stats.friedmanchisquare(*scores.T)
        assert friedman(ranks, tasks, correction=correction).chi2 == pytest.approx(expected.statistic, abs=1e-9)
        assert friedman(ranks, tasks, correction=correction).chi2_p == pytest.approx(expected.pvalue)


def test_tasks_that_all_tie_say_nothing_and_tasks_that_all_agree_everything() -> None:
    ranks, correction = mean_ranks(np.ones((5, 3)))
    assert friedman(ranks, 5, correction=correction).chi2_p == 1
    assert friedman([1.0, 2.0, 3.0], 5).f_p == 0


@pytest.mark.parametrize(("right", "tasks"), [(5, 5), (7, 8), (6, 9)])
def test_of_two_strategies_the_shuffled_p_is_the_sign_tests(right: int, tasks: int) -> None:
    """Where all of 5 agree it is 1/16, though F is infinite; of 8, 7 are not enough, though F says 2 %."""
    scores = np.array([[1.0, 0.0]] * right + [[0.0, 1.0]] * (tasks - right))
    exact = stats.binomtest(right, tasks).pvalue
    assert shuffled_p(scores) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9_999))


@pytest.mark.parametrize("seed", range(4))
def test_with_many_tasks_the_shuffled_p_is_that_of_chi_squared(seed: int) -> None:
    scores = np.random.default_rng(seed).normal([0, 0, 0.1, 0.4], size=(60, 4))
    assert shuffled_p(scores) == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue, abs=0.02)


def test_tasks_that_all_tie_have_a_shuffled_p_of_1() -> None:
    assert shuffled_p(np.ones((6, 3))) == 1


def test_of_strategies_that_are_alike_five_in_a_hundred_experiments_find_a_difference_at_most() -> None:
    draw = np.random.default_rng(4)
    found = [shuffled_p(draw.integers(0, 20, (6, 3)).astype(np.float64), shuffles=399) <= 0.05 for _ in range(600)]
    assert 0.01 < np.mean(found) < 0.075
