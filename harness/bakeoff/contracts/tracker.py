"""Trackers: what shows the runs of an experiment elsewhere, such as TensorBoard."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.component import Component
from bakeoff.files import Tree

SUMMARY: Final = "summary"
"""The key, and the strategy, of the run that sums an experiment up."""
Setting = bool | int | float | str


@dataclass(frozen=True)
class TrackedExperiment:
    """The experiment that runs belong to."""

    name: str
    folder: Path
    """Where trackers that write files put them, unless an option names another place: `tracked` in the experiment's folder, an
    absolute path. It may not exist yet."""

    def made_folder(self) -> Path:
        """The same, made if it is missing; git ignores what is in it. Raises OSError, StoreError for a symbolic link."""
        tree = Tree(self.folder.parent)
        tree.make(self.folder)
        if not (self.folder / ".gitignore").exists():
            tree.write(self.folder / ".gitignore", b"*\n", synced=False)
        return self.folder


@dataclass(frozen=True)
class Series:
    """One quantity over the steps of a run. The three lists have the same length."""

    steps: Sequence[int]
    values: Sequence[float]
    """Not finite in a run that diverged."""
    times: Sequence[float]
    """When each value was measured, in seconds since 1970."""


@dataclass(frozen=True)
class TrackedRun:
    """A recorded run as trackers show it, or the summary of the experiment."""

    key: str
    """The run's id, or `SUMMARY`: unique in the experiment."""
    digest: str
    """64 hex digits, which change when the run is repeated, or when the summary says something else."""
    name: str
    """What people call it: `full:0`."""
    strategy: str
    """By which runs are grouped within the experiment."""
    begun: float
    """Seconds since 1970."""
    ended: float
    tags: Mapping[str, str] = field(default_factory=dict)
    """To filter by: `task`, `model`, `strategy`, `seed`, ..."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """Hyper-parameters and options; names and texts may have any characters."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What came of it, by names such as `test/accuracy` and `cost/train_seconds`."""
    series: Mapping[str, Series] = field(default_factory=dict)
    """What was measured at each step, by names such as `train/loss`."""
    failure: str = ""
    """Why the run failed; empty if it succeeded."""
    text: str = ""
    """More about it, in Markdown."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> content, of further files."""


class Tracker(Component):
    """Shows runs elsewhere; chosen by `bakeoff export --to NAME` and `bakeoff run --export-to NAME`.

    It gets whole runs, from their records, and is called in a process of its own: neither its errors nor its slowness reach
    a run that trains. Its options are those of the command line: `--folder DIR` for a field `folder`. What it raises for
    anything that the user can mend is a BakeoffError.
    """

    kind = "tracker"

    @abstractmethod
    def check(self, experiment: TrackedExperiment, options: Any) -> None:
        """Raises BakeoffError, within some 10 seconds, if it can't be written to; the message says what to do."""

    @abstractmethod
    def written(self, experiment: TrackedExperiment, options: Any) -> Mapping[str, str]:
        """Key -> digest, of all runs of the experiment that it has in full. A run whose writing was cut short is not among
        them."""

    @abstractmethod
    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: Any) -> None:
        """Writes a run, in place of what it has under the same key, whole or not. It is killed at any moment, and called again
        then."""

    def shown(self, experiment: TrackedExperiment, options: Any) -> str:
        """Where the runs can be seen, or the command that shows them; in a few words, without secrets."""
        return self.name
