"""What a detector of warnings is given (`Judged`) and what it returns (`Found`), and the words that all of them use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import PurePath
from typing import TypeVar

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.outputs import Outputs
from bakeoff.analysis.recipes import is_declared
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Data, Record
from bakeoff.text.values import command, grouped, listed, shortened, spelt, yaml_value

K = TypeVar("K")
V = TypeVar("V")
LISTED = 5
"""Up to so many things are named one by one; of more, the first and a count."""
named = partial(listed, most=LISTED)


@dataclass(frozen=True)
class Found:
    """What a detector found; the name of the warning is its detector's."""

    rows: Iterable[str]
    what: str
    what_to_do: str
    everywhere: bool = False
    """Whether it concerns the whole report, not one comparison group."""


@dataclass(frozen=True)
class Judged:
    """A judged comparison group with what it was made from: what warnings are raised from."""

    experiment: Experiment
    records: Mapping[str, Sequence[Record]]
    """Row -> its records in this group, succeeded or not, in the order of seeds."""
    data: Data
    """The data that all runs of the group share."""
    outputs: Outputs
    group: ComparisonGroup

    @cached_property
    def succeeded(self) -> dict[str, list[Record]]:
        """Row -> its records that succeeded, for each row that has one; the baseline first."""
        rows = sorted(self.records, key=lambda row: row != self.group.baseline)
        found = {row: [record for record in self.records[row] if record.status == "ok"] for row in rows}
        return {row: records for row, records in found.items() if records}

    @property
    def rankings(self) -> list[list[str]]:
        """The rows of each ranking."""
        return list(grouped_by({row.strategy: row.ranking for row in self.group.rows}).values())

    def studies(self, *parts: str) -> bool:
        """Whether one of these parts (`hardware`, `recipe.epochs`, ...) is under test."""
        return is_declared(parts, self.group.under_test)

    def declare(self, *parts: str) -> str:
        """Advice on how to declare in the experiment file that these parts are under test too, so that all that are already
        stay so."""
        if self.experiment.declared.under_test:
            return f"add {named(map(repr, parts))} to 'under_test'"
        return f"write `under_test: {yaml_value(list(dict.fromkeys([*self.group.under_test, *parts])))}`"

    def run_again(self, *options: str) -> str:
        """The command that makes what is missing of the experiment, in backticks."""
        return self.experiment.commands("run", *options)

    @property
    def in_new_folder(self) -> str:
        """Advice to run a changed experiment file in a new folder. In the old folder, results recorded before the change
        would raise the warning changed-after-looking, and runs that the file no longer declares undeclared-runs.
        """
        return f"in a new folder: {self.run_again('--into', 'FOLDER')}"

    @property
    def rescore_all(self) -> str:
        """The command that scores all recorded predictions anew, in backticks."""
        folders = [f"`{command('rescore', PurePath(folder))}`" for folder in self.experiment.folders]
        return listed(folders or ["`bakeoff rescore`"])

    @property
    def resolve_margin(self) -> str:
        """The command that says how many seeds find a difference as large as the group's margin, in backticks; where there is
        no margin, a difference as large as the largest that was seen."""
        scale = self.group.unit.scale
        seen = max((abs(pair.difference) for pair in self.group.to_baseline), default=0.0)
        wanted = self.group.margin if self.group.margin is not None else seen or 1 / scale
        return self.experiment.commands("plan", "--resolve", spelt(float(wanted * scale)))


def clauses(parts: Iterable[str]) -> str:
    """Joins clauses that have commas of their own by semicolons: `a; b; 3 more`."""
    return "; ".join(shortened(parts, LISTED))


def grouped_by(values: Mapping[K, V]) -> dict[V, list[K]]:
    """Value -> the keys that have it, in their order."""
    return grouped((value, key) for key, value in values.items())
