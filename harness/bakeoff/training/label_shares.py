"""Compares the labels of splits that were held out of train with those of all rows that they were taken from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bakeoff.contracts.task import TaskInfo
from bakeoff.text.numbers import per_cent, significant
from bakeoff.text.values import listed
from bakeoff.text.words import quoted
from bakeoff.training.data import Columns

MOST_NAMED = 5
"""How many labels without rows are named."""
NEAR = 0.0005
"""A split's share of rows counts as the one that was asked for if they differ by less than this."""


def deviations(info: TaskInfo, splits: Mapping[str, Columns]) -> Iterator[str]:
    """Yields a sentence for each split that was held out (its size, and how far its labels are from those of all rows), and one
    about labels that no row of train has any more."""
    parts = {name: splits[name]["label"] for name in ("train", *info.held_out)}
    total = sum(map(len, parts.values()))
    for name, asked in info.held_out.items():
        share = len(parts[name]) / total
        apart = "" if abs(share - asked) < NEAR else f" ({significant(100 * asked, 6)} % asked for)"
        size = f"{len(parts[name]):,} of {total:,} rows are held out of train, {per_cent(share, 1)}{apart}"
        yield f"{name}: {size}; {'; '.join(_of_labels(info, parts, name))}"
    if info.held_out and (without := _without(info, parts, "train")):
        yield f"train: no row that is left to train on has {without}"


def _of_labels(info: TaskInfo, parts: Mapping[str, Sequence[Any]], name: str) -> Iterator[str]:
    if not info.kind.has_labels:
        numbers = {part: np.asarray(labels, dtype=float) for part, labels in parts.items()}
        mean = float(np.concatenate(list(numbers.values())).mean())
        yield f"the label's mean is {significant(float(numbers[name].mean()), 4)}, of all rows {significant(mean, 4)}"
        return
    here, whole = _shares(info, parts, [name]), _shares(info, parts, list(parts))
    furthest = max(whole, key=lambda label: abs(here[label] - whole[label]))
    difference = per_cent(abs(here[furthest] - whole[furthest]), 1).removesuffix(" %")
    yield (
        f"shares of labels are within {difference} points of those of all rows ({quoted(furthest)}: "
        f"{per_cent(here[furthest], 1)}, of all {per_cent(whole[furthest], 1)})"
    )
    if without := _without(info, parts, name):
        yield f"no row has {without}"


def _shares(info: TaskInfo, parts: Mapping[str, Sequence[Any]], names: list[str]) -> dict[str, float]:
    """Label -> the share of rows that have it, among the rows of the parts (splits) with these names."""
    counts = [info.kind.label_counts(parts[name], info.labels) for name in names]
    size = sum(len(parts[name]) for name in names)
    return {label: sum(count[label] for count in counts) / size for label in info.labels}


def _without(info: TaskInfo, parts: Mapping[str, Sequence[Any]], name: str) -> str:
    """The labels, in words, that rows of other parts (splits) have and none of the part `name`; empty if there are none."""
    here, whole = _shares(info, parts, [name]), _shares(info, parts, list(parts))
    lacking = [quoted(label) for label in whole if whole[label] and not here[label]]
    return f"label{'s' if len(lacking) > 1 else ''} {listed(lacking, most=MOST_NAMED)}" if lacking else ""
