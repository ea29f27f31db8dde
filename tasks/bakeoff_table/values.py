"""The meaning of a cell's value, whatever the file's format: missing values, numbers, labels."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from enum import IntFlag
from typing import Any


class Odd(IntFlag):
    """Oddities of a row that can be read nevertheless; each is reported as a data check."""

    SPANS = 1
    """A cell contains a line break and a delimiter, as if a quotation mark had taken following rows into the cell."""
    QUOTED = 2
    """A cell contains quotation marks that suggest another `quoting`."""
    NUMBER = 4
    """A text is a number."""
    MISSING_WORD = 8
    """A text is a word that many programs write for a missing value (`MISSING_WORDS`)."""
    HEADER = 16
    """The row repeats the header, and is left out."""
    LOST = 32
    """A text contains U+FFFD, which stands for characters that could not be decoded."""


Row = tuple[int, int, int, Mapping[str, Any]]
"""A row of a file: its first line, from 1 (in Parquet its number); its number of lines; flags of `Odd`; its cells by column,
empty for a repeated header."""
MISSING_WORDS = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "#nan", "null", "none", "nil", "(null)"})
"""Words, in lower case, that databases, pandas, R, Excel and Python write for a missing value."""
PLACE = "(place)"
"""The Arrow column that holds a row's file, line, oddities and first gap; options can't name such a column."""
NEEDLESS_FRACTION = re.compile(r"([+-]?)(0|[1-9][0-9]*)\.0+")
MOST_DIGITS = 308
"""Whole numbers are written out with at most this many digits; no float has more."""


INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Invisible characters that Python does not count as white space."""
UNSEEN = dict.fromkeys(map(ord, INVISIBLE))


def is_gap(value: Any) -> bool:
    """Whether a cell is empty: None, white space, invisible characters, or NaN."""
    if isinstance(value, str):
        return not value.strip() or not value.translate(UNSEEN).strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def label_name(value: Any) -> str | None:
    """The name of a label, the same in every file format; None if the value can't be a label.

    Whole numbers are written without a fraction (`1.0` is `1`), booleans in lower case (`True` is `true`).
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        word = value.strip()
        if (found := NEEDLESS_FRACTION.fullmatch(word)) is not None:
            return str(int(f"{found[1]}{found[2]}")) if len(found[2]) <= MOST_DIGITS else word
        return word.lower() if word.lower() in {"true", "false"} else word
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() <= MOST_DIGITS and value == int(value):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value) if isinstance(value, int | float | Decimal) else None


TRUTH = {"true": "1", "false": "0"}
REPLACEMENT = "\ufffd"


def alike(name: str) -> str:
    """A key of a label's name; two labels with the same key may be meant to be one. It is the name without case, blanks,
    hyphens, underscores and invisible characters, in Unicode's form NFKC; for a number its value, for a boolean 1 or 0."""
    if (value := number(TRUTH.get(name, name))) is not None:
        return repr(value)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    shown = (character for character in folded if unicodedata.category(character)[0] not in "ZC")
    return "".join(shown).replace("-", "").replace("_", "")


def number(value: Any) -> float | None:
    """A value as a finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str) and "_" in value:  # Python's own way to write a thousand
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


def decimal(name: str) -> bool | None:
    """Whether a label's name is a number with decimals, after a point or a comma; None if it is not a number."""
    if DECIMAL_COMMA.fullmatch(name):
        return True
    return None if (value := number(name)) is None else value != int(value)


def membership(value: Any) -> bool | None:
    """The boolean in a cell of a column of 0 and 1, or of true and false; None for anything else."""
    if (found := number(value)) is not None:
        return {0.0: False, 1.0: True}.get(found)
    return {"false": False, "true": True}.get((label_name(value) or "").lower())
