"""Standard output and error, made safe to write to even if they are closed, full, without a reader, or not UTF-8.

Commands and runs write as if nothing could go wrong. What can't be written is dropped, so that they finish their work; the
loss is reported afterwards (`complaint_about`).

All output to the terminal passes through here. `write_line` prints exactly one line, whatever names are in it, and what
libraries print is escaped too: no character moves the cursor, changes colours, the title or the direction of text, and no line
is a command to a CI service.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import select
import sys
from typing import Any, Final, TextIO, cast

from bakeoff.text.words import escaped, is_shown

PLAIN_ERRORS: Final = "bakeoff.plain"
"""The name of the encoding error handler (`plain`) that writes characters that the stream's encoding lacks as ASCII."""

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
"""Symbols in Bakeoff's own output -> ASCII. All other characters, from names and texts of others, are escaped."""


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """The encoding error handler: returns ASCII for the characters that the encoding lacks, and the position at which to go
    on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = [PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode("ascii") for one in lacking]
    return "".join(shown), error.end


class Outlet(io.FileIO):
    """A standard stream that never fails: after the first error everything written to it is dropped."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None
        """The error since which output is dropped; None while output is written."""

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


# --- printing ------------------------------------------------------------------------------------------------------------

COMMAND: Final = re.compile(r"^\s*:(?=:)|#(?=#(?:vso|teamcity)?\[)", re.IGNORECASE)
"""The character to escape where a line would be a command to GitHub Actions (`::error::`, `##[group]`), Azure Pipelines or
TeamCity."""
RESET: Final = "\x1b[0m"
STYLES: Final = {"bold": "\x1b[1m", "yellow": "\x1b[33m"}
"""Terminal codes of the styles that Bakeoff uses."""


def one_line(text: str) -> str:
    """The text as one printable line: other characters, line ends included, are escaped."""
    return COMMAND.sub(lambda found: found[0][:-1] + f"\\x{ord(found[0][-1]):02x}", escaped(text))


def one_line_of_json(text: str) -> str:
    """A printable line of JSON with the same value: what must be escaped occurs only in strings."""
    plain = COMMAND.sub(lambda found: found[0][:-1] + f"\\u{ord(found[0][-1]):04x}", text.replace("\x7f", "\\u007f"))
    return plain if is_shown(plain) else "".join(one if is_shown(one) else json.dumps(one)[1:-1] for one in plain)


def write_line(stream: TextIO, text: str = "", *, style: str = "", end: str = "\n") -> None:
    """Prints one line, escaped. style: a key of `STYLES`; used on terminals only."""
    line = one_line(text)
    if style and stream.isatty() and "NO_COLOR" not in os.environ:
        line = f"{STYLES[style]}{line}{RESET}"
    as_it_is(stream).write(line + end)
    stream.flush()


def write_json(stream: TextIO, text: str) -> None:
    """Prints JSON text of one or more lines, escaped."""
    as_it_is(stream).write("\n".join(map(one_line_of_json, text.rstrip("\n").split("\n"))) + "\n")
    stream.flush()


class Escaping(io.TextIOWrapper):
    """A text stream that escapes what is written to it, except line ends."""

    def write(self, text: str) -> int:
        super().write("\n".join(map(one_line, text.split("\n"))))
        return len(text)


class Unescaped:
    """An `Escaping` stream without its escaping, for text that is already escaped, and for the library rich."""

    def __init__(self, stream: Escaping) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self.stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def as_it_is(stream: TextIO) -> TextIO:
    """The stream without its escaping, if it has any, for text whose parts were escaped already."""
    return cast("TextIO", Unescaped(stream)) if isinstance(stream, Escaping) else stream


# --- streams that never fail ---------------------------------------------------------------------------------------------


def complaint_about(output: Outlet | None) -> str:
    """A sentence on why standard output is incomplete; empty if it is complete, or if its reader left because it had read
    enough (`bakeoff ... | head`). output: what `prepare_streams` returned."""
    sys.stdout.flush()
    if output is None or output.error is None or output.error.errno == errno.EPIPE:
        return ""
    return f"standard output cannot be written: {output.error.strerror}"


def prepare_streams(*, escaping: bool = False) -> Outlet | None:
    """Makes `sys.stdout` and `sys.stderr` safe to write to, whatever their state. Returns the outlet of standard output; None
    if something else has replaced `sys.stdout`, as in a test or a notebook.

    escaping: True for a command, which escapes everything printed; False for the process of a run, which prints into a file of
    its own.
    """
    codecs.register_error(PLAIN_ERRORS, plain)
    _open_closed_descriptors()
    kind = Escaping if escaping else io.TextIOWrapper
    sys.stdout, output = _safe(sys.stdout, sys.__stdout__, 1, kind)
    sys.stderr, _ = _safe(sys.stderr, sys.__stderr__, 2, kind)
    return output


def _open_closed_descriptors() -> None:
    """Opens closed standard descriptors (0, 1, 2) to the null device; otherwise the next opened file would get such a number,
    and libraries would print into it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(descriptor, True)


def _safe(
    stream: TextIO | None, original: TextIO | None, descriptor: int, kind: type[io.TextIOWrapper]
) -> tuple[TextIO, Outlet | None]:
    """A stream of type `kind` that writes to `descriptor` through an `Outlet`, and that outlet. A stream that somebody
    replaced is returned as it is, with None. stream: None for a closed one."""
    if stream is not None and stream is not original:
        return stream, None
    outlet = Outlet(os.open(os.devnull, os.O_WRONLY) if stream is None else descriptor)
    encoding = "utf-8" if stream is None else stream.encoding
    lines = stream is None or (isinstance(stream, io.TextIOWrapper) and (stream.line_buffering or stream.write_through))
    return kind(io.BufferedWriter(outlet), encoding, PLAIN_ERRORS, line_buffering=lines), outlet
