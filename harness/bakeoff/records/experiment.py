"""An experiment as comparisons see it: its declaration (`plan.json`), its records, and the predictions of its runs, which are
read on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from bakeoff.contracts.metric import Metric
from bakeoff.records.predictions import Predictions, SplitAnswers, answers_of
from bakeoff.records.schema import Control, Declared, Record, Timing
from bakeoff.text.values import command, listed
from bakeoff.text.words import escaped


@dataclass(frozen=True)
class Separated:
    """Runs that were made from other data or another model than the rest of their experiment, and so are shown under another
    label of the task or model."""

    was: str
    """The label of the task, or of the model, that the other runs keep."""
    what: str
    """What differs from the other runs: `the rows of train`."""
    data: bool
    """True if the data differ, False if the model does."""
    runs: tuple[str, ...]
    """The ids of these runs."""


@dataclass(frozen=True)
class Experiment:
    """One experiment as recorded, or several merged into one; strategy names and run ids are unique."""

    declared: Declared
    records: tuple[Record, ...]
    """All readable records, of successful and failed runs."""
    predictions: Callable[[str], Mapping[str, Predictions]]
    """Run id -> split -> predictions, read from the run's file. Raises StoreError if it is missing or damaged."""
    steps: Callable[[str], Any]
    """Run id -> its steps as a pyarrow table. Raises StoreError if the file is missing or damaged."""
    read_answers: Callable[[str], Mapping[str, SplitAnswers]] | None = None
    """As `answers`; None where they are computed from `predictions`."""
    metrics: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    """Label of a task, as in `Declared` -> name -> metric; metrics that can't be computed from predictions are omitted."""
    folders: tuple[str, ...] = ()
    """The folders that it was read from, as the user wrote them."""
    specs: tuple[str, ...] = ()
    """The name of the experiment file in each folder."""
    damaged: tuple[str, ...] = ()
    """A sentence for each record that cannot be read."""
    unusable: Sequence[str] = ()
    """A sentence for each file of a record that `predictions` or `steps` could not use; it grows as files are read."""
    foreign: int = 0
    """How many records in the folders belong to no declared run."""
    controls: tuple[Control, ...] = ()
    """Control runs, before and after each session of training."""
    timings: tuple[Timing, ...] = ()
    """What `bakeoff time` measured in each folder, under that folder's own labels and names of strategies."""
    trials: dict[str, Record] = field(default_factory=dict)
    """Run id -> record of each trial of a search; trials serve to choose a configuration, and are never compared."""
    separated: tuple[Separated, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    """Strategy -> the name of the experiment that it comes from."""
    by_looks: frozenset[str] = frozenset()
    """In merged experiments: strategies whose own experiment declared looks (interim numbers of seeds at which it judged), so
    that their number of seeds may depend on results. The looks do not apply to comparisons across experiments."""

    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Strategies whose runs come from several experiments that were declared apart -> the names of these experiments."""

    def answers(self, run_id: str) -> Mapping[str, SplitAnswers]:
        """Split -> the run's answers. Raises StoreError if its file of predictions is missing or damaged."""
        return answers_of(self.predictions(run_id)) if self.read_answers is None else self.read_answers(run_id)

    @property
    def spec_paths(self) -> list[PurePath]:
        """The path of each folder's experiment file, relative to what the user wrote."""
        places = zip(self.folders, self.specs, strict=True)
        return [PurePath(folder) / spec for folder, spec in places] or [PurePath(self.declared.spec_file)]

    @property
    def spec(self) -> str:
        """The paths of the experiment files, as a list in words for messages."""
        return listed([escaped(path) for path in self.spec_paths])

    def record_folder(self, run_id: str) -> PurePath:
        """The folder of a run's record. In merged experiments run ids begin with the folder's number."""
        number, own = _place(run_id)
        return PurePath(self.folders[number] if self.folders else "", "records", own)

    def records_of(self, folder: int) -> dict[str, Record]:
        """Run id, without the folder's number -> record, of one folder, trials of searches included. folder: its index in
        `folders`."""
        records = self.trials | {record.id: record for record in self.records}
        places = {_place(run_id): record for run_id, record in records.items()}
        return {own: record for (number, own), record in places.items() if number == folder}

    def commands(self, verb: str, *options: str) -> str:
        """The command line `bakeoff VERB FILE OPTIONS` for each experiment file, as a list in words for messages."""
        return listed([f"`{command(verb, path, *options)}`" for path in self.spec_paths])


def _place(run_id: str) -> tuple[int, str]:
    """The number of the folder that a run's record is in, and the run's id there."""
    number, _, own = run_id.rpartition(":")
    return int(number or 0), own


def left_out(experiment: Experiment) -> list[str]:
    """A note for each record that is damaged."""
    return [f"damaged and left out: {sentence}" for sentence in experiment.damaged]
