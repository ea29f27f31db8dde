"""Fingerprints of files, of source code and of what JSON can hold. Hashes of files are kept in the cache, so that an unchanged
file is not read again."""

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
"""A file that was changed less long ago may be changed once more without a later time stamp, for file systems round times: its
hash is not kept."""

MOST_REMEMBERED = 4096
"""Bytes of a remembered hash."""
SHA256 = re.compile(r"[0-9a-f]{64}")

GIT_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins that Git LFS has not fetched."""
NOT_FETCHED = "is a pointer of Git LFS, not the file itself: fetch it by `git lfs pull` in its repository"


def sha256_of(path: Path) -> str:
    """Of a file's contents, however large."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_git_pointer(path: Path) -> bool:
    """Whether the file only says where Git LFS has its contents. Raises OSError."""
    with open_regular(path) as stream:
        return stream.read(len(GIT_POINTER)) == GIT_POINTER


def copy_of(path: Path, folder: Path) -> tuple[BinaryIO, str]:
    """A private copy of a file's contents, at its start, and their sha256: what is read from it is what was hashed.

    A file that somebody writes in place while it is read would give rows under the hash of others. The copy lies in `folder`
    under no name, and is gone once it is closed; where the folder cannot be written, it is held in memory. Raises OSError where
    the file cannot be read.
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
"""Of a file: size, time of modification, time of change (both in nanoseconds), inode, device. A program can set the time of
modification; the time of change is the kernel's."""


def state_of(path: Path) -> State:
    """By it an unchanged file is known without being read; symbolic links are followed. Raises OSError."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


@dataclass(frozen=True)
class FileHashes:
    """sha256 of files, remembered in the cache: a file whose state is as it was is not read again.

    One small file for each that was hashed, replaced as a whole, so that several processes may remember at once. Where the
    cache can't be written, nothing is remembered.
    """

    cache: Path

    def sha256(self, path: Path, *, at_most: int | None = None) -> str | None:
        """Of the file's contents; None where it is not remembered and larger than `at_most` bytes. Raises OSError."""
        before = state_of(path)
        place = self.cache / "hashes" / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.json"
        if (known := _remembered(place, before)) is not None:
            return known
        if at_most is not None and before[0] > at_most:
            return None
        settled = time.time() - before[2] / 1e9 > SETTLED_SECONDS
        digest = sha256_of(path)
        if settled and state_of(path) == before:
            with suppress(OSError):
                folder = Tree(place.parent)
                folder.make(place.parent)
                folder.write(place, json.dumps({"state": before, "sha256": digest}).encode("ascii"), synced=False)
        return digest

    def digest(self, files: Iterable[Path], *, at_most: int | None = None) -> str | None:
        """The fingerprint of several files' contents, in this order; None where one is not remembered and larger than `at_most`
        bytes. Raises OSError."""
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
"""Split of a task, or part of a model (`weights`, `tokenizer`, `configuration`) -> its files."""


class WatchedFiles:
    """The files of a task or model, looked at before they are read and afterwards: what is hashed is what was read."""

    def __init__(self, find: Callable[[], Files | None], hashes: FileHashes) -> None:
        """`find` is `Task.files` or `Model.files`: what it does not find yet may be downloaded while reading."""
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
        """By split or part, once they were read; None where the component does not tell. Raises DataError where one was
        changed meanwhile."""
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
                raise DataError(f"{shown_path(changed[0])} was changed while it was read; run again once it is written")
            assert digest is not None  # nothing is too large here
            found[part] = digest
        return found


def digest_of(value: object) -> str:
    """The fingerprint of what JSON can hold: the first half of the sha256 of its one spelling."""
    return half(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest())


def half(sha256: str) -> str:
    """The first 128 bits: enough to distinguish files, and a record stays small."""
    return sha256[:32]


@lru_cache(maxsize=64)
def code_digest(package: str) -> str | None:
    """Of the Python sources of an importable package or module, by name; None where they can't be found.

    Asked once in a process: an editable install may be edited while its code runs.
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
