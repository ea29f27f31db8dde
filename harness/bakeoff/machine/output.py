"""The file of what a run prints. Its size is limited: it keeps the beginning and the end."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from bakeoff.errors import StoreError
from bakeoff.files import Tree, open_regular, write_all

HEAD_BYTES: Final = 2**20
TAIL_BYTES: Final = 2**20
"""How many bytes of the beginning and of the end are kept; what lies between them is left out."""

BYTES_OF_A_GOOD_RUN: Final = 2**16
"""How many bytes are kept of what a successful run printed: half of the beginning, half of the end."""

LAST_BYTES: Final = 4096
"""How many bytes of the end are searched for the last line."""


def gap(left_out: int) -> bytes:
    """The line that stands in place of the bytes that were left out."""
    return f"\n... {left_out} bytes were left out here ...\n".encode("ascii")


class CappedOutput:
    """A file of at most `HEAD_BYTES` + `TAIL_BYTES` and one line between them; what the disk can't hold is dropped."""

    def __init__(self, path: Path) -> None:
        """Raises OSError or StoreError if the file can't be created."""
        self._descriptor = Tree(path.parent).append_to(path)
        self._written = self._left_out = 0
        self._tail = bytearray()

    def add(self, content: bytes) -> None:
        head = content[: max(0, HEAD_BYTES - self._written)]
        self._written += len(head)
        self._write(head)
        self._tail += content[len(head) :]
        if len(self._tail) > 2 * TAIL_BYTES:  # not at every call: to cut is to copy
            self._cut()

    def forget(self) -> None:
        """Closes the file in a child process that inherited it, without writing the end."""
        os.close(self._descriptor)

    def close(self) -> None:
        """Writes the end and closes the file."""
        self._cut()
        self._write((gap(self._left_out) if self._left_out else b"") + bytes(self._tail))
        os.close(self._descriptor)

    def _cut(self) -> None:
        if (more := len(self._tail) - TAIL_BYTES) > 0:
            del self._tail[:more]
            self._left_out += more

    def _write(self, content: bytes) -> None:
        with suppress(OSError):
            write_all(self._descriptor, content)


def cut(path: Path) -> None:
    """Shortens a file to its beginning and end once it is over twice the limit, while another process appends to it; what is
    appended at that moment may be lost."""
    with suppress(OSError, StoreError):
        if (size := path.stat().st_size) > 2 * (HEAD_BYTES + TAIL_BYTES):
            Tree(path.parent).shorten(path, HEAD_BYTES, TAIL_BYTES, gap(size - HEAD_BYTES - TAIL_BYTES))


def keep_ends(path: Path, most: int = BYTES_OF_A_GOOD_RUN) -> None:
    """Shortens the file of a process that has ended to about `most` bytes, half from each end; removes it if it is empty or no
    regular file."""
    with suppress(OSError, StoreError):
        found, tree = path.lstat(), Tree(path.parent)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            tree.remove(path)
        elif found.st_size > most:
            tree.shorten(path, most // 2, most // 2, gap(found.st_size - most // 2 * 2))


def last_line(path: Path) -> str:
    """The last line of a file that holds more than blanks; "" if there is none, or the file can't be read."""
    try:
        with open_regular(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - LAST_BYTES))
            lines = stream.read().decode("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
