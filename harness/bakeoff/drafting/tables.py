"""Reads a file of rows without being told how it is written: finds out format, encoding, delimiter and header."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from bakeoff.errors import DataError
from bakeoff.files import open_regular
from bakeoff.text.numbers import count
from bakeoff.text.words import quoted, shown_path

Format = Literal["csv", "tsv", "jsonl", "parquet"]
BY_ENDING: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
"""The ending of a file's name -> its format, as the option `format` of the task `table` names it."""
UNREADABLE: Final = {
    b"PK\x03\x04": "it is a ZIP archive or a workbook: save its rows as CSV",
    b"\xd0\xcf\x11\xe0": "it is a workbook of old Excel: save its rows as CSV",
    b"BZh": "it is compressed by bzip2: unpack it first",
    b"\xfd7zXZ": "it is compressed by xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed by Zstandard: unpack it first",
    b"SQLite format 3": "it is a database: export the rows as CSV",
    b"%PDF": "it is a PDF document",
}
"""How files begin -> why such a file has no rows to read."""
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
MOST_ROWS: Final = 200_000
"""The most rows that are read of a file; a longer one is judged by its first rows."""
MOST_BYTES: Final = 2**28
"""Bytes that are read of a file, counted after unpacking if it is compressed."""
TRIED_ROWS: Final = 200
"""The first rows, from which delimiter, quoting and header are found out."""
TRIED_BYTES: Final = 2**18
DELIMITERS: Final = (",", "\t", ";", "|")
QUOTED: Final = 0.1
"""A file quotes cells if more than this share of its first rows has a cell in quotation marks."""
LONGEST_CELL: Final = 2**24
"""The longest cell that is read, in characters; the limit of the task `table`."""
LONGEST_NAME: Final = 60
"""A cell with more characters is not taken for a column's name."""

Value = Any
"""A text, number, Boolean, list of texts, or None for what is missing."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a file of rows is written: its format, encoding, and what a format leaves open."""

    format: Format
    delimiter: str = ","
    quoting: Literal["minimal", "none"] = "minimal"
    encoding: str = "utf-8"
    header: bool = True
    """False: its first line is a row, and the columns are called column1, column2, ..."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a file, by column."""

    path: Path
    written: Written
    columns: dict[str, list[Value]]
    """Name -> cells, one for each row; None for a missing value."""
    whole: bool = True
    """False where the file has more rows than were read."""

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()), []))


def read_table(path: Path, *, delimiter: str | None = None, encoding: str | None = None, header: bool | None = None) -> Table:
    """Reads the first rows of a file. delimiter, encoding, header: None to find it out from the content. Raises DataError for
    a file without readable rows."""
    try:
        content = _content(path)
    except OSError as error:
        raise DataError(f"{shown_path(path)}: {error.strerror or error}") from None
    if not content.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise DataError(f"{shown_path(path)}: it is empty{' (NUL bytes alone)' if content.strip() else ''}")
    if why := next((why for begins, why in UNREADABLE.items() if content.startswith(begins)), None):
        raise DataError(f"{shown_path(path)}: {why}")
    ending = format_of(path)
    if content.startswith(PARQUET) or ending == "parquet":
        return _checked(_parquet(path))
    encoding = encoding or _encoding(content)
    cut = len(content) == MOST_BYTES
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding, "ignore" if cut else "strict")
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"{shown_path(path)}: it can't be read as {encoding}: {error}; name its --encoding") from None
    text = text[: text.rindex("\n")] if cut and "\n" in text else text
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{shown_path(path)}:{line}: it has NUL bytes, like an incomplete file: copy or export it again")
    begins = text.lstrip()[:1]
    if ending == "jsonl" or (ending is None and begins in "{["):
        table = _json_lines(path, text, encoding)
    else:
        table = _cells(path, text, ending or "csv", encoding, delimiter, header)
    return _checked(replace(table, whole=table.whole and not cut))


def format_of(path: Path) -> Format | None:
    """The format that the ending of a file's name shows, apart from .gz; None for another ending."""
    return BY_ENDING.get(Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower())


def _content(path: Path) -> bytes:
    with open_regular(path) as stream:
        begins = stream.peek(2)[:2]
        if begins != GZIP:
            return stream.read(MOST_BYTES)
        try:
            return gzip.GzipFile(fileobj=stream).read(MOST_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{shown_path(path)}: it can't be unpacked: {error}") from None


def _checked(table: Table) -> Table:
    where = shown_path(table.path)
    if not table.rows:
        raise DataError(f"{where}: it has a header and no rows" if table.columns else f"{where}: it has no rows")
    if len(table.columns) == 1:
        only = quoted(next(iter(table.columns)))
        raise DataError(
            f"{where}: it has one column, {only}: a text and its label are needed, in two columns (name the --delimiter if "
            "a line holds several cells)"
        )
    return table


# --- text ----------------------------------------------------------------------------------------------------------------


def _encoding(content: bytes) -> str:
    """Finds out the encoding: UTF-16 by its byte order mark or its NUL bytes; UTF-8 if the content is valid; else the
    likeliest."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = content[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) / 4 and min(even, odd) < len(head) / 50:
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= MOST_BYTES - 4:  # a character that the limit of reading cut in two
            return "utf-8"
    return _likeliest(content)


def _likeliest(content: bytes) -> str:
    """The encoding of text that is not UTF-8; cp1252, Excel's in the west, unless something else is likelier."""
    from charset_normalizer import from_bytes

    best = from_bytes(content[:TRIED_BYTES], cp_isolation=list(OLD_ENCODINGS)).best()
    found = OLD_ENCODINGS.get(best.encoding, "cp1252") if best else "cp1252"
    for name in (found, "latin-1"):
        try:
            content.decode(name)
            return name
        except UnicodeDecodeError:
            continue
    return "latin-1"


OLD_ENCODINGS: Final = {
    "cp1252": "cp1252",
    "latin_1": "cp1252",
    "cp1251": "cp1251",
    "cp1253": "cp1253",
    "cp1256": "cp1256",
    "koi8_r": "koi8-r",
    "cp932": "cp932",
    "shift_jis": "cp932",
    "euc_jp": "euc-jp",
    "euc_kr": "cp949",
    "cp949": "cp949",
    "gb18030": "gb18030",
    "big5": "big5",
}
"""What charset_normalizer calls an encoding -> the superset that programs really write."""


# --- cells ---------------------------------------------------------------------------------------------------------------


def _cells(path: Path, text: str, form: Format, encoding: str, delimiter: str | None, header: bool | None) -> Table:
    written = replace(_style(text[:TRIED_BYTES], form, delimiter), encoding=encoding)
    rows, before = list[list[str]](), 0
    try:
        for line, cells in islice(_rows(text, written), MOST_ROWS + 1):
            if rows and len(cells) != len(rows[0]):
                raise DataError(
                    f"{shown_path(path)}:{before + 1}: {count(len(cells), 'cell')} where the first row has {len(rows[0])}: is "
                    "a cell with the delimiter in it not in quotation marks?"
                )
            rows.append(cells)
            before = line
    except csv.Error as error:
        raise DataError(
            f"{shown_path(path)}:{before + 1}: it can't be read as cells between {written.delimiter!r}: {error}"
        ) from None
    if not rows:
        return Table(path=path, written=written, columns={})
    if rows[0][0].startswith("sep=") and not any(rows[0][1:]):
        raise DataError(f"{shown_path(path)}:1: this line tells Excel the delimiter: remove it")
    header = _has_header(rows[: TRIED_ROWS + 1]) if header is None else header
    names = [name.strip() for name in rows[0]] if header else [f"column{number}" for number in range(1, len(rows[0]) + 1)]
    if twice := [name for name, times in Counter(filter(None, names)).items() if times > 1]:
        raise DataError(f"{shown_path(path)}:1: {quoted(twice[0])} is the name of two columns: rename one")
    body = rows[1:] if header else rows
    columns: dict[str, list[Value]] = {name: [] for name in names if name}  # an index that pandas wrote has no name
    for place, name in enumerate(names):
        if name:
            columns[name] = [row[place] if row[place].strip() else None for row in body[:MOST_ROWS]]
    return Table(path=path, written=replace(written, header=header), columns=columns, whole=len(rows) <= MOST_ROWS)


def _rows(text: str, written: Written) -> Iterator[tuple[int, list[str]]]:
    """Yields (number of the row's last line, its cells) for every row that is not empty. Raises csv.Error."""
    csv.field_size_limit(LONGEST_CELL)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if written.quoting == "none" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=written.delimiter, quoting=quoting, strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _style(text: str, form: Format, delimiter: str | None) -> Written:
    """Finds out delimiter and quoting: those by which the most of the first rows have equally many cells, two or more.
    delimiter: as the user named it; None to find it out.

    csv.Sniffer takes the most regular character for the delimiter, which in columns of prose is often a letter or a blank.
    """
    best, score = Written(format=form, delimiter=delimiter or ("\t" if form == "tsv" else ",")), (0.0, 0)
    quotings: list[Literal["minimal", "none"]] = ["none", "minimal"] if form == "tsv" else ["minimal", "none"]
    for mark in [delimiter] if delimiter else DELIMITERS:
        for quoting in quotings:
            style = Written(format=form, delimiter=mark, quoting=quoting)
            try:
                rows = [cells for _, cells in islice(_rows(text, style), TRIED_ROWS)]
            except csv.Error:
                rows = []
            if not rows or (quoting == "none" and _quotes(rows)):
                continue
            widths = Counter(map(len, rows if len(rows) < 3 else rows[:-1]))  # the text may end within a row
            width, times = widths.most_common(1)[0]
            if width > 1 and (found := (round(times / widths.total(), 2), width)) > score and (times > 1 or len(rows) < 3):
                best, score = style, found
            if times == widths.total():
                break  # the quoting that is usual fits all rows
    return best


def _quotes(rows: Sequence[Sequence[str]]) -> bool:
    """Whether many of the rows, read as if nothing were quoted, have a cell in quotation marks."""
    quotes = sum(any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells) for cells in rows)
    return quotes > QUOTED * len(rows)


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row seems to be the columns' names: each is short, no number, and not found again further down its
    column."""
    first, rest = rows[0], rows[1:]
    names = [name.strip() for name in first]
    if not rest:
        return True
    if any(len(name) > LONGEST_NAME or is_number(name) for name in names) or not any(names):
        return False
    if any(len(name.split()) > 6 for name in names):
        return False
    return not any(name and any(row[place].strip() == name for row in rest) for place, name in enumerate(names))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- JSON and Parquet ----------------------------------------------------------------------------------------------------


def _json_lines(path: Path, text: str, encoding: str) -> Table:
    written = Written(format="jsonl", encoding=encoding)
    objects: list[dict[str, Any]] = []
    if text.lstrip().startswith("["):
        objects = _objects(path, 1, _decoded(path, 1, text))
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                if not objects and line.strip() == "{":
                    raise DataError(f"{shown_path(path)}:{number}: an object over several lines: one object per line is needed")
                objects += _objects(path, number, [_decoded(path, number, line)])
            if len(objects) > MOST_ROWS:
                break
    names = dict.fromkeys(name for one in objects for name in one)
    columns = {name: [plain(one.get(name)) for one in objects[:MOST_ROWS]] for name in names}
    return Table(path=path, written=written, columns=columns, whole=len(objects) <= MOST_ROWS)


def _decoded(path: Path, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f"{line + error.lineno - 1}:{error.colno}" if isinstance(error, json.JSONDecodeError) else str(line)
        what = error.msg if isinstance(error, json.JSONDecodeError) else "it can't be read"
        raise DataError(f"{shown_path(path)}:{place}: not valid JSON: {what}") from None


def _objects(path: Path, line: int, values: Any) -> list[dict[str, Any]]:
    if wrong := next((value for value in values if not isinstance(value, dict)), None):
        raise DataError(f"{shown_path(path)}:{line}: found {quoted(wrong)}; the file must have one object per row")
    within = [name for one in values[:1] for name, value in one.items() if isinstance(value, list) and value[:1] != value[1:2]]
    if within and isinstance(values[0][within[0]][0], dict):
        raise DataError(f"{shown_path(path)}:{line}: under {quoted(within[0])} is an array of objects: save that array alone")
    return list(values)


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_regular(path) as stream:
            file = pq.ParquetFile(stream)
            total, parts, rows = file.metadata.num_rows, [], 0
            for batch in file.iter_batches(batch_size=10_000, use_threads=False):
                parts.append(batch)
                rows += len(batch)
                if rows >= MOST_ROWS:
                    break
            table = pa.Table.from_batches(parts, file.schema_arrow) if parts else file.schema_arrow.empty_table()
            columns = {name: [plain(cell) for cell in table[name].to_pylist()][:MOST_ROWS] for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DataError(f"{shown_path(path)}: not a readable Parquet file: {quoted(error)}") from None
    return Table(path=path, written=Written(format="parquet"), columns=columns, whole=total <= MOST_ROWS)


def plain(value: Any) -> Value:
    """A value of JSON or Parquet as a text, number, Boolean or list of texts; None for what is missing or nested."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return [str(one) for one in value]
    return None if isinstance(value, dict | list) else str(value)
