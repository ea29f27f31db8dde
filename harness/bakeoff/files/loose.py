"""Files and folders outside any folder that the user named, such as temporary ones, and files that have no path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def make_folders(path: Path) -> None:
    """Creates the folder and its missing parents: all of them, or none if one can't be created. Raises OSError."""
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
    """Writes all bytes to an open file descriptor, such as a pipe's. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def open_that_of(process: int, descriptor: int) -> int:
    """A new file descriptor, which appends to the file that process number `process` has open under number `descriptor`.

    Linux only. Raises OSError.
    """
    return os.open(f"/proc/{process}/fd/{descriptor}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def append_to_named_file(path: Path, text: str) -> None:
    """Appends to a file that the user named, following links. Raises OSError."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


@contextmanager
def temporary_folder(prefix: str = "bakeoff-", *, below: Path | None = None) -> Iterator[Path]:
    """A context with an empty folder, in the system's temporary folder or in `below`, removed afterwards. Raises OSError."""
    if below is not None:
        make_folders(below)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=below, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def make_private(folder: Path) -> None:
    """Creates a folder that other users can't open; does nothing if the path exists. Raises OSError."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)


def nameless_file(folder: Path) -> BinaryIO:
    """A file without a name, deleted when closed, in a folder that is created if missing. Raises OSError."""
    make_folders(folder)
    return tempfile.TemporaryFile(dir=folder)
