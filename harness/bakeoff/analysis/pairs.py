"""The comparison of two rows by the primary test, before anything is adjusted or judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.pairing import why_not_paired
from bakeoff.analysis.results import Fact
from bakeoff.analysis.sides import Side, side_of
from bakeoff.contracts.metric import Metric
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.intervals import Estimate, mean_estimate, spread
from bakeoff.statistics.power import Detectable, mde_of_design, minimum_detectable_effect, with_range
from bakeoff.statistics.shrinkage import SHRUNK_ROWS, SHRUNK_SEEDS, shrunk_upwards
from bakeoff.statistics.skewness import is_near, lognormal_p
from bakeoff.statistics.twoway import RunTable, TwoWay, Variance, of_differences, of_two_tables, run_table, with_two_examples

SKEWED_SEEDS = 3
"""With fewer seeds a side, nobody asks whether they are skewed: there is no verdict anyway."""

Method = Literal["two-way", "two-way by resampling", "seeds only", "examples only", "none"]


@dataclass(frozen=True)
class Skewed:
    """The sides of a comparison whose scores over seeds are skewed, near the end of the metric's range."""

    names: tuple[str, ...]
    p: float
    """p of the test that allows for the skewness; the larger one, where both sides are skewed."""


@dataclass(frozen=True)
class PairwiseComparison:
    """Two rows measured against each other, before anything is adjusted for the number of comparisons."""

    first: Side
    second: Side
    facts: tuple[Fact, ...]
    why_not_paired: str
    """Why runs of one seed share no random streams, as the end of a sentence; empty where they are paired, and where a side
    does not depend on the seed: its one run stands beside each of the other's."""
    identical: bool
    method: Method
    estimate: Estimate | None
    """The difference with its uncertainty; None where there is nothing to estimate it from."""
    cautious: Estimate | None
    """The estimate for a claim of equivalence: where the score is a share of examples, with two more examples on which the
    sides differ. A few hundred examples on which no two answers differ are compatible with a difference of a point."""
    rows: int
    """How many rows of the group have their variances over seeds shrunk together; 2 where they are not shrunk."""
    skewed: Skewed | None
    """The sides whose seeds are skewed near an end of the metric's range; None where there are none."""
    alike: tuple[str, ...]
    """The sides whose three runs score more alike than chance in the examples lets expect; both sides, where their differences
    at paired seeds do."""

    @property
    def paired(self) -> bool:
        return not self.why_not_paired

    @property
    def family_key(self) -> frozenset[str]:
        """A key that is equal for pairs which count as one test: rows with identical predictions count once."""
        return frozenset({self.first.predictions_hash, self.second.predictions_hash})

    @property
    def difference(self) -> float:
        return float(self.first.scores.mean() - self.second.scores.mean())

    @property
    def least_seeds(self) -> int:
        return min(len(self.first.seeds), len(self.second.seeds))

    @property
    def seed_free(self) -> list[str]:
        """The sides that do not depend on the seed."""
        return [side.name for side in (self.first, self.second) if side.seed_free]

    @property
    def p(self) -> float | None:
        """The p-value, before it is adjusted for several comparisons: the larger one, where skewed seeds ask for a second test.
        None without an estimate, and where the two rows made the same predictions."""
        if self.estimate is None or self.identical:
            return None
        return self.estimate.p if self.skewed is None else max(self.estimate.p, self.skewed.p)

    def interval(self, level: float) -> tuple[float, float] | tuple[None, None]:
        """The interval of the difference, at this confidence level. None without an estimate, and for identical rows: that
        they are identical is a fact, and their predictions say no more."""
        return self.estimate.interval(level) if self.estimate and not self.identical else (None, None)

    def equivalence_p(self, margin: float | None) -> float | None:
        """p of equivalence within the margin, by two one-sided tests (TOST); None where no margin is named, or nothing is
        tested."""
        return self.cautious.equivalence_p(margin) if self.cautious and margin is not None and not self.identical else None

    def not_worse_p(self, margin: float | None, *, higher_is_better: bool) -> tuple[float, float] | None:
        """The two tests of TOST: one-sided p for the first being not worse than the second by the margin, and for the reverse.
        None where `equivalence_p` is."""
        if self.cautious is None or margin is None or self.identical:
            return None
        above, below = self.cautious.p_above(-margin), self.cautious.p_below(margin)
        return (above, below) if higher_is_better else (below, above)

    def detectable(self, alpha: float, *, seeds: int | None = None) -> Detectable | None:
        """The difference that this design finds with 80 % power at the two-sided level `alpha`, at least one example's worth,
        estimated from these runs. None where two scores can't differ by so much.

        seeds: of each side, where the design is to have more of them.
        """
        if self.estimate is None or self.identical:
            return None
        df, n = max(1.0, self.estimate.df), self.first.answers.shape[1]
        if isinstance(self.estimate, TwoWay):
            budget = self.estimate.budget
            value = mde_of_design(budget, seeds or self.least_seeds, examples=n, rows=self.rows, alpha=alpha)
        else:
            value = minimum_detectable_effect(self.estimate.se, df, alpha=alpha)
        found = with_range(max(value, (self.estimate.span or 0.0) / n), df)
        return None if possible(found.value, self.estimate.span) is None else found


def untested(first: Side, second: Side, facts: Sequence[Fact] = ()) -> PairwiseComparison:
    """A pair of which nothing is tested, as no run of a side learned."""
    first, second, why = _at_common_seeds(first, second)
    identical = first.predictions_hash == second.predictions_hash
    return PairwiseComparison(first, second, tuple(facts), why, identical, "none", None, None, 2, None, ())


def _at_common_seeds(first: Side, second: Side) -> tuple[Side, Side, str]:
    """Both sides at common seeds: one that does not depend on the seed has its run at every seed of the other. And why they
    are not paired; empty where they are."""
    if first.seed_free and not second.seed_free:
        first = first.at_seeds(second.seeds)
    elif second.seed_free and not first.seed_free:
        second = second.at_seeds(first.seeds)
    known = first.seed_free or second.seed_free
    return first, second, "" if known else why_not_paired(first.streams, second.streams)


def possible(difference: float, span: float | None) -> float | None:
    """The difference; None where it is more than the width of the metric's range."""
    return None if span is not None and difference > span else float(difference)


@dataclass(frozen=True)
class Measures:
    """Measures the pairs of one comparison group by the primary test, first minus second."""

    sides: Mapping[str, Side]
    """All rows of the group that can be compared."""
    replicates: Replicates | None = None
    """Bootstrap replicates of all sides' scores, for a metric that is no ratio of sums."""
    shrinks: bool = True
    """Whether variances over seeds are shrunk upwards; not where several looks share an error budget, which is made for the
    unshrunk test."""
    _cautious_tables: dict[tuple[str, tuple[int, ...], bool], RunTable] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def tables(self) -> Mapping[str, RunTable]:
        """Row -> the table of its runs over examples, for sides with two runs or more, two examples or more, and values per
        example or replicates."""
        found = {name: self._table(side) for name, side in self.sides.items()}
        return {name: table for name, table in found.items() if table is not None}

    def _table(self, side: Side) -> RunTable | None:
        if min(len(side.seeds), side.answers.shape[1]) < 2:
            return None
        if side.values is not None:
            return run_table(side.values)
        return self.replicates.table(side.number) if self.replicates is not None else None

    @cached_property
    def rows(self) -> int:
        """How many rows with predictions of their own have their variances shrunk together; 2 where variances are not
        shrunk."""
        return max(2, len({side.predictions_hash for side in self.sides.values()})) if self.shrinks else 2

    @cached_property
    def shrunk(self) -> Mapping[str, Variance]:
        """Row -> its variance over seeds, for those rows whose variance was raised by shrinkage; rows with identical
        predictions count once."""
        distinct = {self.sides[name].predictions_hash: table for name, table in self._few_seeds.items()} if self.shrinks else {}
        if len(distinct) < SHRUNK_ROWS:
            return {}
        scale = next(iter(self.sides.values())).unit.span or 1.0
        tables = list(distinct.values())
        lifted = shrunk_upwards([table.s2 for table in tables], [table.seeds for table in tables], scale=scale)
        by_hash = dict(zip(distinct, lifted, strict=True))
        found = {name: by_hash[self.sides[name].predictions_hash] for name in self._few_seeds}
        return {name: variance for name, variance in found.items() if variance.value > self.tables[name].s2}

    @property
    def _few_seeds(self) -> dict[str, RunTable]:
        return {name: table for name, table in self.tables.items() if table.seeds in SHRUNK_SEEDS}

    def compare(self, first: str, second: str, facts: Sequence[Fact] = ()) -> PairwiseComparison:
        one, other, why = _at_common_seeds(self.sides[first], self.sides[second])
        identical = one.predictions_hash == other.predictions_hash
        method, found, alike = self._estimated(one, other, paired=not why)
        cautious = found
        if found is not None and not identical:
            found = _within_range(found, one, other)
            if found.variance == 0:  # without a range nothing tells how far it may be off
                method, found = "none", None
            shares = isinstance(found, TwoWay) and one.share is not None and other.share is not None
            cautious = self._cautious(one, other, paired=not why) if shares else found
        skewed = self._skewed(one, other) if why or one.seed_free != other.seed_free else None
        return PairwiseComparison(one, other, tuple(facts), why, identical, method, found, cautious, self.rows, skewed, alike)

    def _estimated(self, one: Side, other: Side, *, paired: bool) -> tuple[Method, Estimate | None, tuple[str, ...]]:
        if one.seed_free and other.seed_free:
            found = self._over_examples(one, other)
            return "none" if found is None else "examples only", found, ()
        if all(side.seed_free or side.name in self.tables for side in (one, other)):
            method: Method = "two-way" if one.values is not None else "two-way by resampling"
            if paired:
                table = self._differences(one, other)
                names = tuple(side.name for side in (one, other) if not side.seed_free)
                return method, of_differences(table), names if table.alike_by_luck(table.variance) else ()
            a, b = self.tables[one.name], self.tables[other.name]
            variances = self.shrunk.get(one.name, a.variance), self.shrunk.get(other.name, b.variance)
            sides = zip((one, other), (a, b), variances, strict=True)
            alike = tuple(side.name for side, table, variance in sides if table.alike_by_luck(variance))
            return method, self._unpaired(one, other, variances), alike
        if paired and len(one.seeds) > 1 and one.answers.shape[1] > 1:
            return "seeds only", mean_estimate(one.scores - other.scores), ()
        return "none", None, ()

    def _over_examples(self, one: Side, other: Side) -> Estimate | None:
        """The difference of two rows that do not depend on the seed, so that only the examples vary. Of shares it is taken
        with two more examples that differ (Agresti and Min, 2005): where few examples differ, t alone errs too often."""
        n = one.answers.shape[1]
        if n < 2:
            return None
        if one.share is not None and other.share is not None:
            return mean_estimate(one.with_two_examples(ahead=True)[0] - other.with_two_examples(ahead=False)[0])
        if one.values is not None and other.values is not None:
            return mean_estimate(one.values[0] - other.values[0])
        if self.replicates is None:
            return None
        drawn = self.replicates.scores[:, one.number] - self.replicates.scores[:, other.number]
        return Estimate(float(one.scores[0] - other.scores[0]), spread(drawn), n - 1.0)

    def _unpaired(self, one: Side, other: Side, variances: tuple[Variance, Variance]) -> TwoWay:
        """The difference of two unpaired rows, with the shrunk `variances` of both. Where nothing varied before shrinkage,
        variance 0 stays, to be replaced by `_within_range`, unless the shrunk one is larger than that: where most runs of a
        few examples score alike, a variance is raised to next to nothing."""
        a, b = self.tables[one.name], self.tables[other.name]
        own, lifted = of_two_tables(a, b), of_two_tables(a, b, variances=variances)
        if own.variance > 0:
            return lifted
        ranged = _within_range(own, one, other)
        return lifted if 0 < ranged.variance < lifted.variance else own

    def _skewed(self, one: Side, other: Side) -> Skewed | None:
        """The sides whose seeds are skewed near the end of the metric's range; None where there are none, or where a side has
        no table or fewer than three runs."""
        unit = one.unit
        if not all((side.seed_free or side.name in self.tables) and len(side.seeds) >= SKEWED_SEEDS for side in (one, other)):
            return None
        higher, lower = (one, other) if one.scores.mean() > other.scores.mean() else (other, one)
        found = dict[str, float]()
        for side, beyond, end in ((higher, lower, unit.high), (lower, higher, unit.low)):
            if end is None or side.seed_free or not is_near(self.tables[side.name].own, abs(end - float(side.scores.mean()))):
                continue
            half = 0.5 * (unit.span or 0.0) / min(one.informative, other.informative)
            distances = (np.abs(end - each.scores) for each in (side, beyond))
            found[side.name] = lognormal_p(*distances, half=half)
        return Skewed(tuple(found), max(found.values())) if found else None

    def _differences(self, one: Side, other: Side) -> RunTable:
        if one.values is not None and other.values is not None:
            return run_table(one.values - other.values)
        assert self.replicates is not None  # both sides have tables
        table = self.replicates.paired_table(one.number, other.number)
        assert table is not None
        return table

    def _cautious(self, one: Side, other: Side, *, paired: bool) -> TwoWay:
        if paired:
            apart = one.with_two_examples(ahead=True) - other.with_two_examples(ahead=False)
            return replace(of_differences(run_table(apart)), span=one.unit.span)
        tables = self._with_two_examples(one, ahead=True), self._with_two_examples(other, ahead=False)
        mine, theirs = (self._shrunk_with_two_examples(side, table) for side, table in zip((one, other), tables, strict=True))
        return replace(of_two_tables(*tables, variances=(mine, theirs)), span=one.unit.span)

    def _with_two_examples(self, side: Side, *, ahead: bool) -> RunTable:
        """The table of `Side.with_two_examples`; a side's is computed once for all its pairs."""
        key = side.name, side.seeds, ahead
        if key not in self._cautious_tables:
            self._cautious_tables[key] = run_table(side.with_two_examples(ahead=ahead))
        return self._cautious_tables[key]

    def _shrunk_with_two_examples(self, side: Side, table: RunTable) -> Variance:
        if (lifted := self.shrunk.get(side.name)) is None:
            return table.variance
        n = side.informative
        return lifted._replace(value=lifted.value * (n / (n + 2)) ** 2)


def comparison_of(outputs: SplitOutputs, metric: Metric, first: str, second: str) -> PairwiseComparison | None:
    """First minus second over seeds and examples, of two runs a side or more, of one where a side does not depend on the seed:
    from values per example where the metric has them, else from resamples; None for a metric that needs the hub, and of a
    single example."""
    names = [first, second]
    if any(outputs.measured(metric, name).scores is None for name in names):
        return None
    replicates = outputs.resample(metric, names) if outputs.measured(metric, first).terms is None else None
    sides = {name: side_of(outputs, metric, name, number, unit=metric.unit) for number, name in enumerate(names)}
    found = Measures(sides, replicates).compare(first, second)
    return found if isinstance(found.estimate, TwoWay) or found.method == "examples only" else None


def _within_range(estimate: Estimate, one: Side, other: Side) -> Estimate:
    """The estimate, told the width of the metric's range; where there is one, a variance of 0 is replaced by that of two more
    examples that differ, so that no interval is a point."""
    return with_two_examples(replace(estimate, span=one.unit.span), min(one.informative, other.informative))
