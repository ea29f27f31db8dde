"""Stored predictions scored anew, by any metric and on any predicted split, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from bakeoff.analysis.boards import calibration_of
from bakeoff.analysis.comparability import grouped, row_facts
from bakeoff.analysis.findings import Calibration, SliceScore
from bakeoff.analysis.measures import counted, resample, scores_of, values_of
from bakeoff.analysis.outputs import Outputs, SplitOutputs, gather, why_uncut
from bakeoff.analysis.pairs import Side, measure
from bakeoff.analysis.row import Score
from bakeoff.analysis.row_scores import bounds_of
from bakeoff.analysis.slices import slice_scores
from bakeoff.analysis.summary.rows import Layout, layouts
from bakeoff.contracts.each_class import EACH, of_class
from bakeoff.contracts.fields import Part
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Floats, Metric, MetricChoice, known_as
from bakeoff.contracts.metric_lookup import label_of, metric_named
from bakeoff.contracts.metrics import BUILT_IN, OF_ONE_LABEL
from bakeoff.contracts.unit import Figures, figures_of
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.kinds import kind_named
from bakeoff.records.experiment import Experiment, left_out
from bakeoff.records.load.separation import taken_for_same
from bakeoff.records.schema import Data, Record
from bakeoff.records.silent_metrics import why_silent
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.text.values import shell_word
from bakeoff.text.words import did_you_mean, quoted


class RescoredRow(Part):
    """A strategy's score, and its difference to the baseline."""

    strategy: str
    score: Score
    difference: float | None
    """Row minus baseline; None for the baseline itself."""
    low: float | None
    high: float | None
    """The 95 % interval of the difference, not adjusted; None below two runs a side."""
    method: str
    """Of the difference's interval."""


class Rescored(Part):
    """One task with one model. Scores are in the metric's own unit; `figures` writes them."""

    task: str
    model: str
    split: str
    metric: str
    higher_is_better: bool
    figures: Figures
    examples: int
    baseline: str
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
        return f"{self.task} · {self.model}: {self.reason}"


class Rescoring(Part):
    """All that could be scored of an experiment, and what could not."""

    boards: list[Rescored]
    """Several of a task and model where the metric is of each class."""
    left_out: list[LeftOut]


def rescore(experiment: Experiment, metric: str | None = None, *, split: str | None = None) -> Rescoring:
    """Every task and model of the experiment that can be, scored by a built-in metric or one of the task's own.

    Without a name, by the primary metric; without a split, on the one that is reported on. Raises BakeoffError where nothing
    can: a metric or split that is nowhere, no run with predictions that can be used.
    """
    wanted = split or experiment.declared.report_on
    boards, left_out, errors = list[Rescored](), list[LeftOut](), list[BakeoffError]()
    for layout in layouts(experiment):
        try:
            boards += _rescored_by_all(experiment, layout, metric, wanted)
        except BakeoffError as error:
            errors.append(error)
            left_out.append(LeftOut(task=layout.task, model=layout.model, reason=str(error)))
    if errors and not boards:
        alike = len({one.reason for one in left_out}) == 1
        raise errors[0] if alike else type(errors[0])("; ".join(one.sentence for one in left_out))
    return Rescoring(boards=boards, left_out=left_out)


def _rescored_by_all(experiment: Experiment, layout: Layout, name: str | None, split: str) -> list[Rescored]:
    """By the metric; by several where it is of each class."""
    ended = layout.ended
    data = next((record.data for records in ended.values() for record in records if record.data is not None), None)
    if data is None:
        raise StoreError("no run has ended well, so there are no predictions to score")
    metrics = chosen_metrics(name or data.primary_metric, data, experiment.metrics.get(layout.task, {}))
    outputs = gather(experiment, {row: records for row, records in ended.items() if records})
    if not outputs.splits:
        raise StoreError(f"no predictions can be used: {'; '.join(_misread(outputs)) or 'there are none'}")
    if split not in outputs.splits:
        raise BakeoffError(did_you_mean("predicted split", split, outputs.splits))
    if not outputs.splits[split].labelled:
        raise BakeoffError(f"split {quoted(split)} has no labels: its examples are predicted and kept, and can't be scored")
    found = [_rescored(experiment, layout, metric, split, ended, data, outputs) for metric in metrics]
    if unknown_facts := taken_for_same([chain.from_iterable(ended.values())]):  # told once, whatever the number of classes
        notes = [*found[0].notes, f"taken for the same: {unknown_facts}"]
        found[0] = found[0].model_copy(update={"notes": notes})
    return found


def _rescored(
    experiment: Experiment,
    layout: Layout,
    metric: Metric,
    split: str,
    ended: Mapping[str, Sequence[Record]],
    data: Data,
    outputs: Outputs,
) -> Rescored:
    own = outputs.splits[split]
    keys = {row: row_facts(records) for row, records in ended.items() if records}
    groups, reasons = grouped(keys, layout.baseline, experiment.declared.under_test)
    level = [row for row in layout.rows if row in own.answers and groups[row] == 0]
    silent = why_silent(metric, own.labels, data.labels, load=True)
    rows = [] if silent else _rows(own, metric, layout, level)
    without = [row.strategy for row in rows if not np.isfinite(row.score.mean)]
    rows = [row for row in rows if row.strategy not in without]
    return Rescored(
        task=layout.task,
        model=layout.model,
        split=split,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        figures=figures_of(metric.unit, [row.score.mean for row in rows], [row.score.sd for row in rows]),
        examples=len(own.ids),
        baseline=layout.baseline,
        rows=rows,
        slices=[] if silent else slice_scores(own, metric, baseline=layout.baseline, strategies=level, label_names=data.labels),
        calibration=[row for row in calibration_of(outputs) if row.split == split],
        notes=[
            *([f"{metric.name} says nothing on {split}: {silent}"] if silent else []),
            *([f"'each' is a class of this task: {metric.name} is of that class alone"] if _of_class_each(metric) else []),
            *(f"{row} is left out: {metric.name} gives its answers no score" for row in without),
            *left_out(experiment),
            *_misread(outputs),
            *_without(ended, own),
            *_apart(groups, reasons),
            *why_uncut(own, split),
        ],
    )


def _of_class_each(metric: Metric) -> bool:
    """Whether its name is also what asks for every class."""
    return label_of(metric) is not None and metric.name.endswith(of_class("", EACH))


def chosen_metrics(name: str, data: Data, own: Mapping[str, Metric]) -> tuple[Metric, ...]:
    """The task's metric of that name, with its class or without, else the built-in one: `mcc`, `f1 (spam)`, `f1 (each)`.

    Several where it is of each class. Raises BakeoffError where it does not go with the task.
    """
    name = known_as(name, data.metrics)
    if name in own and not isinstance(own[name], HubMetric):
        return (own[name],)
    kind = kind_named(data.kind)
    fitting = [built_in for built_in, metric in BUILT_IN.items() if kind.name in metric.kinds]
    names = sorted({*fitting, *(metric for metric in own if not isinstance(own[metric], HubMetric))})
    if name in own:
        raise BakeoffError(f"metric {quoted(name)} lives on the hub; without it there is {', '.join(names)}")
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
        raise BakeoffError(f"metric '{base}' is about one class, and none is named: there is {several}")
    each = label == EACH and EACH not in data.labels
    choice = MetricChoice(name=base, of="each") if each else MetricChoice(name=base, positive=label or None)
    return metric_named(choice).fitted(kind, data.labels, None)


# --- rows ----------------------------------------------------------------------------------------------------------------


def _rows(own: SplitOutputs, metric: Metric, layout: Layout, level: Sequence[str]) -> list[RescoredRow]:
    """Every row's score; the difference to the baseline of those that stand on a level with it."""
    names = [row for row in layout.rows if row in own.answers]
    values = {name: values_of(own, metric, name) for name in names}
    needs_bootstrap = any(found is None for found in values.values()) and any(len(own.seeds[name]) > 1 for name in names)
    replicates = resample(own, metric, names) if needs_bootstrap else None
    sides = {name: _side(own, metric, name, values[name], number) for number, name in enumerate(names)}
    baseline = sides.get(layout.baseline)
    return [_row(own, metric, side, baseline if name in level else None, replicates) for name, side in sides.items()]


def _side(own: SplitOutputs, metric: Metric, name: str, values: Floats | None, number: int) -> Side:
    scores = scores_of(own, metric, name, values)
    assert scores is not None  # `chosen_metric` gives none of the hub's
    answers = own.answers[name]
    return Side(
        name=name,
        seeds=own.seeds[name],
        answers=answers,
        everything={"rescored": answers},
        values=values,
        scores=scores,
        number=number,
        unit=metric.unit,
        counted=counted(own, metric, name),
    )


def _row(own: SplitOutputs, metric: Metric, side: Side, baseline: Side | None, replicates: Replicates | None) -> RescoredRow:
    score = _score(own, metric, side, replicates)
    if baseline is None or side.name == baseline.name:
        return RescoredRow(strategy=side.name, score=score, difference=None, low=None, high=None, method="none")
    contest = measure(side, baseline, (), replicates)
    low, high = contest.interval(0.95)
    return RescoredRow(
        strategy=side.name, score=score, difference=contest.difference, low=low, high=high, method=contest.method
    )


def _score(own: SplitOutputs, metric: Metric, side: Side, replicates: Replicates | None) -> Score:
    bounds = bounds_of(own, metric, side.name, replicates=replicates)
    return Score(
        mean=float(side.scores.mean()),
        sd=float(side.scores.std(ddof=1)) if len(side.seeds) > 1 else None,
        low=bounds.low,
        high=bounds.high,
        method=bounds.method,
        seeds=list(side.seeds),
        values=side.scores.tolist(),
    )


# --- what to mind --------------------------------------------------------------------------------------------------------


def _misread(outputs: Outputs) -> list[str]:
    return [f"{found.strategy}, seed {found.seed}, is left out: {found.sentence}" for found in outputs.misread]


def _without(ended: Mapping[str, Sequence[object]], own: SplitOutputs) -> list[str]:
    return [f"{row} has no predictions" for row in ended if row not in own.answers]


def _apart(groups: Mapping[str, int], reasons: Sequence[str]) -> list[str]:
    return [f"{row} is not compared with the baseline: {reasons[group]}" for row, group in groups.items() if group]
