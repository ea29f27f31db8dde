"""A board laid out and made ready for judging: its rows aligned, keyed and resampled once, for all that uses them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bakeoff.analysis import recipes
from bakeoff.analysis.comparability import COMPARED, grouped, is_studied, row_facts
from bakeoff.analysis.findings import Board, Fact
from bakeoff.analysis.measures import counted, resample, scores_of, values_of
from bakeoff.analysis.outputs import Outputs, gather
from bakeoff.analysis.pairs import Contest, Side, measure
from bakeoff.analysis.row import Row, Score
from bakeoff.analysis.row_scores import Bounds, bounds_of
from bakeoff.analysis.summary.rows import Layout
from bakeoff.analysis.verdicts import Terms
from bakeoff.contracts.metric import Metric, MetricFacts
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import DEFAULT_MARGIN, POINTS
from bakeoff.records.experiment import Experiment
from bakeoff.records.provenance import MACHINE, Facts, differences
from bakeoff.records.schema import Data, Declared, Record
from bakeoff.statistics.bootstrap import Replicates

MOST_ROWS = 60
"""Above, not every row is held against every other: the pairs would be thousands, and nobody reads them."""


@dataclass(frozen=True)
class Bench:
    """A board's rows with all that judging them takes."""

    experiment: Experiment
    layout: Layout
    board: Board
    """What its records tell; not judged."""
    data: Data
    """A board's runs share it."""
    ended: Mapping[str, Sequence[Record]]
    """Row -> its runs that ended well."""
    outputs: Outputs

    @property
    def split(self) -> str:
        return self.experiment.declared.report_on

    @property
    def under_test(self) -> Sequence[str]:
        return self.experiment.declared.under_test

    @property
    def judges(self) -> bool:
        """Whether the primary metric says anything on the reported split."""
        return self.board.metric not in self.board.silent.get(self.split, {})

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        return self.experiment.metrics.get(self.layout.task, {})

    @cached_property
    def terms(self) -> Terms:
        facts = self.board.metrics[0]
        return Terms(facts.name, facts.higher_is_better, margin_of(self.experiment.declared, facts), self.board.figures)

    @cached_property
    def told(self) -> dict[str, Sequence[Record]]:
        """Row -> the records that say what it is: those that its score is made of; failed ones only where there are no others.

        A run that failed half-way was seen at half of its schedule: beside the others it would look like another recipe.
        """
        return {name: self.ended[name] or records for name, records in self.layout.rows.items() if records}

    @cached_property
    def keys(self) -> dict[str, Facts]:
        """Row -> what decides with which rows it is ranked, of every row with a record."""
        return {name: row_facts(own, self.terms.metric) for name, own in self.told.items()}

    @cached_property
    def groups(self) -> tuple[dict[str, int], list[str]]:
        """Row -> number of its group; and for each group in what it differs from the baseline's."""
        return grouped(self.keys, self.layout.baseline, self.under_test)

    @cached_property
    def recipes(self) -> dict[str, dict[str, str]]:
        return recipes.side_by_side({name: recipes.effective_recipe(own) for name, own in self.told.items()})

    @cached_property
    def sides(self) -> dict[str, Side]:
        """What can be compared: rows with predictions on the reported split."""
        metric = self.metrics.get(self.terms.metric) if self.judges else None
        return _sides(self.outputs, metric, self.split, self.terms, self.ended)

    @cached_property
    def replicates(self) -> Replicates | None:
        metric = self.metrics.get(self.terms.metric) if self.judges else None
        return resample(self.outputs.splits[self.split], metric, list(self.sides)) if metric and self.sides else None

    @property
    def crowded(self) -> bool:
        return len(self.sides) > MOST_ROWS

    def together(self, first: str, second: str) -> bool:
        """Whether two rows may be compared: the same group."""
        groups, _ = self.groups
        return groups[first] == groups[second]

    def contests(self, pairs: Iterable[tuple[str, str]]) -> list[Contest]:
        return [measure(self.sides[one], self.sides[two], self.facts(one, two), self.replicates) for one, two in pairs]

    def facts(self, first: str, second: str) -> list[Fact]:
        """In what two rows differ: recipe, machine, and software by version."""
        found = recipes.differences(self.recipes[first], self.recipes[second], self.under_test)
        unlike = differences(self.keys[first], self.keys[second], MACHINE)
        for subject in dict.fromkeys(one.subject for one in unlike):
            sides = [(f"{one.name} {one.here}", f"{one.name} {one.there}") for one in unlike if one.subject == subject]
            here, there = (", ".join(side).strip() for side in zip(*sides, strict=True))
            declared, parts = is_studied(subject, self.under_test), list(COMPARED[subject])
            found.append(Fact(subject=subject, first=here, second=there, parts=parts, declared=declared))
        return found

    def scores(self, row: Row) -> dict[str, dict[str, Score]]:
        """The row's scores, with intervals from the predictions."""
        return {
            split: {
                metric: score.model_copy(update=self.bounds(split, metric, row.strategy)._asdict())
                for metric, score in scores.items()
            }
            for split, scores in row.scores.items()
        }

    def bounds(self, split: str, metric: str, row: str) -> Bounds:
        drawn = self.replicates if (split, metric) == (self.split, self.terms.metric) else None
        quick = len(self.ended) > MOST_ROWS
        return bounds_of(self.outputs.splits.get(split), self.metrics.get(metric), row, replicates=drawn, quick=quick)


def margin_of(declared: Declared, facts: MetricFacts) -> float | None:
    """The declared margin of a metric in its own unit: under its name, else that of points where it is shown in points."""
    unit = unit_of(facts)
    margin = declared.margin.get(facts.name, declared.margin.get(POINTS, DEFAULT_MARGIN) if unit.in_points else None)
    return None if margin is None else margin / unit.scale


def prepared(experiment: Experiment, layout: Layout, board: Board) -> Bench | None:
    """The board's bench; None where no run of it got as far as scores on the reported split."""
    ended = layout.ended
    if board.data is None or board.split not in board.data.splits or not any(ended.values()):
        return None
    outputs = gather(experiment, {name: records for name, records in ended.items() if records})
    return Bench(experiment, layout, board, board.data, ended, outputs)


def _sides(
    outputs: Outputs, metric: Metric | None, split: str, terms: Terms, ended: Mapping[str, Sequence[Record]]
) -> dict[str, Side]:
    """What can be compared: rows with predictions on the reported split.

    Where the metric cannot be computed here (it is the hub's, or its plugin is not installed), the recorded scores must do; by
    one that says nothing there are none, which is NaN.
    """
    own = outputs.splits.get(split)
    if own is None:
        return {}
    found = {}
    for number, strategy in enumerate(own.answers):
        values = values_of(own, metric, strategy) if metric else None
        scores = scores_of(own, metric, strategy, values) if metric else None
        if scores is None:
            recorded = {record.requested.seed: record.scores[split].get(terms.metric, math.nan) for record in ended[strategy]}
            scores = np.array([recorded[seed] for seed in own.seeds[strategy]])
        found[strategy] = Side(
            name=strategy,
            seeds=own.seeds[strategy],
            answers=own.answers[strategy],
            everything={name: part.answers[strategy] for name, part in outputs.splits.items() if strategy in part.answers},
            values=values,
            scores=scores,
            number=number,
            unit=terms.figures.unit,
            counted=counted(own, metric, strategy) if metric else len(own.ids),
        )
    return found
