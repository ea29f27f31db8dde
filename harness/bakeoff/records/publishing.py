"""Reads the folders of runs' records, publishes them so that none is lost, and decides which of a run's records counts.

A record is written to a folder of its own and renamed into its place. If another record is there already, one rule decides,
whichever came first: a good record counts before a failure of the run, a failure before an interruption, and any of them before
a damaged record; of two equal ones the first counts. A failure that does not count is archived, and shown as an attempt. The
record of a run that the user reruns yields to a new one of equal rank, and is archived too.
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
from bakeoff.machine.file_hashes import State, is_settled, state_of
from bakeoff.records import predictions, steps
from bakeoff.records.index import Index
from bakeoff.records.parquet import errors_as_damage
from bakeoff.records.record_files import MOST_OF_A_TEXT, check_file, read_file, read_record
from bakeoff.records.schema import MODEL_FOLDER, PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE, Attempt, Record

REPLACED: Final = ".replaced-"
"""The prefix of archived records' folders."""

ARCHIVED: Final = re.compile(rf"{re.escape(REPLACED)}(?P<run>r[0-9]+-[0-9a-z]+)-[0-9a-f]{{8}}")

TAKEN: Final = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
"""Errors of renaming a folder to a path that exists."""

BESIDE_WEIGHTS, BYTES_OF_A_PARAMETER = 2**30, 8
"""A kept model's file may have so many bytes (its tokenizer may be large), and so many more for each parameter of the model,
which mostly takes 2 or 4."""

Mark = tuple[int, int, State | None]
"""Identifies a record even after it was moved: inode and device of its folder, and the state of `record.json`."""


class Rank(IntEnum):
    """The rank of a record: of two records of a run, the one with the higher rank counts."""

    DAMAGED = 0
    INTERRUPTED = 1
    FAILED = 2
    GOOD = 3


def mark_of(folder: Path) -> Mark | None:
    """The mark of whatever lies at this path; None if nothing does."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return None
    state = None
    with suppress(OSError):
        state = state_of(folder / RECORD_FILE)
    return found.st_ino, found.st_dev, state


def attempt_of(record: Record) -> Attempt | None:
    """A failed record as an attempt at its run; None for a good one."""
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
    """The record with further attempts at its run, without duplicates, oldest first."""
    known = [*record.attempts, *(attempt for attempt in attempts if attempt not in record.attempts)]
    if len(known) == len(record.attempts):
        return record
    return record.model_copy(update={"attempts": sorted(known, key=lambda attempt: attempt.started)})


def content_of(folder: Path, record: Record, name: str) -> bytes:
    """The content of one of a record's files. Raises DamageError if it does not match the record's checksum."""
    return read_file(folder, name, record.files, at_most=_most_bytes(folder, record, name))


def check_content(folder: Path, record: Record, name: str) -> None:
    """Like `content_of`, for a file that may be larger than memory: returns nothing."""
    check_file(folder, name, record.files, at_most=_most_bytes(folder, record, name))


def _most_bytes(folder: Path, record: Record, name: str) -> int:
    """The largest size that one of a record's files may have. Raises DamageError if the record's own figures are impossible."""
    with errors_as_damage(folder / name):
        if name == PREDICTIONS_FILE:
            return predictions.expected(record.data).most_bytes
        if name == STEPS_FILE:
            return steps.expected(record).most_bytes
    if not name.startswith(f"{MODEL_FOLDER}/"):
        return MOST_OF_A_TEXT
    return BESIDE_WEIGHTS + BYTES_OF_A_PARAMETER * (record.weights.parameters_total if record.weights else 0)


class RecordFolders:
    """The folders of the records of one experiment: published, archived, or not yet published."""

    def __init__(self, tree: Tree, records: Path, index: Index | None = None) -> None:
        self.tree, self.records, self.index = tree, records, index
        self._parsed: dict[State, Record] = {}
        """Records read so far, by the state of their file, so that a moved file is not parsed again."""

    def read_in(self, folder: Path) -> Record:
        """The record in a folder, published or not; an unchanged file is parsed once. Raises StoreError."""
        file = folder / RECORD_FILE
        try:
            state = state_of(file, follow_links=False)
        except OSError:  # `read_record` says what is wrong
            return read_record(folder)
        if folder.is_symlink():  # here too
            return read_record(folder)
        if state not in self._parsed:
            self._parsed[state] = self._read(folder, state)
        return self._parsed[state]

    def _read(self, folder: Path, state: State) -> Record:
        """The record in a folder, from the index if that has it in this state of its file."""
        if self.index is None or folder.parent != self.records:
            return read_record(folder)
        if (known := self.index.record(folder.name, state)) is not None:
            return known
        settled = is_settled(state)
        record = read_record(folder)
        return self.index.add(folder.name, state, record) if settled else record

    def mark(self, run_id: str) -> Mark | None:
        """The mark of the run's published record; None if there is none."""
        return mark_of(self.records / run_id)

    def publish(self, folder: Path, run_id: str, *, instead_of: Mark | None = None, keep: bool = False) -> bool:
        """Publishes the record in a complete folder, if it counts. Returns whether it is the run's record now; the folder is
        gone either way.

        instead_of: the mark of the record that a rerun replaces. keep: archives the record if it does not count, also where it
        is no failure. If the process is killed at any point, each good record is still in its place, archived, or in a folder
        from which `Store.recover` publishes it.
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
                self._retire(folder, run_id, keep=keep or mine is Rank.FAILED)
                return False
            self._take_out(run_id, mark, keep=rerun or theirs is not Rank.INTERRUPTED)

    def archive(self, folder: Path, run_id: str) -> None:
        """Archives the record in a complete folder, whether or not the run has another one."""
        self.tree.sync(folder)
        self._retire(folder, run_id, keep=True)

    def rank(self, folder: Path) -> Rank:
        """The rank of the record in a folder, after checking its files against their checksums. Raises StoreError for a
        newer schema, and MachineError if the disk cannot be read, since the record may then be undamaged."""
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
        """The archived failed attempts of each run, oldest first."""
        found: dict[str, list[Attempt]] = {}
        for run_id, folder in self.archived():
            with suppress(StoreError):
                if (attempt := attempt_of(self.read_in(folder))) is not None:
                    found.setdefault(run_id, []).append(attempt)
        return found

    def archived(self) -> Iterator[tuple[str, Path]]:
        """Yields (run id, folder) of each archived record."""
        for folder in sorted(self.records.glob(f"{REPLACED}*")):
            if (named := ARCHIVED.fullmatch(folder.name)) is not None:
                yield named["run"], folder

    def _take_out(self, run_id: str, mark: Mark, *, keep: bool) -> None:
        """Takes the record with this mark out of the run's place, and archives it if `keep`, else deletes it. Another record
        that took the place meanwhile is published again."""
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
        """Removes a record from the experiment: archives its folder if `keep`, else deletes it."""
        if keep:
            self.tree.move(folder, self.records / f"{REPLACED}{run_id}-{uuid.uuid4().hex[:8]}")
        else:
            self.tree.remove_folder(folder)
