"""Compact JSON for a list of mappings with the same keys: values that all share stand once, others as one list a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

FEW: Final = 4
"""A list of at most this many mappings is not made compact."""
SAME, EACH = "same", "each"


def in_columns(parts: Sequence[dict[str, Any]]) -> Any:
    """The mappings in compact form: `{"same": {key: value}, "each": {key: [one value for each mapping]}}`.

    At most `FEW` mappings, and mappings with different keys, are returned unchanged. `in_rows` is the inverse.
    """
    if len(parts) <= FEW or any(part.keys() != parts[0].keys() for part in parts):
        return parts
    columns = {key: [part[key] for part in parts] for key in parts[0]}
    same = {key: values[0] for key, values in columns.items() if all(value == values[0] for value in values)}
    found = {SAME: same, EACH: {key: values for key, values in columns.items() if key not in same}}
    return found if in_rows(found) == list(parts) else parts


def in_rows(plain: Any) -> Any:
    """The list of mappings that `in_columns` made compact; any other value is returned unchanged."""
    if not isinstance(plain, dict) or plain.keys() != {SAME, EACH}:
        return plain
    same, columns = plain[SAME], plain[EACH]
    if not isinstance(same, dict) or not isinstance(columns, dict):
        return plain
    lengths = {len(values) if isinstance(values, list) else None for values in columns.values()}
    if len(lengths) != 1 or None in lengths:
        return plain
    return [{**same, **dict(zip(columns, values, strict=True))} for values in zip(*columns.values(), strict=True)]
