"""Reads rows from Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import DataError, quoted
from bakeoff_table.cells import require_columns
from bakeoff_table.contents import ALWAYS_UNPACKED, LARGEST_RATIO, Contents, limit_of
from bakeoff_table.values import Row, label_name

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 10_000
"""How many rows are held as Python objects at a time."""
LEAST_BYTES = 4
"""The least memory of a value, in bytes; a text needs an offset of that size."""


def parquet_rows(contents: Contents, wanted: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of a Parquet file with the wanted columns. Raises DataError if it can't be read or lacks one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file, row = contents.file, 0
    try:
        contents.copy.seek(0)
        opened = pq.ParquetFile(contents.copy)
        require_columns(opened.schema_arrow.names, wanted, file)
        columns = {name: opened.schema_arrow.field(name).type for name in wanted}
        ByteBudget(contents).take(opened.metadata.num_rows * len(columns) * LEAST_BYTES)  # before any value is read
        budget = ByteBudget(contents)
        opened = pq.ParquetFile(contents.copy, read_dictionary=[name for name, kind in columns.items() if is_text(kind)])
        at_once = rows_at_once(opened.metadata, columns.values())
        # without Arrow's threads, which now and then abort the process when it ends: apache/arrow#34314
        for batch in opened.iter_batches(batch_size=at_once, columns=list(columns), use_threads=False):
            budget.take(sum(map(size_of, batch.columns)))
            for found in with_texts(batch).to_pylist():
                row += 1
                yield row, 1, 0, found
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{file.shown}: not a readable Parquet file: {quoted(error)}") from None


class ByteBudget:
    """Counts how many more bytes a file may unpack to."""

    def __init__(self, contents: Contents) -> None:
        self.file, self.left = contents.file, limit_of(contents.size)

    def take(self, size: int) -> None:
        """Raises DataError if `size` more bytes are too many."""
        self.left -= size
        if self.left < 0:
            raise DataError(
                f"{self.file.shown}: it unpacks to over {LARGEST_RATIO} times its size, as if all rows held one value: if they "
                "do, save its rows as CSV"
            )


def is_text(kind: pa.DataType) -> bool:
    """Whether a column contains texts, which are read as a dictionary: each distinct text once."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(of(kind) for of in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary))


def size_of(column: pa.Array) -> int:
    """The memory that a column's values take, in bytes; texts of a dictionary count once for each row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_dictionary(column.type) and is_text(column.type)):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
    return int(pc.sum(lengths).as_py() or 0) + LEAST_BYTES * len(column)


def rows_at_once(footer: Any, kinds: Iterable[pa.DataType]) -> int:
    """How many rows to read at a time so that they fit into memory; texts in lists and structs take memory for each row."""
    import pyarrow as pa

    if all(is_text(kind) or pa.types.is_primitive(kind) for kind in kinds):
        return AT_ONCE
    # a group's own sizes: pyarrow 26.0 ends the process where those of a damaged column are asked for
    largest = max((footer.row_group(number).total_byte_size for number in range(footer.num_row_groups)), default=1)
    return max(1, min(AT_ONCE, ALWAYS_UNPACKED // max(1, largest)))


def with_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its texts as plain UTF-8 columns; older writers of Parquet store texts as binary columns. Raises
    ArrowInvalid if those are not UTF-8."""
    import pyarrow as pa

    def plain(column: pa.Array) -> pa.Array:
        if pa.types.is_dictionary(column.type) and is_text(column.type):
            column = column.dictionary_decode()
        return column.cast(pa.string()) if is_text(column.type) or pa.types.is_binary_view(column.type) else column

    return pa.RecordBatch.from_arrays([plain(column) for column in batch.columns], names=batch.schema.names)


def names_in_file(contents: Contents, label: str) -> list[str] | None:
    """The label names that a hub dataset's Parquet file stores in its metadata for the column `label`; None if there are
    none."""
    if contents.file.format != "parquet":
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        contents.copy.seek(0)
        told = (pq.read_schema(contents.copy).metadata or {}).get(b"huggingface", b"{}")
        feature = json.loads(told)["info"]["features"][label]
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)  # a list, as it was once written
        names = feature.get("names")
    except (OSError, pa.ArrowException, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return [label_name(name) or name for name in names]
