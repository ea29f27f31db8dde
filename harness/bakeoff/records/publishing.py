"""Which of several records of one run counts, and how it gets to its place without being lost on the way.

A record is made in a folder of its own beside its place and renamed into it. Where another stands there already, one rule
decides, whichever of them came first: a good record counts before a failure of the run, that before an interruption, and any of
them before what is damaged; of two alike the first counts. A failure of the run that does not count is set aside, and shown as
an attempt. A record that is made again by the user's wish yields to one that is as good, and is set aside too.
"""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import TEMPORARY_PREFIX, Tree, temporary_name
from bakeoff.machine.faults import machine_error
from bakeoff.machine.file_hashes import State, state_of
from bakeoff.records.schema import RECORD_FILE, Attempt, Record

REPLACED: Final = ".replaced-"
"""How the folders of records begin that were set aside."""

SET_ASIDE: Final = re.compile(rf"{re.escape(REPLACED)}(?P<run>r[0-9]+-[0-9a-z]+)-[0-9a-f]{{8}}")

TAKEN: Final = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
"""Why a folder can't be renamed to a place where something stands."""

Mark = tuple[int, int, State | None]
"""By it a record is known again wherever it lies: inode and device of its folder, and the state of `record.json`."""


class Rank(IntEnum):
    """A higher one counts before a lower one."""

    DAMAGED = 0
    INTERRUPTED = 1
    FAILED = 2
    GOOD = 3


def mark_of(folder: Path) -> Mark | None:
    """Of whatever stands there; None where nothing does."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return None
    state = None
    with suppress(OSError):
        state = state_of(folder / RECORD_FILE)
    return found.st_ino, found.st_dev, state


def attempt_of(record: Record) -> Attempt | None:
    """A failed record as an attempt at its run; None of a good one."""
    if record.failure is None:
        return None
    return Attempt(
        started=record.started,
        reason=record.failure.reason,
        phase=record.failure.phase,
        total_seconds=record.cost.total_seconds if record.cost else 0.0,
        train_seconds=record.cost.train_seconds if record.cost else 0.0,
        steps=record.cost.steps if record.cost else 0,
    )


def with_attempts(record: Record, attempts: list[Attempt]) -> Record:
    """The record with further attempts at its run, each once, oldest first."""
    known = [*record.attempts, *(attempt for attempt in attempts if attempt not in record.attempts)]
    if len(known) == len(record.attempts):
        return record
    return record.model_copy(update={"attempts": sorted(known, key=lambda attempt: attempt.started)})


class Publishing:
    """The places of the records in a folder."""

    def __init__(self, tree: Tree, folder: Path, *, read: Callable[[Path], Record], check: Callable[[Path], Record]) -> None:
        """`read` gives the record in a folder, published or not, and so does `check`, once its files were held against their
        checksums; both raise DamageError."""
        self.tree, self.folder, self.read, self.check = tree, folder, read, check

    def publish(self, folder: Path, run_id: str, *, instead_of: Mark | None = None) -> bool:
        """Whether the record in a complete folder is the run's now; the folder is gone in any case.

        `instead_of` is the record that is made again. A kill at any point leaves each whole good record in its place, set
        aside, or in a folder from which `Store.recover` publishes it.
        """
        for name in self.tree.names(folder):
            if name.startswith(TEMPORARY_PREFIX):  # its writer was killed
                self.tree.remove_folder(folder / name)
        self.tree.sync(folder)
        place = self.folder / run_id
        while True:
            mark = mark_of(place)
            if mark is None:
                try:
                    self.tree.move(folder, place)
                except OSError as error:
                    if error.errno in TAKEN:  # another process was faster
                        continue
                    raise
                self.tree.sync(self.folder, inside=False)
                return True
            mine, theirs, made_again = self.rank(folder), self.rank(place), mark == instead_of
            if mine < theirs or (mine == theirs and not made_again):
                self._retire(folder, run_id, keep=mine is Rank.FAILED)
                return False
            self._take_out(run_id, mark, keep=made_again or theirs is not Rank.INTERRUPTED)

    def rank(self, folder: Path) -> Rank:
        """Of the record in a folder and all its files; raises StoreError for one of a newer schema, and MachineError where the
        disk does not give it: it may be whole."""
        try:
            record = self.check(folder)
        except DamageError as error:
            if (fault := machine_error(error, [folder])) is not None:
                raise fault from error
            return Rank.DAMAGED
        if record.failure is None:
            return Rank.GOOD
        return Rank.INTERRUPTED if record.was_interrupted else Rank.FAILED

    def attempts(self) -> dict[str, list[Attempt]]:
        """The failed attempts that were set aside, by run."""
        found: dict[str, list[Attempt]] = {}
        for run_id, folder in self.set_aside():
            with suppress(StoreError):
                if (attempt := attempt_of(self.read(folder))) is not None:
                    found.setdefault(run_id, []).append(attempt)
        return found

    def set_aside(self) -> Iterator[tuple[str, Path]]:
        """Run and folder of each record that was set aside."""
        for folder in sorted(self.folder.glob(f"{REPLACED}*")):
            if (named := SET_ASIDE.fullmatch(folder.name)) is not None:
                yield named["run"], folder

    def _take_out(self, run_id: str, mark: Mark, *, keep: bool) -> None:
        """Clears the run's place of the record with this mark. Another that took the place meanwhile is published again."""
        beside = self.folder / temporary_name(run_id)
        try:
            self.tree.move(self.folder / run_id, beside)
        except FileNotFoundError:
            return
        if mark_of(beside) == mark:
            self._retire(beside, run_id, keep=keep)
        else:
            self.publish(beside, run_id)

    def _retire(self, folder: Path, run_id: str, *, keep: bool) -> None:
        """Takes a record out of the experiment: set aside, or without a trace."""
        if keep:
            self.tree.move(folder, self.folder / f"{REPLACED}{run_id}-{uuid.uuid4().hex[:8]}")
        else:
            self.tree.remove_folder(folder)
