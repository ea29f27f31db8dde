"""The multi-bootstrap: weights give the same scores as resampled examples, and intervals behave."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from bakeoff.contracts.metrics import F1
from bakeoff.statistics import bootstrap
from bakeoff.statistics.bootstrap import (
    Replicates,
    Scorer,
    any_scorer,
    bootstrap_ratio,
    mcc_scorer,
    multi_bootstrap,
    pearson_scorer,
    ratio_scorer,
    spearman_scorer,
)
from bakeoff.statistics.twoway import TwoWay, of_differences, of_one_table, of_two_tables, two_way_paired, two_way_unpaired

Score = Callable[[np.ndarray, np.ndarray], float]


def correlation(statistic: Callable[..., tuple[float, float]]) -> Score:
    """0 where a side is constant, as the scorers have it."""
    return lambda x, y: float(statistic(x, y)[0]) if np.ptp(x) > 0 and np.ptp(y) > 0 else 0.0


def ratio_of_f1(predictions: np.ndarray, references: np.ndarray) -> Scorer:
    parts = [F1(1).ratio_terms(run, references) for run in predictions]
    return ratio_scorer(np.array([a for a, _ in parts]), np.array([b for _, b in parts]))


KINDS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], Scorer], Score, bool]] = {
    "f1": (ratio_of_f1, F1(1).score, True),
    "mcc": (mcc_scorer, matthews_corrcoef, True),
    "pearson": (pearson_scorer, correlation(stats.pearsonr), False),
    "spearman": (spearman_scorer, correlation(stats.spearmanr), False),
}


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10_000), n=st.integers(3, 40), levels=st.integers(2, 6))
def test_weights_score_as_the_resampled_examples_do(kind: str, seed: int, n: int, levels: int) -> None:
    scorer, score, labels = KINDS[kind]
    rng = np.random.default_rng(seed)
    count = min(levels, 2) if kind == "f1" else levels
    references = rng.integers(0, count, n)
    predictions = np.where(rng.random((3, n)) < 0.5, references, rng.integers(0, count, (3, n)))
    if not labels:
        references, predictions = references * 0.7 + 1000, predictions * 1.3 - 50  # ties, and far from 0
    weights = rng.multinomial(n, np.full(n, 1 / n), size=4).astype(np.float64)
    fast = scorer(predictions, references)(weights)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A single label was found")  # scikit-learn, where a resample has one label
        slow = any_scorer(score, predictions, references)(weights)
    assert fast == pytest.approx(slow, abs=1e-9)


def test_scores_are_means_over_the_seeds_of_each_strategy() -> None:
    right = (np.random.default_rng(0).random((3, 4, 50)) < 0.8).astype(np.float64)
    found = bootstrap_ratio(right, np.ones_like(right))
    assert found.observed == pytest.approx(right.mean(axis=(1, 2)))
    assert found.scores.shape == (2000, 3)
    assert found.scores.mean(axis=0) == pytest.approx(found.observed, abs=0.01)


def test_replicates_vary_by_seeds_and_examples_at_once() -> None:
    """The variance is that of seeds, examples and, counted about three times, their interaction (Owen 2007)."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(8, 1)) + 3 * rng.normal(size=100) + rng.normal(size=(8, 100))
    found = bootstrap_ratio(values[None], np.ones((1, 8, 100)), replicates=20_000)
    by_seed, by_example = values.mean(axis=1).var() / 8, values.mean(axis=0).var() / 100
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    expected = by_seed + by_example + residual.var() / 800
    assert found.scores[:, 0].var() == pytest.approx(expected, rel=0.05)


def test_paired_seeds_share_their_draws_and_others_do_not() -> None:
    seeds = np.linspace(-1, 1, 6)[:, None]
    scores = np.stack([seeds + np.zeros((6, 20)), seeds + np.zeros((6, 20))])
    paired = bootstrap_ratio(scores, np.ones_like(scores), streams=[7, 7]).compare(0, 1)
    unpaired = bootstrap_ratio(scores, np.ones_like(scores)).compare(0, 1)
    assert (paired.low, paired.high, paired.p) == (0, 0, 1)
    assert unpaired.low < -0.3 < 0.3 < unpaired.high


def test_sides_may_have_other_numbers_of_seeds_unless_paired() -> None:
    one, other = np.ones((3, 10)), np.zeros((5, 10))
    ones = [np.ones((3, 10)), np.ones((5, 10))]
    assert bootstrap_ratio([one, other], ones).compare(0, 1).difference == 1
    with pytest.raises(ValueError, match="equal numbers of seeds"):
        bootstrap_ratio([one, other], ones, streams=[0, 0])


def test_swapping_two_strategies_turns_the_sign() -> None:
    right = (np.random.default_rng(0).random((2, 5, 60)) < [[[0.8]], [[0.7]]]).astype(np.float64)
    found = bootstrap_ratio(right, np.ones_like(right))
    here, there = found.compare(0, 1), found.compare(1, 0)
    assert (there.difference, there.low, there.high, there.p) == pytest.approx(
        (-here.difference, -here.high, -here.low, here.p)
    )


def test_the_same_seed_draws_the_same_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    right = (np.random.default_rng(0).random((2, 5, 60)) < 0.8).astype(np.float64)
    first = bootstrap_ratio(right, np.ones_like(right), seed=3)
    assert np.array_equal(first.scores, bootstrap_ratio(right, np.ones_like(right), seed=3).scores)
    assert not np.array_equal(first.scores, bootstrap_ratio(right, np.ones_like(right), seed=4).scores)
    monkeypatch.setattr(bootstrap, "CHUNK", 700)
    assert np.array_equal(first.scores, bootstrap_ratio(right, np.ones_like(right), seed=3).scores)


def test_more_confidence_is_wider_and_p_never_0() -> None:
    right = np.stack([np.ones((5, 60)), np.zeros((5, 60))])
    found = bootstrap_ratio(right, np.ones_like(right), replicates=999)
    assert found.compare(0, 1).p == pytest.approx(2 / 1000)
    mixed = (np.random.default_rng(0).random((2, 5, 60)) < 0.8).astype(np.float64)
    replicates = bootstrap_ratio(mixed, np.ones_like(mixed))
    narrow, wide = replicates.compare(0, 1, level=0.8), replicates.compare(0, 1, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_it_is_no_narrower_than_the_primary_interval_by_much() -> None:
    """It stands beside the two-way interval as a check, so both should tell about the same width at ten seeds."""
    rng = np.random.default_rng(1)
    odds = np.clip(0.8 + rng.normal(0, 0.2, 400), 0, 1)
    a, b = (rng.random((2, 10, 400)) < odds).astype(np.float64)
    check = bootstrap_ratio(np.stack([a, b]), np.ones((2, 10, 400))).compare(0, 1)
    low, high = two_way_paired(a, b).interval()
    assert 0.7 < (check.high - check.low) / (high - low) < 2
    assert check.difference == pytest.approx((low + high) / 2)


def test_any_metric_can_be_compared_by_its_function_alone() -> None:
    rng = np.random.default_rng(2)
    references = rng.integers(0, 2, 80)
    good = np.where(rng.random((4, 80)) < 0.9, references, 1 - references)
    bad = np.where(rng.random((4, 80)) < 0.6, references, 1 - references)

    def median_hit(predictions: np.ndarray, references: np.ndarray) -> float:
        return float(np.mean(predictions == references) ** 2)

    runs = np.concatenate([good, bad])
    found: Replicates = multi_bootstrap(
        any_scorer(median_hit, runs, references), [4, 4], examples=80, replicates=300, keep_runs=True
    )
    assert found.compare(0, 1).low > 0
    tables = [found.table(0), found.table(1)]
    assert tables[0] is not None
    assert tables[1] is not None
    own, difference = of_one_table(tables[0]), of_two_tables(tables[0], tables[1])
    assert own.interval()[0] < found.observed[0] < own.interval()[1]
    assert 0 < difference.interval()[0] < difference.difference == pytest.approx(found.observed[0] - found.observed[1])


def estimate(replicates: Replicates, *, paired: bool) -> TwoWay:
    """Of the first strategy minus the second."""
    if paired:
        table = replicates.paired_table(0, 1)
        assert table is not None
        return of_differences(table)
    one, other = replicates.table(0), replicates.table(1)
    assert one is not None
    assert other is not None
    return of_two_tables(one, other)


@pytest.mark.parametrize("paired", [True, False])
def test_of_a_mean_resamples_give_the_two_way_estimate(paired: bool) -> None:
    rng = np.random.default_rng(3)
    hardness = rng.random(300)
    a, b = ((rng.random((4, 300)) * 0.5 + hardness * 0.5 < share).astype(float) for share in (0.6, 0.5))
    scorer = ratio_scorer(np.concatenate([a, b]), np.ones((8, 300)))
    replicates = multi_bootstrap(scorer, [4, 4], examples=300, replicates=4000, keep_runs=True)
    found = estimate(replicates, paired=paired)
    expected = two_way_paired(a, b) if paired else two_way_unpaired(a, b)
    assert found.difference == pytest.approx(expected.difference)
    assert found.budget.seeds == pytest.approx(expected.budget.seeds, rel=0.1, abs=1e-5)
    assert found.budget.example == pytest.approx(expected.budget.example, rel=0.15)
    assert found.budget.residuals == pytest.approx(expected.budget.residuals, rel=0.1)
    assert (found.variance, found.df) == pytest.approx((expected.variance, expected.df), rel=0.1)
    assert (found.seeds, found.examples, found.paired) == (expected.seeds, expected.examples, paired)


def test_equal_runs_leave_nothing_to_chance() -> None:
    run = np.random.default_rng(4).integers(0, 2, 50)
    scorer = mcc_scorer(np.stack([run] * 6), np.arange(50) % 2)
    found = multi_bootstrap(scorer, [3, 3], examples=50, replicates=50, keep_runs=True)
    for paired in (True, False):
        one = estimate(found, paired=paired)
        assert (one.difference, one.variance, one.p) == (0, 0, 1)


def test_three_seeds_that_differ_much_are_judged_by_t_because_the_percentiles_err_too_often() -> None:
    """MCC, and skill that moves by 5 points from seed to seed: the seeds, not the examples, make the variance."""
    rng, by_t, by_percentiles, runs = np.random.default_rng(5), 0, 0, 400
    for number in range(runs):
        truth = (rng.random(400) < 0.3).astype(int)
        skill = 0.8 + 0.05 * rng.standard_normal((6, 1))
        answers = np.where(rng.random(400) * 0.8 + rng.random((6, 400)) * 0.2 < skill, truth, 1 - truth)
        found = multi_bootstrap(mcc_scorer(answers, truth), [3, 3], examples=400, replicates=200, seed=number, keep_runs=True)
        by_t += estimate(found, paired=False).p < 0.05
        by_percentiles += found.compare(0, 1).p < 0.05
    assert by_t / runs <= 0.08
    assert by_percentiles / runs > 0.1
