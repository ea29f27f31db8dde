"""Texts encoded once for all runs: kept in Arrow files of the cache, and mapped from there, so that no run holds them all."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.contracts.model import Prepared
from bakeoff.contracts.task import Row
from bakeoff.toolkit.arrow_cache import cached_table
from bakeoff.training.data import Lazy

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "tokens"
"""In the cache."""
AT_ONCE = 10_000
"""Rows that are encoded together. A file in the cache may have been written in parts of another size."""


class Encoded(Lazy[Row]):
    """Rows of lists of whole numbers, in Arrow's columns."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = len(table)
        self.columns = {
            name: [(part.offsets.to_numpy(), part.values.to_numpy()) for part in table[name].chunks]
            for name in table.column_names
        }
        """Name -> of each part, where rows begin and end, and all their values."""
        first = next(iter(self.columns.values()), [])
        self.starts = list(accumulate((len(edges) - 1 for edges, _ in first), initial=0))
        """The number of each part's first row, and the number of all rows."""

    def __len__(self) -> int:
        return self.rows

    def item(self, number: int) -> Row:
        part = bisect_right(self.starts, number) - 1
        row = number - self.starts[part]
        found = {}
        for name, parts in self.columns.items():
            edges, values = parts[part]
            found[name] = values[edges[row] : edges[row + 1]].tolist()
        return found


def encode(prepared: Prepared, columns: Mapping[str, Sequence[str]], *, cache: Path, fingerprint: str) -> Sequence[Row]:
    """All rows encoded; `fingerprint` is their split's.

    Where the model says by `encoding_key` on what its encoding hangs, that is done once and kept in the cache.
    """
    import pyarrow as pa

    key = prepared.encoding_key()
    if key is None:
        return prepared.encode(columns)
    name = hashlib.sha256(f"{fingerprint}\n{key}".encode()).hexdigest()

    def batches() -> Iterator[pa.RecordBatch]:
        for part in parts_of(columns):
            rows = prepared.encode(part)
            arrays = {name: [row[name] for row in rows] for name in rows[0]}
            yield pa.record_batch({name: pa.array(values, pa.list_(pa.int32())) for name, values in arrays.items()})

    def fits(table: pa.Table) -> bool:
        return len(table) == rows_of(columns) and all(field.type == pa.list_(pa.int32()) for field in table.schema)

    table = cached_table(cache / FOLDER / f"{name}.arrow", batches, fits=fits)
    return [] if table is None else Encoded(table)


def rows_of(columns: Mapping[str, Sequence[str]]) -> int:
    return len(next(iter(columns.values())))


def parts_of(columns: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Sequence[str]]]:
    for start in range(0, rows_of(columns), AT_ONCE):
        yield {name: values[start : start + AT_ONCE] for name, values in columns.items()}


def in_parts(rows: Sequence[Row]) -> Iterator[tuple[int, dict[str, tuple[Any, Any]]]]:
    """Encoded rows column by column: the number of a part's first row, and name -> (where rows begin and end, their values).

    Columns that hold anything but lists of whole numbers are left out.
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
