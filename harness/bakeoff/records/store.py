"""Records on disk: one folder per run, made complete beside its place and then renamed into it.

Which of two records of one run counts says `records.publishing`; `records.claims` only avoids double work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import Tree, read_regular, temporary_name
from bakeoff.machine.file_hashes import State, sha256_of, state_of
from bakeoff.machine.processes import maker_of
from bakeoff.records import predictions, steps
from bakeoff.records.claims import Claims
from bakeoff.records.history import continued
from bakeoff.records.kept import without_model
from bakeoff.records.parquet import blamed_on
from bakeoff.records.predictions import Predictions, PredictionsReader
from bakeoff.records.publishing import REPLACED, Mark, Publishing, Rank, mark_of
from bakeoff.records.record_files import (
    MOST_BYTES,
    MOST_OF_A_PLAN,
    MOST_OF_A_TEXT,
    check_file,
    dump,
    read_file,
    read_inside,
    read_part,
    read_record,
)
from bakeoff.records.schema import (
    MODEL_FOLDER,
    OUTPUT_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    STEPS_FILE,
    Attempt,
    Control,
    Declared,
    Record,
)
from bakeoff.text.words import quoted, shown_path

LONGEST_ENDING = 60
"""Characters of a file's name that are repeated where it is set aside."""

BESIDE_WEIGHTS, BYTES_OF_A_PARAMETER = 2**30, 8
"""What a file of a kept model may have at most: the tokenizer of one may be large, and weights have 2 or 4 bytes mostly."""


class Store:
    """The records of one experiment folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, Tree(folder)
        self.records = folder / "records"
        self.plan_file = self.records / "plan.json"
        self.publishing = Publishing(self.tree, self.records, read=self.read_in, check=self.check_in)
        self.claims = Claims(self.tree, self.records)
        self._parsed: dict[State, Record] = {}
        """Records read so far, by the state of their file: wherever that lies now, it isn't parsed again."""
        self._declared: tuple[State, Declared] | None = None
        self._place: tuple[int, int] | None = None
        """Device and inode of the folder of records, once `declare` has written to it."""
        self._reader = PredictionsReader()

    # --- reading ---

    @cached_property
    def neighbours(self) -> list[Store]:
        """Of the other experiments in the folder beside this one, by name."""
        here = self.folder.resolve()
        found = sorted(path.parents[1] for path in here.parent.glob("*/records/plan.json"))
        return [Store(folder) for folder in found if folder != here]

    def has(self, run_id: str) -> bool:
        try:
            return (self.records / run_id / RECORD_FILE).is_file()
        except PermissionError:
            return True  # something is there: `read` says what is wrong with it

    def read(self, run_id: str) -> Record:
        """Raises StoreError for a record that is missing, damaged, or of another run."""
        record = self.read_in(self.records / run_id)
        if record.id != run_id:
            raise DamageError(f"{shown_path(self.records / run_id / RECORD_FILE)} says that it is run {quoted(record.id)}")
        return record

    def read_in(self, folder: Path) -> Record:
        """The record in a folder, published or not; raises StoreError. As long as its file is as it was it is read once."""
        try:
            state = state_of(folder / RECORD_FILE)
        except OSError:  # `read_record` says what is wrong
            return read_record(folder)
        if state not in self._parsed or folder.is_symlink() or (folder / RECORD_FILE).is_symlink():
            self._parsed[state] = read_record(folder)
        return self._parsed[state]

    def check(self, run_id: str) -> Record:
        """The record, after all its files were read; raises DamageError that names the file."""
        record, folder = self.read(run_id), self.records / run_id
        readers = {PREDICTIONS_FILE: self.predictions, STEPS_FILE: self.steps}
        for name in record.files:
            if name in readers:
                readers[name](record)
            else:
                check_file(folder, name, record.files, at_most=_most_bytes(record, name))
        return record

    def check_in(self, folder: Path) -> Record:
        """The record in a folder, published or not, once its files were held against their checksums; raises DamageError."""
        record = self.read_in(folder)
        for name in record.files:
            with blamed_on(folder / name):
                at_most = _most_bytes(record, name)
            check_file(folder, name, record.files, at_most=at_most)
        return record

    def predictions(self, record: Record, reader: PredictionsReader | None = None) -> dict[str, Predictions]:
        """Split -> predictions of a run; raises StoreError that names the file."""
        path, reader = self._file_of(record, PREDICTIONS_FILE), reader or self._reader
        with blamed_on(path):
            most = predictions.expected(record.data).most_bytes
        return reader.read(read_file(path.parent, path.name, record.files, at_most=most), record.data, path)

    def steps(self, record: Record) -> Any:
        """A run's steps as a pyarrow table: see `read_steps`. Raises StoreError that names the file."""
        path = self._file_of(record, STEPS_FILE)
        most = steps.expected(record).most_bytes
        return steps.read_steps(read_file(path.parent, path.name, record.files, at_most=most), record, path)

    def _file_of(self, record: Record, name: str) -> Path:
        folder = self.records / record.id
        if name not in record.files:
            raise StoreError(f"{shown_path(folder)} is of a record without {name}")
        return folder / name

    def read_all(self, run_ids: Iterable[str] | None = None) -> tuple[list[Record], list[str]]:
        """The records that can be read (of those ids, or all), and a sentence for each that cannot."""
        records, damaged = [], []
        for run_id in self.recorded_ids() if run_ids is None else filter(self.occupied, run_ids):
            try:
                records.append(self.read(run_id))
            except StoreError as error:
                damaged.append(str(error))
        return records, damaged

    def recorded_ids(self) -> list[str]:
        """Of all folders that lie among the records; raises StoreError where they cannot be listed."""
        if not self.records.is_dir():
            return []
        try:
            with os.scandir(self.records) as entries:
                return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
        except OSError as error:
            raise StoreError(f"{shown_path(self.records)} cannot be listed: {error.strerror}") from None

    def occupied(self, run_id: str) -> bool:
        """Whether something stands at the run's place, a record or not."""
        return os.path.lexists(self.records / run_id)

    def find(self, run_id: str) -> Record | None:
        """The run's record; None where there is none that can be read, or where the run was interrupted: it is still due."""
        try:
            record = self.read(run_id) if self.has(run_id) else None
        except DamageError:
            return None
        return None if record and record.was_interrupted else record

    def is_due(self, run_id: str) -> bool:
        """Whether `bakeoff run` makes the run by itself: it has no record, or was interrupted; False of a damaged record."""
        try:
            return not self.has(run_id) or self.read(run_id).was_interrupted
        except DamageError:
            return False

    def attempts(self) -> dict[str, list[Attempt]]:
        """The failed attempts that were set aside, by run, oldest first."""
        return self.publishing.attempts()

    def mark(self, run_id: str) -> Mark | None:
        """Of what stands at the run's place, so that it is known again; None where nothing does."""
        return mark_of(self.records / run_id)

    def misfit(self, record: Record, seed_of: Mapping[str, int]) -> str:
        """A sentence where the plan says another seed of the run than its record, which is one of the two's damage; else
        nothing."""
        planned = seed_of.get(record.id, record.requested.seed)
        if planned == record.requested.seed:
            return ""
        path = self.records / record.id / RECORD_FILE
        return f"{shown_path(path)} is of seed {record.requested.seed}; {shown_path(self.plan_file)} says seed {planned}"

    def declared(self) -> Declared:
        """What the experiment asked for; raises StoreError where no experiment is."""
        try:
            state = state_of(self.plan_file)
            if self._declared is None or self._declared[0] != state:
                self._declared = (
                    state,
                    read_part(Declared, read_regular(self.plan_file, at_most=MOST_OF_A_PLAN), self.plan_file),
                )
            return self._declared[1]
        except FileNotFoundError:
            raise StoreError(
                f"{shown_path(self.folder)} holds no experiment: there is no records/plan.json, which `bakeoff run` writes"
            ) from None
        except NotADirectoryError:
            place = self.records if self.folder.is_dir() else self.folder
            raise StoreError(f"{shown_path(place)} is a file; name the folder of an experiment") from None
        except OSError as error:
            raise StoreError(f"{shown_path(self.plan_file)} cannot be read: {error.strerror}") from None

    def controls(self) -> tuple[list[Control], list[str]]:
        """The control runs that can be read, oldest first, and a sentence for each that cannot: they say whether times can be
        trusted."""
        found, damaged = [], []
        for path in sorted(self.records.glob("control-*.json")):
            try:
                found.append(read_part(Control, read_inside(self.records, path.name, at_most=MOST_BYTES), path))
            except StoreError as error:
                damaged.append(str(error))
        return sorted(found, key=lambda control: (control.started, control.session, control.moment == "after")), damaged

    def check_owner(self, declared: Declared, spec: Path, content: bytes) -> None:
        """Raises StoreError where the folder belongs to another experiment: another name and file, and no run in common.

        `content` is that of the file `spec` when it was read.
        """
        self.refuse_links()
        own = self.folder / spec.name
        if not self.plan_file.is_file():
            if own.is_file() and not _is_same_file(own, spec) and not _holds(own, content):
                raise StoreError(
                    f"{shown_path(own)} is another experiment file, never run; give a folder of its own with --into DIR"
                )
            return
        try:
            there = self.declared()
        except DamageError:
            return  # written anew
        shared = {run.id for run in there.runs} & {run.id for run in declared.runs}
        if (there.name, there.spec_file) != (declared.name, declared.spec_file) and not shared:
            raise StoreError(
                f"{shown_path(self.folder)} holds the records of experiment '{there.name}' ({there.spec_file}); "
                "give this one a folder of its own with --into DIR"
            )

    def refuse_links(self) -> None:
        """Raises StoreError where the records, or states of a training, would lie behind a link, or where a file stands."""
        for place in (self.records, *self.records.glob(".checkpoints-*")):
            self.tree.require_no_link(place)
            if place.exists() and not place.is_dir():
                raise StoreError(f"{shown_path(place)} is no folder, and one is made there: remove it")

    def checkpoints(self, run_id: str) -> Path:
        """Where the states in the middle of a run lie until it has ended; raises StoreError for a link in its place."""
        place = self.records / f".checkpoints-{run_id}"
        self.tree.require_no_link(place)
        return place

    def drop_checkpoints(self, run_id: str) -> None:
        self.tree.remove_folder(self.records / f".checkpoints-{run_id}")

    # --- writing ---

    def declare(self, declared: Declared) -> None:
        """Writes what the experiment asks for; its history goes on."""
        try:
            before = self.declared()
        except StoreError:  # none yet, or a damaged one, which `check_owner` let pass: written anew
            pass
        else:
            recorded = sum(self.has(run.id) for run in before.runs)
            declared = declared.model_copy(update={"history": continued(before, declared, recorded)})
            if declared.model_copy(update={"seal": before.seal}) == before:
                self._place = _place_of(self.records)
                return
        self.tree.make(self.records)
        self.tree.write(self.plan_file, dump(declared))
        self._place = _place_of(self.records)

    def require_place(self) -> None:
        """Raises StoreError where the folder that `declare` wrote to was moved, deleted or replaced meanwhile."""
        if self._place is not None and self._place != _place_of(self.records):
            raise StoreError(
                f"{shown_path(self.records)} is no longer the folder in which this command began: it was moved, deleted or "
                "replaced; nothing more is written there. Where it lies now, the same command goes on"
            )

    def add_control(self, control: Control) -> None:
        self.tree.write(self.records / f"control-{control.session}-{control.moment}.json", dump(control))

    def adopt(self, spec: Path, content: bytes) -> str:
        """Keeps the experiment file, as it was read, beside its records, so that the folder tells what it holds.

        An edit of that very file stays, and another file of its name is set aside: a sentence says so.
        """
        own = self.folder / spec.name
        if _holds(own, content):
            return ""
        if own.is_file() and _is_same_file(own, spec):
            return f"{shown_path(spec)} was edited meanwhile; what runs is the file as it was read at the start"
        aside = ""
        if own.is_file() and not own.is_symlink():
            aside = f"{REPLACED}{own.name[-LONGEST_ENDING:]}-{sha256_of(own)[:8]}"
            self.tree.move(own, self.folder / aside)
        self.tree.write(own, content)
        return f"{shown_path(own)} was another file; it is called {shown_path(aside)} now" if aside else ""

    def begin(self, run_id: str) -> Path:
        """A fresh folder beside the run's place, to be filled and then published."""
        return self.tree.make_fresh(self.records / temporary_name(run_id))

    def publish(self, folder: Path, run_id: str, *, instead_of: Mark | None = None) -> bool:
        """Whether the record in a complete folder is the run's now, by the rule of `records.publishing`; `instead_of` is the
        record that is made again."""
        return self.publishing.publish(folder, run_id, instead_of=instead_of)

    def drop(self, folder: Path) -> None:
        """Removes a folder that `begin` made, where it is there still. A whole good record in it stays: `recover` finds it."""
        if not self._is_good(folder):
            self.tree.remove_folder(folder)

    def recover(self) -> list[str]:
        """Publishes the whole good records that stopped processes left beside their places; the ids of their runs.

        Those are processes of this machine that are dead, and others that hold no claim on the run.
        """
        found = []
        for path in sorted(self.records.glob(".tmp-*")):
            maker = maker_of(path.name)
            if maker is None or (maker.alive if maker.here else self.claims.is_held(maker.stem)) or not self._is_good(path):
                continue
            record, run_id = self.read_in(path), maker.stem
            if record.id == run_id:
                without_model(record, path, "the command that made it ended before its model was kept")
                self.tree.remove(path / OUTPUT_FILE)
                if self.publish(path, run_id):
                    found.append(run_id)
                    self.drop_checkpoints(run_id)
        return found

    def sweep(self) -> None:
        """Removes what killed processes of this machine left half-made, and their claims; other machines' are theirs."""
        self.claims.sweep()
        for path in [*self.records.glob(".tmp-*"), *self.folder.glob(".tmp-*")]:
            maker = maker_of(path.name)
            if maker is not None and not maker.alive:
                self.drop(path)

    def _is_good(self, folder: Path) -> bool:
        """Whether a whole record of a run that ended well lies there."""
        return (folder / RECORD_FILE).is_file() and self.publishing.rank(folder) is Rank.GOOD


def _holds(path: Path, content: bytes) -> bool:
    """Whether a plain file with this content lies there."""
    try:
        return read_regular(path, at_most=len(content)) == content
    except OSError:
        return False


def _place_of(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder; None where there is none."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _is_same_file(first: Path, second: Path) -> bool:
    """Whether both paths lead to one file; where one of them leads nowhere, whether they lie at one place."""
    return first.resolve() == second.resolve()


def _most_bytes(record: Record, name: str) -> int:
    """Of a file that stands beside the record; those of a kept model follow from its parameters. Raises what `blamed_on`
    catches."""
    if name == PREDICTIONS_FILE:
        return predictions.expected(record.data).most_bytes
    if name == STEPS_FILE:
        return steps.expected(record).most_bytes
    if not name.startswith(f"{MODEL_FOLDER}/"):
        return MOST_OF_A_TEXT
    return BESIDE_WEIGHTS + BYTES_OF_A_PARAMETER * (record.weights.parameters_total if record.weights else 0)
