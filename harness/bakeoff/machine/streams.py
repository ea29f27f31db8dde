"""Standard output and standard error as they may be: closed, full, left by their reader, or not UTF-8.

A command and a run's process write as if nothing could go wrong. What cannot be written is dropped, so that they do their
work to the end; what was lost is told afterwards: `Streams.complaint`.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from dataclasses import dataclass
from typing import Any, Final, TextIO

PLAIN_ERRORS: Final = "bakeoff.plain"
"""The name of the error handler that writes `PLAIN` characters where the encoding lacks ours."""

PLAIN: Final = {
    "·": "-",
    "±": "+-",
    "×": "x",
    "−": "-",
    "–": "-",
    "…": "...",
    "†": "#",
    "◂": "<",
    "★": "*",
    "▲": "^",
    "▼": "v",
    "≈": "~",
    "✅": "[pass]",
    "❌": "[fail]",
    "❔": "[open]",
    "━": "-",
    "╸": "-",
    "╺": "-",
}
"""The signs of Bakeoff's own pages -> ASCII. All other characters, which are somebody's names and texts, become escapes."""


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """An encoding's error handler: the characters that it lacks, as ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = [PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode("ascii") for one in lacking]
    return "".join(shown), error.end


class Outlet(io.FileIO):
    """A standard stream that never fails: after the first error all that is written to it is dropped."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None
        """Why nothing is written any more."""

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                while (written := super().write(data)) is None:  # a full pipe that does not block: wait until it has room
                    select.select([], [self], [])
            except OSError as error:
                self.error = error
            else:
                return written
        return len(memoryview(data).cast("B"))


@dataclass(frozen=True)
class Streams:
    """What became of standard output."""

    output: Outlet | None
    """None where it is none of the process's own, in a test or a notebook."""

    def complaint(self) -> str:
        """Why standard output is not whole; empty where it is, or where its reader has left and so has read enough."""
        sys.stdout.flush()
        if self.output is None or self.output.error is None or self.output.error.errno == errno.EPIPE:
            return ""
        return f"standard output cannot be written: {self.output.error.strerror}"


def prepare_streams() -> Streams:
    """Makes `sys.stdout` and `sys.stderr` safe to write to, whatever was done to them."""
    codecs.register_error(PLAIN_ERRORS, plain)
    _open_closed_descriptors()
    sys.stdout, output = _safe(sys.stdout, sys.__stdout__, 1)
    sys.stderr, _ = _safe(sys.stderr, sys.__stderr__, 2)
    return Streams(output)


def _open_closed_descriptors() -> None:
    """Else the next file that is opened gets the number of standard output or error, and is written into by libraries."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(descriptor, True)


def _safe(stream: TextIO | None, original: TextIO | None, descriptor: int) -> tuple[TextIO, Outlet | None]:
    """The stream over an `Outlet`; one that somebody has put in its place stays. None is what Python makes of a closed one."""
    if stream is not None and stream is not original:
        return stream, None
    outlet = Outlet(os.open(os.devnull, os.O_WRONLY) if stream is None else descriptor)
    encoding = "utf-8" if stream is None else stream.encoding
    lines = stream is None or (isinstance(stream, io.TextIOWrapper) and (stream.line_buffering or stream.write_through))
    return io.TextIOWrapper(io.BufferedWriter(outlet), encoding, PLAIN_ERRORS, line_buffering=lines), outlet
