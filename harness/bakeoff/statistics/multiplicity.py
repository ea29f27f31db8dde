"""Many comparisons at once: Holm, ranks as intervals, and Friedman's test over tasks."""

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
    """Friedman's chi-squared and the F of Iman and Davenport (1980), with their p; F is infinite where all tasks agree."""

    chi2: float
    chi2_p: float
    f: float
    f_p: float


def holm(p: Sequence[float] | Floats) -> Floats:
    """(m,) p-values adjusted by Holm's step-down (1979): below alpha, they are significant in the family.

    A NaN was never tested: it stays NaN and the family does not count it.
    """
    p = np.asarray(p, dtype=np.float64)
    adjusted = np.full(p.shape, math.nan)
    (there,) = np.nonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def rank_intervals(better: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(best, worst) rank of each row, from the matrix whose [i, j] says that i is significantly better than j."""
    better = np.asarray(better, dtype=bool)
    if better.ndim != 2 or better.shape[0] != better.shape[1] or (better & better.T).any():
        raise ValueError("better is square, and no two rows are better than each other")
    wins, losses = better.sum(axis=1), better.sum(axis=0)
    return [(1 + int(lost), len(better) - int(won)) for won, lost in zip(wins, losses, strict=True)]


def tie_groups(intervals: Sequence[tuple[int, int]]) -> list[int]:
    """A number from 1 for each row, equal for rows that share their rank interval, in order of the intervals."""
    numbers = {interval: number for number, interval in enumerate(sorted(set(intervals)), 1)}
    return [numbers[interval] for interval in intervals]


def ranks_of(scores: Floats) -> Floats:
    """(tasks, k) ranks within each task, 1 the best, ties sharing, of (tasks, k) scores, the higher the better."""
    from scipy import stats  # takes most of a second

    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] < 2 or scores.shape[1] < 2:
        raise ValueError(f"ranks need at least two tasks and two strategies, (tasks, k), not shape {scores.shape}")
    return np.asarray(stats.rankdata(-scores, axis=1))


def mean_ranks(scores: Floats) -> tuple[Floats, float]:
    """((k,) mean ranks; the correction for ties) of (tasks, k) scores, the higher the better."""
    ranks = ranks_of(scores)
    tasks, k = ranks.shape
    # in a task without ties the squares of ranks add up to k (k + 1)(2k + 1) / 6; ties take away from that
    missing = tasks * k * (k + 1) * (2 * k + 1) / 6 - float((ranks**2).sum())
    return ranks.mean(axis=0), 1 - 12 * missing / (tasks * k * (k * k - 1))


def friedman(ranks: Sequence[float] | Floats, tasks: int, *, correction: float = 1.0) -> Friedman:
    """Friedman's test from (k,) mean ranks over so many tasks. Seeds are no tasks: they are not independent blocks."""
    ranks = np.asarray(ranks, dtype=np.float64)
    k = len(ranks)
    if k < 2 or tasks < 2:
        raise ValueError(f"at least two strategies and two tasks are needed, not {k} and {tasks}")
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
    """p of Friedman's statistic with each task's ranks dealt anew, so many times, of (tasks, k) scores.

    It holds for few tasks too, where both approximations of `friedman` can say less than is possible: of two strategies over
    five tasks that all agree, p is 1/16 and not 0.
    """
    ranks = ranks_of(scores)
    draw = np.random.default_rng(0)
    dealt = np.zeros((shuffles, ranks.shape[1]))
    for task in ranks:
        dealt += draw.permuted(np.broadcast_to(task, dealt.shape), axis=1)
    far = (dealt**2).sum(axis=1) >= (ranks.sum(axis=0) ** 2).sum() - 1e-9
    return float((1 + far.sum()) / (1 + shuffles))


def critical_difference(k: int, tasks: int, *, alpha: float = 0.05) -> float:
    """The difference of mean ranks from which two of k strategies differ over so many tasks: Nemenyi, after Demšar (2006)."""
    from scipy import stats  # takes most of a second

    if k < 2 or tasks < 2:
        raise ValueError(f"at least two strategies and two tasks are needed, not {k} and {tasks}")
    q = float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * tasks))
