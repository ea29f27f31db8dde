"""Encodes texts once for all runs: rows are cached in Arrow files and memory-mapped, so that no run holds all of them."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.contracts.model import Prepared
from bakeoff.contracts.returned import required
from bakeoff.contracts.task import Row
from bakeoff.errors import PluginError
from bakeoff.toolkit.arrow_cache import cached_table
from bakeoff.training.data import AT_ONCE, Lazy

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "tokens"
"""Folder of encoded rows in the cache."""


class Encoded(Lazy[Row]):
    """Encoded rows in Arrow columns of lists of integers. A cached file may consist of parts of any size."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = len(table)
        self.columns = {
            name: [(part.offsets.to_numpy(), part.values.to_numpy()) for part in table[name].chunks]
            for name in table.column_names
        }
        """Name -> for each part, (offsets of its rows, values of all its rows)."""
        first = next(iter(self.columns.values()), [])
        self.starts = list(accumulate((len(edges) - 1 for edges, _ in first), initial=0))
        """The number of each part's first row; then the number of all rows."""

    def __len__(self) -> int:
        return self.rows

    def item(self, number: int) -> Row:
        part = bisect_right(self.starts, number) - 1
        row = number - self.starts[part]
        columns = ((name, *parts[part]) for name, parts in self.columns.items())
        return {name: values[edges[row] : edges[row + 1]].tolist() for name, edges, values in columns}


def encode(prepared: Prepared, columns: Mapping[str, Sequence[str]], *, cache: Path, fingerprint: str) -> Sequence[Row]:
    """Encodes all rows of a split, or reads the encoded rows from the cache. fingerprint: a hash of the rows.

    Nothing is cached for a model whose `encoding_key` is None.
    """
    import pyarrow as pa

    key = prepared.encoding_key()
    if key is None:
        return encoded_by(prepared, columns)
    name = hashlib.sha256(f"{fingerprint}\n{key}".encode()).hexdigest()
    total = len(next(iter(columns.values())))

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, total, AT_ONCE):
            rows = encoded_by(prepared, {name: values[start : start + AT_ONCE] for name, values in columns.items()})
            arrays = {name: [row[name] for row in rows] for name in rows[0]}
            yield pa.record_batch({name: pa.array(values, pa.list_(pa.int32())) for name, values in arrays.items()})

    def fits(table: pa.Table) -> bool:
        return len(table) == total and all(field.type == pa.list_(pa.int32()) for field in table.schema)

    table = cached_table(cache / FOLDER / f"{name}.arrow", batches, fits=fits)
    return [] if table is None else Encoded(table)


def encoded_by(prepared: Prepared, columns: Mapping[str, Sequence[str]]) -> Sequence[Row]:
    """Calls the model's `encode` and returns the result. Raises PluginError unless that is one mapping for each row."""
    of = "the model's `encode`"
    rows: Sequence[Row] = required(prepared.encode(columns), Sequence, of=of, must="a list with a dict for each text")
    if len(rows) != (texts := len(next(iter(columns.values())))):
        raise PluginError(f"{of} returned {len(rows)} rows for {texts} texts; it must return a dict for each")
    if rows and not isinstance(rows[0], Mapping):
        raise PluginError(
            f"{of} returned rows that are {type(rows[0]).__name__}; each must be a dict, as {{'input_ids': [...]}}"
        )
    return rows


def in_parts(rows: Sequence[Row]) -> Iterator[tuple[int, dict[str, tuple[Any, Any]]]]:
    """Yields encoded rows in parts: (number of the part's first row, column -> (offsets of its rows, values of all its rows)).

    Columns that hold anything but lists of integers are left out.
    """
    if isinstance(rows, Encoded):
        for part, start in enumerate(rows.starts[:-1]):
            yield start, {name: parts[part] for name, parts in rows.columns.items()}
        return
    for start in range(0, len(rows), AT_ONCE):
        chunk = [rows[number] for number in range(start, min(start + AT_ONCE, len(rows)))]
        columns = {}
        for name in chunk[0]:
            lists = [row.get(name) for row in chunk]
            if all(isinstance(values, list) and all(isinstance(value, int) for value in values) for values in lists):
                edges = np.fromiter(accumulate((len(values or ()) for values in lists), initial=0), np.int64)
                columns[name] = edges, np.fromiter((value for values in lists for value in values or ()), np.int64)
        yield start, columns
