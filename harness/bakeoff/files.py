"""All opening, writing and deleting of files goes through here.

`Tree` writes and deletes below a folder that the user named, and follows no symbolic link there. `open_regular` reads plain
files and nothing else. A test of the house finds any other call that writes or deletes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

from bakeoff.errors import BakeoffError, StoreError
from bakeoff.text.words import shown_path

OURS: Final = re.compile(r"\.(tmp|checkpoints|keep)-.+|step-\d{9}|model|ranks")
"""Names of the folders that Bakeoff makes and deletes again, with all that is in them."""

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
LOG: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC

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

TEMPORARY_PREFIX: Final = ".tmp-"
"""How the name of what is being written begins."""

LONGEST_STEM: Final = 120
"""Bytes of a file's name that are repeated in the name of its unfinished copy: file systems allow 255 for the whole."""


def _host() -> str:
    """This machine, this boot and this process namespace: within it, a process number says who lives."""
    words = [socket.gethostname()]
    with suppress(OSError):
        words.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        words.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("|".join(words).encode()).hexdigest()[:8]


HOST = _host()


def temporary_name(name: str) -> str:
    """`.tmp-NAME-HOST-PROCESS-RANDOM`: it tells who made it, so that what a dead process left can be removed."""
    stem = name.encode(errors="surrogateescape")[:LONGEST_STEM].decode(errors="ignore")
    return f"{TEMPORARY_PREFIX}{stem}-{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Tree:
    """Writes and deletes below one folder that the user named.

    That folder may itself be a symbolic link; below it none is followed: each folder on the way is opened from the one above,
    so that a link that is put there meanwhile leads nowhere either. All paths lie below `root`, as in `root / "a" / "b"`. A
    link on the way raises StoreError; errors of the machine (no space, read-only, ...) are OSErrors with the path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, path: Path) -> Path:
        """The folder, and those above it, where they are missing."""
        os.close(self._open_folder(path, make=True))
        return path

    def make_empty(self, path: Path) -> Path:
        """The folder, made where it is missing; raises BakeoffError where it holds something, or cannot be made."""
        try:
            if next(self.make(path).iterdir(), None) is not None:
                raise BakeoffError(f"{shown_path(path)}: holds something already; name an empty folder, or a new one")
        except OSError as error:
            raise BakeoffError(f"{shown_path(error.filename or path)}: {error.strerror}") from None
        return path

    def make_fresh(self, path: Path) -> Path:
        """An empty folder that was not there, for a library to write into; raises FileExistsError. Those above are made too."""
        self.make(path.parent)
        with self._holding(path) as (folder, name):
            os.mkdir(name, dir_fd=folder)
        return path

    def require_no_link(self, path: Path) -> None:
        """Raises StoreError where the path, or a folder on the way, is a symbolic link."""
        at = self.root
        for part in self._parts(path):
            at /= part
            if at.is_symlink():
                raise self._refusal(at)

    def write(self, path: Path, content: bytes, *, synced: bool = True) -> None:
        """The file is there whole or not at all, and replaces what stood there; its folder exists. Without `synced` a power cut
        may lose it."""
        with self.writing(path, synced=synced) as stream:
            stream.write(content)

    @contextmanager
    def writing(self, path: Path, *, synced: bool = True) -> Iterator[BinaryIO]:
        """A stream for the file's content, which takes its place, whole, when the block ends without an exception.

        A file that has several names (hard links) keeps its content under the others.
        """
        with self._holding(path) as (folder, name):
            beside = temporary_name(name)
            try:
                with os.fdopen(os.open(beside, NEW_FILE, 0o666, dir_fd=folder), "wb") as stream:
                    yield stream
                    stream.flush()
                    if synced:
                        os.fsync(stream.fileno())
                os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=folder)
                raise
            if synced:
                os.fsync(folder)

    def create(self, path: Path, content: bytes) -> None:
        """A new file; raises FileExistsError where anything stands there, be it a link that leads nowhere."""
        with self._holding(path) as (folder, name):
            descriptor = os.open(name, NEW_FILE, 0o666, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)
                raise

    def append_to(self, path: Path) -> int:
        """A descriptor that appends to the file, made where it is missing."""
        with self._holding(path) as (folder, name):
            return os.open(name, LOG, 0o666, dir_fd=folder)

    def shorten(self, path: Path, first: int, last: int, between: bytes) -> None:
        """Leaves a plain file's first and last bytes, in place: another process may go on appending to it."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._holding(path) as (folder, name), os.fdopen(os.open(name, flags, dir_fd=folder), "r+b") as stream:
            _require_plain(os.fstat(stream.fileno()), path, None)
            stream.seek(-last, os.SEEK_END)
            end = stream.read(last)
            stream.truncate(first)
            stream.seek(first)
            stream.write(between + end)

    def move(self, old: Path, new: Path) -> None:
        """Renames a file or a folder; both paths lie below the root. A folder takes no place that is not empty."""
        with self._holding(old) as (source, name), self._holding(new) as (target, becomes):
            os.rename(name, becomes, src_dir_fd=source, dst_dir_fd=target)

    def remove(self, path: Path) -> None:
        """A file, or a link itself; nothing where it is missing."""
        with suppress(FileNotFoundError), self._holding(path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def remove_folder(self, path: Path) -> None:
        """A folder that Bakeoff made, with all that is in it; nothing where it is missing.

        It is known by its name, or by that of a folder on the way: see `OURS`. Where a link or a file has taken its place, that
        goes, and never what the link leads to. What the system does not let go stays. Raises StoreError for other folders.
        """
        parts = self._parts(path)
        if not any(OURS.fullmatch(part) for part in (self.root.name, *parts)):
            raise StoreError(f"{shown_path(path)} is no folder that Bakeoff made: it is not deleted")
        with suppress(OSError), self._holding(path) as (folder, name):
            try:
                os.unlink(name, dir_fd=folder)
            except (IsADirectoryError, PermissionError):  # a folder: the one on Linux, the other elsewhere
                shutil.rmtree(name, ignore_errors=True, dir_fd=folder)

    def touch(self, path: Path) -> None:
        """Sets the file's time of change to now; raises FileNotFoundError."""
        with self._holding(path) as (folder, name):
            os.utime(name, dir_fd=folder, follow_symlinks=False)

    def names(self, folder: Path) -> list[str]:
        """Of all that is in a folder, sorted."""
        descriptor = self._open_folder(folder)
        try:
            return sorted(os.listdir(descriptor))  # noqa: PTH208 - of a descriptor
        finally:
            os.close(descriptor)

    def read(self, path: Path, *, at_most: int | None = None) -> bytes:
        """The content of a plain file, as `read_regular` gives it, with no link followed on the way."""
        with self._holding(path) as (folder, name), _open_plain(path, name, folder, at_most) as stream:
            return _read_all(stream, path, at_most)

    def sync(self, path: Path, *, inside: bool = True) -> None:
        """Waits until a folder's list of names is on the disk, and with `inside` all plain files and folders in it."""
        with self._holding(path) as (above, name):
            for _, below, files, folder in os.fwalk(name, dir_fd=above, follow_symlinks=False, onerror=_raise):
                if not inside:
                    below.clear()
                    files.clear()
                for file in files:
                    if stat.S_ISREG(os.stat(file, dir_fd=folder, follow_symlinks=False).st_mode):
                        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
                        try:
                            os.fsync(descriptor)
                        finally:
                            os.close(descriptor)
                os.fsync(folder)

    # --- the way to a path ---

    def _parts(self, path: Path) -> tuple[str, ...]:
        parts = path.relative_to(self.root).parts
        if ".." in parts:
            raise StoreError(f"{shown_path(path)} leads out of {shown_path(self.root)}")
        return parts

    def _refusal(self, link: Path) -> StoreError:
        return StoreError(
            f"{shown_path(link)} is a symbolic link, and none is followed below {shown_path(self.root)}: remove it, or "
            "put a folder or a plain file in its place"
        )

    def _open_folder(self, path: Path, *, make: bool = False) -> int:
        """A descriptor of the folder, by descriptors of those above it; with `make` what is missing is made."""
        parts, at = self._parts(path), self.root
        if make and self.root.is_symlink() and not self.root.exists():
            raise StoreError(f"{shown_path(self.root)} is a symbolic link that leads nowhere")
        if make:
            make_folders(self.root)
        descriptor = os.open(self.root, FOLDER)
        try:
            for part in parts:
                at /= part
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                below = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.ELOOP, errno.ENOTDIR} and at.is_symlink():
                raise self._refusal(at) from None
            raise _at(at, error) from None
        return descriptor

    @contextmanager
    def _holding(self, path: Path) -> Iterator[tuple[int, str]]:
        """The folder that holds the path, as a descriptor, and the path's name in it."""
        if not self._parts(path):
            raise StoreError(f"{shown_path(path)} is the folder itself, not a file in it")
        folder = self._open_folder(path.parent)
        try:
            yield folder, path.name
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._refusal(path) from None
            if not isinstance(error.filename, str) or os.sep not in error.filename:  # a name in the folder, or none
                raise _at(path, error) from None
            raise
        finally:
            os.close(folder)


def _at(path: Path, error: OSError) -> OSError:
    """The same error, of that path."""
    return OSError(error.errno, error.strerror, str(path))


def _raise(error: OSError) -> None:
    raise error


# --- files outside a tree ---


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


# --- reading ---


def open_regular(path: Path, *, at_most: int | None = None) -> BufferedReader:
    """The plain file at the path, to be read; links are followed. It never waits.

    Raises OSError: for what is no plain file (a folder, a named pipe, a socket, a device), and for a file of over `at_most`
    bytes. `strerror` is a sentence: "it is a socket, not a plain file".
    """
    return _open_plain(path, path, None, at_most)


def read_regular(path: Path, *, at_most: int | None = None) -> bytes:
    """The content of the plain file at the path; raises OSError as `open_regular` does, also where it grows meanwhile."""
    with open_regular(path, at_most=at_most) as stream:
        return _read_all(stream, path, at_most)


def _open_plain(path: Path, name: Path | str, folder: int | None, at_most: int | None) -> BufferedReader:
    """`name` is looked up in `folder`, without following a link there, where that is given."""
    follow = folder is None
    _require_plain(os.stat(name, dir_fd=folder, follow_symlinks=follow), path, at_most)  # opening a device may change it
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        _require_plain(found := os.fstat(descriptor), path, at_most)  # it may have been another just before
        _require_contents(found, descriptor, path)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_plain(found: os.stat_result, path: Path, at_most: int | None) -> None:
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


def _read_all(stream: BinaryIO, path: Path, at_most: int | None) -> bytes:
    size = max(os.fstat(stream.fileno()).st_size, 2**16)
    size = 1 + (size if at_most is None else min(size, at_most))
    parts = [stream.read(size)]  # it takes as much memory as there is to read, whatever is the most
    while len(parts[-1]) == size:  # it grew meanwhile
        _require_size(sum(map(len, parts)), path, at_most)
        parts.append(stream.read(size))
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    _require_size(len(content), path, at_most)
    return content
