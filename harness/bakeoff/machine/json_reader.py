"""A strict JSON reader: text that could be read in two ways is refused."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, Final

MOST_DEPTH: Final = 100
"""The deepest nesting of lists and objects that is read; a file of Bakeoff has ten levels at most."""
SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(content: bytes) -> Any:
    """The value of these bytes of JSON. Raises ValueError that says what is wrong: not UTF-8, not JSON, a duplicate key, NaN,
    infinity, a number too large for a float, or more than `MOST_DEPTH` levels."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8 (byte {error.start})") from None
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark, which JSON does not allow")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_DEPTH} levels deep") from None
    require_depth(value, MOST_DEPTH)
    if SURROGATE.search(content):
        _require_encodable(value)
    return value


def require_depth(value: Any, most: int) -> None:
    """Raises ValueError if lists and objects are nested more than `most` levels deep."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {most} levels deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice[:60]!r} occurs twice in one object")
    return found


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _require_encodable(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it has half a surrogate pair, which is not a character") from None
