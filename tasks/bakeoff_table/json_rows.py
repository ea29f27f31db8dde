"""Reads rows from files of JSON lines, or of one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from bakeoff.plugin import DataError, quoted
from bakeoff_table.cells import ColumnError, require_columns
from bakeoff_table.contents import Contents
from bakeoff_table.files import File
from bakeoff_table.values import Row

LONGEST_LINE = 2**26
"""The longest line that is read as a row, in characters."""
LARGEST_ARRAY = 2**30
"""The longest file that is one array, in characters, because it is read into memory."""


class TwiceNamed(dict[str, Any]):
    """An object in which a key occurs twice, so that all but its last value are lost."""

    twice: frozenset[str] = frozenset()


def json_rows(contents: Contents, wanted: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of a JSON file. wanted: columns that at least one row must have. Raises DataError that names file and
    line."""
    names: dict[str, None] = {}
    within: list[str] = []
    for line, row in objects(contents):
        if isinstance(row, TwiceNamed) and (twice := [name for name in wanted if name in row.twice]):
            raise DataError(f"{contents.file.at(line)}: the key {quoted(twice[0])} appears twice in one object")
        if not names:
            within = [name for name, value in row.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
        names |= dict.fromkeys(row)
        yield line, 1, 0, row
    if names:
        try:
            require_columns(list(names), wanted, contents.file)
        except ColumnError as error:
            if not within:
                raise
            hint = f"; under {quoted(within[0])} is an array of objects: if those are the rows, save that array alone"
            raise ColumnError(f"{error}{hint}", error.column) from None


def objects(contents: Contents) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number of its first line, object) for each row of a JSON file."""
    file, decoder = contents.file, json.JSONDecoder(object_pairs_hook=pairs, parse_float=Decimal)
    with contents.text() as stream:
        try:
            line, begun = 0, False
            while text := stream.readline(LONGEST_LINE):
                line += 1
                if len(text) == LONGEST_LINE:
                    raise DataError(f"{file.at(line)}: a line of more than {LONGEST_LINE:,} characters is too long for a row")
                text = text.strip().removeprefix("\ufeff")
                if not text:
                    continue
                if not begun and text.startswith("["):
                    yield from array_of(text + "\n" + rest_of(stream, file), line, file, decoder)
                    return
                yield line, required_object(decoded(text, line, file, decoder, first=not begun), line, file)
                begun = True
        except UnicodeError as error:
            raise contents.undecodable(error) from None


def decoded(text: str, line: int, file: File, decoder: json.JSONDecoder, *, first: bool) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        if first and text == "{":
            raise DataError(
                f"{file.at(line)}: an object over several lines: the file must have one object per line, or an array of objects"
            ) from None
        raise DataError(f"{file.at(line)}:{error.colno}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; lists in lists in lists
        raise DataError(f"{file.at(line)}: JSON that can't be read: {quoted(error)}") from None


def array_of(text: str, line: int, file: File, decoder: json.JSONDecoder) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number of its first line, object) for a text that is one array."""
    place, told = 1, 0  # behind the bracket; up to `told` the lines are counted

    def skipped(place: int) -> int:
        while place < len(text) and text[place].isspace():
            place += 1
        return place

    place = skipped(place)
    while not text.startswith("]", place):
        line, told = line + text.count("\n", told, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            column = error.pos - text.rfind("\n", 0, error.pos)
            raise DataError(
                f"{file.at(line + text.count(chr(10), told, error.pos))}:{column}: not valid JSON: {error.msg}"
            ) from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file.at(line)}: JSON that can't be read: {quoted(error)}") from None
        yield line, required_object(value, line, file)
        place = skipped(place)
        if text.startswith(",", place):
            place = skipped(place + 1)
        elif not text.startswith("]", place):
            line += text.count("\n", told, place)
            raise DataError(f"{file.at(line)}: expected a comma or the end of the array: is the file cut off?")
    if rest := text[place + 1 :].strip():
        raise DataError(f"{file.at(line + text.count(chr(10), told, place))}: after the array follows {quoted(rest)}")


def rest_of(stream: Any, file: File) -> str:
    """The rest of the stream. Raises DataError if it is longer than LARGEST_ARRAY."""
    text = stream.read(LARGEST_ARRAY)
    if len(text) == LARGEST_ARRAY:
        raise DataError(
            f"{file.shown}: an array of more than {LARGEST_ARRAY:,} characters: write it as JSON lines, one object per line"
        )
    return str(text)


def required_object(value: Any, line: int, file: File) -> dict[str, Any]:
    """Returns the value if it is an object. Raises DataError otherwise."""
    if not isinstance(value, dict):
        what = "an array" if isinstance(value, list) else f"{quoted(value)}, not an object"
        raise DataError(f"{file.at(line)}: found {what}: the file must have one object per line, or an array of objects")
    return value


def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(found)
    if len(row) == len(found):
        return row
    double = TwiceNamed(row)
    names = [name for name, _ in found]
    double.twice = frozenset(name for name in names if names.count(name) > 1)
    return double
