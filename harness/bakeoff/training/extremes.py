"""Finds the encoded texts that a model is most likely to fail on, and makes texts longer or shorter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bakeoff.contracts.metric import Ints
from bakeoff.contracts.task import Row
from bakeoff.training.encoding import in_parts


@dataclass(frozen=True)
class Text:
    """An encoded text, with its split and row number."""

    split: str
    number: int
    row: Row


@dataclass
class Extremes:
    """The texts that a model is most likely to fail on: the shortest and the longest in tokens, and those below."""

    shortest: Text | None = None
    longest: Text | None = None
    highest: dict[str, tuple[int, Text]] = field(default_factory=dict)
    """Input (`input_ids`, ...) -> its highest value, and a text that has it."""
    ends: dict[int, Text] = field(default_factory=dict)
    """Number of end-of-text tokens in a text -> such a text; only for the lowest and the highest number."""


def find_extremes(rows: Mapping[str, Sequence[Row]], end: int | None) -> Extremes:
    """Finds the extremes over all splits. rows: split -> encoded rows. end: id of the end-of-text token, if there is one."""
    found = Extremes()
    for split, encoded in rows.items():
        for start, columns in in_parts(encoded):

            def text(row: int, split: str = split, start: int = start, encoded: Sequence[Row] = encoded) -> Text:
                return Text(split, start + row, encoded[start + row])

            if "input_ids" in columns:
                edges, values = columns["input_ids"]
                lengths = np.diff(edges)
                if found.shortest is None or lengths.min() < length_of(found.shortest):
                    found.shortest = text(int(lengths.argmin()))
                if found.longest is None or lengths.max() > length_of(found.longest):
                    found.longest = text(int(lengths.argmax()))
                if end is not None:
                    _note_ends(found, _counts(values == end, edges), text)
            for name, (edges, values) in columns.items():
                if len(values) and (name not in found.highest or values.max() > found.highest[name][0]):
                    row = int(np.searchsorted(edges, int(values.argmax()), side="right")) - 1
                    found.highest[name] = int(values.max()), text(row)
    return found


def _counts(hits: Any, edges: Ints) -> Ints:
    sums = np.concatenate([[0], np.cumsum(hits)])
    return np.asarray(sums[edges[1:]] - sums[edges[:-1]])


def _note_ends(found: Extremes, counts: Ints, text: Callable[[int], Text]) -> None:
    for row in {int(counts.argmin()), int(counts.argmax())}:
        if not found.ends or not min(found.ends) <= counts[row] <= max(found.ends):
            found.ends[int(counts[row])] = text(row)
    found.ends = {count: found.ends[count] for count in {min(found.ends), max(found.ends)}}


def length_of(text: Text) -> int:
    """The length of a text in tokens."""
    return len(text.row["input_ids"])


def shortened(text: Text) -> Text:
    """The text without one token from its middle."""
    return of_length(text, length_of(text) - 1)


def of_length(text: Text, length: int) -> Text:
    """The text with `length` tokens: shortened in its middle, or with its middle token repeated."""
    tokens = length_of(text)
    kept = min(length, tokens)
    before, after = (kept + 1) // 2, tokens - kept // 2
    row = {
        name: [*values[:before], *values[before - 1 : before] * (length - kept), *values[after:]]
        if isinstance(values, list) and len(values) == tokens
        else values
        for name, values in text.row.items()
    }
    return Text(text.split, text.number, row)
