"""Stored predictions scored anew, by any metric and on any predicted split, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from bakeoff.analysis.comparability import rankings_of, row_facts
from bakeoff.analysis.comparison import calibration_of
from bakeoff.analysis.findings import Calibration, SliceScore
from bakeoff.analysis.outputs import Outputs, SplitOutputs, gather, why_uncut
from bakeoff.analysis.pairs import Measures
from bakeoff.analysis.results import Score
from bakeoff.analysis.row_scores import bounds_of
from bakeoff.analysis.sides import side_of
from bakeoff.analysis.slices import slice_scores
from bakeoff.analysis.summary.rows import Layout, layouts, score_of
from bakeoff.analysis.under_test import under_test_of
from bakeoff.contracts.each_class import EACH, of_class
from bakeoff.contracts.fields import Part
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric, MetricChoice, known_as
from bakeoff.contracts.metric_lookup import label_of, metric_named
from bakeoff.contracts.metrics import BUILT_IN, OF_ONE_LABEL
from bakeoff.contracts.unit import Figures, figures_of
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.kinds import kind_named
from bakeoff.records.experiment import Experiment, left_out
from bakeoff.records.load.separation import taken_for_same
from bakeoff.records.run_names import run_name, runs_in_words
from bakeoff.records.schema import Data
from bakeoff.records.silent_metrics import why_silent
from bakeoff.text.values import listed, shell_word
from bakeoff.text.words import did_you_mean, quoted


class RescoredRow(Part):
    """A strategy's score, and its difference to the baseline."""

    strategy: str
    score: Score
    difference: float | None = None
    """Row minus baseline; None for the baseline itself."""
    low: float | None = None
    high: float | None = None
    """The 95 % interval of the difference, not adjusted; None below two runs a side."""
    method: str = "none"
    """How the interval of the difference was computed: one of `Pair.method`."""


class Rescored(Part):
    """One task with one model, scored anew. Scores are in the metric's own unit; `figures` writes them as they are shown."""

    title: str
    """What headings call task and model."""
    task: str
    model: str
    split: str
    metric: str
    higher_is_better: bool
    figures: Figures
    examples: int
    baseline: str
    against: str
    """What the rows are compared with, in words: the baseline; where a recipe key varies, the baseline at the same value."""
    rows: list[RescoredRow]
    slices: list[SliceScore]
    calibration: list[Calibration]
    notes: list[str]


class LeftOut(Part):
    """One task with one model that could not be scored."""

    task: str
    model: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"{' · '.join(filter(None, (self.task, self.model)))}: {self.reason}"


class Rescoring(Part):
    """All that could be scored of an experiment, and what could not."""

    groups: list[Rescored]
    """One for each task and model; several where the metric is asked for each class."""
    left_out: list[LeftOut]


def rescore(experiment: Experiment, metric: str | None = None, *, split: str | None = None) -> Rescoring:
    """Scores every task and model of the experiment for which it is possible, by a built-in metric or one of the task's own.

    metric: by default the primary one. split: by default the one that is reported on. Raises BakeoffError where nothing can be
    scored: there is no such metric or split, or no run whose predictions can be used.
    """
    wanted = split or experiment.declared.report_on
    groups, left_out, errors = list[Rescored](), list[LeftOut](), list[BakeoffError]()
    for layout in layouts(experiment):
        try:
            groups += _rescored_by_all(experiment, layout, metric, wanted)
        except BakeoffError as error:
            errors.append(error)
            left_out.append(LeftOut(task=layout.task, model=layout.model, reason=str(error)))
    if errors and not groups:
        alike = len({one.reason for one in left_out}) == 1
        raise errors[0] if alike else type(errors[0])("; ".join(one.sentence for one in left_out))
    return Rescoring(groups=groups, left_out=left_out)


def _rescored_by_all(experiment: Experiment, layout: Layout, name: str | None, split: str) -> list[Rescored]:
    """One task and model, scored by the metric of this name; by one metric for each class where it asks for each."""
    data = next((record.data for records in layout.succeeded.values() for record in records if record.data is not None), None)
    if data is None:
        raise StoreError("no run has succeeded, so there are no predictions to score")
    metrics = chosen_metrics(name or data.primary_metric, data, experiment.metrics.get(layout.task, {}))
    everything = gather(experiment, {row: records for row, records in layout.succeeded.items() if records})
    reported = experiment.declared.report_on if experiment.declared.report_on in everything.splits else split
    collapsed, outputs = everything.collapsed(reported), everything.learned(reported)
    if not outputs.splits:
        raise StoreError(f"no predictions can be used: {'; '.join(_misread(outputs)) or 'there are none'}")
    if split not in outputs.splits:
        raise BakeoffError(did_you_mean("predicted split", split, outputs.splits))
    if not outputs.splits[split].labelled:
        raise BakeoffError(f"split {quoted(split)} has no labels: its examples are predicted and kept, and can't be scored")
    found = [_rescored(experiment, layout, metric, split, data, outputs) for metric in metrics]
    if collapsed:
        told = listed([runs_in_words(row, seeds) for row, seeds in collapsed.items()])
        found[0].notes.append(f"left out, since they collapsed to one answer (kept where all runs of a row did): {told}")
    if unknown_facts := taken_for_same([chain.from_iterable(layout.succeeded.values())]):  # said once, however many classes
        found[0].notes.append(f"taken for the same: {unknown_facts}")
    return found


def _rescored(experiment: Experiment, layout: Layout, metric: Metric, split: str, data: Data, outputs: Outputs) -> Rescored:
    own, succeeded = outputs.splits[split], layout.succeeded
    keys = {row: row_facts(records, hardware=experiment.declared.hardware) for row, records in succeeded.items() if records}
    rankings, reasons = rankings_of(keys, layout.baseline, under_test_of(experiment.declared, layout.rows), layout.vary)
    baseline_of = layout.baseline_of
    ranked = [row for row in layout.rows if row in own.answers and rankings[row] == rankings.get(baseline_of[row])]
    together = [row for row in ranked if rankings[row] == 0]
    silent = why_silent(metric, own.labels, data.labels, load=True)
    every = [] if silent else _rows(own, metric, layout, ranked)
    rows = [row for row in every if np.isfinite(row.score.mean)]
    titles = experiment.declared.titles
    return Rescored(
        title=titles.group(layout.task, [layout.model]),
        task=layout.task,
        model=layout.model,
        split=split,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        figures=figures_of(metric.unit, [row.score.mean for row in rows], [row.score.sd for row in rows]),
        examples=len(own.ids),
        baseline=layout.baseline,
        against=layout.against,
        rows=rows,
        slices=[]
        if silent
        else slice_scores(own, metric, baseline=layout.baseline, strategies=together, label_names=data.labels),
        calibration=[row for row in calibration_of(outputs) if row.split == split],
        notes=[
            *([f"{metric.name} says nothing on {split}: {silent}"] if silent else []),
            *([f"'each' is a class of this task: {metric.name} is of that class alone"] if _of_class_each(metric) else []),
            *(f"{row.strategy} is left out: {metric.name} gives its answers no score" for row in every if row not in rows),
            *left_out(experiment),
            *_misread(outputs),
            *(f"{row} has no predictions" for row in succeeded if row not in own.answers),
            *(
                f"{row} is not compared with the baseline: {reasons[number]}"
                for row, number in rankings.items()
                if number and row not in ranked
            ),
            *why_uncut(own, split),
        ],
    )


def _misread(outputs: Outputs) -> list[str]:
    return [f"{run_name(found.strategy, found.seed)} is left out: {found.sentence}" for found in outputs.misread]


def _of_class_each(metric: Metric) -> bool:
    """Whether the metric is of a class that is named `each`, like the word that asks for every class."""
    return label_of(metric) is not None and metric.name.endswith(of_class("", EACH))


def chosen_metrics(name: str, data: Data, own: Mapping[str, Metric]) -> tuple[Metric, ...]:
    """The metrics that a name stands for: the task's own of that name, with or without its class, else the built-in one:
    `mcc`, `f1 (spam)`, `f1 (each)`.

    Several where the name asks for each class. Raises BakeoffError where there is no such metric, or it does not fit the task.
    """
    name = known_as(name, data.metrics)
    if name in own and not isinstance(own[name], HubMetric):
        return (own[name],)
    kind = kind_named(data.kind)
    fitting = [built_in for built_in, metric in BUILT_IN.items() if kind.name in metric.kinds]
    names = sorted({*fitting, *(metric for metric in own if not isinstance(own[metric], HubMetric))})
    if name in own:
        raise BakeoffError(
            f"metric {quoted(name)} is computed by code of the hub, which is not run here; choose one of {', '.join(names)}"
        )
    base, _, label = name.removesuffix(")").partition(" (")
    if base in BUILT_IN and base not in fitting:
        raise BakeoffError(
            f"metric '{base}' does not score {kind.answers_in_words}, which the task has; there is {', '.join(names)}"
        )
    if base not in BUILT_IN or (label and base not in OF_ONE_LABEL):
        told = did_you_mean("metric", name, names)
        raise BakeoffError(told if told.endswith(", ".join(names)) else f"{told} There is {', '.join(names)}")
    looked_at = {number for metric in own.values() if (number := label_of(metric)) is not None}
    if base in OF_ONE_LABEL and not label and len(looked_at) == 1 and max(looked_at) < len(data.labels):
        label = data.labels[max(looked_at)]  # the class that the task's own metrics are about
    if base in OF_ONE_LABEL and not label:
        several = ", ".join(shell_word(f"{base} ({one})") for one in [*data.labels[:10], EACH])
        raise BakeoffError(f"metric '{base}' is about one class: name the class in the metric, one of {several}")
    each = label == EACH and EACH not in data.labels
    choice = MetricChoice(name=base, of="each") if each else MetricChoice(name=base, positive=label or None)
    return metric_named(choice).fitted(kind, data.labels, None)


# --- rows ----------------------------------------------------------------------------------------------------------------


def _rows(own: SplitOutputs, metric: Metric, layout: Layout, ranked: Sequence[str]) -> list[RescoredRow]:
    """Every row's score, and its difference to the baseline if it is ranked with it. ranked: the rows that are."""
    names = [row for row in layout.rows if row in own.answers]
    sides = {name: side_of(own, metric, name, number, unit=metric.unit) for number, name in enumerate(names)}
    resampled = any(one.values is None for one in sides.values()) and any(len(one.seeds) > 1 for one in sides.values())
    replicates = own.resample(metric, names) if resampled else None
    measures, found = Measures(sides, replicates), list[RescoredRow]()
    for name, side in sides.items():
        bounds = bounds_of(own, metric, name, replicates=replicates)
        row = RescoredRow(strategy=name, score=score_of(side.seeds, side.scores.tolist(), bounds))
        if name in ranked and (baseline := layout.baseline_of[name]) in sides and name != baseline:
            compared = measures.compare(name, baseline)
            low, high = compared.interval(0.95)
            update = {"difference": compared.difference, "low": low, "high": high, "method": compared.method}
            row = row.model_copy(update=update)
        found.append(row)
    return found
