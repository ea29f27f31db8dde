"""Reads texts from a file of new rows: CSV, TSV, JSON lines or Parquet whose columns have the names of the task's text
columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.task import NewRows
from bakeoff.errors import DataError
from bakeoff.files import open_regular
from bakeoff.text.words import did_you_mean, escaped, quoted, shown_path

FORMATS: Final = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
ID: Final = "id"
"""The column that identifies rows; in files without it rows are numbered from 0."""
LONGEST_CELL: Final = 2**24
"""The most characters that a cell of a CSV file may have."""


def read_row_file(path: Path, columns: Sequence[str]) -> NewRows:
    """The texts in these columns of the file, and the rows' ids. Raises DataError that names the line or row if there is
    one."""
    ids, texts = list[str](), {name: list[str]() for name in columns}
    for place, row in rows_in(path, columns):
        if lacking := [name for name in columns if name not in row]:
            raise DataError(
                f"{place}: {did_you_mean('column', lacking[0], row)}; the model reads {', '.join(map(quoted, columns))}"
            )
        for name in columns:
            if not isinstance(text := row[name], str) or not text.strip():
                what = "is empty" if text is None or text == "" or isinstance(text, str) else f"holds {quoted(text)}, no text"
                raise DataError(f"{place}: column {quoted(name)} {what}: each row needs a text")
            texts[name].append(text)
        ids.append(str(row.get(ID, len(ids))))
    return NewRows(ids, texts)


def rows_in(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields (place, row) for each row of a file: the place as messages name it, and the row's cells by column, at least those
    of `columns` and `id` that the file has. Raises DataError if the file can't be read, or has no rows."""
    if (form := FORMATS.get(path.suffix.lower())) is None:
        raise DataError(f"{shown_path(path)}: its name must end in {', '.join(FORMATS)}")
    is_empty = True
    try:
        for found in _parquet(path, columns) if form == "parquet" else _lines(path, form):
            is_empty = False
            yield found
    except OSError as error:
        raise DataError(f"{shown_path(path)}: {error.strerror or error}") from None
    if is_empty:
        raise DataError(f"{shown_path(path)} has no rows")


def _lines(path: Path, form: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields (place, row) for each row of a text file."""
    shown = shown_path(path)
    with open_regular(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as lines:
        try:
            yield from _json_lines(lines, shown) if form == "jsonl" else _cells(lines, shown, form)
        except UnicodeDecodeError as error:
            raise DataError(f"{shown} is not UTF-8 text ({error.reason}): save it as UTF-8") from None
        except csv.Error as error:
            raise DataError(f"{shown}: {escaped(error)}") from None


def _cells(lines: io.TextIOWrapper, shown: str, form: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        if form == "tsv":
            reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            reader = csv.DictReader(lines, strict=True)
        for row in reader:
            place = f"{shown}:{reader.line_num}"
            if None in row:
                raise DataError(f"{place}: it has {len(row) - 1 + len(row[None])} cells, and the header names {len(row) - 1}")
            yield place, row
    finally:
        csv.field_size_limit(before)


def _json_lines(lines: io.TextIOWrapper, shown: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{shown}:{number}: not JSON: {escaped(error)}") from None
        if not isinstance(row, dict):
            raise DataError(f"{shown}:{number}: each line must be an object, and this is {quoted(line[:40])}")
        yield f"{shown}:{number}", row


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = shown_path(path)
    try:
        with open_regular(path) as stream:
            file = pq.ParquetFile(stream)
            wanted = [name for name in file.schema_arrow.names if name in {*columns, ID}]
            number = 0
            for batch in file.iter_batches(columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    yield f"{shown}, row {number}", row
                    number += 1
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{shown} is not a readable Parquet file: {escaped(error)}") from None
