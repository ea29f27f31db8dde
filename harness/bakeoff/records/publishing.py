"""The folders of runs' records: read, and published so that none is lost on the way; which of several records of a run counts.

A record is made in a folder of its own beside its place and renamed into it. Where another stands there already, one rule
decides, whichever of them came first: a good record counts before a failure of the run, a failure before an interruption, and
any of them before a damaged record; of two of one rank the first counts. A failure that does not count is archived, and shown
as an attempt. A record whose run the user wants to rerun yields to a new one of the same rank, and is archived too.
"""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import TEMPORARY_PREFIX, Tree, temporary_name
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.file_hashes import State, state_of
from bakeoff.records import predictions, steps
from bakeoff.records.parquet import blamed_on
from bakeoff.records.record_files import MOST_OF_A_TEXT, check_file, read_file, read_record
from bakeoff.records.schema import MODEL_FOLDER, PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE, Attempt, Record

REPLACED: Final = ".replaced-"
"""How the names of archived records' folders begin."""

ARCHIVED: Final = re.compile(rf"{re.escape(REPLACED)}(?P<run>r[0-9]+-[0-9a-z]+)-[0-9a-f]{{8}}")

TAKEN: Final = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
"""Why a folder can't be renamed to a place where something stands."""

BESIDE_WEIGHTS, BYTES_OF_A_PARAMETER = 2**30, 8
"""The most bytes of a kept model's file: its tokenizer may be large, and weights mostly have 2 or 4 bytes."""

Mark = tuple[int, int, State | None]
"""Identifies a record wherever it lies: inode and device of its folder, and the state of `record.json`."""


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


def content_of(folder: Path, record: Record, name: str) -> bytes:
    """The content of one of a record's files; raises DamageError unless it is what the record says."""
    return read_file(folder, name, record.files, at_most=_most_bytes(folder, record, name))


def check_content(folder: Path, record: Record, name: str) -> None:
    """As `content_of`, of a file that may be larger than the memory."""
    check_file(folder, name, record.files, at_most=_most_bytes(folder, record, name))


def _most_bytes(folder: Path, record: Record, name: str) -> int:
    """How large one of a record's files may be, by what the record says; raises DamageError where that makes no sense."""
    with blamed_on(folder / name):
        if name == PREDICTIONS_FILE:
            return predictions.expected(record.data).most_bytes
        if name == STEPS_FILE:
            return steps.expected(record).most_bytes
    if not name.startswith(f"{MODEL_FOLDER}/"):
        return MOST_OF_A_TEXT
    return BESIDE_WEIGHTS + BYTES_OF_A_PARAMETER * (record.weights.parameters_total if record.weights else 0)


class RecordFolders:
    """The folders of records of one experiment: in their places, archived, or not yet published."""

    def __init__(self, tree: Tree, records: Path) -> None:
        self.tree, self.records = tree, records
        self._parsed: dict[State, Record] = {}
        """Records read so far, by the state of their file: wherever that lies now, it isn't parsed again."""

    def read_in(self, folder: Path) -> Record:
        """The record in a folder, published or not; raises StoreError. An unchanged file is parsed once."""
        try:
            state = state_of(folder / RECORD_FILE)
        except OSError:  # `read_record` says what is wrong
            return read_record(folder)
        if state not in self._parsed or folder.is_symlink() or (folder / RECORD_FILE).is_symlink():
            self._parsed[state] = read_record(folder)
        return self._parsed[state]

    def mark(self, run_id: str) -> Mark | None:
        """Identifies what stands at the run's place; None where nothing does."""
        return mark_of(self.records / run_id)

    def publish(self, folder: Path, run_id: str, *, instead_of: Mark | None = None) -> bool:
        """Whether the record in a complete folder is the run's now; the folder is gone in any case.

        `instead_of` is the record that a rerun replaces. A kill at any point leaves each whole good record in its place,
        archived, or in a folder from which `Store.recover` publishes it.
        """
        for name in self.tree.names(folder):
            if name.startswith(TEMPORARY_PREFIX):  # its writer was killed
                self.tree.remove_folder(folder / name)
        self.tree.sync(folder)
        place = self.records / run_id
        while True:
            mark = mark_of(place)
            if mark is None:
                try:
                    self.tree.move(folder, place)
                except OSError as error:
                    if error.errno in TAKEN:  # another process was faster
                        continue
                    raise
                self.tree.sync(self.records, inside=False)
                return True
            mine, theirs, rerun = self.rank(folder), self.rank(place), mark == instead_of
            if mine < theirs or (mine == theirs and not rerun):
                self._retire(folder, run_id, keep=mine is Rank.FAILED)
                return False
            self._take_out(run_id, mark, keep=rerun or theirs is not Rank.INTERRUPTED)

    def rank(self, folder: Path) -> Rank:
        """Of the record in a folder, its files held against their checksums; raises StoreError for one of a newer schema, and
        MachineError where the disk cannot be read: the record may be whole."""
        try:
            record = self.read_in(folder)
            for name in record.files:
                check_content(folder, record, name)
        except DamageError as error:
            raise_machine_error(error, [folder])
            return Rank.DAMAGED
        if record.failure is None:
            return Rank.GOOD
        return Rank.INTERRUPTED if record.was_interrupted else Rank.FAILED

    def attempts(self) -> dict[str, list[Attempt]]:
        """The archived failed attempts, by run, oldest first."""
        found: dict[str, list[Attempt]] = {}
        for run_id, folder in self.archived():
            with suppress(StoreError):
                if (attempt := attempt_of(self.read_in(folder))) is not None:
                    found.setdefault(run_id, []).append(attempt)
        return found

    def archived(self) -> Iterator[tuple[str, Path]]:
        """Run and folder of each archived record."""
        for folder in sorted(self.records.glob(f"{REPLACED}*")):
            if (named := ARCHIVED.fullmatch(folder.name)) is not None:
                yield named["run"], folder

    def _take_out(self, run_id: str, mark: Mark, *, keep: bool) -> None:
        """Removes the record with this mark from the run's place. Another that took the place meanwhile is published again."""
        beside = self.records / temporary_name(run_id)
        try:
            self.tree.move(self.records / run_id, beside)
        except FileNotFoundError:
            return
        if mark_of(beside) == mark:
            self._retire(beside, run_id, keep=keep)
        else:
            self.publish(beside, run_id)

    def _retire(self, folder: Path, run_id: str, *, keep: bool) -> None:
        """Takes a record out of the experiment: archived, or deleted."""
        if keep:
            self.tree.move(folder, self.records / f"{REPLACED}{run_id}-{uuid.uuid4().hex[:8]}")
        else:
            self.tree.remove_folder(folder)
