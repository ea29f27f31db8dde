"""Which process works on which run, so that two commands on one folder do not make the same run twice.

No record depends on a claim: where two processes work on one run all the same, `records.publishing` decides which record
counts. A claim is a file with its owner's token. The owner touches it every few seconds; a claim that is not touched for a
minute may be taken over, and its owner notices that at its next touch. Clocks of two machines are never compared: who waits for
a claim measures with its own clock how long the file does not change.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from bakeoff.errors import StoreError
from bakeoff.files import HOST, Tree, open_regular
from bakeoff.machine.processes import lives, start_of
from bakeoff.text.words import shown_path

STALE_SECONDS = 60.0
"""A claim that is left as it is for this long may be taken over: its owner is suspended, dead, or has lost the folder."""

PREFIX: Final = ".claim-"
LARGEST: Final = 4096
"""Bytes of a claim."""

LONGEST_WAIT_SECONDS: Final = 1.0
"""For another process that holds the lock of the same claim."""

Claim = dict[str, Any]


class Claims:
    """The claims on runs in the folder of an experiment's records, seen by one process."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        self.tree, self.folder = tree, folder
        self._own: dict[str, str] = {}
        """Run -> the token of the claim that this process has made on it."""
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        """Run that another has claimed -> the claim as it was last seen to change, and when that was by our own clock."""

    def take(self, run_id: str) -> bool:
        """Whether the run is this process's now: nobody had claimed it, or the owner is dead, or has not touched it for a
        minute."""
        token = uuid.uuid4().hex
        claim = {"host": HOST, "process": os.getpid(), "start": start_of(os.getpid()), "token": token}
        content, path = json.dumps(claim).encode(), self._path(run_id)
        try:
            self.tree.create(path, content)
        except FileExistsError:
            with self._alone_with(path) as stream:
                if stream is None or not self._is_abandoned(run_id, stream):
                    return False
                self.tree.write(path, content)
        self._own[run_id] = token
        self._seen.pop(run_id, None)
        return True

    def keep(self, run_id: str) -> bool:
        """Renews this process's claim on the run, the file that tells other processes to leave the run alone. False where
        another process has taken the claim over."""
        path = self._path(run_id)
        with self._opened(path) as stream:
            if stream is None or run_id not in self._own or _read(stream).get("token") != self._own[run_id]:
                return False
        with suppress(FileNotFoundError):
            self.tree.touch(path)
            return True
        return False

    def release(self, run_id: str) -> None:
        """Lets others have the run; a claim that is another's by now stays."""
        path = self._path(run_id)
        with self._alone_with(path) as stream:
            if stream is not None and _read(stream).get("token") == self._own.get(run_id, ""):
                self.tree.remove(path)
        self._own.pop(run_id, None)

    def sweep(self) -> None:
        """Removes the claims of dead processes of this machine."""
        for path in self.folder.glob(f"{PREFIX}*"):
            with suppress(StoreError), self._alone_with(path) as stream:
                if stream is not None and (claim := _read(stream)).get("host") == HOST and not _owner_lives(claim):
                    self.tree.remove(path)

    def is_held(self, run_id: str) -> bool:
        """Whether somebody seems to work on the run: a living process of this machine, or one of another machine whose claim
        was touched within the last minute, if the clocks agree."""
        with self._opened(self._path(run_id)) as stream:
            if stream is None:
                return False
            claim = _read(stream)
            if claim.get("host") == HOST:
                return _owner_lives(claim)
            return abs(time.time() - os.fstat(stream.fileno()).st_mtime) <= STALE_SECONDS

    def _is_abandoned(self, run_id: str, stream: BinaryIO) -> bool:
        """Whether the owner is a dead process of this machine, or the claim has not changed since it was seen a minute ago."""
        claim, found = _read(stream), os.fstat(stream.fileno())
        if claim.get("host") == HOST and not _owner_lives(claim):
            return True
        state, now = (found.st_ino, found.st_mtime_ns), time.monotonic()
        before, since = self._seen.get(run_id, (None, now))
        if state != before:
            self._seen[run_id] = state, now
            return False
        return now - since > STALE_SECONDS

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{PREFIX}{run_id}"

    @contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO | None]:
        """The claim, opened; None where there is none. Raises StoreError where something else stands in its place."""
        try:
            self.tree.require_no_link(path)
            stream = open_regular(path)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            if error.errno not in {errno.EISDIR, errno.EINVAL}:
                raise
            raise StoreError(f"{shown_path(path)}: {error.strerror}: no claim of Bakeoff's; remove it") from None
        with stream:
            yield stream

    @contextmanager
    def _alone_with(self, path: Path) -> Iterator[BinaryIO | None]:
        """The claim, which no other process replaces or removes within the block; None where it is gone, or is another file by
        the time that it is our turn."""
        with self._opened(path) as stream:
            if stream is None:
                yield None
                return
            _lock(stream)
            try:
                same = os.path.samestat(os.fstat(stream.fileno()), path.lstat())
            except FileNotFoundError:
                same = False
            yield stream if same else None


def _lock(stream: BinaryIO) -> None:
    """Until the file is closed. A file system may have no locks, and whoever holds one may be suspended: then two may take a
    claim over in the same instant."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return
        else:
            return


def _read(stream: BinaryIO) -> Claim:
    """The content of a claim; empty where it is not whole."""
    stream.seek(0)
    try:
        claim = json.loads(stream.read(LARGEST))
    except (ValueError, RecursionError):
        return {}
    return claim if isinstance(claim, dict) else {}


def _owner_lives(claim: Claim) -> bool:
    """Of a claim that was made on this machine; True where it does not say who made it."""
    process, start = claim.get("process"), claim.get("start")
    if type(process) is not int:
        return True
    return lives(process, start if type(start) is int else None)
