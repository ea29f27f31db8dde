"""Reads a record's Parquet file as a table, after checking it against what the record declares and before any column is
decoded.

The file may come from a stranger, and a few megabytes can decode to more than fits into memory. Types, rows, values and sizes
are in the file's footer, so they are checked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import DamageError
from bakeoff.files import ALWAYS_READ, LARGEST_RATIO
from bakeoff.records.parquet_layout import Group, layout_of
from bakeoff.text.words import escaped, one_line, quoted, shown_path

TEXT: Final = "text"
WIDTHS: Final = {TEXT: 4096, "int32": 4, "int64": 8, "float": 4, "double": 8, "list of float": 4}
"""Type of a column -> the most bytes of a value, averaged over rows; for a list, the bytes of each of its numbers."""
SLACK: Final = 2**26
"""Bytes that a file, or a column, may have beyond what its rows need."""
ROWS_OF_A_GROUP: Final = 1000
"""A file may have one row group for each so many rows, and one more: reading many small groups would take long."""
FURTHER_COLUMNS: Final = 1000
"""The most columns of text beyond those in `Expected.columns`."""


class FlawError(ValueError):
    """Says what is wrong inside a file, with column and row but without the file's name."""


@dataclass(frozen=True)
class Expected:
    """The format that one of a record's Parquet files must have."""

    columns: Mapping[str, str]
    """Name -> type (a key of `WIDTHS`)."""
    rows: int
    width: int = 1
    """How many numbers each list has."""
    texts: str = ""
    """The prefix of the names of further columns, which hold texts; empty if no further columns are allowed."""

    @property
    def most_bytes(self) -> int:
        """The largest size of the file; a larger one is not opened."""
        kinds = [*self.columns.values(), *([TEXT] if self.texts else [])]
        return SLACK + 2 * self.rows * sum(WIDTHS[kind] * self.values(kind) for kind in kinds)

    @property
    def decoded(self) -> int:
        """Bytes of all numbers once decoded."""
        return self.rows * sum(WIDTHS[kind] * self.values(kind) for kind in self.columns.values() if kind != TEXT)

    @property
    def most_text(self) -> int:
        """The most bytes of text in a column."""
        return SLACK + self.rows * WIDTHS[TEXT]

    def values(self, kind: str) -> int:
        """How many values each row has in a column of this type."""
        return self.width if kind == "list of float" else 1


@contextmanager
def errors_as_damage(path: Path) -> Iterator[None]:
    """Turns errors that a damaged file can cause within the block into a DamageError that names the file."""
    import pyarrow as pa

    try:
        yield
    except (FlawError, ValueError, OSError, MemoryError, OverflowError, pa.ArrowException) as error:
        why = one_line(error) or type(error).__name__
        raise DamageError(f"{shown_path(path)} is damaged: {why[:300]}") from None


def read_table(content: bytes, expected: Expected) -> Any:
    """Parses a Parquet file into a pyarrow table, after checking that its columns, rows and sizes are as expected.

    Raises FlawError, or an error of pyarrow or Python, for a damaged file: call it within `errors_as_damage(path)`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if expected.decoded > max(ALWAYS_READ, LARGEST_RATIO * len(content)):
        raise FlawError(f"its record says {expected.rows:,} rows, which need over {LARGEST_RATIO} times the bytes of the file")
    file = pq.ParquetFile(pa.BufferReader(content), arrow_extensions_enabled=False)
    kinds = _require_columns(file.schema_arrow, expected)
    _require_rows(file.metadata.num_rows, file.metadata.num_row_groups, expected)
    sizes = _require_sizes(layout_of(content), kinds, expected)
    packed = [name for name, kind in kinds.items() if kind == TEXT and sizes[name] * expected.rows > expected.most_text]
    if packed:  # one text may stand in many rows: until their length is known, it is kept once
        file = pq.ParquetFile(pa.BufferReader(content), arrow_extensions_enabled=False, read_dictionary=packed)
    table = file.read(use_threads=False)
    table.validate(full=True)  # texts that are UTF-8, offsets within their columns
    for name in packed:
        table = table.set_column(table.column_names.index(name), name, _unpacked(name, table[name], expected))
    return table.combine_chunks()


def _require_columns(schema: Any, expected: Expected) -> dict[str, str]:
    """Name -> type of each column. Raises FlawError unless these are the expected columns and types."""
    kinds: dict[str, str] = {}
    for column in schema:
        if column.name in kinds:
            raise FlawError(f"column {quoted(column.name)} occurs twice")
        further = bool(expected.texts) and column.name.startswith(expected.texts)
        wanted = expected.columns.get(column.name, TEXT if further else "")
        kinds[column.name] = wanted
        if not wanted:
            raise FlawError(f"column {quoted(column.name)} is unknown; valid: {', '.join(expected.columns)}")
        if (found := _kind_of(column.type)) != wanted:
            raise FlawError(f"column {quoted(column.name)} is of type {quoted(found)}, not {wanted}")
    if len(kinds) > len(expected.columns) + FURTHER_COLUMNS:
        raise FlawError(f"it has {len(kinds):,} columns, and {len(expected.columns) + FURTHER_COLUMNS:,} is the most")
    if missing := [name for name in expected.columns if name not in kinds]:
        raise FlawError(f"column {quoted(missing[0])} is missing")
    return kinds


def _kind_of(found: Any) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_string(found):
        return TEXT
    return "list of float" if pa.types.is_list(found) and pa.types.is_float32(found.value_type) else str(found)


def _require_rows(rows: int, groups: int, expected: Expected) -> None:
    """Raises FlawError unless the footer gives the expected number of rows, in a plausible number of row groups."""
    if rows != expected.rows:
        raise FlawError(f"it has {rows:,} rows instead of the {expected.rows:,} of its record")
    if groups > 1 + rows // ROWS_OF_A_GROUP:
        raise FlawError(f"its {rows:,} rows are split into {groups:,} row groups, which are too many")


def _require_sizes(groups: Sequence[Group], kinds: Mapping[str, str], expected: Expected) -> dict[str, int]:
    """Column -> its size in bytes, decompressed but not decoded. Raises FlawError unless rows, values and sizes fit the
    expected number of rows."""
    _require_rows(sum(rows for rows, _ in groups), len(groups), expected)
    sizes = dict.fromkeys(kinds, 0)
    for rows, chunks in groups:
        if rows < 0 or [chunk.path[:1] for chunk in chunks] != [(name,) for name in kinds]:
            raise FlawError("its row groups differ in their columns")
        for name, chunk in zip(kinds, chunks, strict=True):
            values = rows * expected.values(kinds[name])
            if chunk.values != values:
                raise FlawError(f"column {quoted(name)} has {chunk.values:,} values, not {values:,}")
            sizes[name] += chunk.unpacked
            if sizes[name] > SLACK + 2 * expected.rows * expected.values(kinds[name]) * WIDTHS[kinds[name]]:
                raise FlawError(f"column {quoted(name)} would decode to {sizes[name]:,} bytes, more than its rows can need")
    return sizes


def _unpacked(name: str, column: Any, expected: Expected) -> Any:
    """Decodes a dictionary-encoded column of texts. Raises FlawError if it would become too large."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return column
    length: int = sum(
        pc.sum(pc.binary_length(chunk.dictionary).cast(pa.int64()).take(chunk.indices)).as_py() or 0 for chunk in column.chunks
    )
    if length > expected.most_text:
        raise FlawError(f"column {quoted(name)} has {length:,} bytes of text, more than {WIDTHS[TEXT]:,} a row")
    return column.cast(pa.string())


# --- values --------------------------------------------------------------------------------------------------------------


def require_whole(table: Any, names: Sequence[str]) -> None:
    """Raises FlawError where a value of these columns is missing."""
    for name in names:
        if table[name].null_count:
            missing = table[name].is_null().to_numpy(zero_copy_only=False)
            raise FlawError(f"column {quoted(name)}, row {int(np.argmax(missing)) + 1}: the value is missing")


def require(
    valid: NDArray[np.bool_], column: str, values: Any, flaw: str, rows: Sequence[int] | NDArray[np.int64] | None = None
) -> None:
    """Raises FlawError for the first value that is not valid, as `VALUE is FLAW`, with its row, counted from 1.

    valid, values: (n,). rows: (n,) indices into the file, counted from 0; by default 0 to n - 1.
    """
    if not valid.all():
        first = int(np.argmin(valid))
        row = first if rows is None else int(rows[first])
        raise FlawError(f"column {quoted(column)}, row {row + 1}: {escaped(str(values[first]))[:80]} is {flaw}")
