"""Counts the values and bytes in the pages of a Parquet file without decoding them.

pyarrow decodes whatever a page's header announces, and asking it for the metadata of a damaged column chunk ends the process
(26.0: a C++ exception that Python never sees). So footer and page headers are parsed here. Source of the format: parquet.thrift
in https://github.com/apache/parquet-format, and Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MAGIC: Final = b"PAR1"
DEEPEST: Final = 16
"""The deepest nesting of structs that is accepted; the format needs 8."""

TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
NUMBERS: Final = (4, 5, 6)
"""Thrift's type codes of integers with 16, 32 and 64 bits."""
CUT_OFF: Final = "its footer or a page of it is cut off"


@dataclass(frozen=True)
class Chunk:
    """The values of one column in one row group."""

    path: tuple[str, ...]
    """The name of the column and of its nested fields."""
    values: int
    """How many there are, by footer and pages alike."""
    unpacked: int
    """Bytes of its pages, decompressed but not decoded."""


Group = tuple[int, tuple[Chunk, ...]]
"""A row group: its number of rows, and its columns."""


def layout_of(content: bytes) -> list[Group]:
    """The row groups of a Parquet file. Raises ValueError if its footer or pages are damaged or contradict each other."""
    length = int.from_bytes(content[-8:-4], "little")
    start = len(content) - 8 - length
    if len(content) < 12 or content[-4:] != MAGIC or start < len(MAGIC):
        raise ValueError("it is not a Parquet file, or is incomplete")
    try:
        footer = _Thrift(content, start, start + length).struct()
        groups, pages = footer.get(4, []), content[:start]
        return [(group[3], tuple(_chunk(pages, column) for column in group[1])) for group in groups]
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:  # not what the format says
        raise ValueError(f"its footer or a page of it cannot be read ({type(error).__name__})") from None


def _chunk(pages: bytes, column: dict[int, Any]) -> Chunk:
    if 1 in column:
        raise ValueError("one of its columns is in another file")
    facts = column[3]
    path = tuple(part.decode() for part in facts[3])
    first, values = facts[9], facts[5]
    if values == 0:  # then no page is read
        return Chunk(path, 0, 0)
    if 0 < facts.get(11, 0) < first:  # the dictionary lies before the values
        first = facts[11]
    unpacked, seen = 0, 0
    for number, header in enumerate(_headers(pages, first, facts[7])):
        if number > values:  # one of a dictionary, and each of the others has a value
            raise ValueError(f"column {'.'.join(path)!r} has more pages than its {values:,} values need")
        data = header.get(5) or header.get(8)
        unpacked += header[2]
        seen += data[1] if data else 0
        if min(header[2], header[3], data[1] if data else 0) < 0:
            raise ValueError(f"a page of column {'.'.join(path)!r} has a negative size")
    if seen != values:
        raise ValueError(f"the pages of column {'.'.join(path)!r} have {seen:,} values instead of the {values:,} in the footer")
    return Chunk(path, values, unpacked)


def _headers(pages: bytes, start: int, size: int) -> Iterator[dict[int, Any]]:
    """Yields the header of each page of a column chunk: `size` bytes of the file from `start` on."""
    end = start + size
    if not 0 <= start <= end <= len(pages):
        raise ValueError("one of its columns is outside the file")
    while start < end:
        thrift = _Thrift(pages, start, end)
        header = thrift.struct()
        start = thrift.place + max(header[3], 0)
        yield header


class _Thrift:
    """A parser of Thrift's compact protocol, as far as Parquet uses it: structs become dictionaries keyed by field number."""

    def __init__(self, content: bytes, place: int, end: int) -> None:
        self.content, self.place, self.end = content, place, end

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > DEEPEST:
            raise ValueError("its footer is nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while kind := self.byte():
            step, kind = kind >> 4, kind & 15
            number = number + step if step else self.number()
            found[number] = self.value(kind, depth)
        return found

    def value(self, kind: int, depth: int) -> Any:
        if kind in NUMBERS:
            return self.number()
        if kind == BINARY:
            return self.take(self.size())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.size()
            return [self.value(head & 15, depth + 1) if head & 15 > FALSE else self.byte() for _ in range(count)]
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self.byte()
        if kind == DOUBLE:
            return self.take(8)
        raise ValueError(f"its footer has a field of type {kind}, which the format does not have")

    def byte(self) -> int:
        if self.place >= self.end:
            raise ValueError(CUT_OFF)
        self.place += 1
        return self.content[self.place - 1]

    def take(self, size: int) -> bytes:
        if not 0 <= size <= self.end - self.place:
            raise ValueError(CUT_OFF)
        self.place += size
        return self.content[self.place - size : self.place]

    def size(self) -> int:
        """An unsigned length; at most the number of bytes that remain, so that a forged one can't exhaust memory."""
        if (part := self.byte()) < 128:
            return part
        found, shift = part & 127, 7
        while True:
            part = self.byte()
            found |= (part & 127) << shift
            shift += 7
            if part < 128:
                break
            if shift > 63:
                raise ValueError("its footer has a number that is too long")
        return found

    def number(self) -> int:
        """A signed integer in zigzag encoding."""
        found = self.size()
        return (found >> 1) ^ -(found & 1)
