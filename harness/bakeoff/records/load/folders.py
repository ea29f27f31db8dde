"""One experiment's folder, read: what is damaged in it is named and left out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bakeoff.errors import DamageError, StoreError
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions, PredictionsReader
from bakeoff.records.publishing import with_attempts
from bakeoff.records.schema import PREDICTIONS_FILE, Declared, Record
from bakeoff.records.store import Store

MOST_HELD: Final = 2**28
"""Bytes of logits that stay in memory once they were read; those of further runs are read again when they are asked for."""


@dataclass
class RunFiles:
    """The files of runs, each read and checked once as long as there is room."""

    damaged: list[str] = field(default_factory=list)
    """A sentence for each file that could not be used when it was asked for."""
    room: int = MOST_HELD
    """Bytes of logits that may still be held."""
    _places: dict[str, tuple[Store, Record]] = field(default_factory=dict)
    _reader: PredictionsReader = field(default_factory=PredictionsReader)
    _held: dict[Path, dict[str, Predictions]] = field(default_factory=dict)

    def add(self, run_id: str, store: Store, record: Record) -> None:
        """Says where the files of a run lie; `record` is as its own folder has it."""
        self._places[run_id] = store, record

    def read(self, store: Store, record: Record) -> dict[str, Predictions]:
        """Split -> predictions; raises StoreError that names the file."""
        place = store.records / record.id
        if (held := self._held.get(place)) is not None:
            return held
        found = store.predictions(record, self._reader)
        size = sum(part.logits.nbytes for part in found.values())
        if size <= self.room:
            self._held[place] = found
            self.room -= size
        return found

    def predictions(self, run_id: str) -> dict[str, Predictions]:
        """Split -> predictions of the run; raises StoreError that names the file."""
        with self._noting_damage():
            return self.read(*self._places[run_id])

    def steps(self, run_id: str) -> Any:
        """The run's steps as a pyarrow table: see `read_steps`. Raises StoreError that names the file."""
        store, record = self._places[run_id]
        with self._noting_damage():
            return store.steps(record)

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except DamageError as error:
            if (sentence := str(error)) not in self.damaged:
                self.damaged.append(sentence)
            raise


def read_folder(store: Store, files: RunFiles, *, without: Collection[str] = ()) -> Experiment:
    """One folder's experiment, without metrics. Raises StoreError where no experiment is; damaged records are named and left
    out, and so are those whose predictions are damaged: a score and an interval of one row are of the same runs. Records of the
    runs `without` are not read."""
    declared = store.declared()
    ids = [run.id for run in declared.runs]
    records, damaged = _usable(store, declared, [run_id for run_id in ids if run_id not in without], files)
    attempts = store.attempts()
    tried = list(dict.fromkeys(run.id for search in declared.searches.values() for run in search.trials))
    trials, damaged_trials = _usable(store, declared, tried)
    controls, damaged_controls = store.controls()
    return Experiment(
        declared,
        tuple(with_attempts(record, attempts.get(record.id, [])) for record in records),
        predictions=files.predictions,
        steps=files.steps,
        unusable=files.damaged,
        folders=(str(store.folder),),
        specs=(declared.spec_file,),
        damaged=(*damaged, *(sentence for sentence in damaged_trials if sentence not in damaged), *damaged_controls),
        foreign=len(set(store.recorded_ids()) - {*ids, *tried}),
        controls=tuple(controls),
        trials={record.id: record for record in trials},
        source=dict.fromkeys((run.strategy for run in declared.runs), declared.name),
    )


def _usable(
    store: Store, declared: Declared, run_ids: Sequence[str], files: RunFiles | None = None
) -> tuple[list[Record], list[str]]:
    """The records of these runs that can be read and have the seed that the plan says, for pairs are made by seed; and a
    sentence for each that cannot, or has not. With `files`, predictions that are there must be readable too; where they are
    gone the record stays: its scores are all that there is."""
    usable, damaged, seed_of = [], [], declared.seed_of
    for run_id in filter(store.occupied, run_ids):
        try:
            record = store.read(run_id)
            if wrong := store.misfit(record, seed_of):
                raise DamageError(wrong)
            if files and PREDICTIONS_FILE in record.files and os.path.lexists(store.records / run_id / PREDICTIONS_FILE):
                files.read(store, record)
        except StoreError as error:
            damaged.append(str(error))
        else:
            usable.append(record)
    return usable, damaged
