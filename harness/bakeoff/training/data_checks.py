"""What is odd about a task's rows, with counts: repeated, contradictory, in train too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bakeoff.contracts.task import TaskInfo
from bakeoff.records.silent_metrics import silent_metrics
from bakeoff.training.data import Columns


def remarks(info: TaskInfo, splits: Mapping[str, Columns]) -> list[str]:
    """Sentences, none where nothing is odd. Case and white space do not tell texts apart."""
    found = []
    for name in info.splits:
        split = splits[name]
        found += [f"{name}: {sentence}" for sentence in split.said]
        if name not in info.labelled_splits:
            continue
        repeated, contradictory = repeats(info, split)
        for count, what in (
            (repeated, "have the texts and the label of one before"),
            (contradictory, "have the texts of one before and another label"),
        ):
            if count:
                found.append(f"{name}: {count:,} of {len(split['id']):,} rows {what}")
    right = {name: np.asarray(splits[name]["label"]) for name in info.scored_splits}
    for name, silent in silent_metrics(info.metrics, right, info.labels, load=True).items():
        found += [f"{name}: {metric} says nothing there: {reason}" for metric, reason in silent.items()]
    for name, count in overlaps(info, splits).items():
        if count:
            found.append(f"{name}: {count:,} of {len(splits[name]['id']):,} rows have the texts of a row of train")
    return found


def repeats(info: TaskInfo, split: Columns) -> tuple[int, int]:
    """How many rows have the texts of an earlier one: with its label, and with another."""
    labels: dict[int, object] = {}
    more: dict[int, set[object]] = {}  # of texts with several labels, which are few
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
    """Predicted split -> its examples whose text columns all equal those of one to train on, in lower case and with white
    space collapsed."""
    trained = set(readings(info, splits["train"]))
    return {name: sum(reading in trained for reading in readings(info, splits[name])) for name in info.predicted_splits}


def readings(info: TaskInfo, split: Columns) -> Iterator[int]:
    """Of each row, 64 bits in place of its texts."""
    for texts in zip(*(split[column] for column in info.text_columns), strict=True):
        yield hash(tuple(" ".join(str(text).lower().split()) for text in texts))
