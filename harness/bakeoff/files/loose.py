"""Files and folders that lie below no folder that the user named, or are no files with a path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def make_folders(path: Path) -> None:
    """The folder, and those above it, where they are missing: all of them, or none. Raises OSError."""
    missing = [one for one in (path, *path.parents) if not os.path.lexists(one)]
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            made.append(folder)
    except OSError:
        for folder in reversed(made):
            with suppress(OSError):  # somebody has put something into it already
                folder.rmdir()
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Into a descriptor that is open for writing, a pipe's for one. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def open_that_of(process: int, descriptor: int) -> int:
    """A descriptor that appends to what another process has open under that number. Linux only. Raises OSError."""
    return os.open(f"/proc/{process}/fd/{descriptor}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def append_to_named_file(path: Path, text: str) -> None:
    """To a file that the user named himself, wherever a link in its place leads. Raises OSError."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


@contextmanager
def temporary_folder(prefix: str = "bakeoff-", *, below: Path | None = None) -> Iterator[Path]:
    """An empty folder, in the system's place for such or in `below`, which is gone after the block. Raises OSError."""
    if below is not None:
        make_folders(below)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=below, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def make_private(folder: Path) -> None:
    """A folder that is closed to other users, unless something is there. Raises OSError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)


def nameless_file(folder: Path) -> BinaryIO:
    """A file without a name, gone once it is closed, in a folder that is made where it is missing. Raises OSError."""
    make_folders(folder)
    return tempfile.TemporaryFile(dir=folder)
