"""Which columns of a table are the text and the label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bakeoff.drafting.columns import LABEL_NAMES, SPLIT_NAMES, TEXT_NAMES, Column
from bakeoff.drafting.tables import Table, Value
from bakeoff.errors import DataError
from bakeoff.text.numbers import count
from bakeoff.text.values import listed
from bakeoff.text.words import did_you_mean, quoted, shown_path

PAIRS: Final = (
    ("premise", "hypothesis"),
    ("question", "passage"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("title", "body"),
    ("title", "text"),
    ("title", "content"),
    ("title", "description"),
    ("title", "abstract"),
    ("subject", "body"),
    ("subject", "message"),
    ("subject", "text"),
    ("headline", "body"),
)
"""Names of columns that are read together, as a pair of texts."""


@dataclass(frozen=True)
class Choice:
    """The columns that may be the text, or the label. If it is not certain which, the user is asked."""

    options: tuple[tuple[str, ...], ...]
    """Each is one column, or several that belong together; the likeliest first."""
    certain: bool

    @property
    def best(self) -> tuple[str, ...]:
        return self.options[0]


def find_texts(table: Table, columns: dict[str, Column], *, without: Sequence[str] = ()) -> Choice:
    """Which columns may be what the model reads: one, or a pair. without: columns that have another meaning. Raises DataError
    where no column reads as text."""
    found = [one for one in columns.values() if one.reads_as_text and one.name not in without]
    if not found:
        short = [one for one in columns.values() if one.is_named(TEXT_NAMES) and not one.numbers and one.name not in without]
        found = [one for one in short if one.filled and one.distinct > 2]
    if not found:
        names = listed([quoted(name) for name in columns], most=10)
        raise DataError(f"{shown_path(table.path)}: no column reads as text ({names}); name the text with --text COLUMN")
    pair = _pair(found)
    if pair is not None:
        return Choice((pair, *((one,) for one in pair)), True)
    ordered = sorted(found, key=lambda one: (not one.is_named(TEXT_NAMES), -one.characters))
    first = ordered[0]
    others = ordered[1:]
    certain = (
        not others
        or (first.is_named(TEXT_NAMES) and not any(other.is_named(TEXT_NAMES) for other in others))
        or first.characters > 5 * max(other.characters for other in others)
    )
    return Choice(tuple((one.name,) for one in ordered), certain)


def _pair(found: Sequence[Column]) -> tuple[str, str] | None:
    """Two columns whose names say that they are read together, such as `sentence1` and `sentence2`, or `title` and `body`;
    else None."""
    by_name = {one.name.lower(): one.name for one in found}
    for first, second in PAIRS:
        if first in by_name and second in by_name:
            return by_name[first], by_name[second]
    stems: dict[str, list[str]] = {}
    for one in found:
        if (match := re.fullmatch(r"(.*?)[ _-]?([12ab])", one.name, re.IGNORECASE)) and match[1]:
            stems.setdefault(match[1].lower(), []).append(one.name)
    for names in stems.values():
        if len(names) == 2:
            first, second = sorted(names)
            return first, second
    return None


def find_labels(table: Table, columns: dict[str, Column], texts: Sequence[str]) -> Choice:
    """Which column may be the label, or which columns of 0 and 1 are one label each. texts: the columns that are read. Raises
    DataError where no column can be the label."""
    others = [one for one in columns.values() if one.name not in texts]
    found = [one for one in others if one.may_be_label and not one.is_named(SPLIT_NAMES) and not _is_id(one)]
    if not found:
        raise DataError(f"{shown_path(table.path)}: no column can be the label: {_why_no_label(others)}")
    flags = [one.name for one in found if _is_flag(table.columns[one.name])]
    if len(flags) > 2 and len(flags) == len(found):
        return Choice((tuple(flags), *((name,) for name in flags)), True)
    ordered = sorted(found, key=_unlike_label)
    named = [one for one in ordered if one.is_named(LABEL_NAMES)]
    certain = len(ordered) == 1 or len(named) == 1
    return Choice(tuple((one.name,) for one in ordered), certain)


def _unlike_label(column: Column) -> tuple[bool, bool, int]:
    return not column.is_named(LABEL_NAMES), column.quantity, column.distinct


def _is_id(column: Column) -> bool:
    """Whether a column's name says that it holds ids: of the rows, or of what they belong to."""
    named = re.search(r"(^|[ _-])(id|idx|index|uuid|key|guid)$|[a-z]I[dD]$", column.name) is not None
    return named and not column.is_named(LABEL_NAMES)


def _is_flag(values: Sequence[Value]) -> bool:
    return {str(value).lower() for value in values if value is not None} <= {"0", "1", "0.0", "1.0", "true", "false"}


def _why_no_label(columns: Sequence[Column]) -> str:
    told = []
    for one in columns[:5]:
        if not one.filled:
            why = "is empty"
        elif one.distinct == 1:
            why = "has one value, so there is nothing to learn"
        elif one.dates:
            why = "has dates"
        elif one.decimal_commas:
            why = "has numbers with a decimal comma: write a point in its place"
        elif one.distinct > one.filled / 2:
            why = f"has {one.distinct:,} different values in {count(one.filled, 'row')}"
        else:
            why = f"has {one.distinct:,} different values"
        told.append(f"{quoted(one.name)} {why}")
    return (listed(told) or "there is no other column") + "; if one is the label, name it with --label COLUMN"


def require_columns(table: Table, given: Sequence[str], option: str) -> None:
    """Raises DataError if a name that the user gave is no column of the table. option: the option that gave it, for the
    message."""
    for name in given:
        if name not in table.columns:
            raise DataError(f"{option}: {shown_path(table.path)}: {did_you_mean('column', name, table.columns)}")
