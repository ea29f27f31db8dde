"""Two rows against each other: the primary estimate, and the checks beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.findings import Checks, Fact
from bakeoff.analysis.measures import counted, resample, values_of
from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.contracts.unit import Unit
from bakeoff.statistics.best_of_n import probability_of_improvement
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.exact import mcnemar_p, sign_flip
from bakeoff.statistics.intervals import Estimate, mean_estimate
from bakeoff.statistics.power import minimum_detectable_effect
from bakeoff.statistics.twoway import E, TwoWay, two_way, two_way_unpaired, with_two_examples


@dataclass(frozen=True)
class Side:
    """One row's part in a pair."""

    name: str
    seeds: tuple[int, ...]
    answers: NDArray[Any]
    """(K, N) on the reported split."""
    everything: Mapping[str, NDArray[Any]]
    """Predicted split -> (K, n): two sides are identical when they have the same splits and all of it is equal."""
    values: Floats | None
    """(K, N) of which the mean over examples is the run's score; None for a metric that is no ratio of sums."""
    scores: Floats
    """(K,)"""
    number: int
    """Its place among the bootstrap's replicates."""
    unit: Unit
    """The metric's."""
    counted: int
    """How many of the N examples tell something of the score, as `measures.counted` has it."""

    def ordered(self) -> Side:
        """By seed."""
        order = np.argsort(self.seeds)
        if (np.diff(order) > 0).all():
            return self
        return replace(
            self,
            seeds=tuple(sorted(self.seeds)),
            answers=self.answers[order],
            everything={split: part[order] for split, part in self.everything.items()},
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
    method: Literal["two-way", "two-way by resampling", "seeds only", "none"]
    estimate: Estimate | None
    """None where there is nothing to estimate from."""

    @property
    def difference(self) -> float:
        return float(self.first.scores.mean() - self.second.scores.mean())

    @property
    def least_seeds(self) -> int:
        return min(len(self.first.seeds), len(self.second.seeds))

    def among(self, comparisons: int) -> Contest:
        """As one of so many comparisons that are adjusted together."""
        if comparisons > 1 and isinstance(self.estimate, TwoWay):
            return replace(self, estimate=self.estimate.in_family())
        return self

    @property
    def p(self) -> float | None:
        return self.estimate.p if self.estimate else None

    def interval(self, level: float) -> tuple[float, float] | tuple[None, None]:
        """Nothing of identical sides: that they are is a fact, and their predictions tell no more."""
        return self.estimate.interval(level) if self.estimate and not self.identical else (None, None)

    def equivalence_p(self, margin: float) -> float | None:
        return self.estimate.equivalence_p(margin) if self.estimate else None

    @property
    def detectable(self) -> float | None:
        """The difference that this design finds with 80 % power at a two-sided 5 %; at least one example's worth. None where
        two scores can't differ by so much."""
        if self.estimate is None or self.identical:
            return None
        found = minimum_detectable_effect(self.estimate.se, max(1.0, self.estimate.df))
        return possible(max(found, (self.estimate.span or 0.0) / self.first.answers.shape[1]), self.estimate.span)


def possible(difference: float, span: float | None) -> float | None:
    """The difference; None where it is more than the width of the metric's range."""
    return None if span is not None and difference > span else float(difference)


def measure(first: Side, second: Side, facts: Sequence[Fact], replicates: Replicates | None) -> Contest:
    """First minus second. Paired by seed where both sides have the same seeds; the examples are always the same."""
    first, second = first.ordered(), second.ordered()
    paired = first.seeds == second.seeds
    identical = (
        paired
        and first.everything.keys() == second.everything.keys()
        and all(np.array_equal(part, second.everything[split]) for split, part in first.everything.items())
    )
    contest = Contest(first, second, tuple(facts), paired, identical, "none", None)
    if contest.least_seeds < 2 or first.answers.shape[1] < 2:
        return contest
    if first.values is not None and second.values is not None:
        found: Estimate = two_way_of(first.values, second.values, paired=paired)
        contest = replace(contest, method="two-way")
    elif replicates is not None and (drawn := replicates.difference(first.number, second.number, paired=paired)) is not None:
        found, contest = drawn, replace(contest, method="two-way by resampling")
    elif paired:
        found, contest = mean_estimate(first.scores - second.scores), replace(contest, method="seeds only")
    else:
        return contest
    if not identical:
        found = within_range(found, first.unit, min(first.counted, second.counted))
        if found.variance == 0:  # without a range nothing tells how far it may be off
            return replace(contest, method="none")
    return replace(contest, estimate=found)


def estimate_of(outputs: SplitOutputs, metric: Metric, first: str, second: str) -> TwoWay | None:
    """First minus second over seeds and examples, of two runs a side or more: from values per example where the metric has
    them, else from resamples; None for a metric that needs the hub, and of a single example."""
    if len(outputs.ids) < 2:
        return None
    paired = outputs.seeds[first] == outputs.seeds[second]
    own, other = (values_of(outputs, metric, name) for name in (first, second))
    if own is not None and other is not None:
        found: TwoWay | None = two_way_of(own, other, paired=paired)
    else:
        replicates = resample(outputs, metric, [first, second])
        found = replicates.difference(0, 1, paired=paired) if replicates is not None else None
    if found is None:
        return None
    return within_range(found, metric.unit, min(counted(outputs, metric, name) for name in (first, second)))


def two_way_of(first: Floats, second: Floats, *, paired: bool) -> TwoWay:
    """The primary estimate of (K, N) values against (K', N) values."""
    return two_way(first - second) if paired else two_way_unpaired(first, second)


def within_range(estimate: E, unit: Unit, examples: int) -> E:
    """A difference of two scores of a metric with this unit, of which so many examples tell something: it lies within the width
    of the metric's range, and its interval is no point."""
    return with_two_examples(replace(estimate, span=unit.span), examples)


def check(contest: Contest, replicates: Replicates | None, *, higher_is_better: bool) -> Checks:
    """The other tests. They do not make the verdict; where they disagree with it, a reader should know."""
    first, second = contest.first, contest.second
    ahead, behind = (first, second) if higher_is_better else (second, first)
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
        paired_t_p=mean_estimate(d).p if enough and d is not None else None,
        mcnemar_p=_mcnemar(first, second) if one_each else None,
        seed_correlation=_correlation(first.scores, second.scores) if contest.paired and len(first.seeds) >= 3 else None,
        probability_of_improvement=(
            probability_of_improvement(ahead.scores, behind.scores) if contest.least_seeds >= 2 else None
        ),
    )


def _mcnemar(first: Side, second: Side) -> float | None:
    """Two fixed models; only where each example is right or wrong."""
    assert first.values is not None
    assert second.values is not None
    shares = {float(value) for side in (first, second) for value in np.unique(side.values)}  # type: ignore[arg-type]  # not None
    if not shares <= {0.0, 1.0}:
        return None
    better, worse = first.values[0] > second.values[0], first.values[0] < second.values[0]
    return mcnemar_p(int(better.sum()), int(worse.sum()))


def _correlation(one: Floats, other: Floats) -> float | None:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
