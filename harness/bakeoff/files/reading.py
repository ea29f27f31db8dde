"""Reading of plain files and of nothing else: no folder, named pipe, socket or device, and no file that is too large."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

KINDS: Final = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What stands in the place of a plain file, by `stat.S_IFMT`."""

ALWAYS_READ: Final = 2**30
LARGEST_RATIO: Final = 100
"""A file may have so many bytes, or so many times those that the disk holds of it."""
BLOCK: Final = 512
"""Bytes that `st_blocks` counts in."""


def open_regular(path: Path, *, at_most: int | None = None) -> BufferedReader:
    """The plain file at the path, to be read; links are followed. It never waits.

    Raises OSError: for what is no plain file (a folder, a named pipe, a socket, a device), and for a file of over `at_most`
    bytes. `strerror` is a sentence: "it is a socket, not a plain file".
    """
    return open_plain(path, path, None, at_most)


def read_regular(path: Path, *, at_most: int | None = None) -> bytes:
    """The content of the plain file at the path; raises OSError as `open_regular` does, also where it grows meanwhile."""
    with open_regular(path, at_most=at_most) as stream:
        return read_all(stream, path, at_most)


def open_plain(path: Path, name: Path | str, folder: int | None, at_most: int | None) -> BufferedReader:
    """`name` is looked up in `folder`, without following a link there, where that is given."""
    follow = folder is None
    require_plain(os.stat(name, dir_fd=folder, follow_symlinks=follow), path, at_most)  # opening a device may change it
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        require_plain(found := os.fstat(descriptor), path, at_most)  # it may have been another just before
        _require_contents(found, descriptor, path)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_plain(found: os.stat_result, path: Path, at_most: int | None) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "it is a symbolic link", str(path))
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a plain file", str(path))
    _require_size(found.st_size, path, at_most)


def _require_contents(found: os.stat_result, descriptor: int, path: Path) -> None:
    """Raises OSError for a file of over 1 GiB of which the disk holds less than a hundredth: a hole, read as zeros."""
    held = found.st_blocks * BLOCK
    if found.st_size <= max(ALWAYS_READ, LARGEST_RATIO * held):
        return
    hole = found.st_size
    with suppress(OSError):  # a file system may know of no holes
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
    os.lseek(descriptor, 0, os.SEEK_SET)
    if hole < found.st_size:  # one that packs files holds less of them too
        why = f"it has {found.st_size:,} bytes, of which the disk holds {held:,}: the rest is a hole"
        raise OSError(errno.EFBIG, why, str(path))


def _require_size(size: int, path: Path, at_most: int | None) -> None:
    if at_most is not None and size > at_most:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes where at most {at_most:,} are read", str(path))


def read_all(stream: BinaryIO, path: Path, at_most: int | None) -> bytes:
    size = max(os.fstat(stream.fileno()).st_size, 2**16)
    size = 1 + (size if at_most is None else min(size, at_most))
    parts = [stream.read(size)]  # it takes as much memory as there is to read, whatever is the most
    while len(parts[-1]) == size:  # it grew meanwhile
        _require_size(sum(map(len, parts)), path, at_most)
        parts.append(stream.read(size))
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    _require_size(len(content), path, at_most)
    return content
