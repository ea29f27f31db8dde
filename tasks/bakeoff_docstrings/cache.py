"""Pairs on disk: reading thousands of sources takes seconds, reading one file does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from bakeoff.plugin import DataError, Tree, read_regular
from bakeoff_docstrings.pairs import Pair


def cache_file(folder: Path, key: Mapping[str, object]) -> Path:
    """The file for what decides the pairs: another key, another file."""
    return folder / "docstrings" / f"{sha256(_canonical(key)).hexdigest()[:16]}.json"


def load_pairs(path: Path) -> list[Pair] | None:
    """The pairs of a cache file; None where it is missing or damaged, since the sources give the same again."""
    try:
        digest, _, payload = read_regular(path).partition(b"\n")
    except OSError:
        return None
    if digest != sha256(payload).hexdigest().encode():
        return None
    return [Pair(**row) for row in json.loads(payload)["pairs"]]


def save_pairs(path: Path, key: Mapping[str, object], pairs: Sequence[Pair]) -> None:
    """Writes the file whole or not at all: many runs may look at it while one writes."""
    payload = _canonical({"key": key, "pairs": [asdict(pair) for pair in pairs]})
    cache = Tree(path.parent)
    try:
        cache.make(path.parent)
        cache.write(path, sha256(payload).hexdigest().encode() + b"\n" + payload, synced=False)
    except OSError as error:
        raise DataError(f"docstrings cannot write its cache {path}: {error.strerror}") from error


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
