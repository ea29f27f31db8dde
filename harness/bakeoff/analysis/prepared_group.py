"""A comparison group made ready for judging: its rows aligned, keyed and resampled once, for all that uses them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bakeoff.analysis import recipes
from bakeoff.analysis.comparability import COMPARED, rankings_of, row_facts
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.outputs import Outputs, gather
from bakeoff.analysis.pairs import Measures, PairwiseComparison, Side, side_of
from bakeoff.analysis.results import Fact, Row, Score
from bakeoff.analysis.row_scores import bounds_of
from bakeoff.analysis.summary.rows import Layout
from bakeoff.analysis.verdicts import Terms
from bakeoff.contracts.metric import Floats, Metric, is_below, one_example
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import DEFAULT_MARGIN, POINTS
from bakeoff.records.experiment import Experiment
from bakeoff.records.provenance import MACHINE, Facts, differences
from bakeoff.records.schema import Data
from bakeoff.statistics.bootstrap import Replicates

MOST_ROWS = 60
"""Above, not every row is compared with every other: the pairs would be thousands, and nobody reads them."""


@dataclass(frozen=True)
class PreparedGroup:
    """A comparison group with all that judging it takes."""

    experiment: Experiment
    layout: Layout
    group: ComparisonGroup
    """What its records tell; not judged."""
    data: Data
    """The group's runs share it."""
    outputs: Outputs

    @property
    def split(self) -> str:
        return self.experiment.declared.report_on

    @property
    def judges(self) -> bool:
        """Whether the primary metric says anything on the reported split."""
        return self.group.metric not in self.group.silent.get(self.split, {})

    @property
    def majority_baseline(self) -> float | None:
        """Its score by the primary metric; None where that says nothing."""
        return self.group.majority_baseline_of(self.split, self.terms.metric) if self.judges else None

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        return self.experiment.metrics.get(self.layout.task, {})

    @property
    def metric(self) -> Metric | None:
        """The primary one; None where it cannot be computed here, or says nothing on the reported split."""
        return self.metrics.get(self.terms.metric) if self.judges else None

    @cached_property
    def terms(self) -> Terms:
        """The margin in the metric's own unit: declared under its name, else that of points where it is shown in points."""
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
        """Row -> what decides with which rows it is ranked, of every row with a record."""
        return {name: row_facts(own, self.terms.metric) for name, own in self.layout.describing.items()}

    @cached_property
    def rankings(self) -> tuple[dict[str, int], list[str]]:
        """Row -> number of its ranking; and for each ranking in what it differs from the baseline's."""
        return rankings_of(self.keys, self.layout.baseline, self.experiment.declared.under_test)

    @cached_property
    def sides(self) -> dict[str, Side]:
        """What can be compared: rows with predictions on the reported split.

        Where the metric cannot be computed here (it is the hub's, or its plugin is not installed), the recorded scores must do;
        by one that says nothing there are none, which is NaN.
        """
        if (own := self.outputs.splits.get(self.split)) is None:
            return {}
        splits = self.outputs.splits.items()
        return {
            name: side_of(
                own,
                self.metric,
                name,
                number,
                unit=self.terms.figures.unit,
                everything={split: part.answers[name] for split, part in splits if name in part.answers},
                recorded=self._recorded(name, own.seeds[name]),
            )
            for number, name in enumerate(own.answers)
        }

    def _recorded(self, row: str, seeds: Sequence[int]) -> Floats:
        scores = {record.requested.seed: record.scores.get(self.split, {}) for record in self.layout.succeeded[row]}
        return np.array([scores[seed].get(self.terms.metric, math.nan) for seed in seeds])

    @cached_property
    def replicates(self) -> Replicates | None:
        return self.outputs.splits[self.split].resample(self.metric, list(self.sides)) if self.metric and self.sides else None

    @property
    def crowded(self) -> bool:
        return len(self.sides) > MOST_ROWS

    def ranked_together(self, first: str, second: str) -> bool:
        """Whether the two strategies may be compared, that is, stand in one ranking."""
        rankings, _ = self.rankings
        return rankings[first] == rankings[second]

    @cached_property
    def measures(self) -> Measures:
        return Measures(self.sides, self.replicates, shrinks=not self.experiment.declared.looks)

    def compared(self, pairs: Iterable[tuple[str, str]]) -> list[PairwiseComparison]:
        return [self.measures.compare(one, two, self.facts(one, two)) for one, two in pairs]

    def facts(self, first: str, second: str) -> list[Fact]:
        """In what two rows differ: recipe, machine, and software by version."""
        by_row = {row.strategy: row.recipe for row in self.group.rows}
        found = recipes.differences(by_row[first], by_row[second], self.experiment.declared.under_test)
        unlike = differences(self.keys[first], self.keys[second], MACHINE)
        for subject in dict.fromkeys(one.subject for one in unlike):
            sides = [(f"{one.name} {one.here}", f"{one.name} {one.there}") for one in unlike if one.subject == subject]
            here, there = (", ".join(side).strip() for side in zip(*sides, strict=True))
            parts = list(COMPARED[subject])
            declared = recipes.is_declared(parts, self.experiment.declared.under_test)
            found.append(Fact(subject=subject, first=here, second=there, parts=parts, declared=declared))
        return found

    def scores(self, row: Row) -> dict[str, dict[str, Score]]:
        """The row's scores, with intervals from the predictions."""
        quick, found = len(self.layout.rows) > MOST_ROWS, dict[str, dict[str, Score]]()
        for split, scores in row.scores.items():
            for name, score in scores.items():
                drawn = self.replicates if (split, name) == (self.split, self.terms.metric) else None
                own, metric = self.outputs.splits.get(split), self.metrics.get(name)
                bounds = bounds_of(own, metric, row.strategy, replicates=drawn, quick=quick)
                found.setdefault(split, {})[name] = score.model_copy(update=bounds._asdict())
        return found


def prepare(experiment: Experiment, layout: Layout, group: ComparisonGroup) -> PreparedGroup | None:
    """None where no run of the group got as far as scores on the reported split."""
    if group.data is None or group.split not in group.data.splits or not any(layout.succeeded.values()):
        return None
    outputs = gather(experiment, {name: records for name, records in layout.succeeded.items() if records})
    return PreparedGroup(experiment, layout, group, group.data, outputs)
