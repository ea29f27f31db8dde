"""The records of one experiment's folder: one folder for each run, beside `plan.json` and control runs.

`records.publishing` decides which of two records of a run counts; `records.claims` only avoids double work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Final

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import Tree, read_regular, temporary_name
from bakeoff.machine.file_hashes import State, is_settled, state_of
from bakeoff.machine.output import keep_ends
from bakeoff.machine.processes import left_by_the_dead, maker_of
from bakeoff.records.claims import FOREIGN_STALE_SECONDS, PATIENCE_SECONDS, Claims
from bakeoff.records.history import continued
from bakeoff.records.index import Index
from bakeoff.records.predictions import Predictions, PredictionsReader, SharedExamples, SplitAnswers, answers_of
from bakeoff.records.publishing import Rank, RecordFolders, check_content, content_of
from bakeoff.records.record_files import MOST_BYTES, MOST_OF_A_PLAN, dump, read_inside, read_part, without_model
from bakeoff.records.schema import (
    OUTPUT_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    STEPS_FILE,
    Control,
    Costs,
    Declared,
    Record,
    Timing,
)
from bakeoff.records.steps import read_steps
from bakeoff.text.numbers import duration
from bakeoff.text.words import quoted, shown_path

PLAN_CLAIM: Final = "plan"
"""What is claimed, in the place of a run, by who writes `plan.json`."""


class Store(RecordFolders):
    """The records in the folder of one experiment."""

    def __init__(self, folder: Path, index: Index | None = None) -> None:
        """index: what is known of the records, so that unchanged files need not be read again; None to read all."""
        super().__init__(Tree(folder), folder / "records", index)
        self.folder = folder
        self.plan_file = self.records / "plan.json"
        self.costs_file = self.records / "costs.json"
        self.claims = Claims(self.tree, self.records)
        self._declared: tuple[State, Declared] | None = None
        self._place: tuple[int, int] | None = None
        """Device and inode of the folder of records, after `declare` has written to it."""
        self._reader = PredictionsReader()

    # --- reading ---

    @cached_property
    def neighbours(self) -> list[Store]:
        """The stores of the other experiments in the same parent folder, sorted by name."""
        here = self.folder.resolve()
        found = sorted(path.parents[1] for path in here.parent.glob("*/records/plan.json"))
        return [Store(folder) for folder in found if folder != here]

    def has(self, run_id: str) -> bool:
        try:
            return (self.records / run_id / RECORD_FILE).is_file()
        except PermissionError:
            return True  # something is there: `read` says what is wrong with it

    def read(self, run_id: str) -> Record:
        """The run's record. Raises StoreError if it is missing, damaged, or belongs to another run."""
        record = self.read_in(self.records / run_id)
        if record.id != run_id:
            raise DamageError(
                f"{shown_path(self.records / run_id / RECORD_FILE)} belongs to run {quoted(record.id)}: rename the folder"
            )
        return record

    def check(self, run_id: str) -> Record:
        """The run's record, after checking all its files. Raises DamageError that names the file."""
        record = self.read(run_id)
        states = {name: state_in(self.records / run_id, name) for name in record.files} if self.index else {}
        known = {name: state for name, state in states.items() if state is not None and is_settled(state)}
        if self.index and len(known) == len(record.files) and self.index.is_whole(record, known):
            return record
        for name in record.files:
            if name == PREDICTIONS_FILE:
                self.answers(record)
            elif name == STEPS_FILE:
                self.steps(record)
            else:
                check_content(self.records / run_id, record, name)
        if self.index:
            self.index.add_files(record, known)
        return record

    def predictions(self, record: Record, reader: PredictionsReader | None = None) -> dict[str, Predictions]:
        """Split -> predictions of a run. Raises StoreError that names the file."""
        return self._predictions(record, reader)[0]

    def answers(self, record: Record, reader: PredictionsReader | None = None) -> Mapping[str, SplitAnswers]:
        """Split -> what comparisons need of a run's predictions. Raises StoreError that names the file."""
        reader = reader or self._reader
        state = state_in(self.records / record.id, PREDICTIONS_FILE) if self.index else None
        if self.index and state and (known := self.index.answers(record, state, reader)) is not None:
            return known
        settled = state is not None and is_settled(state)
        predictions, examples = self._predictions(record, reader)
        found = answers_of(predictions, examples)
        if self.index and state and settled:
            self.index.add_answers(record, state, found, examples)
        return found

    def _predictions(self, record: Record, reader: PredictionsReader | None) -> tuple[dict[str, Predictions], SharedExamples]:
        """A run's predictions, and the examples that it shares with other runs."""
        content, path = self._file_of(record, PREDICTIONS_FILE)
        examples, logits = (reader or self._reader).parse(content, record.data, path)
        found = examples.with_logits(logits)
        if record.predicted == "answers":
            found = {split: replace(part, answers_alone=True) for split, part in found.items()}
        return found, examples

    def steps(self, record: Record) -> Any:
        """A run's steps as a pyarrow table; see `read_steps`. Raises StoreError that names the file."""
        content, path = self._file_of(record, STEPS_FILE)
        return read_steps(content, record, path)

    def _file_of(self, record: Record, name: str) -> tuple[bytes, Path]:
        folder = self.records / record.id
        if name not in record.files:
            raise StoreError(f"the record in {shown_path(folder)} has no {name}")
        return content_of(folder, record, name), folder / name

    def read_all(self, run_ids: Iterable[str] | None = None) -> tuple[list[Record], list[str]]:
        """The records that can be read (of these runs, or of all), and a sentence for each that can't."""
        records, damaged = [], []
        for run_id in self.recorded_ids() if run_ids is None else filter(self.occupied, run_ids):
            try:
                records.append(self.read(run_id))
            except StoreError as error:
                damaged.append(str(error))
        return records, damaged

    def keep_index(self) -> None:
        """Stores what was read since the index was loaded, if there is an index."""
        if self.index:
            self.index.save(self.recorded_ids())

    def recorded_ids(self) -> list[str]:
        """The names of all folders among the records. Raises StoreError if they can't be listed."""
        if not self.records.is_dir():
            return []
        try:
            with os.scandir(self.records) as entries:
                return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
        except OSError as error:
            raise StoreError(f"{shown_path(self.records)} cannot be listed: {error.strerror}") from None

    def occupied(self, run_id: str) -> bool:
        """Whether anything exists at the run's place, a record or not."""
        return os.path.lexists(self.records / run_id)

    def look(self, run_id: str) -> Record | DamageError | None:
        """The run's record, or the error of reading a damaged one; None where `bakeoff run` makes the run by itself: it has no
        record, or was interrupted."""
        try:
            record = self.read(run_id) if self.has(run_id) else None
        except DamageError as error:
            return error
        return None if record is not None and record.was_interrupted else record

    def find(self, run_id: str) -> Record | None:
        """The run's record; None if it is missing or damaged, or if the run was interrupted and so is still to be made."""
        found = self.look(run_id)
        return None if isinstance(found, DamageError) else found

    def is_due(self, run_id: str) -> bool:
        """Whether `bakeoff run` trains the run by itself: it has no record, or was interrupted. False if its record is
        damaged."""
        return self.look(run_id) is None

    def misfit(self, record: Record, seed_of: Mapping[str, int]) -> str:
        """A sentence if plan and record give the run different seeds, which means that one of them is damaged; else empty."""
        planned = seed_of.get(record.id, record.requested.seed)
        if planned == record.requested.seed:
            return ""
        path = self.records / record.id / RECORD_FILE
        return f"{shown_path(path)} has seed {record.requested.seed}, but {shown_path(self.plan_file)} says {planned}"

    def declared(self) -> Declared:
        """The experiment's declaration, from `plan.json`. Raises StoreError if the folder has no experiment."""
        try:
            state = state_of(self.plan_file)
            if self._declared is None or self._declared[0] != state:
                content = read_regular(self.plan_file, at_most=MOST_OF_A_PLAN)
                self._declared = state, read_part(Declared, content, self.plan_file)
            return self._declared[1]
        except FileNotFoundError:
            raise StoreError(
                f"{shown_path(self.folder)} is not the folder of an experiment: it has no records/plan.json"
            ) from None
        except NotADirectoryError:
            place = self.records if self.folder.is_dir() else self.folder
            raise StoreError(f"{shown_path(place)} is a file; give the folder of an experiment") from None
        except OSError as error:
            raise StoreError(f"{shown_path(self.plan_file)} cannot be read: {error.strerror}") from None

    def controls(self) -> tuple[list[Control], list[str]]:
        """The control runs that can be read, oldest first, and a sentence for each that can't. Control runs show whether times
        can be trusted."""
        found, damaged = [], []
        for path in sorted(self.records.glob("control-*.json")):
            try:
                found.append(read_part(Control, read_inside(self.records, path.name, at_most=MOST_BYTES), path))
            except StoreError as error:
                damaged.append(str(error))
        return sorted(found, key=lambda control: (control.started, control.session, control.moment == "after")), damaged

    def timings(self) -> list[Timing]:
        """What `bakeoff time` has measured; empty if nothing was. Raises StoreError if the file can't be read."""
        if not os.path.lexists(self.costs_file):
            return []
        content = read_inside(self.records, self.costs_file.name, at_most=MOST_BYTES)
        return read_part(Costs, content, self.costs_file).timings

    def refuse_links(self) -> None:
        """Raises StoreError if the folder of records or of checkpoints is a symbolic link or a file."""
        for place in (self.records, *self.records.glob(".checkpoints-*")):
            self.tree.require_no_link(place)
            if place.exists() and not place.is_dir():
                raise StoreError(f"{shown_path(place)} is not a folder, and a folder is needed there: remove or rename it")

    def checkpoints(self, run_id: str) -> Path:
        """The path of the folder for a run's checkpoints, which is made with the first one and removed when the run has ended.
        Raises StoreError for a symbolic link."""
        place = self.records / f".checkpoints-{run_id}"
        self.tree.require_no_link(place)
        return place

    def drop_checkpoints(self, run_id: str) -> None:
        self.tree.remove_folder(self.records / f".checkpoints-{run_id}")

    # --- writing ---

    def declare(self, declared: Declared) -> None:
        """Writes the experiment's declaration to `plan.json`, with the earlier declarations in its history. Of two commands
        that do so at once the second continues what the first has written. Raises StoreError if the other one takes long."""
        if self._continued(declared) is not None:
            with self.alone_with_plan():
                if (new := self._continued(declared)) is not None:
                    self.tree.write(self.plan_file, dump(new))
        self._place = _place_of(self.records)

    @contextmanager
    def alone_with_plan(self) -> Iterator[None]:
        """A context in which no other command writes `plan.json`: it has a claim, as runs have. Makes the folder if it is
        missing."""
        self.tree.make(self.records)
        refusal = (
            f"{shown_path(self.plan_file)}: another command has been writing it for {duration(PATIENCE_SECONDS)}; run this "
            f"again, and if the machine of that command died, in {duration(FOREIGN_STALE_SECONDS)}"
        )
        with self.claims.alone(PLAN_CLAIM, refusal):
            self._declared = None
            yield

    def _continued(self, declared: Declared) -> Declared | None:
        """The declaration with the history to store with it; None if `plan.json` has just that."""
        try:
            before = self.declared()
        except StoreError:  # none yet, or a damaged one, which `require_owner` let pass: written anew
            return declared
        recorded = sum(self.has(run.id) for run in before.runs)
        declared = declared.model_copy(update={"history": continued(before, declared, recorded)})
        return None if declared.model_copy(update={"seal": before.seal}) == before else declared

    def require_place(self) -> None:
        """Raises StoreError if the folder that `declare` wrote to was moved, deleted or replaced since."""
        if self._place is not None and self._place != _place_of(self.records):
            raise StoreError(
                f"{shown_path(self.records)} was moved, deleted or replaced while this command was running, so nothing "
                "more is written there. Run the same command where the folder is now, to continue"
            )

    def add_control(self, control: Control) -> None:
        self.tree.write(self.records / f"control-{control.session}-{control.moment}.json", dump(control))

    def add_timing(self, timing: Timing) -> None:
        """Stores a timing, in place of an earlier one of the same comparison group. A damaged file of timings is replaced."""
        try:
            before = self.timings()
        except DamageError:
            before = []
        others = [one for one in before if (one.task, one.model) != (timing.task, timing.model)]
        self.tree.make(self.records)
        self.tree.write(self.costs_file, dump(Costs(timings=[*others, timing])))

    def begin(self, run_id: str) -> Path:
        """Makes a new folder, to be filled with the run's record and then published."""
        return self.tree.make_fresh(self.records / temporary_name(run_id))

    def drop(self, folder: Path) -> None:
        """Removes a folder that `begin` made, if it still exists. A complete good record in it stays, for `recover` to find."""
        if not self.is_good(folder):
            self.tree.remove_folder(folder)

    def recover(self) -> list[str]:
        """Publishes complete good records that stopped processes left unpublished. Returns the ids of their runs.

        Stopped processes are the dead ones of this machine, and those of other machines that hold no claim on the run.
        """
        found = []
        for path in sorted(self.records.glob(".tmp-*")):
            maker = maker_of(path.name)
            if maker is None or (maker.alive if maker.here else self.claims.is_held(maker.stem)) or not self.is_good(path):
                continue
            record, run_id = self.read_in(path), maker.stem
            if record.id == run_id:
                without_model(record, path, "the command that made it ended before its model was kept")
                keep_ends(path / OUTPUT_FILE)
                if self.publish(path, run_id):
                    found.append(run_id)
                    self.drop_checkpoints(run_id)
        return found

    def sweep(self) -> None:
        """Removes unfinished folders and claims of dead processes of this machine; those of other machines stay."""
        self.claims.sweep()
        for path, _ in [*left_by_the_dead(self.records), *left_by_the_dead(self.folder)]:
            self.drop(path)

    def is_good(self, folder: Path) -> bool:
        """Whether the folder has a complete record of a successful run."""
        return (folder / RECORD_FILE).is_file() and self.rank(folder) is Rank.GOOD


def state_in(folder: Path, name: str) -> State | None:
    """The state of one of the files in a record's folder; None if it is missing, or a folder on the way to it is a link."""
    with suppress(OSError):
        if not any((folder / above).is_symlink() for above in PurePath(name).parents):
            return state_of(folder / name, follow_links=False)
    return None


def _place_of(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder; None if it does not exist."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
