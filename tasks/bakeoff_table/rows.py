"""Rows of files in four formats, in whatever state people have them: each with its line, or an error that names it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bakeoff.plugin import DataError, quoted, unknown
from bakeoff_table.options import FORMATS, TableOptions

Row = tuple[int, Mapping[str, Any]]
"""Line, or in Parquet row, from 1; and its cells by column."""
LONGEST_CELL = 2**24
"""Characters: a quotation mark that is never closed would take in the rest of the file."""
PACKED = {b"\x1f\x8b": "compressed by gzip: unpack it first", b"PK": "a ZIP archive or a workbook: save its rows as CSV"}
"""By the first two bytes."""
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
OTHER_DELIMITERS = {";": "';'", "\t": "'\\t'", "|": "'|'", ",": "','"}


@dataclass(frozen=True)
class File:
    """A file as it lies here, and as messages call it."""

    path: Path
    shown: str
    format: str
    """csv, tsv, jsonl or parquet."""

    def at(self, line: int) -> str:
        return f"{self.shown}:{line}"


def format_of(name: str, options: TableOptions) -> str:
    """A file's format; raises DataError where it can't be told."""
    ending = Path(name).suffix.lower()
    if options.format is None and ending not in FORMATS:
        raise DataError(f"{name}: its name tells no format: say `format:` csv, tsv, jsonl or parquet")
    return options.format or FORMATS[ending]


def rows_of(file: File, options: TableOptions) -> Iterator[Row]:
    """Raises DataError with file and line."""
    wanted = [*options.text, *options.label, *options.slices, *([options.id] if options.id else [])]
    try:
        match file.format:
            case "jsonl":
                yield from json_rows(file, wanted)
            case "parquet":
                yield from parquet_rows(file, wanted)
            case _:
                yield from cells_of(file, options, wanted)
    except OSError as error:
        raise DataError(f"{file.shown}: {error.strerror or error}") from None


# --- CSV and TSV -----------------------------------------------------------------------------------------------------------


def cells_of(file: File, options: TableOptions, wanted: Sequence[str]) -> Iterator[Row]:
    delimiter = options.delimiter or ("\t" if file.format == "tsv" else ",")
    encoding = "utf-8-sig" if options.encoding == "utf-8" else options.encoding
    quoting = csv.QUOTE_NONE if options.quoting == "none" else csv.QUOTE_MINIMAL
    csv.field_size_limit(LONGEST_CELL)
    with file.path.open(encoding=encoding, newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, quoting=quoting, strict=True)
        names = options.columns
        if names is not None:
            require_columns(names, wanted, file)
        first = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise DataError(f"{file.at(first)}: {of_quotes(error, options)}") from None
            except UnicodeError as error:
                raise DataError(undecodable(file, options.encoding, error)) from None
            line, first = first, reader.line_num + 1
            if not cells:
                continue  # an empty line
            if names is None:
                names = [name.strip().removeprefix("\ufeff") for name in cells]
                if names[0].startswith("ï»¿"):
                    raise DataError(f"{file.at(line)}: it begins like UTF-8: leave out `encoding: {options.encoding}`")
                require_columns(names, wanted, file, delimiter)
                continue
            if len(cells) != len(names):
                of = "columns are named" if options.columns else "the header has"
                raise DataError(f"{file.at(line)}: {len(cells)} cells where {of} {len(names)}")
            yield line, dict(zip(names, cells, strict=True))


def of_quotes(error: csv.Error, options: TableOptions) -> str:
    told = {
        "expected after": "a quotation mark stands in the middle of a quoted cell",
        "end of data": "a quoted cell begins in this row and does not end",
        "field limit": f"a cell is longer than {LONGEST_CELL:,} characters, as if its quotation mark were never closed",
    }
    what = next((words for part, words in told.items() if part in str(error)), None)
    if what is None or options.quoting == "none":
        return f"no row of cells can be read: {error}"
    return f"{what}; write it twice inside of a cell, or say `quoting: none` where the file knows no quoting"


def undecodable(file: File, encoding: str, error: UnicodeError) -> str:
    """With the line, found by reading once more."""
    with file.path.open("rb") as stream:
        mark = stream.read(2)
        if (packed := PACKED.get(mark)) is not None:
            return f"{file.shown}: it is {packed}"
        if encoding == "utf-8" and (guess := BYTE_ORDER_MARKS.get(mark)):
            return f"{file.at(1)}: it is no UTF-8 but begins like UTF-16: say `encoding: {guess}`"
        if "\n".encode(encoding) != b"\n":  # then bytes tell no lines
            return f"{file.shown}: it is no {encoding}: {error}"
        stream.seek(0)
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeError as found:
                byte = f"byte 0x{line[found.start]:02x}" if isinstance(found, UnicodeDecodeError) else "a byte"
                hint = "; of files from Excel it is often `encoding: cp1252`" if encoding == "utf-8" else ""
                return f"{file.at(number)}: {byte} is no {encoding}{hint}"
    return f"{file.shown}: it is no {encoding}: {error}"


def require_columns(names: Sequence[str], wanted: Sequence[str], file: File, delimiter: str = "") -> None:
    """Raises DataError for a header without a wanted column, or with one twice."""
    for name in wanted:
        if names.count(name) > 1:
            raise DataError(f"{file.shown}: {names.count(name)} columns are named {quoted(name)}")
        if name not in names:
            hint = ""
            if len(names) == 1 and delimiter:
                held = [shown for other, shown in OTHER_DELIMITERS.items() if other != delimiter and other in names[0]]
                hint = f"; it is one column: is the delimiter another? Then say `delimiter: {held[0]}`" if held else ""
            raise DataError(f"{file.shown}: {unknown('column', name, names)}{hint}")


# --- JSON lines ------------------------------------------------------------------------------------------------------------


def json_rows(file: File, wanted: Sequence[str]) -> Iterator[Row]:
    names: dict[str, None] = {}
    with file.path.open("rb") as stream:
        for line, raw in enumerate(stream, start=1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
                if not text:
                    continue
                row = json.loads(text)
            except UnicodeDecodeError as error:
                raise DataError(f"{file.at(line)}: byte 0x{raw[error.start]:02x} is no utf-8") from None
            except json.JSONDecodeError as error:
                if not names and (text.startswith("[") or text == "{"):
                    raise DataError(f"{file.at(line)}: JSON over several lines: the file must hold an object a line") from None
                raise DataError(f"{file.at(line)}:{error.colno}: no JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:  # a number of 5,000 digits; lists in lists in lists
                raise DataError(f"{file.at(line)}: no JSON that can be read: {quoted(error)}") from None
            if not isinstance(row, dict):
                what = "an array: the file must hold an object a line" if isinstance(row, list) else f"{quoted(row)}, no object"
                raise DataError(f"{file.at(line)}: the line is {what}")
            names |= dict.fromkeys(row)
            yield line, row
    if names:
        require_columns(list(names), wanted, file)


# --- Parquet ---------------------------------------------------------------------------------------------------------------


def parquet_rows(file: File, wanted: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as opened:
            require_columns(opened.schema_arrow.names, wanted, file)
            row = 0
            for batch in opened.iter_batches(batch_size=10_000, columns=list(dict.fromkeys(wanted))):
                for found in batch.to_pylist():
                    row += 1
                    yield row, found
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{file.shown}: no Parquet file that can be read: {quoted(error)}") from None


def names_told(file: File, label: str) -> list[str] | None:
    """The label names that the hub's datasets keep in a Parquet file beside their numbers; None where there are none."""
    if file.format != "parquet":
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        told = (pq.read_schema(file.path).metadata or {}).get(b"huggingface", b"{}")
        feature = json.loads(told)["info"]["features"][label]
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)  # a list, as it was once written
        names = feature.get("names")
    except (OSError, pa.ArrowException, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return [name.strip() for name in names]


# --- cells -----------------------------------------------------------------------------------------------------------------


def is_gap(value: Any) -> bool:
    """Nothing, or white space, or Parquet's word for a number that is missing."""
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and math.isnan(value))


def label_name(value: Any) -> str | None:
    """A label as a word: numbers without a needless fraction; None for what can be none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float | Decimal) else None


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str) and "_" in value:  # Python's own way to write a thousand
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def membership(value: Any) -> bool | None:
    """A cell of a column of 0 and 1."""
    if (found := number(value)) is not None:
        return {0.0: False, 1.0: True}.get(found)
    return {"false": False, "true": True}.get((label_name(value) or "").lower())
