"""Reads regular files only: no folder, named pipe, socket or device, and no file that is too large."""

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
"""What messages call files that are neither regular files nor folders or links, by their `stat.S_IFMT`."""

ALWAYS_READ: Final = 2**30
LARGEST_RATIO: Final = 100
"""A file of over `ALWAYS_READ` bytes is read only if its size is at most so many times what the disk stores of it, since the
rest of it would be zeros."""
BLOCK: Final = 512
"""The unit of `st_blocks`, in bytes."""


def open_regular(path: Path, *, at_most: int | None = None, access: int = os.O_RDONLY) -> BufferedReader:
    """Opens the regular file at the path for reading, following links. It never blocks.

    Raises OSError for anything else (a folder, named pipe, socket, device), and for a file of over `at_most` bytes. `strerror`
    is a sentence: "it is a socket, not a plain file". access: `os.O_RDWR` where the descriptor must be open for writing too.
    """
    return open_plain(path, path, None, at_most, access=access)


def read_regular(path: Path, *, at_most: int | None = None) -> bytes:
    """The content of the regular file at the path. Raises OSError as `open_regular` does, and if it grows over `at_most` bytes
    meanwhile."""
    with open_regular(path, at_most=at_most) as stream:
        return read_all(stream, path, at_most)


def open_plain(
    path: Path, name: Path | str, folder: int | None, at_most: int | None, *, access: int = os.O_RDONLY
) -> BufferedReader:
    """Opens a regular file for reading: the path `name`, or, if `folder` (a file descriptor) is given, the name in that
    folder, without following a link. path: as errors name the file; access, errors: as in `open_regular`."""
    follow = folder is None
    require_plain(os.stat(name, dir_fd=folder, follow_symlinks=follow), path, at_most)  # opening a device may change it
    flags = access | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
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
    """Raises OSError for an open file of over 1 GiB of which the disk stores less than a hundredth: the rest would be read as
    zeros."""
    held = found.st_blocks * BLOCK
    if found.st_size <= max(ALWAYS_READ, LARGEST_RATIO * held):
        return
    hole = found.st_size
    with suppress(OSError):  # a file system may know of no holes
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
    os.lseek(descriptor, 0, os.SEEK_SET)
    if hole < found.st_size:  # one that packs files holds less of them too
        why = f"it has {found.st_size:,} bytes, of which the disk stores {held:,}: the rest would be read as zeros"
        raise OSError(errno.EFBIG, why, str(path))


def _require_size(size: int, path: Path, at_most: int | None) -> None:
    if at_most is not None and size > at_most:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes; at most {at_most:,} are read", str(path))


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
