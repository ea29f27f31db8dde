"""Fingerprints of files, of source code and of JSON values. Hashes of files are cached, so that an unchanged file is not
read again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from bakeoff.errors import BakeoffError, DataError
from bakeoff.files import Tree, nameless_file, open_regular, read_regular
from bakeoff.machine.json_reader import read_json
from bakeoff.text.words import shown_path

SETTLED_SECONDS = 2.0
"""What is read of a file that changed less than this many seconds ago is not cached: file systems round times, so it may change
again without a later time stamp."""

MOST_REMEMBERED = 4096
"""The largest size of a cache file, which holds one hash, in bytes."""
SHA256 = re.compile(r"[0-9a-f]{64}")

GIT_POINTER = b"version https://git-lfs.github.com/spec/"
"""The first bytes of a file whose contents Git LFS has not fetched."""
NOT_FETCHED = "is a pointer of Git LFS, not the file itself: fetch it by `git lfs pull` in its repository"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's contents, of any size."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_git_pointer(path: Path) -> bool:
    """Whether the file is only a pointer of Git LFS, without the contents that it stands for. Raises OSError."""
    with open_regular(path) as stream:
        return stream.read(len(GIT_POINTER)) == GIT_POINTER


def copy_of(path: Path, folder: Path) -> tuple[BinaryIO, str]:
    """A private copy of a file's contents, positioned at its start, and their SHA-256, so that what is read is what was
    hashed.

    A file that is overwritten while it is read would otherwise give rows that its hash does not describe. The copy is an
    unnamed file in `folder`, deleted when it is closed; it is held in memory if it can't be written there. Raises OSError if
    the file can't be read.
    """
    with open_regular(path) as source:
        try:
            copy = nameless_file(folder)
            digest = _hashed_into(copy, source)
        except OSError:
            source.seek(0)
            digest = _hashed_into(copy := BytesIO(), source)
    copy.seek(0)
    return copy, digest


def _hashed_into(copy: BinaryIO, source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while part := source.read(2**20):
        digest.update(part)
        copy.write(part)
    return digest.hexdigest()


State = tuple[int, int, int, int, int]
"""A file's size, modification time, change time (both in nanoseconds), inode and device. Programs can set the modification
time; the change time is the kernel's."""


def state_of(path: Path, *, follow_links: bool = True) -> State:
    """A file's state, by which an unchanged file is recognised without reading it. Raises OSError."""
    found = path.stat(follow_symlinks=follow_links)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def is_settled(state: State) -> bool:
    """Whether a file of this state changed long enough ago that its next change gives it another state. To be asked before the
    file is read."""
    return time.time() - state[2] / 1e9 > SETTLED_SECONDS


@dataclass(frozen=True)
class FileHashes:
    """SHA-256 of files, cached together with the file's state.

    Each hash has a small file of its own in the cache, replaced atomically, so that several processes can use the cache.
    Without a writable cache nothing is stored.
    """

    cache: Path

    def sha256(self, path: Path, *, at_most: int | None = None) -> str | None:
        """The hash of a file's contents; None if it is not cached and the file is larger than `at_most` bytes. Raises
        OSError."""
        before = state_of(path)
        place = self.cache / "hashes" / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.json"
        if (known := _remembered(place, before)) is not None:
            return known
        if at_most is not None and before[0] > at_most:
            return None
        settled = is_settled(before)
        digest = sha256_of(path)
        if settled and state_of(path) == before:
            with suppress(OSError):
                folder = Tree(place.parent)
                folder.make(place.parent)
                folder.write(place, json.dumps({"state": before, "sha256": digest}).encode("ascii"), synced=False)
        return digest

    def digest(self, files: Iterable[Path], *, at_most: int | None = None) -> str | None:
        """One fingerprint of the contents of several files, in this order; None if the hash of one is not cached and the file
        is larger than `at_most` bytes. Raises OSError."""
        contents = [self.sha256(path, at_most=at_most) for path in files]
        return None if None in contents else digest_of(contents)


def _remembered(place: Path, state: State) -> str | None:
    try:
        known = read_json(read_regular(place, at_most=MOST_REMEMBERED))
        digest = known["sha256"] if tuple(known["state"]) == state else ""
        return digest if SHA256.fullmatch(digest) else None
    except (OSError, ValueError, TypeError, KeyError):  # not there, or damaged: the file is read again
        return None


Files = Mapping[str, Sequence[Path]]
"""A split of a task, or a part of a model (`weights`, `tokenizer`, `configuration`) -> the files from which it is loaded."""


class WatchedFiles:
    """The files of a task or model, examined before and after they are read, so that the files that are hashed are those that
    were read."""

    def __init__(self, find: Callable[[], Files | None], hashes: FileHashes) -> None:
        """find: returns the files, by `Task.files` or `Model.files`. Files that it does not return yet may be downloaded when
        they are read."""
        self.find, self.hashes = find, hashes
        self.before: dict[Path, State] = {}
        for path in chain.from_iterable((self.found() or {}).values()):
            with suppress(OSError):  # whoever reads it says so
                self.before[path] = state_of(path)

    def found(self) -> Files | None:
        try:
            return self.find()
        except BakeoffError:  # as above
            return None

    def fingerprints(self) -> dict[str, str] | None:
        """Split or part -> fingerprint of its files; to be called after reading. None if the component does not name its
        files. Raises DataError if a file changed since before reading."""
        files = self.found()
        if files is None:
            return None
        found = {}
        for part, paths in files.items():
            try:
                digest = self.hashes.digest(paths)
                changed = [path for path in paths if path in self.before and state_of(path) != self.before[path]]
            except OSError as error:
                raise DataError(f"{shown_path(error.filename)}: {error.strerror}") from None
            if changed:
                raise DataError(
                    f"{shown_path(changed[0])} was changed while it was read; repeat the command when it is complete"
                )
            assert digest is not None  # nothing is too large here
            found[part] = digest
        return found


def digest_of(value: object) -> str:
    """The fingerprint of a JSON value: the first half of the SHA-256 of its JSON text with sorted keys, as hexadecimal
    digits."""
    return half(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest())


def half(sha256: str) -> str:
    """The first 128 bits of a SHA-256, as 32 hexadecimal digits: enough to tell files apart, and records stay small."""
    return sha256[:32]


@lru_cache(maxsize=64)
def code_digest(package: str) -> str | None:
    """The fingerprint of the Python sources of an importable package or module; None if they can't be found.

    Computed once per process, because an editable install may be edited while its code runs.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    files = {path.relative_to(folder).as_posix(): path for folder in folders for path in folder.rglob("*.py")}
    if not folders and spec.origin and Path(spec.origin).is_file():
        files = {Path(spec.origin).name: Path(spec.origin)}
    try:
        return digest_of({name: sha256_of(path) for name, path in files.items()})
    except OSError:
        return None
