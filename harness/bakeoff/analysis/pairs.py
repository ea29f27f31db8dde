"""Two rows against each other: the primary estimate, and the checks beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.results import Checks, Fact
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.contracts.unit import Unit
from bakeoff.statistics.best_of_n import probability_of_improvement
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.exact import mcnemar_p, sign_flip
from bakeoff.statistics.intervals import Estimate, mean_estimate
from bakeoff.statistics.power import minimum_detectable_effect
from bakeoff.statistics.twoway import E, TwoWay, two_way, two_way_unpaired, with_two_examples

Method = Literal["two-way", "two-way by resampling", "seeds only", "none"]


@dataclass(frozen=True)
class Side:
    """One row's part in a pairwise comparison."""

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
    informative: int
    """How many of the N examples affect the score, as `Measured.informative`."""

    def by_seed(self) -> Side:
        """The same with the runs in the order of their seeds."""
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


def side_of(
    outputs: SplitOutputs,
    metric: Metric | None,
    name: str,
    number: int,
    *,
    unit: Unit,
    everything: Mapping[str, NDArray[Any]] | None = None,
    recorded: Floats | None = None,
) -> Side:
    """A strategy's runs by the metric, or with the `recorded` scores where the metric cannot be computed here. `everything` is
    what identical rows have in common: the answers on this split, unless it says otherwise."""
    answers = outputs.answers[name]
    measured = outputs.measured(metric, name) if metric else None
    computed = measured.scores if measured else None
    scores = recorded if computed is None else computed
    assert scores is not None  # whoever has no recorded scores asks for a metric that can be computed
    values, informative = (measured.values, measured.informative) if measured else (None, len(outputs.ids))
    return Side(name, outputs.seeds[name], answers, everything or {"": answers}, values, scores, number, unit, informative)


@dataclass(frozen=True)
class PairwiseComparison:
    """Two rows measured against each other, before anything is adjusted for the number of comparisons."""

    first: Side
    second: Side
    facts: tuple[Fact, ...]
    paired: bool
    identical: bool
    method: Method
    estimate: Estimate | None
    """None where there is nothing to estimate from."""

    @property
    def difference(self) -> float:
        return float(self.first.scores.mean() - self.second.scores.mean())

    @property
    def least_seeds(self) -> int:
        return min(len(self.first.seeds), len(self.second.seeds))

    def among(self, comparisons: int) -> PairwiseComparison:
        """As one of so many comparisons that are adjusted together."""
        if comparisons > 1 and isinstance(self.estimate, TwoWay):
            return replace(self, estimate=self.estimate.in_family())
        return self

    @property
    def p(self) -> float | None:
        """The p-value, before it is adjusted for several comparisons; None without an estimate, and where the two rows made the
        same predictions."""
        return self.estimate.p if self.estimate and not self.identical else None

    def interval(self, level: float) -> tuple[float, float] | tuple[None, None]:
        """None for identical rows: that they are is a fact, and their predictions say no more."""
        return self.estimate.interval(level) if self.estimate and not self.identical else (None, None)

    def equivalence_p(self, margin: float | None) -> float | None:
        """Of TOST; None where no margin is named, or nothing is tested."""
        return self.estimate.equivalence_p(margin) if self.estimate and margin is not None and not self.identical else None

    @property
    def detectable(self) -> float | None:
        """The minimum detectable difference (80 % power at a two-sided 5 %), at least one example's worth. None where two
        scores can't differ by so much."""
        if self.estimate is None or self.identical:
            return None
        found = minimum_detectable_effect(self.estimate.se, max(1.0, self.estimate.df))
        return possible(max(found, (self.estimate.span or 0.0) / self.first.answers.shape[1]), self.estimate.span)


def possible(difference: float, span: float | None) -> float | None:
    """The difference; None where it is more than the width of the metric's range."""
    return None if span is not None and difference > span else float(difference)


def measure(first: Side, second: Side, facts: Sequence[Fact], replicates: Replicates | None) -> PairwiseComparison:
    """First minus second. Paired by seed where both sides have the same seeds; the examples are always the same."""
    first, second = first.by_seed(), second.by_seed()
    paired = first.seeds == second.seeds
    identical = (
        paired
        and first.everything.keys() == second.everything.keys()
        and all(np.array_equal(part, second.everything[split]) for split, part in first.everything.items())
    )
    method, found = _estimated(first, second, replicates, paired=paired)
    if found is not None and not identical:
        found = within_range(found, first.unit, min(first.informative, second.informative))
        if found.variance == 0:  # without a range nothing tells how far it may be off
            method, found = "none", None
    return PairwiseComparison(first, second, tuple(facts), paired, identical, method, found)


def _estimated(first: Side, second: Side, replicates: Replicates | None, *, paired: bool) -> tuple[Method, Estimate | None]:
    if min(len(first.seeds), len(second.seeds), first.answers.shape[1]) < 2:
        return "none", None
    if first.values is not None and second.values is not None:
        return "two-way", two_way_of(first.values, second.values, paired=paired)
    if replicates is not None and (drawn := replicates.difference(first.number, second.number, paired=paired)) is not None:
        return "two-way by resampling", drawn
    return ("seeds only", mean_estimate(first.scores - second.scores)) if paired else ("none", None)


def estimate_of(outputs: SplitOutputs, metric: Metric, first: str, second: str) -> TwoWay | None:
    """First minus second over seeds and examples, of two runs a side or more: from values per example where the metric has
    them, else from resamples; None for a metric that needs the hub, and of a single example."""
    names = [first, second]
    if any(outputs.measured(metric, name).scores is None for name in names):
        return None
    replicates = outputs.resample(metric, names) if outputs.measured(metric, first).terms is None else None
    one, other = (side_of(outputs, metric, name, number, unit=metric.unit) for number, name in enumerate(names))
    found = measure(one, other, (), replicates).estimate
    return found if isinstance(found, TwoWay) else None


def two_way_of(first: Floats, second: Floats, *, paired: bool) -> TwoWay:
    """The primary estimate of (K, N) values against (K', N) values."""
    return two_way(first - second) if paired else two_way_unpaired(first, second)


def within_range(estimate: E, unit: Unit, examples: int) -> E:
    """A difference of two scores of a metric with this unit, which so many examples affect: it lies within the width of the
    metric's range, and its interval is no point."""
    return with_two_examples(replace(estimate, span=unit.span), examples)


def check(compared: PairwiseComparison, replicates: Replicates | None, *, higher_is_better: bool) -> Checks:
    """The other tests. They do not make the verdict; where they disagree with it, a reader should know."""
    first, second = compared.first, compared.second
    ahead, behind = (first, second) if higher_is_better else (second, first)
    several = compared.least_seeds >= 2
    apart = first.scores - second.scores if compared.paired and several else None
    flips = sign_flip(apart) if apart is not None else None
    drawn = replicates.compare(first.number, second.number) if replicates is not None and several else None
    return Checks(
        sign_flip_p=flips.p if flips else None,
        sign_flip_smallest_p=flips.smallest if flips else None,
        bootstrap_low=drawn.low if drawn else None,
        bootstrap_high=drawn.high if drawn else None,
        bootstrap_p=drawn.p if drawn else None,
        paired_t_p=mean_estimate(apart).p if apart is not None else None,
        mcnemar_p=_mcnemar(first, second),
        seed_correlation=_correlation(first.scores, second.scores) if compared.paired and len(first.seeds) >= 3 else None,
        probability_of_improvement=probability_of_improvement(ahead.scores, behind.scores) if several else None,
    )


def _mcnemar(first: Side, second: Side) -> float | None:
    """Of two fixed models; None where there are more runs, or examples that are not just right or wrong."""
    if max(len(first.seeds), len(second.seeds)) > 1 or first.values is None or second.values is None:
        return None
    one, other = first.values[0], second.values[0]
    return mcnemar_p(int((one > other).sum()), int((one < other).sum())) if np.isin([one, other], (0, 1)).all() else None


def _correlation(one: Floats, other: Floats) -> float | None:
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) and np.ptp(other) else None
