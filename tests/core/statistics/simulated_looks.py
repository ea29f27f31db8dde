"""Experiments with declared looks, simulated: many at once, by a form of the rule of its own.

The draws of `worlds` are reduced to sums over seeds and examples, once a look; tests, error budget, recycling and futility are
written again here from their formulas, over arrays. `test_looks_worlds.py` holds this form against the package's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from worlds import Drawn, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OPEN, EQUIVALENT, BETTER, WORSE, FUTILE = range(5)
LEAST = 3
"""Runs that learned: with fewer nothing is tested."""


class Tested(NamedTuple):
    """One comparison with the baseline in each of n experiments, (n,) or (n, S - 1) each."""

    difference: Floats
    p: Floats
    equivalence_p: Floats
    seeds: Floats
    """The part of the variance that shrinks with more seeds."""
    examples: Floats


@dataclass(frozen=True)
class Sums:
    """What a look needs of n experiments of S strategies with their first K seeds; the baseline is the first strategy."""

    scores: Floats
    """(n, S, K); NaN where a run collapsed, and does not count."""
    right: Floats
    """(n, S, N) share of the runs that learned that are right."""
    both: Floats
    """(n, S - 1, K) share of the examples that a strategy and the baseline both have right."""

    @cached_property
    def runs(self) -> Floats:
        return (~np.isnan(self.scores)).sum(axis=2).astype(float)

    def tested(self, margin: float, *, paired: bool) -> Tested:
        n = self.right.shape[2]
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # experiments in which every run of a strategy collapsed
            difference, variance, df, seeds, examples = self._estimates(n, 0, paired=paired)
            se = np.sqrt(variance)
            p = 2 * stats.t.sf(np.abs(difference) / se, df)
            d, v, own_df, _, _ = self._estimates(n + 2, 1, paired=paired)  # one more example for each side, at every seed
            e = np.sqrt(v)
            equivalence = np.maximum(stats.t.sf((d + margin) / e, own_df), stats.t.cdf((d - margin) / e, own_df))
        few = np.minimum(self.runs[:, 1:], self.runs[:, :1]) < LEAST
        untested = few | (variance == 0)
        return Tested(difference, np.where(untested, 1.0, p), np.where(few, 1.0, equivalence), seeds, examples)

    def _estimates(self, n: int, more: int, *, paired: bool) -> tuple[Floats, ...]:
        """Difference, variance, df, and the variance's two parts; `more` = 1 adds the pseudo-examples: n is with them."""
        scores = (self.scores * (n - 2 * more) + more) / n
        k, mean = self.runs, np.nanmean(scores, axis=2)
        s2 = np.nanvar(scores, axis=2, ddof=1)
        squares = (self.right**2).sum(axis=2) + more  # of the examples' means
        difference = mean[:, 1:] - mean[:, :1]
        apart = ((self.right[:, 1:] - self.right[:, :1]) ** 2).sum(axis=2) + 2 * more - n * difference**2
        among = apart / (n - 1)
        if paired:
            own = scores[:, 1:] - scores[:, :1]
            s2_d, runs = np.nanvar(own, axis=2, ddof=1), k[:, 1:]
            total = n * (scores[:, 1:] + scores[:, :1]) - 2 * (self.both * (n - 2 * more))  # of squared differences, by run
            left = np.nansum(total, axis=2) - n * np.nansum(own**2, axis=2) - runs * apart
            residual = left / ((runs - 1) * (n - 1))
            parts, dfs = [s2_d / runs], [runs - 1]
            example = np.maximum(0.0, among / n - residual / (runs * n))
        else:
            # total - seeds - examples; a right answer's square is 1, so that the total is that of the shares
            left = k * n * mean * (1 - mean) - n * (k - 1) * s2 - k * (squares - n * mean**2)
            residual = left / ((k - 1) * (n - 1))
            parts = [np.broadcast_to(part, difference.shape) for part in ((s2 / k)[:, 1:], (s2 / k)[:, :1])]
            dfs = [np.broadcast_to(df, difference.shape) for df in (k[:, 1:] - 1, k[:, :1] - 1)]
            noise = residual / (k * n)
            example = np.maximum(0.0, among / n - noise[:, 1:] - noise[:, :1])
        seeds = sum(parts)
        variance = seeds + example
        df = variance**2 / (sum(part**2 / own for part, own in zip(parts, dfs, strict=True)) + example**2 / (n - 1))
        df = dfs[0] if paired else df
        return difference, variance, df, seeds, example


def sums(drawn: Drawn, looks: Sequence[int]) -> dict[int, Sums]:
    """Of the first K seeds, for each K; collapsed runs are left out."""
    learned = ~drawn.collapsed
    scores = np.where(learned, drawn.right.mean(axis=3), np.nan)
    both = np.stack([(drawn.right[:, s] & drawn.right[:, 0]).mean(axis=2) for s in range(1, drawn.right.shape[1])], axis=1)
    found, at, counted = dict[int, Sums](), 0, np.zeros(drawn.right.shape[:2] + drawn.right.shape[3:], np.float32)
    for k in looks:
        for seed in range(at, k):
            counted += drawn.right[:, :, seed] * learned[:, :, seed, None]
        runs = np.maximum(1, learned[:, :, :k].sum(axis=2))
        found[k], at = Sums(scores[:, :, :k], (counted / runs[..., None]).astype(float), both[:, :, :k]), k
    return found


def budgets(looks: Sequence[int], m: int) -> list[float]:
    ends, alpha = [0, *looks], 0.04 if m == 1 and looks[-1] < 12 else 0.05
    return [alpha * (ends[one] ** 2 - ends[one - 1] ** 2) / looks[-1] ** 2 for one in range(1, len(ends))]


class Results(NamedTuple):
    verdicts: Ints
    """(n, S - 1): one of OPEN to FUTILE, as it was left."""
    seeds: Ints
    """(n, S) at which each strategy stopped."""


def judge(tests: Sequence[Tested], looks: Sequence[int], margin: float) -> Results:
    """All looks in order, over all experiments; one Tested a look."""
    m = tests[0].p.shape[1]
    shares = budgets(looks, m)
    verdicts = np.full(tests[0].p.shape, OPEN)
    stopped = np.full(tests[0].p.shape, looks[-1])
    for share, k, seen in zip(shares, looks, tests, strict=True):
        settled = np.isin(verdicts, (BETTER, WORSE)).sum(axis=1, keepdims=True)
        is_open = verdicts == OPEN
        equivalent = seen.equivalence_p <= share / m
        different = ~equivalent & (seen.p <= share / (m - settled + 1e-12))
        futile = ~equivalent & ~different & (chances(seen, shares[-1], k, looks[-1], m, margin) < 0.10) & (k < looks[-1])
        new = np.select(
            [equivalent, different & (seen.difference > 0), different, futile], [EQUIVALENT, BETTER, WORSE, FUTILE], OPEN
        )
        verdicts = np.where(is_open, new, verdicts)
        stopped = np.where(is_open & (new != OPEN), k, stopped)
    return Results(verdicts, np.concatenate([stopped.max(axis=1, keepdims=True), stopped], axis=1))


def chances(seen: Tested, last_share: float, k: int, last: int, m: int, margin: float) -> Floats:
    """P_d + P_e of the formula; NaN, which nothing is below, where nothing was tested."""
    s2 = seen.seeds * k
    error = np.sqrt(s2 / last + seen.examples)
    g = np.sqrt(np.maximum(s2 * (1 / k - 1 / last), 1e-300))
    c1 = special.ndtri(1 - last_share / (2 * m)) * error
    c2 = margin - special.ndtri(1 - last_share / m) * error
    d = seen.difference
    differs = special.ndtr((-c1 - d) / g) + special.ndtr((d - c1) / g)
    equal = np.where(c2 > 0, special.ndtr((c2 - d) / g) - special.ndtr((-c2 - d) / g), 0.0)
    return np.where((seen.p >= 1) & (seen.equivalence_p >= 1), np.nan, differs + equal)


@dataclass(frozen=True)
class Cell:
    """Shares over n experiments, each with its Monte-Carlo standard error sqrt(s (1 - s) / n)."""

    n: int
    false: float
    """Experiments with any false claim."""
    different: float
    equivalent: float
    futile: float
    """Comparisons with each outcome."""
    runs: float
    """Mean number of runs, the baseline's included."""

    @property
    def error(self) -> float:
        return float(np.sqrt(max(self.false, 1 / self.n) * (1 - self.false) / self.n))


def simulate(
    world: World,
    truths: Sequence[float],
    designs: Sequence[Sequence[int]],
    *,
    n: int,
    examples: int = 1725,
    margin: float = 1.0,
    paired: bool = False,
    seed: int = 0,
) -> list[Cell]:
    """One cell a design, on the same draws. truths: true differences to the baseline, in points."""
    margin, gains = margin / 100, (0.0, *truths)
    every = sorted({k for looks in designs for k in looks})
    found: list[list[Results]] = [[] for _ in designs]
    for drawn in world.better(*gains).chunks(n, len(gains), every[-1], examples, seed=seed):
        at = {k: own.tested(margin, paired=paired) for k, own in sums(drawn, every).items()}
        for results, looks in zip(found, designs, strict=True):
            results.append(judge([at[k] for k in looks], looks, margin))
    return [_cell(results, np.array(truths) / 100, margin) for results in found]


def _cell(results: Sequence[Results], truths: Floats, margin: float) -> Cell:
    verdicts = np.concatenate([one.verdicts for one in results])
    wrong = (
        ((verdicts == EQUIVALENT) & (np.abs(truths) >= margin - 1e-12))
        | ((verdicts == BETTER) & (truths <= 0))
        | ((verdicts == WORSE) & (truths >= 0))
    )
    return Cell(
        n=len(verdicts),
        false=float(wrong.any(axis=1).mean()),
        different=float(np.isin(verdicts, (BETTER, WORSE)).mean()),
        equivalent=float((verdicts == EQUIVALENT).mean()),
        futile=float((verdicts == FUTILE).mean()),
        runs=float(np.concatenate([one.seeds for one in results]).sum(axis=1).mean()),
    )
