"""Claims: which process works on which run, so that two commands on one folder do not train the same run twice.

No record depends on a claim: if two processes work on one run all the same, `records.publishing` decides which record counts. A
claim is a file with its owner's token, which the owner touches every few seconds. A claim that is not touched any more may be
taken over; its owner notices that at its next touch.

The clocks of two machines are never compared. Who died on this machine is known at once, and a living process of it that
touches nothing for a minute is suspended. Another machine's claim is judged by its age: it is opened, since the time stamp of
a path may be an old one that NFS has cached, and compared with a file that was just written beside it, which the same server
dates.
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
"""The claim of a living process of this machine that we have seen unchanged for this long may be taken over: its owner is
suspended, or has lost the folder. Measured by our own clock, so that both may wake up on a laptop that slept."""

FOREIGN_STALE_SECONDS = 300.0
"""The claim of another machine may be taken over if it was touched this long ago, by the clock of its file system. Of a claim
that names no owner, `STALE_SECONDS` are enough: whoever makes one writes its name at once."""

CLOCK_SECONDS: Final = 10.0
"""For how long the time that was read from the file system is taken for the time now."""

PREFIX: Final = ".claim-"
LARGEST: Final = 4096
"""The largest size of a claim file, in bytes."""

LONGEST_WAIT_SECONDS: Final = 1.0
"""How long to wait for another process that holds the lock of the same claim."""

PATIENCE_SECONDS: Final = 10.0
"""How long `Claims.alone` waits for the owner of the claim."""

Claim = dict[str, Any]


class Claims:
    """One process's view of the claims on runs in an experiment's folder of records."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        self.tree, self.folder = tree, folder
        self._own: dict[str, str] = {}
        """Run -> the token of this process's claim on it."""
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        """Run claimed by another process of this machine -> (inode and modification time of the claim file when we last looked,
        the time by our own clock at which we first saw these)."""
        self._clock: tuple[float, float] | None = None
        """The file system's time when we last read it, and our own clock then."""

    def take(self, run_id: str) -> bool:
        """Claims the run for this process. Returns False if another process holds a claim on it; one that is abandoned is taken
        over."""
        token = uuid.uuid4().hex
        claim = {"host": HOST, "process": os.getpid(), "start": start_of(os.getpid()), "token": token}
        content, path = json.dumps(claim).encode(), self._path(run_id)
        try:
            self.tree.create(path, content)
        except FileExistsError:
            with self._alone_with(path) as stream:
                if stream is None:
                    return False
                if _read(stream).get("token") != token:  # else it is ours, and NFS has sent the request twice
                    if not self._is_abandoned(run_id, stream):
                        return False
                    self.tree.write(path, content)
        self._own[run_id] = token
        self._seen.pop(run_id, None)
        return True

    def renew(self, run_id: str) -> bool:
        """Touches the file of this process's claim on the run. Returns False if another process has taken the claim over, or
        the file is gone."""
        path = self._path(run_id)
        with self._opened(path) as stream:
            if stream is None or run_id not in self._own or _read(stream).get("token") != self._own[run_id]:
                return False
        with suppress(FileNotFoundError):
            self.tree.touch(path)
            return True
        return False

    def release(self, run_id: str) -> None:
        """Gives up this process's claim on the run; another process's claim stays."""
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
        """Whether another process seems to work on the run: a living one of this machine, or one of another machine that
        touched its claim within the last five minutes. True too if that can't be told, in a folder that can't be written to."""
        with self._opened(self._path(run_id)) as stream:
            if stream is None:
                return False
            claim = _read(stream)
            return _owner_lives(claim) if claim.get("host") == HOST else not self._is_outdated(claim, stream)

    @contextmanager
    def alone(self, run_id: str, refusal: str) -> Iterator[None]:
        """A context in which this process has the claim, for work of seconds. Waits for another process that has it; raises
        StoreError with this message if it keeps the claim for longer."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.take(run_id):
            if time.monotonic() > deadline:
                raise StoreError(refusal)
            time.sleep(0.05)
        try:
            yield
        finally:
            self.release(run_id)

    def _is_abandoned(self, run_id: str, stream: BinaryIO) -> bool:
        """Whether the claim may be taken over. stream: the opened claim."""
        claim = _read(stream)
        if claim.get("host") != HOST:
            return self._is_outdated(claim, stream)
        if not _owner_lives(claim):
            return True
        found, now = os.fstat(stream.fileno()), time.monotonic()
        state = found.st_ino, found.st_mtime_ns
        before, since = self._seen.get(run_id, (None, now))
        if state != before:
            self._seen[run_id] = state, now
            return False
        return now - since > STALE_SECONDS

    def _is_outdated(self, claim: Claim, stream: BinaryIO) -> bool:
        return self._seconds_untouched(stream) > (FOREIGN_STALE_SECONDS if claim else STALE_SECONDS)

    def _seconds_untouched(self, stream: BinaryIO) -> float:
        """How long ago the claim was touched, by the clock of its file system; 0 if that can't be told, since nothing can be
        written there. A date that lies ahead is as far from now as one that lies back: that clock was set. stream: the opened
        claim."""
        touched, now = os.fstat(stream.fileno()).st_mtime, time.monotonic()
        if self._clock is None or now - self._clock[1] > CLOCK_SECONDS:
            try:
                self._clock = self.tree.clock(self.folder), now
            except OSError:
                return 0.0
        return abs(self._clock[0] - touched)

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{PREFIX}{run_id}"

    @contextmanager
    def _opened(self, path: Path, *, to_lock: bool = False) -> Iterator[BinaryIO | None]:
        """Opens a claim file for reading; yields None if it does not exist. Raises StoreError if the path is no regular file.
        to_lock: open for writing too, if it may be written to, since NFS locks no other file."""
        try:
            self.tree.require_no_link(path)
            stream = None
            if to_lock:
                with suppress(OSError):
                    stream = open_regular(path, access=os.O_RDWR)
            stream = stream or open_regular(path)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            if error.errno not in {errno.EISDIR, errno.EINVAL}:
                raise
            raise StoreError(f"{shown_path(path)}: {error.strerror}: this is not a claim file of Bakeoff; remove it") from None
        with stream:
            yield stream

    @contextmanager
    def _alone_with(self, path: Path) -> Iterator[BinaryIO | None]:
        """Opens and locks a claim file, so that no other process replaces or removes it within the block. Yields None if the
        file does not exist, or was removed or replaced while waiting for the lock."""
        with self._opened(path, to_lock=True) as stream:
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
    """Locks the file until it is closed. Goes on without a lock if the file system has none, or if another process holds it for
    longer than `LONGEST_WAIT_SECONDS`: two processes may then take over a claim at the same instant."""
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
    """The content of a claim file; empty if it can't be parsed, as when it is being written."""
    stream.seek(0)
    try:
        claim = json.loads(stream.read(LARGEST))
    except (ValueError, RecursionError):
        return {}
    return claim if isinstance(claim, dict) else {}


def _owner_lives(claim: Claim) -> bool:
    """Whether the owner of a claim made on this machine is alive; True if the claim names no process."""
    process, start = claim.get("process"), claim.get("start")
    if type(process) is not int:
        return True
    return lives(process, start if type(start) is int else None)
