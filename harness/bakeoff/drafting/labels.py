"""Describes the labels of a table: for which kind of task, how many there are, and how often each occurs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bakeoff.drafting.columns import MANY_NUMBERS, Column
from bakeoff.drafting.tables import Table, Value, is_number
from bakeoff.errors import DataError
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION, Kind
from bakeoff.text.numbers import count
from bakeoff.text.words import quoted, shown_path

SEPARATORS: Final = ("|", ";", ",")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of a table."""

    kind: Kind
    counts: Counter[str]
    """Label -> number of rows with it; empty for a regression."""
    rows: int
    """Number of rows with a label."""
    separator: str = ""
    """The character between several labels in one cell; empty for lists, and for one label a row."""

    @property
    def single(self) -> bool:
        """Whether each row has one label."""
        return self.kind.has_labels and not self.kind.several_labels

    @property
    def largest(self) -> float:
        """Share of the rows that have the most frequent label."""
        return max(self.counts.values()) / self.rows if self.counts and self.rows else 0.0


def label_word(value: Any) -> str:
    """The name that the task `table` gives to a label: whole numbers without a fraction, Booleans in lower case."""
    word = str(value).strip()
    if re.fullmatch(r"[+-]?\d+\.0+", word):
        return word.split(".")[0]
    return word.lower() if word.lower() in {"true", "false"} else word


def describe_labels(table: Table, columns: dict[str, Column], names: Sequence[str], *, kind: Kind | None = None) -> Labels:
    """Describes the labels in the columns `names`. kind: the kind of task that the user named; None to find it out. Raises
    DataError where there is nothing to learn."""
    where = shown_path(table.path)
    if len(names) > 1:
        counts = Counter({name: sum(label_word(value) in {"1", "true"} for value in table.columns[name]) for name in names})
        return Labels(kind=MULTILABEL, counts=counts, rows=table.rows)
    (name,) = names
    column, values = columns[name], [value for value in table.columns[name] if value is not None]
    if column.quantity if kind is None else not kind.has_labels:
        if not column.numbers:
            wrong = next((value for value in values if not is_number(str(value))), "")
            raise DataError(
                f"{where}: column {quoted(name)} has {quoted(wrong)}, which is no number: the task is no regression"
            )
        return Labels(kind=REGRESSION, counts=Counter(), rows=len(values))
    separator = "" if column.lists else _separator(values)
    if (column.lists or separator) if kind is None else kind.several_labels:
        separator = separator or ("" if column.lists else SEPARATORS[0])
        sets = [value if isinstance(value, list) else str(value).split(separator) for value in values]
        counts = Counter(label_word(one) for labels in sets for one in set(labels) if str(one).strip())
        return Labels(kind=MULTILABEL, counts=counts, rows=len(values), separator=separator)
    counts = Counter(map(label_word, values))
    if len(counts) < 2:
        only = f"only the label {quoted(next(iter(counts)))}" if counts else "no label"
        raise DataError(f"{where}: column {quoted(name)} has {only}, so there is nothing to learn")
    if len(counts) > len(values) / 2 and len(values) > MANY_NUMBERS:
        raise DataError(
            f"{where}: column {quoted(name)} has {len(counts):,} different labels in {count(len(values), 'row')}: is it the "
            "right one? Name another with --label COLUMN"
        )
    return Labels(kind=CLASSIFICATION, counts=counts, rows=len(values))


def _separator(values: Sequence[Value]) -> str:
    """The character that separates several labels in a cell; empty where each cell is one label. All parts of the cells that
    it splits must occur in other cells too."""
    cells = Counter(str(value).strip() for value in values)
    for mark in SEPARATORS:
        joined = {cell: times for cell, times in cells.items() if mark in cell}
        if not joined or sum(joined.values()) < 0.02 * len(values):
            continue
        parts: Counter[str] = Counter()
        for cell, times in cells.items():
            for part in cell.split(mark):
                parts[part.strip()] += times
        within = {part.strip() for cell in joined for part in cell.split(mark)}
        if len(parts) < len(cells) and all(part and parts[part] > 1 and len(part.split()) <= 4 for part in within):
            return mark
    return ""
