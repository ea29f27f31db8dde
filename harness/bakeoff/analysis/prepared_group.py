"""A comparison group made ready for judging: its rows aligned, sorted into rankings and resampled once, for all that uses
them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bakeoff.analysis import recipes
from bakeoff.analysis.all_runs import counted_as_majority, failed_seeds, majority_answers, unlearned_of, with_all_runs
from bakeoff.analysis.comparability import COMPARED, rankings_of, row_facts
from bakeoff.analysis.costs import GroupTimings, timings_of
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.outputs import Measured, Outputs, gather
from bakeoff.analysis.pairs import Measures, PairwiseComparison, untested
from bakeoff.analysis.results import Fact, Pair, Row, Score, Unlearned
from bakeoff.analysis.row_scores import above_majority_p, bounds_of
from bakeoff.analysis.sides import Side, side_of
from bakeoff.analysis.summary.rows import Layout, scores_of
from bakeoff.analysis.under_test import UnderTest, under_test_of
from bakeoff.analysis.verdicts import Terms, judge
from bakeoff.contracts.metric import Floats, Metric, is_below, one_example
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import DEFAULT_MARGIN, POINTS
from bakeoff.records.experiment import Experiment
from bakeoff.records.provenance import MACHINE, Facts, differences
from bakeoff.records.schema import Data, Record
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.text.values import grouped

MOST_ROWS = 60
"""With more rows, not every row is compared with every other: the pairs would be thousands, and nobody reads them."""


@dataclass(frozen=True)
class PreparedGroup:
    """A comparison group with all that judging it takes."""

    experiment: Experiment
    layout: Layout
    group: ComparisonGroup
    """The group as its records describe it; not judged."""
    data: Data
    """The data that all runs of the group share."""
    outputs: Outputs
    """The predictions of all runs."""

    @property
    def split(self) -> str:
        return self.experiment.declared.report_on

    @property
    def judges(self) -> bool:
        """Whether the primary metric can tell predictions apart on the reported split."""
        return self.group.metric not in self.group.silent.get(self.split, {})

    @property
    def majority_baseline(self) -> float | None:
        """The score of the majority baseline by the primary metric, on the reported split; None where the metric cannot tell
        predictions apart there."""
        return self.group.majority_baseline_of(self.split, self.terms.metric) if self.judges else None

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        return self.experiment.metrics.get(self.layout.task, {})

    @property
    def metric(self) -> Metric | None:
        """The primary metric; None where it cannot be computed here, or cannot tell predictions apart on the reported
        split."""
        return self.metrics.get(self.terms.metric) if self.judges else None

    @cached_property
    def terms(self) -> Terms:
        """What pairs are judged by. The margin, in the metric's own unit, is the one declared under the metric's name; else,
        of a metric shown in points, the one declared for `points`; else the default."""
        facts, declared = self.group.metrics[0], self.experiment.declared.margin
        unit = unit_of(facts)
        margin = declared.get(facts.name, declared.get(POINTS) if unit.in_points else None)
        if margin is not None:
            margin /= unit.scale
        elif unit.in_points:
            margin = max(DEFAULT_MARGIN / unit.scale, self.one_example or 0.0)
        chosen_once = frozenset(name for name, found in self.group.searches.items() if found.repeat == 1)
        return Terms(facts.name, facts.higher_is_better, margin, self.group.figures, chosen_once)

    @cached_property
    def timings(self) -> GroupTimings:
        """What `bakeoff time` measured of the rows."""
        return timings_of(self.experiment.timings, self.layout.succeeded, self.layout.baseline)

    @cached_property
    def one_example(self) -> float | None:
        """What one example of the reported split adds to the primary metric; None where scores are no shares of examples."""
        own = self.outputs.splits.get(self.split)
        return one_example(self.metrics.get(self.group.metrics[0].name), own.labels) if own and own.labelled else None

    @property
    def margin_note(self) -> str:
        """Where the margin comes from, if nobody wrote it, and whether it is below what one example is worth."""
        margin, example, declared = self.terms.margin, self.one_example, self.experiment.declared.margin
        if margin is None:
            return ""
        if self.terms.metric not in declared and POINTS not in declared:
            return "the default: what one example is worth" if example == margin else "the default"
        return "less than one example is worth" if is_below(margin, example) else ""

    @cached_property
    def keys(self) -> dict[str, Facts]:
        """Row -> the data and conditions that decide with which rows it is ranked, of every row with a record."""
        hardware = self.experiment.declared.hardware
        return {name: row_facts(own, self.terms.metric, hardware=hardware) for name, own in self.layout.describing.items()}

    @cached_property
    def rankings(self) -> tuple[dict[str, int], list[str]]:
        """Rows that may be compared form one ranking: row -> the number of its ranking, 0 the baseline's; and for each ranking
        in words how its data or conditions differ from the baseline's."""
        return rankings_of(self.keys, self.layout.baseline, self.under_test, self.layout.vary)

    @cached_property
    def under_test(self) -> UnderTest:
        return under_test_of(self.experiment.declared, self.layout.rows)

    @cached_property
    def collapsed(self) -> dict[str, tuple[int, ...]]:
        """Row -> seeds of its runs that collapsed, where there are some."""
        return self.outputs.collapsed(self.split)

    @cached_property
    def learned(self) -> Outputs:
        """The predictions of the runs that learned; of a row of which no run did, those of all its runs."""
        return self.outputs.learned(self.split)

    @cached_property
    def unlearned(self) -> dict[str, Unlearned]:
        """Row -> how many of its runs collapsed or failed."""
        counts = {name: unlearned_of(own, len(self.collapsed.get(name, ()))) for name, own in self.layout.rows.items()}
        return {name: found for name, found in counts.items() if found is not None}

    def has_learned(self, row: str) -> bool:
        """Whether any run of the row learned; a row of which none did enters no test."""
        return row in self.unlearned and self.unlearned[row].learned > 0

    @cached_property
    def sides(self) -> dict[str, Side]:
        """The rows that can be compared: those with predictions on the reported split, each with its runs that learned.

        Where the metric cannot be computed here (it is the hub's, or its plugin is not installed), recorded scores are taken
        instead. They are NaN where the metric cannot tell predictions apart on the split.
        """
        return self._sides(self.learned)

    @cached_property
    def all_runs(self) -> Outputs | None:
        """The predictions of all runs on the reported split, where those that collapsed or failed give the majority baseline's
        answer; None where no run did so, or that answer has no score."""
        own, majority = self.outputs.splits.get(self.split), self.majority_baseline
        if own is None or majority is None or not any(self._unlearned_seeds(name) for name in own.answers):
            return None
        seeds = {name: self._unlearned_seeds(name) for name in own.answers}
        return Outputs({self.split: counted_as_majority(own, self.metric, majority, seeds)}, ())

    def _unlearned_seeds(self, row: str) -> list[int]:
        return [*self.collapsed.get(row, ()), *failed_seeds(self.layout.rows[row])]

    def _sides(self, outputs: Outputs, *, majority: float = math.nan) -> dict[str, Side]:
        """Row -> its runs as a side of a comparison. majority: the score of runs that did not learn, where those are among
        them."""
        if (own := outputs.splits.get(self.split)) is None:
            return {}
        splits = self.outputs.splits.items()  # two rows are identical in all runs or not at all
        return {
            name: side_of(
                own,
                self.metric,
                name,
                number,
                unit=self.terms.figures.unit,
                everything={split: part.answers[name] for split, part in splits if name in part.answers},
                recorded=self._recorded(name, own.seeds[name], majority),
            )
            for number, name in enumerate(own.answers)
        }

    def _recorded(self, row: str, seeds: Sequence[int], majority: float) -> Floats:
        scores = {
            record.requested.seed: record.scores.get(self.split, {}).get(self.terms.metric, math.nan)
            for record in self.layout.succeeded[row]
        }
        if not math.isnan(majority):
            scores |= dict.fromkeys(self._unlearned_seeds(row), majority)
        return np.array([scores[seed] for seed in seeds])

    @cached_property
    def replicates(self) -> Replicates | None:
        """Bootstrap replicates of all rows. None in a crowded group where the primary test needs none: there they would only be
        a check beside it, and take longer than all the rest."""
        needed = any(side.values is None for side in self.sides.values())
        return self._resampled(self.learned) if needed or not self.crowded else None

    def _resampled(self, outputs: Outputs) -> Replicates | None:
        own = outputs.splits.get(self.split)
        return own.resample(self.metric, list(own.answers)) if self.metric and own and own.answers else None

    @property
    def crowded(self) -> bool:
        return len(self.sides) > MOST_ROWS

    def families(self, pairs: Iterable[tuple[str, str]]) -> list[list[tuple[str, str]]]:
        """The pairs, put into families that are judged together: one of all pairs; where a key varies, one for each of its
        values."""
        return list(grouped((self.layout.baseline_of[pair[0]], pair) for pair in pairs).values())

    def ranked_with_baseline(self, row: str) -> bool:
        """Whether the strategy may be compared with the baseline, at its own value where a key varies."""
        baseline = self.layout.baseline_of[row]
        return baseline in self.sides and self.ranked_together(row, baseline)

    def ranked_together(self, first: str, second: str) -> bool:
        """Whether the two strategies may be compared, that is, stand in one ranking."""
        rankings, _ = self.rankings
        return rankings[first] == rankings[second]

    @cached_property
    def measures(self) -> Measures:
        """What compares two rows over their runs that learned; without rows of which none did."""
        learned = {name: side for name, side in self.sides.items() if self.has_learned(name)}
        return Measures(learned, self.replicates, shrinks=not self.experiment.declared.looks)

    def compare(self, first: str, second: str, facts: Sequence[Fact]) -> PairwiseComparison:
        """Compares two rows over their runs that learned, first minus second; without any test where no run of one learned.
        facts: in what the rows differ."""
        if self.has_learned(first) and self.has_learned(second):
            return self.measures.compare(first, second, facts)
        return untested(self.sides[first], self.sides[second], facts)

    def compare_all_runs(self, first: str, second: str, facts: Sequence[Fact]) -> PairwiseComparison | None:
        """Compares two rows over all runs, with those that collapsed or failed counted as the majority baseline; None where no
        row has such runs, or the metric gives a constant answer no score."""
        return None if self.measures_of_all is None else self.measures_of_all.compare(first, second, facts)

    def compared(self, pairs: Iterable[tuple[str, str]]) -> list[PairwiseComparison]:
        return [self.compare(one, two, self.facts(one, two)) for one, two in pairs]

    def judged(self, pairs: Sequence[PairwiseComparison], *, thorough: bool) -> list[Pair]:
        """The pairs of one family with their verdicts, and with what may be said when all runs count. thorough: with further
        checks, limits and advice."""
        found = judge(pairs, self.terms, replicates=self.replicates, thorough=thorough)
        again = [self.compare_all_runs(one.first.name, one.second.name, one.facts) for one in pairs]
        counted = iter(judge([one for one in again if one is not None], self.terms, thorough=False))
        return [
            self.with_all_runs(pair, None if other is None else next(counted)) for pair, other in zip(found, again, strict=True)
        ]

    def with_all_runs(self, pair: Pair, counted: Pair | None) -> Pair:
        """The pair, with what may be said when all its runs count. counted: the pair that was judged on all runs; None where
        `compare_all_runs` is None."""
        return with_all_runs(pair, counted, self.unlearned[pair.first], self.unlearned[pair.second], self.terms)

    @cached_property
    def measures_of_all(self) -> Measures | None:
        """What compares two rows over all runs, with those that collapsed or failed counted as the majority baseline; None
        where no run did so."""
        if self.all_runs is None or self.majority_baseline is None:
            return None
        sides = self._sides(self.all_runs, majority=self.majority_baseline)
        drawn = self._resampled(self.all_runs) if any(side.values is None for side in sides.values()) else None
        return Measures(sides, drawn, shrinks=not self.experiment.declared.looks)

    def facts(self, first: str, second: str) -> list[Fact]:
        """The differences between two rows: in recipe, machine, and software by version."""
        by_row = {row.strategy: row.recipe for row in self.group.rows}
        under_test = self.under_test.of(first, second)
        found = recipes.differences(by_row[first], by_row[second], under_test)
        unlike = differences(self.keys[first], self.keys[second], MACHINE)
        for subject in dict.fromkeys(one.subject for one in unlike):
            sides = [(f"{one.name} {one.here}", f"{one.name} {one.there}") for one in unlike if one.subject == subject]
            here, there = (", ".join(side).strip() for side in zip(*sides, strict=True))
            parts = list(COMPARED[subject])
            declared = recipes.is_declared(parts, under_test)
            found.append(Fact(subject=subject, first=here, second=there, parts=parts, declared=declared))
        return found

    def above_majority_p(self, row: str) -> float | None:
        """The value of `Row.above_majority_p`."""
        own, constant = self.learned.splits.get(self.split), self._constant
        if own is None or self.metric is None or constant is None or row not in own.answers or not self.has_learned(row):
            return None
        return above_majority_p(own, self.metric, row, constant)

    @cached_property
    def _constant(self) -> Measured | None:
        """The answers of the majority baseline on the reported split, as one run."""
        own, majority = self.outputs.splits.get(self.split), self.majority_baseline
        if own is None or self.metric is None or majority is None:
            return None
        return Measured(self.metric, majority_answers(own, self.metric, majority)[None], own.labels)

    def averaged(self, row: str) -> list[Record]:
        """The records that a row's scores are over: of its runs that learned; where none did, of all that succeeded."""
        fallen, succeeded = self.collapsed.get(row, ()), self.layout.succeeded[row]
        return [record for record in succeeded if record.requested.seed not in fallen] or succeeded

    def scores(self, row: Row) -> dict[str, dict[str, Score]]:
        """The row's scores over its runs that learned, with intervals from the predictions."""
        quick, found = len(self.layout.rows) > MOST_ROWS, dict[str, dict[str, Score]]()
        for split, scores in scores_of(self.averaged(row.strategy), self.data).items():
            for name, score in scores.items():
                drawn = self.replicates if (split, name) == (self.split, self.terms.metric) else None
                own, metric = self.learned.splits.get(split), self.metrics.get(name)
                bounds = bounds_of(own, metric, row.strategy, replicates=drawn, quick=quick)
                found.setdefault(split, {})[name] = score.model_copy(update=bounds._asdict())
        return found


def prepare(experiment: Experiment, layout: Layout, group: ComparisonGroup) -> PreparedGroup | None:
    """The group, made ready for judging; None where no run of it got as far as scores on the reported split."""
    if group.data is None or group.split not in group.data.splits or not any(layout.succeeded.values()):
        return None
    outputs = gather(experiment, {name: records for name, records in layout.succeeded.items() if records})
    return PreparedGroup(experiment, layout, group, group.data, outputs)
