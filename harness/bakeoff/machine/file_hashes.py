"""What a file holds, told by its hash; hashes are kept in the cache, so that an unchanged file is not read again."""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from bakeoff.files import Tree, nameless_file, open_regular, read_regular
from bakeoff.machine.json_reader import read_json

SETTLED_SECONDS = 2.0
"""A file that was changed less long ago may be changed once more without a later time stamp, for file systems round times: its
hash is not kept."""

MOST_REMEMBERED = 4096
"""Bytes that say what a file was hashed to."""
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
    """sha256 of files, remembered in `folder`: a file whose state is as it was is not read again.

    One small file for each that was hashed, replaced as a whole, so that several processes may remember at once. Where the
    folder can't be written, nothing is remembered.
    """

    folder: Path

    def sha256(self, path: Path, *, at_most: int | None = None) -> str | None:
        """Of the file's contents; None where it is not remembered and larger than `at_most` bytes. Raises OSError."""
        before = state_of(path)
        place = self.folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.json"
        if (known := _remembered(place, before)) is not None:
            return known
        if at_most is not None and before[0] > at_most:
            return None
        settled = time.time() - before[2] / 1e9 > SETTLED_SECONDS
        digest = sha256_of(path)
        if settled and state_of(path) == before:
            with suppress(OSError):
                _remember(place, before, digest)
        return digest


def _remembered(place: Path, state: State) -> str | None:
    try:
        known = read_json(read_regular(place, at_most=MOST_REMEMBERED))
        digest = known["sha256"] if tuple(known["state"]) == state else ""
        return digest if SHA256.fullmatch(digest) else None
    except (OSError, ValueError, TypeError, KeyError):  # not there, or damaged: the file is read again
        return None


def _remember(place: Path, state: State, digest: str) -> None:
    cache = Tree(place.parent)
    cache.make(place.parent)
    cache.write(place, json.dumps({"state": state, "sha256": digest}).encode("ascii"), synced=False)
