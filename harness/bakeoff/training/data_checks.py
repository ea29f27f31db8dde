"""Checks the rows of a task for oddities, with counts, and describes the data for a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bakeoff.contracts.fields import LARGEST
from bakeoff.contracts.metric_lookup import facts_of
from bakeoff.contracts.task import Task, TaskInfo
from bakeoff.errors import PluginError
from bakeoff.records.schema import MOST_LABELS, Data, Split, capped
from bakeoff.records.silent_metrics import error_of_metric, silent_metrics
from bakeoff.text.normalised import normalised
from bakeoff.training.data import Columns, LoadedTask
from bakeoff.training.label_shares import deviations


def data_checks(info: TaskInfo, splits: Mapping[str, Columns]) -> list[str]:
    """A sentence for each oddity of the data: repeated and contradictory rows, metrics that cannot tell predictions apart, rows
    of train in other splits. Texts count as the same if they are equal once `normalised`."""
    found = list(deviations(info, splits))
    for name in info.splits:
        split = splits[name]
        found += [f"{name}: {sentence}" for sentence in split.notes]
        if name not in info.labelled_splits:
            continue
        kinds = "have the texts and the label of an earlier row", "have the texts of an earlier row and another label"
        for count, what in zip(repeats(info, split), kinds, strict=True):
            if count:
                found.append(f"{name}: {count:,} of {len(split['id']):,} rows {what}")
    right = {name: np.asarray(splits[name]["label"]) for name in info.scored_splits}
    for name, silent in silent_metrics(info.metrics, right, info.labels, load=True).items():
        found += [f"{name}: {metric} cannot tell predictions apart: {reason}" for metric, reason in silent.items()]
    for name, count in overlaps(info, splits).items():
        if count:
            found.append(f"{name}: {count:,} of {len(splits[name]['id']):,} rows have the texts of a row of train")
    return found


def repeats(info: TaskInfo, split: Columns) -> tuple[int, int]:
    """How many rows have the same texts as an earlier row: (with the same label, with another label)."""
    labels: dict[int, object] = {}
    more: dict[int, set[object]] = {}  # only of texts with several labels, which are few
    same = other = 0
    for reading, label in zip(readings(info, split), split["label"], strict=True):
        if reading not in labels:
            labels[reading] = label
        elif label == labels[reading] or label in more.get(reading, ()):
            same += 1
        else:
            other += 1
            more.setdefault(reading, set()).add(label)
    return same, other


def overlaps(info: TaskInfo, splits: Mapping[str, Columns]) -> dict[str, int]:
    """Predicted split -> how many of its rows have the same texts as a row of train, when `normalised`."""
    trained = set(readings(info, splits["train"]))
    return {name: sum(reading in trained for reading in readings(info, splits[name])) for name in info.predicted_splits}


def readings(info: TaskInfo, split: Columns) -> Iterator[int]:
    """Yields a 64-bit hash of the normalised texts of each row."""
    for texts in zip(*(split[column] for column in info.text_columns), strict=True):
        yield hash(tuple(map(normalised, texts)))


def describe_data(loaded: LoadedTask) -> Data:
    """What a record says about the data: sizes, fingerprints, majority baseline, overlap with train, and metrics that cannot
    tell predictions apart."""
    task, info, splits = loaded.task, loaded.info, loaded.splits
    untrained = without_learning(task, info, splits)
    return Data(
        source_versions=dict(task.source_versions()),
        kind=info.kind.name,
        labels=capped(info.labels, MOST_LABELS),
        splits={
            name: Split(
                examples=len(splits[name]["id"]),
                labelled=name in info.labelled_splits,
                fingerprint=loaded.fingerprints[name],
            )
            for name in info.splits
        },
        metrics=[facts_of(metric) for metric in info.metrics],
        primary_metric=info.primary_metric,
        majority_baseline=untrained.majority_baseline,
        overlap=overlaps(info, splits),
        silent=untrained.silent,
    )


@dataclass(frozen=True)
class NoLearning:
    """The scores of a run that learns nothing, and the metrics that give none."""

    silent: dict[str, dict[str, str]] = field(default_factory=dict)
    """split -> metric that cannot tell predictions apart there -> why; it has neither score nor majority baseline."""
    majority_baseline: dict[str, dict[str, float]] = field(default_factory=dict)
    """split -> metric -> score of always answering with the most frequent label of train."""
    undefined: dict[str, dict[str, str]] = field(default_factory=dict)
    """split -> metric that is undefined when all predictions are the same -> what it gives instead of a score."""


def without_learning(task: Task, info: TaskInfo, splits: Mapping[str, Columns]) -> NoLearning:
    """The scores of a run that learns nothing, on all scored splits. Raises DataError if a metric is not available."""
    train = np.asarray(splits["train"]["label"])
    right = {name: np.asarray(splits[name]["label"]) for name in info.scored_splits}
    found = NoLearning(silent_metrics(info.metrics, right, info.labels, load=True))
    for name, labels in right.items():
        baseline = found.majority_baseline.setdefault(name, {})
        for metric in info.metrics:
            if metric.name in found.silent.get(name, {}):
                continue
            alone = replace(info, metrics=(metric,), primary_metric=metric.name)
            try:
                scores = task.majority_baseline(alone, train, labels)
                if not isinstance(scores, Mapping) or metric.name not in scores:
                    raise PluginError("the task's `majority_baseline` returned no score of this metric")
                score = scores[metric.name]
                undefined = "" if abs(score) <= LARGEST else f"{score}"
            except Exception as error:  # a metric of any author
                undefined = error_of_metric(error)
            if undefined:
                found.undefined.setdefault(name, {})[metric.name] = undefined
            else:
                baseline[metric.name] = float(score)
    return found
