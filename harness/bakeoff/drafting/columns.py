"""Describes the columns of a table: lengths of texts, numbers, dates, how many distinct values."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bakeoff.drafting.tables import Table, Value, is_number

TEXT_NAMES: Final = re.compile(
    r"(text|sentence|body|message|msg|content|review|comment|tweet|post|utterance|question|query|passage|document|abstract|"
    r"description|premise|hypothesis|prompt|input|title|subject|headline|summary|context)s?"
)
LABEL_NAMES: Final = re.compile(
    r"(label|class|classes|category|categories|target|topic|intent|sentiment|tag|y|output|answer|gold|polarity|rating|star|"
    r"score|queue|department|type|emotion|spam)s?"
)
GROUP_NAMES: Final = re.compile(
    r"(user|author|customer|client|patient|session|thread|conversation|dialog|group|doc|document|source|speaker|account|"
    r"company|subject|person|student|product|item|article|paper|url|host|domain|project|repo|ticket|case)s?"
)
MANY_NUMBERS: Final = 20
"""A column of whole numbers with more distinct values than this is a quantity, not labels."""
MOST_LABELS: Final = 2000
"""A column with more distinct values is no column of labels."""
DATES: Final = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d %b %Y", "%b %d, %Y")
DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+")
SAMPLE: Final = 2_000
"""About so many rows are used to judge lengths and dates."""
SPLIT_NAMES: Final = re.compile("split|set|fold|partition|subset")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A description of a column, from which its role is found out."""

    name: str
    rows: int
    missing: int
    distinct: int
    words: float
    """The mean number of words in a cell."""
    characters: float
    numbers: bool
    """Whether all its values are numbers."""
    whole: bool
    """Whether all its values are whole numbers."""
    dates: bool
    lists: bool
    """Whether its values are lists."""
    decimal_commas: bool = False
    """Whether its values are numbers as they are written in German."""

    @property
    def filled(self) -> int:
        return self.rows - self.missing

    @property
    def reads_as_text(self) -> bool:
        """Whether its cells are prose, as a model reads it: several words, seldom the same."""
        if self.numbers or self.dates or self.lists or not self.filled:
            return False
        prose = self.words >= 3 or (self.characters >= 12 and self.words >= 1.5) or (self.words < 1.5 and self.characters >= 40)
        return prose and (self.distinct > max(20, 0.2 * self.filled) or self.distinct > 0.8 * self.filled)

    @property
    def may_be_label(self) -> bool:
        """Whether it may be the label: its values repeat, or are numbers or lists."""
        if self.dates or self.filled < 2 or self.distinct < 2:
            return False
        if self.lists:
            return True
        if self.numbers:
            return self.distinct < 0.98 * self.filled or not self.whole
        if self.distinct > min(MOST_LABELS, max(2.0, self.filled / 2)):
            return False
        return self.words <= 6 or self.distinct <= min(MANY_NUMBERS, self.filled / 5)

    @property
    def quantity(self) -> bool:
        """Whether its values are measured or counted numbers, to predict by regression, rather than labels."""
        return self.numbers and self.distinct > (MANY_NUMBERS if self.whole else 2)

    def is_named(self, words: re.Pattern[str]) -> bool:
        """Whether a part of its name is one of these words."""
        parts = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", self.name).lower())
        return any(map(words.fullmatch, parts))


def describe(table: Table) -> dict[str, Column]:
    """The description of every column of the table, by name."""
    return {name: _column(name, values) for name, values in table.columns.items()}


def _column(name: str, values: Sequence[Value]) -> Column:
    there = [value for value in values if value is not None]
    lists = any(isinstance(value, list) for value in there)
    texts = [str(value) for value in there]
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    numbers = bool(texts) and not lists and all(map(is_number, texts))
    return Column(
        name=name,
        rows=len(values),
        missing=len(values) - len(there),
        distinct=len(set(texts)),
        words=statistics.fmean(map(words_of, sample)) if sample else 0.0,
        characters=statistics.fmean(map(len, sample)) if sample else 0.0,
        numbers=numbers,
        whole=numbers and all(float(text).is_integer() for text in set(texts)),
        dates=bool(sample) and not numbers and sum(as_date(text) is not None for text in sample) > 0.95 * len(sample),
        lists=lists,
        decimal_commas=bool(sample) and all(DECIMAL_COMMA.fullmatch(text.strip()) for text in sample),
    )


def words_of(text: str) -> float:
    """The number of words in a text; in scripts without blanks between words, two characters count as a word."""
    dense = 0 if text.isascii() else sum(ord(one) >= 0x2E80 for one in text)
    return dense / 2 if dense > len(text) / 3 else len(text.split())


def as_date(text: str) -> datetime | None:
    """The date that a text is, in ISO's form or one that spreadsheets write; None for any other text."""
    text = text.strip()
    if not 6 <= len(text) <= 40 or not text[:1].isalnum() or not any(map(str.isdigit, text)):
        return None
    try:
        return datetime.fromisoformat(text.replace(" UTC", "+00:00")).replace(tzinfo=None)
    except ValueError:
        pass
    for form in DATES:
        try:
            return datetime.strptime(text.split(" ")[0] if "/" in text or "." in text else text, form)
        except ValueError:
            continue
    return None
