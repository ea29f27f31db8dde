"""Reads rows from CSV and TSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from bakeoff.plugin import DataError, did_you_mean, quoted, yaml_value
from bakeoff_table.contents import Contents
from bakeoff_table.files import File
from bakeoff_table.values import Odd, Row

LONGEST_CELL = 2**24
"""The longest cell that is read, in characters; without a limit, a quotation mark that is never closed would take in the rest
of the file."""
MARK = "\ufeff"
"""The byte order mark; it is ignored at the start of any line, because files may have been joined."""
DOS_END = "\x1a"
SPACE_AROUND = 8
"""How many blanks around a name are accepted when looking for a repeated header."""
DELIMITERS = (";", "\t", "|", ",")


def cell_rows(contents: Contents, wanted: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of a CSV or TSV file with the wanted columns. Raises DataError that names file and line."""
    file = contents.file
    csv.field_size_limit(LONGEST_CELL)
    with contents.text() as stream:
        reader = csv.reader(
            (text.removeprefix(MARK) for text in stream),  # before each file that was joined to another
            delimiter=file.delimiter,
            quoting=csv.QUOTE_NONE if file.quoting == "none" else csv.QUOTE_MINIMAL,
            strict=True,
        )
        header = Header(list(file.columns), wanted, file) if file.columns is not None else None
        places = header.places if header is not None else []
        first = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise DataError(f"{file.at(first)}: {quoting_error(error, file)}") from None
            except UnicodeError as error:
                raise contents.undecodable(error) from None
            line, first = first, reader.line_num + 1
            if not cells or (not cells[0].strip() and not any(cell.strip() for cell in cells)):
                continue  # an empty line, or one of delimiters alone, as workbooks end with
            if header is None:
                header = Header(header_names(cells, file, line), wanted, file)
                places = header.places
            elif len(cells[0]) <= header.longest and header.is_repeated(cells, line):
                yield line, 1, Odd.HEADER, {}
            elif len(cells) != header.width:
                raise DataError(f"{file.at(line)}: {header.width_error(cells)}")
            else:
                lines = reader.line_num - line + 1
                yield line, lines, oddities(cells, lines, file), {name: cells[at] for name, at in places}


class Header:
    """The column names of a file, and the positions of the wanted columns."""

    def __init__(self, names: list[str], wanted: Sequence[str], file: File) -> None:
        """Raises DataError if a wanted column is missing or occurs twice."""
        require_columns(names, wanted, file)
        self.names, self.width, self.file = names, len(names), file
        self.folded = [name.casefold() for name in names]
        self.longest = max(map(len, names)) + SPACE_AROUND
        """The most characters that the first cell of a repeated header can have."""
        self.places = [(name, names.index(name)) for name in wanted]

    def is_repeated(self, cells: Sequence[str], line: int) -> bool:
        """Whether a row repeats the header, ignoring case, as in joined files. Raises DataError if it is a header with the
        columns in another order."""
        if cells[0].strip().casefold() not in self.folded:
            return False
        found = [cell.strip().casefold() for cell in cells]
        if found == self.folded:
            return self.width > 1 or cells[0].strip() == self.names[0]
        if sorted(found) == sorted(self.folded):
            raise DataError(
                f"{self.file.at(line)}: a header whose columns are in another order than in the first, as if two files had "
                "been joined: list them separately, `train: [a.csv, b.csv]`"
            )
        return False

    def width_error(self, cells: Sequence[str]) -> str:
        """The message for a row with more or fewer cells than the header, with a hint at the cause."""
        of = "columns are named" if self.file.columns is not None else "the header has"
        hint = ""
        if any("\0" in cell for cell in cells):
            hint = "; it has NUL bytes, like an incomplete file: copy it again"
        elif cells[-1].strip() == DOS_END:
            hint = "; it is the end-of-file character of DOS: remove it"
        elif len(cells) > self.width and not any(cell.strip() for cell in cells[self.width :]):
            hint = "; the extra ones are empty: is there one delimiter too many at the end of the line?"
        elif self.file.quoting == "none" and any(cell.lstrip().startswith('"') for cell in cells):
            hint = "; if cells are in quotation marks, write `quoting: minimal`"
        elif any(cell[:1] == " " and cell.lstrip().startswith('"') for cell in cells):
            hint = "; a quotation mark after a blank does not quote: remove the blank"
        return f"{len(cells)} cell{'s' if len(cells) > 1 else ''} where {of} {self.width}{hint}"


def header_names(cells: Sequence[str], file: File, line: int) -> list[str]:
    """The column names in the header. Raises DataError if the first line shows a wrong encoding, or is the line by which Excel
    tells the delimiter."""
    names = [name.strip() for name in cells]
    if names[0].startswith("ï»¿"):
        raise DataError(
            f"{file.at(line)}: the file begins with the byte-order mark of UTF-8: leave out `encoding: {file.encoding}`"
        )
    if any("\0" in name for name in names):
        raise DataError(
            f"{file.at(line)}: it has NUL bytes, like UTF-16 without its mark: write `encoding: utf-16-le` or utf-16-be"
        )
    if names[0].startswith("sep=") and not any(names[1:]):
        told = names[0].removeprefix("sep=") or file.delimiter
        say = f"remove it, and write `delimiter: {yaml_value(told)}`"
        raise DataError(f"{file.at(line)}: this line tells Excel the delimiter: {say}")
    return names


def oddities(cells: Sequence[str], lines: int, file: File) -> int:
    """The flags of `Odd` that a row's cells have."""
    odd = 0
    if lines > 1 and any(file.delimiter in cell and ("\n" in cell or "\r" in cell) for cell in cells):
        odd |= Odd.SPANS
    unquoted = file.quoting == "none"
    for cell in cells:
        if ('""' in cell and cell[0] == cell[-1] == '"' and len(cell) > 2) if unquoted else cell.startswith(' "'):
            return odd | Odd.QUOTED
    return odd


def quoting_error(error: csv.Error, file: File) -> str:
    told = {
        "expected after": "a quoted cell has a quotation mark in its middle",
        "end of data": "a quoted cell begins in this row and does not end",
        "field limit": f"a cell is longer than {LONGEST_CELL:,} characters, as if its quotation mark were never closed",
    }
    what = next((words for part, words in told.items() if part in str(error)), None)
    if what is None or file.quoting == "none":
        return f"no row of cells can be read: {error}"
    return f"{what}; write it twice within a cell, or `quoting: none` if the file does not use quoting"


class ColumnError(DataError):
    """A file lacks the column `column`."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


def require_columns(names: Sequence[str], wanted: Sequence[str], file: File) -> None:
    """Raises ColumnError if a wanted column is not among the names, DataError if it occurs twice."""
    for name in wanted:
        if names.count(name) > 1:
            raise DataError(f"{file.shown}: {names.count(name)} columns are named {quoted(name)}: give them different names")
        if name not in names:
            raise ColumnError(f"{file.shown}: {did_you_mean('column', name, names)}{header_hint(names, file)}", name)


def header_hint(names: Sequence[str], file: File) -> str:
    """The end of a message on a missing column: a hint if the delimiter or quoting seems to be another; else empty."""
    if file.format not in {"csv", "tsv"} or file.columns is not None:
        return ""
    if len(names) == 1:
        held = [other for other in DELIMITERS if other != file.delimiter and other in names[0]]
        return (
            f"; there is only one column: if the delimiter is another, write `delimiter: {yaml_value(held[0])}`" if held else ""
        )
    if file.quoting == "none" and all(name.startswith('"') and name.endswith('"') for name in names):
        return "; if cells are in quotation marks, write `quoting: minimal`"
    return ""
