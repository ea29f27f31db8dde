"""The contents of a file: copied once, hashed while they are copied, and unpacked while they are read."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from bakeoff.plugin import NOT_FETCHED, DataError, copy_of, is_git_pointer
from bakeoff_table.files import File

GZIP, ZIP, PARQUET = b"\x1f\x8b", b"PK", b"PAR1"
"""The first bytes of files of these formats."""
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
ALWAYS_UNPACKED = 2**30
LARGEST_RATIO = 100
"""A compressed file may unpack to ALWAYS_UNPACKED bytes or to LARGEST_RATIO times its size, whichever is more."""
BUFFER = 2**18


def limit_of(size: int) -> int:
    """The most bytes that a file of this size may unpack to."""
    return max(ALWAYS_UNPACKED, LARGEST_RATIO * size)


class Contents:
    """A copy of a file. Each call of `stream` reads it from its start, unpacked."""

    def __init__(self, file: File, folder: Path) -> None:
        """folder: where the copy is made. Raises DataError if the file can't be read."""
        self.file = file
        try:
            if is_git_pointer(file.path):
                raise DataError(f"{file.shown} {NOT_FETCHED}")
            self.copy, self.sha256 = copy_of(file.path, folder)
        except OSError as error:
            raise DataError(f"{file.shown}: {error.strerror or error}") from None
        self.size = self.copy.seek(0, io.SEEK_END)

    def close(self) -> None:
        self.copy.close()

    def stream(self) -> io.BufferedReader:
        """A stream of the unpacked bytes. Raises DataError, here or while it is read, if they can't be unpacked."""
        self.copy.seek(0)
        begins = self.copy.read(2)
        self.copy.seek(0)
        source: Any = self.copy
        limit = None
        if self.file.member:
            source, limit = self.member(), limit_of(self.size)
        elif begins == GZIP:
            source, limit = gzip.GzipFile(fileobj=self.copy), limit_of(self.size)
        elif begins == ZIP:
            raise DataError(
                f"{self.file.shown}: it is a ZIP archive (end its name in .zip) or a workbook (save its rows as CSV)"
            )
        stream = io.BufferedReader(Unpacked(source, self.file.shown, limit), BUFFER)
        begins = stream.peek(4)[:4]
        if limit is not None and begins.startswith((GZIP, ZIP)):
            raise DataError(f"{self.file.shown}: its content is compressed again: unpack it first")
        if begins == PARQUET:
            raise DataError(f"{self.file.shown}: it is a Parquet file: write `format: parquet`, or end its name in .parquet")
        return stream

    def member(self) -> Any:
        return guarded(self.file.shown, lambda: zipfile.ZipFile(self.copy).open(self.file.member))

    def text(self) -> io.TextIOWrapper:
        """A stream of the unpacked text, with its original line ends."""
        encoding = "utf-8-sig" if self.file.encoding == "utf-8" else self.file.encoding
        return io.TextIOWrapper(self.stream(), encoding=encoding, newline="")

    def undecodable(self, error: UnicodeError) -> DataError:
        """The error for a text that is not in the file's encoding; it names the line, which is found by reading again."""
        shown, encoding = self.file.shown, self.file.encoding
        with self.stream() as stream:
            if encoding == "utf-8" and (guess := BYTE_ORDER_MARKS.get(stream.peek(2)[:2])):
                return DataError(f"{self.file.at(1)}: it is not UTF-8 but begins like UTF-16: write `encoding: {guess}`")
            if "\n".encode(encoding) != b"\n":  # then bytes tell no lines
                return DataError(f"{shown}: it is not {encoding}: {error}")
            for number, line in enumerate(stream, start=1):
                try:
                    line.decode(encoding)
                except UnicodeError as found:
                    byte = f"byte 0x{line[found.start]:02x}" if isinstance(found, UnicodeDecodeError) else "a byte"
                    hint = "; of files from Excel it is often `encoding: cp1252`" if encoding == "utf-8" else ""
                    return DataError(f"{self.file.at(number)}: {byte} is not {encoding}{hint}")
        return DataError(f"{shown}: it is not {encoding}: {error}")

    def is_utf8_after_all(self) -> bool:
        """Whether a file that is read in a single-byte encoding is really UTF-8 with non-ASCII characters.

        Each of these characters would become two or three others ("Käse" becomes "KÃ¤se"), without an error.
        """
        if self.file.format == "parquet" or len("\u00e4\u00f6".encode(self.file.encoding, "replace")) != 2:
            return False
        decoder, beyond_ascii = codecs.getincrementaldecoder("utf-8")(), False
        with self.stream() as stream:
            try:
                while part := stream.read(BUFFER):
                    beyond_ascii |= not part.isascii()
                    decoder.decode(part)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return False
        return beyond_ascii


class Unpacked(io.RawIOBase):
    """A stream of unpacked bytes. Reading raises DataError for damage, and for more than `limit` bytes."""

    def __init__(self, source: BinaryIO, shown: str, limit: int | None) -> None:
        self.source, self.shown, self.limit = source, shown, limit
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = guarded(self.shown, lambda: self.source.read(len(buffer)))
        buffer[: len(part)] = part
        self.given += len(part)
        if self.limit is not None and self.given > self.limit:
            raise DataError(
                f"{self.shown}: it unpacks to more than {self.limit / 2**30:,.1f} GiB, over {LARGEST_RATIO} times its size: "
                "if that is right, unpack it first"
            )
        return len(part)


def guarded(shown: str, action: Callable[[], Any]) -> Any:
    """Returns the action's result. Raises DataError for any error that a damaged compressed file can cause."""
    try:
        return action()
    except KeyError:
        raise DataError(f"{shown}: there is no such file in the archive") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{shown}: it cannot be unpacked, so it is incomplete or damaged: {error}") from None
