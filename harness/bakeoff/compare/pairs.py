"""Two rows against each other: the primary estimate, and the checks beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.compare.bootstrap import Replicates
from bakeoff.compare.exact import mcnemar, paired_t, sign_flip
from bakeoff.compare.findings import Checks, Fact
from bakeoff.compare.intervals import Estimate
from bakeoff.compare.power import minimum_detectable_effect
from bakeoff.compare.twoway import TwoWay, two_way, two_way_unpaired
from bakeoff.components import Floats

NORMAL_REACH = 2.8015852
"""Quantiles of the normal distribution for a two-sided 5 % and 80 % power, added up: the detectable difference in SEs."""


@dataclass(frozen=True)
class Side:
    """One row's part in a pair."""

    name: str
    seeds: tuple[int, ...]
    answers: NDArray[Any]
    """(K, N) on the reported split."""
    everything: tuple[NDArray[Any], ...]
    """(K, n) on every predicted split: two sides are identical when all of it is equal."""
    values: Floats | None
    """(K, N) of which the mean over examples is the run's score; None for a metric that is no ratio of sums."""
    scores: Floats
    """(K,)"""
    number: int
    """Its place among the bootstrap's replicates."""

    def ordered(self) -> Side:
        """By seed."""
        order = np.argsort(self.seeds)
        if (np.diff(order) > 0).all():
            return self
        return replace(
            self,
            seeds=tuple(sorted(self.seeds)),
            answers=self.answers[order],
            everything=tuple(part[order] for part in self.everything),
            values=None if self.values is None else self.values[order],
            scores=self.scores[order],
        )


@dataclass(frozen=True)
class Contest:
    """Two sides measured against each other, before anything is adjusted for the family that they stand in."""

    first: Side
    second: Side
    facts: tuple[Fact, ...]
    paired: bool
    identical: bool
    method: Literal["two-way", "multi-bootstrap", "seeds only", "none"]
    estimate: Estimate | None
    """Of a t interval; None for the bootstrap, and where there is nothing to estimate."""
    draws: Floats | None
    """(R,) bootstrapped differences, where the metric has no t interval."""

    @property
    def difference(self) -> float:
        return float(self.first.scores.mean() - self.second.scores.mean())

    @property
    def least_seeds(self) -> int:
        return min(len(self.first.seeds), len(self.second.seeds))

    @property
    def p(self) -> float | None:
        if self.estimate is not None:
            return self.estimate.p
        if self.draws is None:
            return None
        least = min(int((self.draws <= 0).sum()), int((self.draws >= 0).sum()))
        return min(1.0, 2 * (least + 1) / (len(self.draws) + 1))

    def interval(self, level: float) -> tuple[float, float] | tuple[None, None]:
        if self.estimate is not None:
            return self.estimate.interval(level)
        if self.draws is None:
            return None, None
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def equivalence_p(self, margin: float) -> float | None:
        if self.estimate is not None:
            return self.estimate.equivalence_p(margin)
        if self.draws is None:
            return None
        outside = max(int((self.draws <= -margin).sum()), int((self.draws >= margin).sum()))
        return min(1.0, (outside + 1) / (len(self.draws) + 1))

    @property
    def detectable(self) -> float | None:
        """The difference that this design finds with 80 % power at a two-sided 5 %."""
        if self.estimate is not None:
            return minimum_detectable_effect(self.estimate.se, max(1.0, self.estimate.df)) if self.estimate.variance else 0.0
        return None if self.draws is None else NORMAL_REACH * float(self.draws.std())


def measure(first: Side, second: Side, facts: Sequence[Fact], replicates: Replicates | None) -> Contest:
    """First minus second. Paired by seed where both sides have the same seeds; the examples are always the same."""
    first, second = first.ordered(), second.ordered()
    paired = first.seeds == second.seeds
    identical = (
        paired
        and bool(first.everything)
        and all(
            one.shape == other.shape and bool((one == other).all())
            for one, other in zip(first.everything, second.everything, strict=True)
        )
    )
    contest = Contest(first, second, tuple(facts), paired, identical, "none", None, None)
    if min(len(first.seeds), len(second.seeds)) < 2:
        return contest
    if first.values is not None and second.values is not None:
        return replace(contest, method="two-way", estimate=two_way_of(first.values, second.values, paired=paired))
    if replicates is not None:
        draws = replicates.scores[:, first.number] - replicates.scores[:, second.number]
        return replace(contest, method="multi-bootstrap", draws=draws)
    if paired:
        return replace(contest, method="seeds only", estimate=paired_t(first.scores - second.scores))
    return contest


def two_way_of(first: Floats, second: Floats, *, paired: bool) -> TwoWay:
    """The primary estimate of (K, N) values against (K', N) values."""
    return two_way(first - second) if paired else two_way_unpaired(first, second)


def check(contest: Contest, replicates: Replicates | None) -> Checks:
    """The other tests. They do not make the verdict; where they disagree with it, a reader should know."""
    first, second = contest.first, contest.second
    enough = contest.paired and len(first.seeds) >= 2
    d = first.scores - second.scores if contest.paired else None
    flips = sign_flip(d) if enough and d is not None else None
    low, high = None, None
    p = None
    if replicates is not None and contest.least_seeds >= 2:
        interval = replicates.compare(first.number, second.number)
        low, high, p = interval.low, interval.high, interval.p
    one_each = len(first.seeds) == len(second.seeds) == 1 and first.values is not None and second.values is not None
    return Checks(
        sign_flip_p=flips.p if flips else None,
        sign_flip_floor=flips.floor if flips else None,
        bootstrap_low=low,
        bootstrap_high=high,
        bootstrap_p=p,
        paired_t_p=paired_t(d).p if enough and d is not None else None,
        mcnemar_p=_mcnemar(first, second) if one_each else None,
        seed_correlation=_correlation(first.scores, second.scores) if contest.paired and len(first.seeds) >= 3 else None,
    )


def _mcnemar(first: Side, second: Side) -> float | None:
    """Two fixed models; only where each example is right or wrong."""
    assert first.values is not None
    assert second.values is not None
    shares = {float(value) for side in (first, second) for value in np.unique(side.values)}  # type: ignore[arg-type]  # not None
    if not shares <= {0.0, 1.0}:
        return None
    better, worse = first.values[0] > second.values[0], first.values[0] < second.values[0]
    return mcnemar(int(better.sum()), int(worse.sum())).p


def _correlation(one: Floats, other: Floats) -> float | None:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
