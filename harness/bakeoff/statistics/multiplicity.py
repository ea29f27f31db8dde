"""Several comparisons: Holm's adjustment, rank intervals, and Friedman's test over tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bakeoff.contracts.metric import Floats


@dataclass(frozen=True)
class Friedman:
    """Friedman's chi-squared and the F of Iman and Davenport (1980) with p-values; F is infinite where all tasks agree."""

    chi2: float
    chi2_p: float
    f: float
    f_p: float


def holm(p: Sequence[float] | Floats) -> Floats:
    """(m,) p-values adjusted by Holm's step-down method (1979). NaN (not tested) stays NaN and does not count in the family."""
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, math.nan)
    (there,) = np.nonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def rank_intervals(better: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(best, worst) rank that each strategy may have. better[i, j]: strategy i is significantly better than strategy j."""
    better = np.asarray(better, dtype=bool)
    if better.ndim != 2 or better.shape[0] != better.shape[1] or (better & better.T).any():
        raise ValueError("`better` must be square, and no two strategies in it may be better than each other")
    wins, losses = better.sum(axis=1), better.sum(axis=0)
    return [(1 + int(lost), len(better) - int(won)) for won, lost in zip(wins, losses, strict=True)]


def tie_groups(intervals: Sequence[tuple[int, int]]) -> list[int]:
    """For each strategy's rank interval, by `rank_intervals`, a number from 1; equal intervals have the same number."""
    numbers = {interval: number for number, interval in enumerate(sorted(set(intervals)), 1)}
    return [numbers[interval] for interval in intervals]


def ranks_of(scores: Floats) -> Floats:
    """Ranks (tasks, k) of k strategies within each task, 1 for the highest score; ties share the mean rank. scores: (tasks,
    k), higher is better."""
    from scipy import stats  # takes most of a second

    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] < 2 or scores.shape[1] < 2:
        raise ValueError(f"ranks need at least two tasks and two strategies, (tasks, k), not shape {scores.shape}")
    return np.asarray(stats.rankdata(-scores, axis=1))


def mean_ranks(scores: Floats) -> tuple[Floats, float]:
    """Mean ranks (k,) over tasks, and the `correction` for ties that `friedman` takes; scores: (tasks, k), higher is
    better."""
    ranks = ranks_of(scores)
    tasks, k = ranks.shape
    # in a task without ties the squares of ranks add up to k (k + 1)(2k + 1) / 6; ties take away from that
    missing = tasks * k * (k + 1) * (2 * k + 1) / 6 - float((ranks**2).sum())
    return ranks.mean(axis=0), 1 - 12 * missing / (tasks * k * (k * k - 1))


def friedman(ranks: Sequence[float] | Floats, tasks: int, *, correction: float = 1.0) -> Friedman:
    """Friedman's test from mean ranks, (k,), over so many tasks; correction: for ties, by `mean_ranks`.

    Seeds must not be passed as tasks: they are not independent.
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    k = len(ranks)
    raw = 12 * tasks / (k * (k + 1)) * (float(ranks @ ranks) - k * (k + 1) ** 2 / 4)
    chi2 = max(0.0, raw) / correction if correction > 0 else 0.0
    left = tasks * (k - 1) - chi2
    f = (tasks - 1) * chi2 / left if left > 1e-9 else math.inf
    return Friedman(
        chi2=chi2,
        chi2_p=float(special.chdtrc(k - 1, chi2)),
        f=f,
        f_p=float(special.fdtrc(k - 1, (k - 1) * (tasks - 1), f)) if math.isfinite(f) else 0.0,
    )


def shuffled_p(scores: Floats, *, shuffles: int = 9_999) -> float:
    """Permutation p of Friedman's statistic of scores, (tasks, k): the ranks within each task are permuted, `shuffles` times.

    Unlike the two approximate p-values of `friedman` it holds for few tasks: for two strategies over five tasks that all agree
    it gives 1/16, not 0.
    """
    ranks = ranks_of(scores)
    draw = np.random.default_rng(0)
    dealt = np.zeros((shuffles, ranks.shape[1]))
    for task in ranks:
        dealt += draw.permuted(np.broadcast_to(task, dealt.shape), axis=1)
    far = (dealt**2).sum(axis=1) >= (ranks.sum(axis=0) ** 2).sum() - 1e-9
    return float((1 + far.sum()) / (1 + shuffles))


def critical_difference(k: int, tasks: int, *, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of the mean ranks of two of k strategies over so many tasks (Demšar 2006)."""
    from scipy import stats  # takes most of a second

    q = float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * tasks))
