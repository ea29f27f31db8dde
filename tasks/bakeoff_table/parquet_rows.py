"""Parquet -> rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bakeoff.plugin import DataError, quoted
from bakeoff_table.cells import require_columns
from bakeoff_table.contents import Contents
from bakeoff_table.values import Row, label_name

if TYPE_CHECKING:
    import pyarrow as pa


def parquet_rows(contents: Contents, wanted: Sequence[str]) -> Iterator[Row]:
    """Raises DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file, row = contents.file, 0
    try:
        contents.copy.seek(0)
        opened = pq.ParquetFile(contents.copy)
        require_columns(opened.schema_arrow.names, wanted, file)
        for batch in opened.iter_batches(batch_size=10_000, columns=list(dict.fromkeys(wanted))):
            for found in with_texts(batch).to_pylist():
                row += 1
                yield row, 1, 0, found
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{file.shown}: no Parquet file that can be read: {quoted(error)}") from None


def with_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bytes are texts in UTF-8, as older writers of Parquet store them. Raises ArrowInvalid where they are none."""
    import pyarrow as pa

    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    columns = [column.cast(pa.string()) if any(kind(column.type) for kind in kinds) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def names_told(contents: Contents, label: str) -> list[str] | None:
    """The label names that the hub's datasets keep in a Parquet file beside their numbers; None where there are none."""
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
