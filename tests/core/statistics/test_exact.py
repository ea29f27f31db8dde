"""Sign-flip, McNemar and the paired t: published figures, statsmodels and brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from bakeoff.statistics.exact import (
    RANDOM_FLIPS,
    Randomisation,
    mcnemar_p,
    permutation,
    permutations,
    seeds_for_permutation,
    seeds_for_sign_flip,
    sign_flip,
    smallest_permutation_p,
    smallest_sign_flip_p,
)
from bakeoff.statistics.intervals import mean_estimate

MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=np.float64)
SLEEP_X = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_Y = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_darwins_maize_is_significant_by_t_and_not_by_fishers_test() -> None:
    exact, t = sign_flip(MAIZE), mean_estimate(MAIZE)
    assert exact.p == 0.05267333984375
    assert t.difference / t.se == pytest.approx(2.14798746, abs=5e-9)
    assert t.p == pytest.approx(0.04970294, abs=5e-9)


def test_students_sleep_data() -> None:
    t, exact = mean_estimate(SLEEP_X - SLEEP_Y), sign_flip(SLEEP_X - SLEEP_Y)
    assert t.difference / t.se == pytest.approx(-4.06212768, abs=5e-9)
    assert t.p == pytest.approx(0.00283289, abs=5e-9)
    assert t.interval() == pytest.approx((-2.45988576, -0.70011424), abs=5e-9)
    assert (exact.p, exact.smallest) == (0.00390625, 2**-8)  # one difference is 0: nine signs, not ten


def test_five_wins_of_five_have_the_smallest_p() -> None:
    d = np.array([0.01, 0.02, 0.015, 0.005, 0.03])
    assert (sign_flip(d).p, sign_flip(d).smallest) == (0.0625, 0.0625)
    assert mean_estimate(d).p == pytest.approx(0.02047587, abs=5e-9)


@pytest.mark.parametrize(
    ("k", "smallest"), [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (7, 0.015625), (8, 0.0078125), (10, 0.001953125)]
)
def test_the_smallest_p_halves_with_every_seed(k: int, smallest: float) -> None:
    assert smallest_sign_flip_p(k) == smallest
    assert sign_flip(np.arange(1.0, k + 1)).p == smallest


@pytest.mark.parametrize(
    ("strategies", "all_pairs", "against_one"), [(2, 6, 6), (3, 7, 7), (4, 8, 7), (5, 9, 8), (6, 10, 8), (8, 11, 9)]
)
def test_seeds_that_holm_needs_to_reject_anything(strategies: int, all_pairs: int, against_one: int) -> None:
    assert seeds_for_sign_flip(comparisons=strategies * (strategies - 1) // 2) == all_pairs
    assert seeds_for_sign_flip(comparisons=strategies - 1) == against_one


@settings(max_examples=60, deadline=None)
@given(d=st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_every_sign_is_tried(d: list[int]) -> None:
    flipped = [abs(sum(sign * step for sign, step in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=len(d))]
    share = float(np.mean([total >= abs(sum(d)) for total in flipped]))
    answer = sign_flip(np.array(d) / 408)
    assert answer.p == pytest.approx(share)
    assert answer.smallest <= answer.p <= 1
    assert sign_flip(-np.array(d) / 408) == answer


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), ka=st.integers(2, 5), kb=st.integers(2, 5))
def test_runs_are_dealt_in_every_way_as_scipy_does(seed: int, ka: int, kb: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, ka) / 4, rng.integers(0, 6, kb) / 4
    found = permutation(a, b)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: abs(x.mean(axis=axis) - y.mean(axis=axis)),
        vectorized=True,
        n_resamples=np.inf,
        alternative="greater",
    )
    assert found.p == pytest.approx(expected.pvalue)
    assert found.smallest <= found.p + 1e-12
    assert permutation(b, a).p == pytest.approx(found.p)


@pytest.mark.parametrize(("ka", "kb"), [(12, 14), (1, 30), (40, 40)])
def test_pairs_that_share_their_deals_get_the_p_of_deals_of_their_own(ka: int, kb: int) -> None:
    rng = np.random.default_rng(ka)
    for _ in range(2):
        a, b = rng.integers(70, 90, ka) / 100, rng.integers(71, 91, kb) / 100
        scores = np.concatenate([a, b])
        if ka == 1:
            first = np.arange(ka + kb)[:, None]
        else:
            first = np.random.default_rng(0).random((RANDOM_FLIPS, ka + kb)).argsort(axis=1)[:, :ka]
        sums = scores[first].sum(axis=1)
        far = np.abs(sums / ka - (scores.sum() - sums) / kb) >= abs(a.mean() - b.mean()) - 1e-9
        assert permutation(a, b).p == ((far.sum() + 1) / (RANDOM_FLIPS + 1) if ka > 1 else far.mean())


def test_several_pairs_at_once_get_the_p_that_each_gets_alone() -> None:
    rng, sizes = np.random.default_rng(5), [(3, 3), (12, 14), (4, 5), (3, 3), (12, 14)]
    pairs = [(rng.integers(0, 4, ka) / 4, rng.integers(1, 5, kb) / 4) for ka, kb in sizes]
    pairs.insert(2, (np.full(3, 0.5), np.full(3, 0.5)))
    found = permutations(pairs)
    assert found == [permutation(a, b) for a, b in pairs]
    assert found[2] == Randomisation(1.0, 1.0), "all runs score alike"
    assert len({one.p for one in found}) > 3


@pytest.mark.parametrize(("k", "smallest"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252)])
def test_sides_that_do_not_overlap_have_the_smallest_p_of_dealing(k: int, smallest: float) -> None:
    assert smallest_permutation_p(k, k) == pytest.approx(smallest)
    assert permutation(np.arange(k) + 0.0, np.arange(k) + 10.0).p == pytest.approx(smallest)
    assert permutation(np.arange(3.0), np.arange(5.0) + 10).p == pytest.approx(smallest_permutation_p(3, 5))


def test_dealing_needs_fewer_seeds_than_flipping_signs() -> None:
    assert [seeds_for_permutation(comparisons=m) for m in (1, 6, 45)] == [4, 5, 7]


def test_many_runs_are_dealt_at_random_and_p_is_never_0() -> None:
    a, b = np.random.default_rng(1).normal(0, 1, 15), np.random.default_rng(2).normal(0.7, 1, 15)
    assert permutation(a, b).p == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.01)
    assert permutation(a, b + 100).p == pytest.approx(1 / 100_001)


def test_twenty_seeds_are_still_exact() -> None:
    d = np.random.default_rng(1).normal(0.4, 1, 20)
    answer = sign_flip(d)
    draws = np.random.default_rng(2).choice((-1.0, 1.0), (200_000, 20)) @ d
    assert answer.p == pytest.approx(np.mean(np.abs(draws) >= abs(d.sum())), abs=0.003)


def test_beyond_twenty_seeds_signs_are_drawn_and_p_is_never_0() -> None:
    d = np.random.default_rng(1).normal(0.5, 1, 30)
    answer = sign_flip(d)
    assert answer.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)
    assert sign_flip(d) == answer
    assert sign_flip(np.ones(40)).p >= sign_flip(np.ones(40)).smallest > 0


def test_no_difference_at_all_has_p_1() -> None:
    assert (sign_flip(np.zeros(5)).p, mean_estimate(np.zeros(5)).p) == (1, 1)
    assert mean_estimate(np.full(5, 0.1)).p == 0


def test_too_few_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="one row of differences"):
        sign_flip(np.zeros(0))
    with pytest.raises(ValueError, match="at least two values"):
        mean_estimate(np.zeros(1))


def test_agrestis_approval_ratings() -> None:
    assert mcnemar_p(86, 150) == pytest.approx(3.716e-5, abs=5e-9)


@pytest.mark.parametrize(("b", "c", "p"), [(11, 1, 0.00634765625), (25, 15, 0.15385994), (6, 0, 0.03125), (5, 0, 0.0625)])
def test_small_counts_are_exact(b: int, c: int, p: float) -> None:
    assert mcnemar_p(b, c) == pytest.approx(p, abs=5e-9)
    assert mcnemar_p(c, b) == mcnemar_p(b, c)


@settings(max_examples=80, deadline=None)
@given(b=st.integers(0, 80), c=st.integers(0, 80))
def test_mcnemar_agrees_with_statsmodels(b: int, c: int) -> None:
    assert mcnemar_p(b, c) == pytest.approx(statsmodels_mcnemar([[10, b], [c, 10]], exact=True).pvalue)
