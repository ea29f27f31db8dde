"""An experiment as it is compared: its declaration and records, and every run's predictions, read on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from bakeoff.contracts.metric import Metric
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import Control, Declared, Record
from bakeoff.text.values import command, listed
from bakeoff.text.words import escaped


@dataclass(frozen=True)
class Separated:
    """Runs of one experiment that were made from other data or another model than its other runs, under a name of their own."""

    was: str
    """The label of the task, or of the model, that the others keep."""
    what: str
    """In what they differ from those: `the rows of train`."""
    data: bool
    """Whether their data differ; else it is the model."""
    runs: tuple[str, ...]
    """Ids."""


@dataclass(frozen=True)
class Experiment:
    """One experiment as it lies on disk, or several merged into one: strategy names are unique, run ids too."""

    declared: Declared
    records: tuple[Record, ...]
    """Those that can be read, succeeded or failed."""
    predictions: Callable[[str], Mapping[str, Predictions]]
    """Run id -> split -> predictions; reads the run's file. Raises StoreError where it is missing or damaged."""
    steps: Callable[[str], Any]
    """Run id -> its steps as a pyarrow table; raises StoreError likewise."""
    metrics: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    """Task, as `Declared` spells it -> name -> metric; what is not here can't be computed from predictions."""
    folders: tuple[str, ...] = ()
    """Where it was read from, as the user named it."""
    specs: tuple[str, ...] = ()
    """The experiment file of each folder, by its name there."""
    damaged: tuple[str, ...] = ()
    """A sentence for each record that cannot be read."""
    unusable: Sequence[str] = ()
    """A sentence for each file of a record that `predictions` or `steps` refused: it grows while files are read."""
    foreign: int = 0
    """Records in the folders that no declaration asks for."""
    controls: tuple[Control, ...] = ()
    """Control runs, before and after each session of training."""
    trials: dict[str, Record] = field(default_factory=dict)
    """Run id -> record of each trial of a search: for choosing, never for comparing."""
    separated: tuple[Separated, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    """Strategy -> the experiment that it comes from, where several were merged."""

    @property
    def spec_paths(self) -> list[PurePath]:
        """Each folder's experiment file, named as the user named the folder."""
        places = zip(self.folders, self.specs, strict=True)
        return [PurePath(folder) / spec for folder, spec in places] or [PurePath(self.declared.spec_file)]

    @property
    def spec(self) -> str:
        """The experiment files, for a sentence."""
        return listed([escaped(path) for path in self.spec_paths])

    def record_folder(self, run_id: str) -> PurePath:
        """Where the record of a run lies; of merged experiments its id begins with the folder's number."""
        number, own = _place(run_id)
        return PurePath(self.folders[number] if self.folders else "", "records", own)

    def records_of(self, folder: int) -> dict[str, Record]:
        """Run id -> record of the folder of that number, trials of searches included: ids as the folder itself has them."""
        records = self.trials | {record.id: record for record in self.records}
        places = {_place(run_id): record for run_id, record in records.items()}
        return {own: record for (number, own), record in places.items() if number == folder}

    def commands(self, verb: str, *options: str) -> str:
        """The command line of this verb with each experiment file, for a sentence."""
        return listed([f"`{command(verb, path, *options)}`" for path in self.spec_paths])


def _place(run_id: str) -> tuple[int, str]:
    """The number of the folder that a run's record lies in, and the run's id there."""
    number, _, own = run_id.rpartition(":")
    return int(number or 0), own


def left_out(experiment: Experiment) -> list[str]:
    """A note for each record that is damaged."""
    return [f"damaged and left out: {sentence}" for sentence in experiment.damaged]
