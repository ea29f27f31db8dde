"""Reads the folder of one experiment; whatever is damaged in it is reported and left out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bakeoff.errors import DamageError, StoreError
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions, PredictionsReader, SplitAnswers
from bakeoff.records.publishing import with_attempts
from bakeoff.records.schema import PREDICTIONS_FILE, Declared, Record
from bakeoff.records.store import Store

COMPONENTS: Final = ("trainer", "method")
"""The components that a strategy names."""


@dataclass
class RunFiles:
    """Reads the files of runs. Answers, which every comparison needs, are read once and stay in memory."""

    damaged: list[str] = field(default_factory=list)
    """A sentence for each file that could not be used when it was needed."""
    _places: dict[str, tuple[Store, Record]] = field(default_factory=dict)
    _reader: PredictionsReader = field(default_factory=PredictionsReader)
    _answers: dict[Path, Mapping[str, SplitAnswers]] = field(default_factory=dict)
    """The folder of a run's record -> its answers."""

    def add(self, run_id: str, store: Store, record: Record) -> None:
        """Registers where the files of a run are. run_id: in the experiment that is read. record: as its own folder has it."""
        self._places[run_id] = store, record

    def read(self, store: Store, record: Record) -> Mapping[str, SplitAnswers]:
        """Split -> the run's answers. Raises StoreError that names the file."""
        place = store.records / record.id
        if place not in self._answers:
            self._answers[place] = store.answers(record, self._reader)
        return self._answers[place]

    def answers(self, run_id: str) -> Mapping[str, SplitAnswers]:
        """Split -> answers of the run. Raises StoreError that names the file."""
        with self._noting_damage():
            return self.read(*self._places[run_id])

    def predictions(self, run_id: str) -> dict[str, Predictions]:
        """Split -> predictions of the run. Raises StoreError that names the file."""
        store, record = self._places[run_id]
        with self._noting_damage():
            return store.predictions(record, self._reader)

    def steps(self, run_id: str) -> Any:
        """The run's steps as a pyarrow table; see `read_steps`. Raises StoreError that names the file."""
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
    """Reads one folder's experiment, without metrics and without the records of the runs `without`. Raises StoreError if there
    is none.

    Damaged records are reported and left out, also if only their predictions are damaged, so that a row's score and interval
    come from the same runs.
    """
    declared = store.declared()
    ids = [run.id for run in declared.runs]
    records, damaged = _usable(store, declared, [run_id for run_id in ids if run_id not in without], files)
    attempts = store.attempts()
    tried = list(dict.fromkeys(run.id for search in declared.searches.values() for run in search.trials))
    trials, damaged_trials = _usable(store, declared, tried)
    controls, damaged_controls = store.controls()
    try:
        timings = store.timings()
    except DamageError as error:
        timings, damaged_controls = [], [*damaged_controls, str(error)]
    return Experiment(
        with_spelt_out(declared, (*records, *trials)),
        tuple(with_attempts(record, attempts.get(record.id, [])) for record in records),
        predictions=files.predictions,
        steps=files.steps,
        read_answers=files.answers,
        unusable=files.damaged,
        folders=(str(store.folder),),
        specs=(declared.spec_file,),
        damaged=(*damaged, *(sentence for sentence in damaged_trials if sentence not in damaged), *damaged_controls),
        foreign=len(set(store.recorded_ids()) - {*ids, *tried}),
        controls=tuple(controls),
        timings=tuple(timings),
        trials={record.id: record for record in trials},
        source=dict.fromkeys((run.strategy for run in declared.runs), declared.name),
    )


def with_spelt_out(declared: Declared, records: Iterable[Record]) -> Declared:
    """The declaration with `spelt_out` filled in, if an older Bakeoff did not store it. Every strategy then counts as spelling
    out all components and recipe keys: where two strategies of one file differ, one of them must have spelt the difference
    out."""
    if declared.spelt_out is not None or declared.under_test:
        return declared
    requested = [record.requested for record in records]
    keys = dict.fromkeys(key for one in requested for key in one.recipe)
    parts = [*COMPONENTS, *(f"recipe.{key}" for key in keys)]
    return declared.model_copy(update={"spelt_out": {run.strategy: parts for run in declared.runs}})


def _usable(
    store: Store, declared: Declared, run_ids: Sequence[str], files: RunFiles | None = None
) -> tuple[list[Record], list[str]]:
    """The records of these runs that can be read and have the seed that the plan gives (pairs are made by seed), and a
    sentence for each that can't be used. With `files`, predictions must be readable too; a record whose predictions were
    deleted stays, with its scores alone."""
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
