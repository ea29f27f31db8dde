"""Writes and deletes files in a folder that the user named, without following symbolic links in it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files.loose import make_folders
from bakeoff.files.reading import open_plain, read_all, require_plain
from bakeoff.text.words import shown_path

OURS: Final = re.compile(r"\.(tmp|checkpoints|keep)-.+|step-\d{9}|work-[0-9a-f]{32}|model|ranks")
"""Names of folders that Bakeoff creates, and may delete with all their contents."""

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
LOG: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC

TEMPORARY_PREFIX: Final = ".tmp-"
"""The prefix of the names of files and folders that are being written."""

LONGEST_STEM: Final = 120
"""How many bytes of a file's name are kept in its `temporary_name`; file systems allow 255 for the whole name."""


def _host() -> str:
    """A short hash of this machine, its boot and the process namespace: within one of these, whether a process is alive can be
    told by its number."""
    words = [socket.gethostname()]
    with suppress(OSError):
        words.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        words.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("|".join(words).encode()).hexdigest()[:8]


HOST = _host()


def temporary_name(name: str) -> str:
    """The name of an unfinished copy, `.tmp-NAME-HOST-PROCESS-RANDOM`: it shows which process made it, so that what a dead
    process left can be removed."""
    stem = name.encode(errors="surrogateescape")[:LONGEST_STEM].decode(errors="ignore")
    return f"{TEMPORARY_PREFIX}{stem}-{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Tree:
    """Writes and deletes in one folder that the user named.

    That folder itself may be a symbolic link. Within it none is followed: each folder is opened from its parent, so that a link
    that is put there meanwhile has no effect either. All paths are below `root`, as in `root / "a" / "b"`. A link on the way
    raises StoreError; errors of the machine (no space, read-only, ...) are OSErrors with the path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, path: Path) -> Path:
        """Creates the folder and its missing parents."""
        os.close(self._open_folder(path, make=True))
        return path

    def make_empty(self, path: Path) -> Path:
        """Creates the folder and its parents if missing. Raises BakeoffError if it is not empty or can't be created."""
        try:
            if next(self.make(path).iterdir(), None) is not None:
                raise BakeoffError(f"{shown_path(path)}: the folder is not empty; name an empty folder, or a new one")
        except OSError as error:
            raise BakeoffError(f"{shown_path(error.filename or path)}: {error.strerror}") from None
        return path

    def make_fresh(self, path: Path) -> Path:
        """Creates a new, empty folder and its missing parents, for a library to write into. Raises FileExistsError if anything
        is there."""
        self.make(path.parent)
        with self._holding(path) as (folder, name):
            os.mkdir(name, dir_fd=folder)
        return path

    def require_no_link(self, path: Path) -> None:
        """Raises StoreError if the path, or a folder on the way to it, is a symbolic link."""
        at = self.root
        for part in self._parts(path):
            at /= part
            if at.is_symlink():
                raise self._refusal(at)

    def write(self, path: Path, content: bytes, *, synced: bool = True, mode: int = 0o666) -> None:
        """Writes the file atomically, replacing an existing one; its folder must exist. synced, mode: as in `writing`."""
        with self.writing(path, synced=synced, mode=mode) as stream:
            stream.write(content)

    @contextmanager
    def writing(self, path: Path, *, synced: bool = True, mode: int = 0o666) -> Iterator[BinaryIO]:
        """A context with a stream for the file's content, which replaces the file atomically when the block ends without an
        exception.

        synced: waits until the file is on the disk, so that it survives a power cut. mode: the file's permissions, less those
        that the umask takes. If the file has several names (hard links), the others keep the old content.
        """
        with self._holding(path) as (folder, name):
            beside = temporary_name(name)
            try:
                with os.fdopen(os.open(beside, NEW_FILE, mode, dir_fd=folder), "wb") as stream:
                    yield stream
                    stream.flush()
                    if synced:
                        os.fsync(stream.fileno())
                _rename(beside, folder, name, folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=folder)
                raise
            if synced:
                os.fsync(folder)

    def create(self, path: Path, content: bytes) -> None:
        """Creates a new file with this content. Raises FileExistsError if anything is there, even a link to nothing."""
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
        """A file descriptor that appends to the file, which is created if missing; the caller closes it."""
        with self._holding(path) as (folder, name):
            return os.open(name, LOG, 0o666, dir_fd=folder)

    def shorten(self, path: Path, first: int, last: int, between: bytes) -> None:
        """Cuts the middle out of a regular file: its first `first` and last `last` bytes stay, with `between` between them.

        The file is changed in place, so that another process can go on appending to it.
        """
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._holding(path) as (folder, name), os.fdopen(os.open(name, flags, dir_fd=folder), "r+b") as stream:
            require_plain(os.fstat(stream.fileno()), path, None)
            stream.seek(-last, os.SEEK_END)
            end = stream.read(last)
            stream.truncate(first)
            stream.seek(first)
            stream.write(between + end)

    def move(self, old: Path, new: Path) -> None:
        """Renames a file or folder; both paths are below the root. A folder can't replace one that is not empty."""
        with self._holding(old) as (source, name), self._holding(new) as (target, becomes):
            _rename(name, source, becomes, target)

    def remove(self, path: Path) -> None:
        """Removes a file, or a link and not its target; does nothing if it is missing."""
        with suppress(FileNotFoundError), self._holding(path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def remove_folder(self, path: Path) -> None:
        """Removes a folder that Bakeoff made, with all its contents; does nothing if it is missing.

        Such folders are recognised by their names, or by the name of a parent: see `OURS`. If a link or a file has taken the
        folder's place, that is removed, never the link's target. What the system refuses to delete stays. Raises StoreError
        for other folders.
        """
        parts = self._parts(path)
        if not any(OURS.fullmatch(part) for part in (self.root.name, *parts)):
            raise StoreError(f"{shown_path(path)} is not a folder that Bakeoff made, so it is not deleted")
        with suppress(OSError), self._holding(path) as (folder, name):
            try:
                os.unlink(name, dir_fd=folder)
            except (IsADirectoryError, PermissionError):  # a folder: the one on Linux, the other elsewhere
                shutil.rmtree(name, ignore_errors=True, dir_fd=folder)

    def remove_empty(self, path: Path) -> None:
        """Removes a folder if nothing is in it; does nothing otherwise."""
        with suppress(OSError), self._holding(path) as (folder, name):
            os.rmdir(name, dir_fd=folder)

    def touch(self, path: Path) -> None:
        """Sets the file's modification time to now. Raises FileNotFoundError if it is missing."""
        with self._holding(path) as (folder, name):
            os.utime(name, dir_fd=folder, follow_symlinks=False)

    def clock(self, folder: Path) -> float:
        """The time now by the clock that dates the files in the folder, in seconds since 1970. On NFS it is the server's, which
        may be ahead of this machine's or behind it. Read from a new file, which is removed again."""
        with self._holding(folder / temporary_name("clock")) as (at, name):
            descriptor = os.open(name, NEW_FILE, 0o666, dir_fd=at)
            try:
                os.utime(descriptor)  # NFS may keep something else in the times of a file that was just created
                return os.fstat(descriptor).st_mtime
            finally:
                os.close(descriptor)
                with suppress(OSError):
                    os.unlink(name, dir_fd=at)

    def names(self, folder: Path) -> list[str]:
        """The names of everything in a folder, sorted."""
        descriptor = self._open_folder(folder)
        try:
            return sorted(os.listdir(descriptor))  # noqa: PTH208 - of a descriptor
        finally:
            os.close(descriptor)

    def read(self, path: Path, *, at_most: int | None = None) -> bytes:
        """The content of a regular file, like `read_regular`, without following links on the way."""
        with self._holding(path) as (folder, name), open_plain(path, name, folder, at_most) as stream:
            return read_all(stream, path, at_most)

    def sync(self, path: Path, *, inside: bool = True) -> None:
        """Waits until a folder's entries are on the disk; `inside`: also the content of all regular files and folders in
        it."""
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
            raise StoreError(f"{shown_path(path)} is outside {shown_path(self.root)}")
        return parts

    def _refusal(self, link: Path) -> StoreError:
        return StoreError(
            f"{shown_path(link)} is a symbolic link, and links in {shown_path(self.root)} are not followed: replace it "
            "by a folder or a regular file"
        )

    def _open_folder(self, path: Path, *, make: bool = False) -> int:
        """A descriptor of the folder, opened by way of its parents' descriptors, so that no link is followed; `make`: creates
        what is missing."""
        parts, at = self._parts(path), self.root
        if make and self.root.is_symlink() and not self.root.exists():
            raise StoreError(f"{shown_path(self.root)} is a symbolic link to something that does not exist")
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
        """A context with a descriptor of the folder that the path is in, and the path's name there. OSErrors in it get the
        path; one that says that the path is a link becomes StoreError."""
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


def _rename(name: str, source: int, becomes: str, target: int) -> None:
    """Renames `name` in the folder `source` to `becomes` in the folder `target`, both file descriptors.

    An error counts as none if the file has its new name all the same: an NFS client that got no answer sends its request again,
    and is told that there is no such file any more.
    """
    before = os.stat(name, dir_fd=source, follow_symlinks=False)
    try:
        os.rename(name, becomes, src_dir_fd=source, dst_dir_fd=target)
    except OSError:
        with suppress(OSError):
            if os.path.samestat(before, os.stat(becomes, dir_fd=target, follow_symlinks=False)):
                return
        raise


def _at(path: Path, error: OSError) -> OSError:
    """The same error, with this path."""
    return OSError(error.errno, error.strerror, str(path))


def _raise(error: OSError) -> None:
    raise error
