"""Errors of the machine during a run, which are not the run's fault: a full disk, an exhausted quota, a disk that can't be
read or written."""

from __future__ import annotations

import errno
import os
import re
import resource
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bakeoff.errors import BakeoffError, MachineError, causes
from bakeoff.text.words import escaped, shown_path

FAULTS: Final = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.ESTALE,
    getattr(errno, "EREMOTEIO", errno.EIO),
}
NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT}
FULL_BELOW: Final = 2**14
"""A disk with fewer free bytes counts as full."""

MUCH: Final = 2**33
"""A disk with at least this many free bytes is not suspected of having been full, if the error does not name the disk."""

NO_FOLDER: Final = "No usable temporary directory found"
"""The message of the FileNotFoundError that `tempfile` raises if it can write to no folder."""

WORDINGS: Final = [
    (re.compile(NO_FOLDER), errno.ENOSPC),
    (re.compile(r"[\[(](?:os error|errno) (\d+)[\])]", re.IGNORECASE), None),  # Rust's libraries; Arrow
    (re.compile(r"No space left on device|database or disk is full"), errno.ENOSPC),
    (re.compile(r"dataloader's workers are out of shared memory"), errno.ENOSPC),
    (re.compile(r"Disk quota exceeded"), errno.EDQUOT),
    (re.compile(r"Read-only file system"), errno.EROFS),
    (re.compile(r"Input/output error"), errno.EIO),
    # torch.save and numpy's `tofile` tell how far they came, and not why
    (re.compile(r"inline_container\.cc.*unexpected pos|PytorchStreamWriter failed writing"), errno.ENOSPC),
    (re.compile(r"^\d+ requested and \d+ written$"), errno.ENOSPC),
]
"""(pattern of a library's message about a system error, the errno that it means); None if the message holds the number
itself."""

AT_PATH: Final = re.compile(r'at path "(?P<path>/[^"]+)"')
"""How messages of Rust libraries name the file."""

QUOTING: Final = (BakeoffError, ValueError, TypeError, LookupError)
"""Errors whose message may quote data, and so must not be matched against `WORDINGS`."""


def code_of(error: BaseException) -> int | None:
    """The errno of the machine's fault that caused an exception; None if no such fault did."""
    found = _origin(error)
    return found[1] if found else None


def machine_error(error: BaseException, places: Iterable[Path]) -> MachineError | None:
    """The exception as a MachineError if a fault of the machine caused it; else None.

    places: folders that may have been written to; if the exception names no file, the folder on the fullest disk is named.
    """
    if isinstance(error, MachineError):
        return error
    if (found := _origin(error)) is None:
        return None
    origin, code = found
    path = _path_of(origin)
    if path is not None:
        return MachineError(sentence(code, path))
    if code == errno.EFBIG and (limit := _limit_of_files()):  # of any file, on whichever disk
        return MachineError(
            f"{escaped(os.strerror(code))} ({limit}); raise that limit and repeat the command, which continues from here"
        )
    free = {place: room for place in (*places, *shared_places()) if (room := free_bytes(place)) is not None}
    if code == errno.EROFS:
        suspects = [place for place in free if _is_read_only(place)]
    else:
        suspects = [place for place in free if not _is_read_only(place) and (code not in NO_SPACE or free[place] < MUCH)]
    if not suspects:
        return MachineError(
            f"{escaped(os.strerror(code))}, on an unnamed disk; correct that and repeat the command, which continues"
        )
    return MachineError(sentence(code, min(suspects, key=free.__getitem__)))


def raise_machine_error(error: BaseException, places: Iterable[Path]) -> None:
    """Raises MachineError if a fault of the machine caused the exception; else does nothing. places: as for
    `machine_error`."""
    if (fault := machine_error(error, places)) is not None:
        raise fault from error


def shared_places() -> list[Path]:
    """Existing folders to which libraries write by themselves: for temporary files, and for memory shared between
    processes."""
    found = [Path(os.environ.get("TMPDIR") or "/tmp"), Path("/dev/shm")]  # noqa: S108 - they are only looked at
    with suppress(OSError):  # none of them may be usable
        found.append(Path(tempfile.gettempdir()))
    return [place for place in found if place.is_dir()]


def full_disk(places: Iterable[Path]) -> MachineError | None:
    """An error for the first of these folders whose disk is full, which may be why a process died without a message; None if
    no disk is full."""
    for place in places:
        free = free_bytes(place)
        if free is not None and not _is_read_only(place) and (free < FULL_BELOW or _has_no_inode(place)):
            return MachineError(sentence(errno.ENOSPC, place))
    return None


def sentence(code: int, path: Path, needed: int | None = None) -> str:
    """The message that says what is wrong with the disk of `path` and what to do, for a command that continues when it is
    repeated. code: the errno; needed: how many bytes were to be written."""
    remedy = "free some space" if code in NO_SPACE else "correct that"
    return f"{shown_path(path)}: {in_words(code, path, needed)}; {remedy} and repeat the command, which continues from here"


def in_words(code: int, path: Path, needed: int | None = None) -> str:
    """The system's message for an errno; for a full disk also how many bytes were to be written (`needed`) and how many are
    free."""
    words = escaped(os.strerror(code))
    if code == errno.EFBIG and (limit := _limit_of_files()):
        return f"{words} ({limit})"
    if code not in NO_SPACE:
        return words
    free = free_bytes(path)
    amounts = [f"{needed:,} bytes are needed"] if needed is not None else []
    amounts += [f"{free:,} bytes are free"] if free is not None else []
    amounts += ["no more files can be made"] if _has_no_inode(path) else []
    return f"{words} ({' and '.join(amounts)})" if amounts else words


def _limit_of_files() -> str:
    """The limit on the size of this process's files, as text; empty if there is none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return "" if limit == resource.RLIM_INFINITY else f"no file of this process may have over {limit:,} bytes: `ulimit -f`"


@contextmanager
def writing(path: Path, *, size: int) -> Iterator[None]:
    """A context for writing about `size` bytes to `path`. Raises MachineError if the machine can't store them."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MachineError) or (code := code_of(error)) is None:
            raise
        raise MachineError(sentence(code, path, size)) from error


def _disk(path: Path) -> os.statvfs_result | None:
    """The file system of a path, which need not exist yet; None if it may not be inspected."""
    for place in (path, *path.parents):
        with suppress(OSError):
            return os.statvfs(place)
    return None


def free_bytes(path: Path) -> int | None:
    """Free bytes on the disk of a path, which need not exist yet; None if the disk may not be inspected."""
    return None if (disk := _disk(path)) is None else disk.f_bavail * disk.f_frsize


def _has_no_inode(path: Path) -> bool:
    return (disk := _disk(path)) is not None and disk.f_files > 0 and disk.f_favail == 0


def _is_read_only(path: Path) -> bool:
    return (disk := _disk(path)) is not None and bool(disk.f_flag & os.ST_RDONLY)


def _origin(error: BaseException) -> tuple[BaseException, int] | None:
    """The first fault of the machine among an exception and its causes: that exception and its errno; None if there is
    none."""
    return next(((one, code) for one in causes(error) if (code := _own_code(one)) is not None), None)


def _own_code(error: BaseException) -> int | None:
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None and NO_FOLDER not in text:
        ours = error.errno == errno.EFBIG and os.strerror(errno.EFBIG) not in text  # `files.open_regular` refuses large files
        return error.errno if error.errno in FAULTS and not ours else None
    if isinstance(error, QUOTING):
        return None
    for pattern, code in WORDINGS:
        if (match := pattern.search(text)) is not None:
            number = code if code is not None else int(match[1])
            return number if number in FAULTS else None
    return None


def _path_of(error: BaseException) -> Path | None:
    named = error.filename if isinstance(error, OSError) else None
    if isinstance(named, str) and named:
        return Path(named).absolute()
    match = AT_PATH.search(str(error))
    return Path(match["path"]) if match else None
