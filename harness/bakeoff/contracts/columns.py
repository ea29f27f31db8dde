"""The compact form of many mappings with the same keys in a record's file: common values once, the others by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

FEW: Final = 4
"""The most mappings that are written one after the other."""
SAME, EACH = "same", "each"


def in_columns(parts: Sequence[dict[str, Any]]) -> Any:
    """`{"same": {key: value}, "each": {key: [a value of each part]}}`; the parts as they are where they are few, or not of one
    shape. `in_rows` gives them back."""
    if len(parts) <= FEW or any(part.keys() != parts[0].keys() for part in parts):
        return parts
    columns = {key: [part[key] for part in parts] for key in parts[0]}
    same = {key: values[0] for key, values in columns.items() if all(value == values[0] for value in values)}
    found = {SAME: same, EACH: {key: values for key, values in columns.items() if key not in same}}
    return found if in_rows(found) == list(parts) else parts


def in_rows(plain: Any) -> Any:
    """The inverse of `in_columns`; anything else is returned as it is."""
    if not isinstance(plain, dict) or plain.keys() != {SAME, EACH}:
        return plain
    same, columns = plain[SAME], plain[EACH]
    if not isinstance(same, dict) or not isinstance(columns, dict):
        return plain
    lengths = {len(values) if isinstance(values, list) else None for values in columns.values()}
    if len(lengths) != 1 or None in lengths:
        return plain
    return [{**same, **dict(zip(columns, values, strict=True))} for values in zip(*columns.values(), strict=True)]
