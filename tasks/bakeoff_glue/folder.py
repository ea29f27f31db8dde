"""Reads the official GLUE files from a folder.

No CSV library is used: a `"` is an ordinary character in these files, which makes CSV readers lose rows, and errors must name
file and line.
"""

from __future__ import annotations

import math
from pathlib import Path

from bakeoff.plugin import NOT_FETCHED, DataError, is_git_pointer, quoted, read_regular, shown_path
from bakeoff_glue.facts import Columns, GlueFacts, Split

ALWAYS_READ, LARGEST_ROW = 2**24, 2**13
"""A file of n rows may have at most the first number of bytes, or n times the second if that is more. Rows of official files
have about 200 bytes."""


def find_folder(facts: GlueFacts, data: Path) -> Path:
    """The folder with all files of the task, at or below `data`. Raises DataError that names what was looked for."""
    candidates = (data / "glue" / facts.folder, data / facts.folder)
    try:
        if not data.is_dir():
            raise DataError(f"no folder {shown_path(data)} (given by --data or BAKEOFF_DATA)")
        folder = next((candidate for candidate in candidates if candidate.is_dir()), None)
        if folder is None and any(
            (data / name).is_file() for split in facts.splits.values() for name in (split.file, *split.stand_ins)
        ):
            folder = data
        if folder is None:
            raise DataError(
                f"no {facts.folder} in {shown_path(data)} (given by --data or BAKEOFF_DATA, so the hub is not asked): "
                f"looked for the folders {' and '.join(map(shown_path, candidates))}, and in it for the files {facts.files}"
            )
        if lacks := [_missing(split, folder) for split in facts.splits.values() if not (folder / split.file).is_file()]:
            raise DataError(f"{shown_path(folder)} lacks {'; and '.join(lacks)}")
    except OSError as error:  # a folder that may not be entered
        raise DataError(f"{shown_path(data)} cannot be read: {error.strerror}") from None
    return folder


def read_split(facts: GlueFacts, split: Split, folder: Path) -> tuple[Columns, str]:
    """The rows of one official file, by column, and a data check on them, which may be empty. Raises DataError that names the
    file and line of the first damage."""
    path = folder / split.file
    lines, ended = _lines(path, split.rows)
    header = list(facts.header or lines[0].split("\t"))
    wanted = [*facts.text_columns.values(), facts.label_column]
    for name in wanted:
        if header.count(name) != 1:
            amount = "twice" if name in header else "not there"
            raise _damage(
                path, 1, f"column {quoted(name)} is {amount}; the header should name {', '.join(wanted)} between tabs"
            )
    *text_places, label_place = (header.index(name) for name in wanted)

    texts: list[list[str]] = [[] for _ in text_places]
    labels: list[int | float] = []
    first = 1 if facts.header else 2
    for number, line in enumerate(lines[first - 1 :], start=first):
        cells = line.split("\t")
        if not ended and number == len(lines) and (len(cells) != len(header) or len(labels) + 1 != split.rows):
            why = f"this line is incomplete, after {len(labels)} of {split.rows} rows: the file is cut off"
            raise _damage(path, number, why)
        if len(cells) != len(header):
            if facts.gaps and len(cells) < len(header):
                continue
            raise _damage(path, number, f"expected {len(header)} columns between tabs, got {len(cells)}")
        labels.append(_label(cells[label_place], facts, path, number))
        for column, place in zip(texts, text_places, strict=True):
            if not cells[place].strip():
                raise _damage(path, number, f"no sentence in column {quoted(header[place])}")
            column.append(cells[place])
    split.check_rows(len(labels), shown_path(path))
    columns = {**dict(zip(facts.text_columns, texts, strict=True)), "label": labels}
    # all rows and all columns are there, but nothing tells whether the last cell is whole
    check = "" if ended else f"{path.name}:{len(lines)}: the last line has no line break, and ends in {quoted(lines[-1][-30:])}"
    return columns, check  # type: ignore[return-value]  # each column is of one kind


def _label(word: str, facts: GlueFacts, path: Path, line: int) -> int | float:
    """The number of the label in a cell; for a regression the cell's number itself."""
    if facts.range is None:
        if word not in facts.labels:
            raise _damage(path, line, f"label {quoted(word)} is not one of {', '.join(facts.labels)}")
        return list(facts.labels).index(word)
    low, high = facts.range
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise _damage(path, line, f"{facts.label_column} {quoted(word)} is not a number from {low:g} to {high:g}")
    return number


def _missing(split: Split, folder: Path) -> str:
    reasons = [f"it has {name}, but {reason}" for name, reason in split.stand_ins.items() if (folder / name).is_file()]
    return f"{split.file} ({'; '.join(reasons)})" if reasons else split.file


def _lines(path: Path, rows: int) -> tuple[list[str], bool]:
    r"""The lines of a file, at least one, without their ends, and whether the last one has an end.

    Only `\n` and `\r\n` end a line (U+2028 is text). rows: how many there should be; a file far too large for them is not
    read.
    """
    try:
        if is_git_pointer(path):
            raise DataError(f"{shown_path(path)} {NOT_FETCHED}")
        content = read_regular(path, at_most=ALWAYS_READ + rows * LARGEST_ROW)
    except OSError as error:
        raise DataError(f"{shown_path(path)}: cannot be read: {error.strerror}") from None
    if not content.strip():
        raise _damage(path, 1, "the file is empty")
    if b"\0" in content:
        raise _damage(
            path, content[: content.index(b"\0")].count(b"\n") + 1, "a NUL byte: the file is damaged, or not UTF-8 text"
        )
    try:
        *lines, rest = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _damage(path, line, f"byte 0x{error.object[error.start]:02x} is not UTF-8") from None
    return [line.removesuffix("\r") for line in (*lines, *([rest] if rest else []))], not rest


def _damage(path: Path, line: int, message: str) -> DataError:
    return DataError(f"{shown_path(path)}:{line}: {message}")
