"""Cells and what they mean, whichever format they come from."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from enum import IntFlag
from typing import Any


class Odd(IntFlag):
    """What is to be told of a row, though it can be read."""

    SPANS = 1
    """A cell holds a line break and a delimiter, as where a quotation mark takes in rows."""
    QUOTED = 2
    """A cell holds quotation marks as a file has them that is quoted otherwise than it was read."""
    NUMBER = 4
    """A text is a number."""
    MISSING_WORD = 8
    """A text is a word that many programs write for nothing."""
    HEADER = 16
    """The row is the header once more: it is no row, and left out."""
    LOST = 32
    """A text holds the character that stands where others could not be read."""


Row = tuple[int, int, int, Mapping[str, Any]]
"""A row of a file: its line, from 1 (in Parquet, its number); over how many lines it goes; flags of `Odd`; its cells by column,
none of a header."""
MISSING_WORDS = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "#nan", "null", "none", "nil", "(null)"})
"""What databases, pandas, R, Excel and Python write for nothing, in lower case."""
NEEDLESS_FRACTION = re.compile(r"([+-]?)(0|[1-9][0-9]*)\.0+")
MOST_DIGITS = 308
"""Of a whole number that is written out; no float has more."""


INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters that are no white space to Python and show nothing."""
UNSEEN = dict.fromkeys(map(ord, INVISIBLE))


def is_gap(value: Any) -> bool:
    """Nothing, or white space, or what shows nothing either, or Parquet's word for a number that is missing."""
    if isinstance(value, str):
        return not value.strip() or not value.translate(UNSEEN).strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def label_name(value: Any) -> str | None:
    """A label as a word, the same whichever file it comes from; None for what can be none.

    Numbers have no needless fraction (`1.0` is `1`), and truth is in lower case (`True` is `true`).
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
    """What is left of a label's name without case, blanks, hyphens, underscores, invisible characters and Unicode's forms; of a
    number its value, and of truth 1 or 0."""
    if (value := number(TRUTH.get(name, name))) is not None:
        return repr(value)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    shown = (character for character in folded if unicodedata.category(character)[0] not in "ZC")
    return "".join(shown).replace("-", "").replace("_", "")


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
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
    """Whether a label's name is a number with decimals (a comma may stand for the point); None where it is no number."""
    if DECIMAL_COMMA.fullmatch(name):
        return True
    return None if (value := number(name)) is None else value != int(value)


def membership(value: Any) -> bool | None:
    """A cell of a column of 0 and 1."""
    if (found := number(value)) is not None:
        return {0.0: False, 1.0: True}.get(found)
    return {"false": False, "true": True}.get((label_name(value) or "").lower())
