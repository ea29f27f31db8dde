"""The multi-bootstrap of any metric: seeds and examples are resampled together (Sellam et al., MultiBERTs, 2022).

Its percentile intervals are a check beside the primary test. Where seeds contribute most of the variance, they are too narrow,
like any bootstrap of a few seeds; where examples do, they are too wide, since the interaction of seeds and examples is counted
more than once (Owen 2007). A metric that is not a ratio of sums over examples is tested by the t test of `twoway`, with
variance components from resamples of the examples alone (`Replicates.table`).

A resample of examples is a vector of weights, how often each was drawn. A scorer maps weights (r, N) to scores (r, runs) of all
runs at once: ratios, MCC and Pearson are matrix products; Spearman takes one sort per run, since the rank of a value in a
resample is a running sum of weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.intervals import LEAST_DEFINED
from bakeoff.statistics.twoway import RunTable, run_table_resampled

Scorer = Callable[[Floats], Floats]
"""Maps weights (r, N), how often each of r resamples draws each example, to scores (r, runs)."""

CHUNK = 8_000_000
"""Largest number of weights, or of scores, in memory at once: 64 MB."""


@dataclass(frozen=True)
class Interval:
    """A difference of two strategies with its percentile interval and two-sided p, for which the observed difference counts
    as one of the replicates."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Replicates:
    """Mean scores over seeds of S strategies: `observed` (S,), and `scores` (R, S) in each of R bootstrap replicates."""

    observed: Floats
    scores: Floats
    runs: Floats
    """(runs,) the observed score of every run."""
    resampled: Floats | None
    """(R, runs) scores of every run in resamples of the examples; None unless `keep_runs` was set."""
    spans: Sequence[slice]
    """For each strategy, the slice of its runs."""
    examples: int

    def defined(self) -> Replicates | None:
        """The same, with only the replicates in which every run has a finite score.

        None where these are fewer than half, where an observed score is not finite, and without `resampled`.
        """
        if self.resampled is None or not np.isfinite(self.runs).all():
            return None
        whole = np.isfinite(self.resampled).all(axis=1)
        if whole.all():
            return self
        if whole.mean() < LEAST_DEFINED:
            return None
        return replace(self, scores=self.scores[whole], resampled=self.resampled[whole])

    def compare(self, one: int, other: int, *, level: float = 0.95) -> Interval:
        """Strategy number `one` minus number `other`, counted from 0; level: the confidence of the difference's interval."""
        apart = self.scores[:, one] - self.scores[:, other]
        low, high = np.quantile(apart, [(1 - level) / 2, (1 + level) / 2])
        least = min(int((apart <= 0).sum()), int((apart >= 0).sum()))
        p = min(1.0, 2 * (least + 1) / (len(apart) + 1))
        return Interval(float(self.observed[one] - self.observed[other]), float(low), float(high), p)

    def table(self, one: int) -> RunTable | None:
        """The summary of strategy number `one` over seeds and examples that `twoway` tests; None without `resampled`."""
        span = self.spans[one]
        return None if self.resampled is None else run_table_resampled(self.runs[span], self.resampled[:, span], self.examples)

    def paired_table(self, one: int, other: int) -> RunTable | None:
        """Such a summary of the differences of two strategies at each of their common seeds, number `one` minus `other`."""
        if self.resampled is None:
            return None
        here, there = self.spans[one], self.spans[other]
        runs = self.runs[here] - self.runs[there]
        return run_table_resampled(runs, self.resampled[:, here] - self.resampled[:, there], self.examples)


def multi_bootstrap(
    scorer: Scorer,
    seeds: Sequence[int],
    *,
    examples: int,
    streams: Sequence[int] | None = None,
    replicates: int = 2000,
    seed: int = 0,
    keep_runs: bool = False,
) -> Replicates:
    """Scores of strategies in resamples of seeds and examples.

    scorer: its columns are the runs of the first strategy, then of the second, and so on; seeds: each strategy's number of
    runs. All strategies share each resample of the examples. streams: a number for each strategy; strategies with the same
    number are paired by seed: they share the resamples of the seeds too, and must have equal numbers of seeds (ValueError
    otherwise). By default none are paired. seed: of the random generator. keep_runs: also keep the score of every run in every
    replicate, 8 bytes each.
    """
    rng, shared = np.random.default_rng(seed), dict[int, Floats]()
    drawn = []
    for count, stream in zip(seeds, range(len(seeds)) if streams is None else streams, strict=True):
        if stream not in shared:
            shared[stream] = _weights(rng, count, replicates)
        if shared[stream].shape[1] != count:
            raise ValueError(f"strategies that are paired by seed must have equal numbers of seeds, not {list(seeds)}")
        drawn.append(shared[stream])
    ends = np.cumsum(seeds)
    spans = [slice(end - count, end) for end, count in zip(ends, seeds, strict=True)]
    scores = np.empty((replicates, len(seeds)))
    resampled = np.empty((replicates, sum(seeds))) if keep_runs else None
    step = max(1, CHUNK // max(examples, sum(seeds)))
    for start in range(0, replicates, step):
        rows = slice(start, min(start + step, replicates))
        runs = scorer(_weights(rng, examples, rows.stop - rows.start))
        if resampled is not None:
            resampled[rows] = runs
        for strategy, span in enumerate(spans):
            scores[rows, strategy] = np.einsum("rk,rk->r", runs[:, span], drawn[strategy][rows]) / seeds[strategy]
    once = scorer(np.ones((1, examples)))[0]
    return Replicates(np.array([once[span].mean() for span in spans]), scores, once, resampled, spans, examples)


def bootstrap_ratio(
    numerators: Sequence[Floats] | Floats,
    denominators: Sequence[Floats] | Floats,
    *,
    streams: Sequence[int] | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Replicates:
    """`multi_bootstrap` of a ratio of sums over examples; numerators and denominators: (K, N) for each strategy."""
    scorers = [ratio_scorer(np.asarray(a), np.asarray(b)) for a, b in zip(numerators, denominators, strict=True)]
    return multi_bootstrap(
        lambda weights: np.concatenate([scorer(weights) for scorer in scorers], axis=1),
        [len(part) for part in numerators],
        examples=numerators[0].shape[1],
        streams=streams,
        replicates=replicates,
        seed=seed,
    )


def _weights(rng: np.random.Generator, size: int, replicates: int) -> Floats:
    """(replicates, size) counts of `size` draws with replacement."""
    drawn = rng.integers(0, size, (replicates, size))
    drawn += np.arange(replicates)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=replicates * size).reshape(replicates, size).astype(np.float64)


def _quotient(above: Floats, below: Floats) -> Floats:
    """`above / below`, and 0 where `below` is 0, as in the metrics."""
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0)


def ratio_scorer(numerator: Floats, denominator: Floats) -> Scorer:
    """The scorer of a metric that is a sum of numerators over a sum of denominators; (runs, N) each."""
    if (denominator == 1).all():
        return lambda weights: weights @ numerator.T / weights.sum(axis=1, keepdims=True)
    return lambda weights: _quotient(weights @ numerator.T, weights @ denominator.T)


def mcc_scorer(predictions: Floats, references: Floats) -> Scorer:
    """The scorer of Matthews' correlation for any number of labels (Gorodkin 2004); predictions (runs, N), references (N,)."""
    right = (predictions == references).astype(np.float64)
    labels = np.union1d(predictions, references)
    predicted = [(predictions == label).astype(np.float64).T for label in labels]
    actual = [(references == label).astype(np.float64)[:, None] for label in labels]

    def score(weights: Floats) -> Floats:
        n = weights.sum(axis=1, keepdims=True)
        of_predicted = [weights @ column for column in predicted]  # (r, runs) each
        of_actual = [weights @ column for column in actual]  # (r, 1) each
        covariance = n * (weights @ right.T) - sum(p * t for p, t in zip(of_predicted, of_actual, strict=True))
        spread = (n * n - sum(p * p for p in of_predicted)) * (n * n - sum(t * t for t in of_actual))
        return _quotient(covariance, np.sqrt(np.maximum(spread, 0.0)))

    return score


def pearson_scorer(predictions: Floats, references: Floats) -> Scorer:
    """The scorer of Pearson's correlation, 0 where a side is constant; predictions (runs, N), references (N,)."""
    x = np.asarray(predictions, dtype=np.float64)
    y = np.asarray(references, dtype=np.float64)
    x, y = _standard(x), _standard(y)  # weighted moments of centred values lose no digits

    def score(weights: Floats) -> Floats:
        n = weights.sum(axis=1, keepdims=True)
        mean_x, mean_y = weights @ x.T / n, weights @ y[:, None] / n
        covariance = weights @ (x * y).T / n - mean_x * mean_y
        variance_x = weights @ (x * x).T / n - mean_x**2
        variance_y = weights @ (y * y)[:, None] / n - mean_y**2
        return _correlation(covariance, variance_x, variance_y)

    return score


def spearman_scorer(predictions: Floats, references: Floats) -> Scorer:
    """The scorer of Spearman's correlation, 0 where a side is constant; tied values share the mean of their ranks.

    predictions: (runs, N); references: (N,).
    """
    rank_references = _ranker(np.asarray(references, dtype=np.float64))
    rankers = [_ranker(np.asarray(run, dtype=np.float64)) for run in predictions]

    def score(weights: Floats) -> Floats:
        n = weights.sum(axis=1, keepdims=True)
        # the mean of mid-ranks is (n + 1) / 2 whatever the ties; over n, so that variances are at most 1 / 12
        y = (rank_references(weights) - (n + 1) / 2) / n
        weighted = weights * y
        variance_y = (weighted * y).sum(axis=1) / n[:, 0]
        columns = []
        for ranker in rankers:
            x = (ranker(weights) - (n + 1) / 2) / n
            covariance = (weighted * x).sum(axis=1) / n[:, 0]
            columns.append(_correlation(covariance, (weights * x * x).sum(axis=1) / n[:, 0], variance_y))
        return np.stack(columns, axis=1)

    return score


def or_nan(score: Callable[[Any, Any], float]) -> Callable[[Any, Any], float]:
    """The same function, with NaN where it raises: a plugin's metric may have no value on a resample of a single class."""

    def guarded(predictions: Any, references: Any) -> float:
        try:
            return float(score(predictions, references))
        except Exception:  # a metric of any author: it has no value on this resample
            return math.nan

    return guarded


def any_scorer(score: Callable[[Floats, Floats], float], predictions: Floats, references: Floats) -> Scorer:
    """A scorer for any metric, but a slow one: it calls score(predictions (n,), references (n,)) once per run and resample,
    and gives NaN where that raises. predictions: (runs, N); references: (N,)."""
    score = or_nan(score)
    places = np.arange(len(references))

    def score_all(weights: Floats) -> Floats:
        rows = np.empty((len(weights), len(predictions)))
        for row, drawn in enumerate(weights.astype(np.int64)):
            chosen = np.repeat(places, drawn)
            rows[row] = [score(run[chosen], references[chosen]) for run in predictions]
        return rows

    return score_all


def _standard(values: Floats) -> Floats:
    """Values centred, and scaled to at most 1, along the last axis; zeros where they are constant."""
    centred = values - values.mean(axis=-1, keepdims=True)
    scale = np.abs(centred).max(axis=-1, keepdims=True)
    return np.where(np.ptp(values, axis=-1, keepdims=True) > 0, centred / np.where(scale > 0, scale, 1.0), 0.0)


def _correlation(covariance: Floats, variance_x: Floats, variance_y: Floats) -> Floats:
    """Correlation from moments of `_standard` values; 0 where a resample is constant: its variance is then about 1e-16, by
    rounding."""
    there = (variance_x > 1e-13) & (variance_y > 1e-13)
    spread = np.sqrt(np.where(there, variance_x * variance_y, 1.0))
    return np.clip(np.where(there, covariance / spread, 0.0), -1.0, 1.0)


def _ranker(values: Floats) -> Scorer:
    """Maps weights (r, N) to the rank of each value within each resample (r, N); ties share the mean rank."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))

    def rank(weights: Floats) -> Floats:
        of_group = np.add.reduceat(weights[:, order], starts, axis=1)
        ranks = np.cumsum(of_group, axis=1) - (of_group - 1) / 2
        return ranks[:, group]

    return rank
