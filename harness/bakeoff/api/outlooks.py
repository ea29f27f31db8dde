"""What can be said of an experiment before it trains: the work of `bakeoff.check` and `bakeoff.plan`, and what they return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from bakeoff.api.building import NUMBER, TEXT, WHOLE, frame, safe, table
from bakeoff.api.experiments import Opened, agreed_here, open_given
from bakeoff.cli import check as check_command
from bakeoff.cli import plan as plan_command
from bakeoff.cli.sample_size import Resolution, in_words
from bakeoff.machine.caller import as_a_guest
from bakeoff.planning.estimate import Left, left
from bakeoff.planning.selection import select
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.given import Given
from bakeoff.text.values import options_in_words
from bakeoff.text.words import escaped

PLANNED_COLUMNS = {
    "name": TEXT,
    "run": TEXT,
    "task": TEXT,
    "model": TEXT,
    "strategy": TEXT,
    "seed": WHOLE,
    "trial": TEXT,
    "state": TEXT,
    "seconds": NUMBER,
    "note": TEXT,
}


def check(spec: Given, *, data: object, into: str | Path | None, build: bool, trust: bool) -> Checked:
    """As `bakeoff.check`."""
    opened = open_given(spec, data, into)
    document, plan, called = opened.document, opened.plan, opened.called
    with as_a_guest(), opened.readable() as paths:
        trusted = agreed_here(document, plan, trust=trust) if build else ""
        notes = check_command.look(document, plan, opened.store, paths, called, build=build, trusted=trusted)
    return Checked(plan.spec, check_command.passed(document, plan, build=build), notes, check_command.outlook_of(plan, called))


def plan(spec: Given, *, data: object, into: str | Path | None, only: str | Sequence[str]) -> Planned:
    """As `bakeoff.plan`."""
    opened = open_given(spec, data, into)
    names = [only] if isinstance(only, str) else list(only)
    with opened.readable() as paths:
        chosen = select(opened.plan, names, opened.store.find)
        found = plan_command.outlook_of(opened.document, chosen, opened.store, paths, opened.called)
    return Planned(opened, found, found.told(opened.called, names))


@dataclass(frozen=True, repr=False)
class Checked:
    """An experiment in which no error was found."""

    spec: Spec
    summary: str
    """The number of runs, in one line."""
    notes: list[str]
    """What to mind: files that changed, files that could not be looked at, notes of trainers on their recipes."""
    outlook: list[str]
    """What each comparison is about, and how likely it is to conclude anything."""

    @property
    def _lines(self) -> list[str]:
        return [*self.notes, self.summary, *self.outlook]

    def __repr__(self) -> str:
        return "\n".join(map(escaped, self._lines))

    def _repr_html_(self) -> str:
        return _as_paragraphs(self._lines)


@dataclass(frozen=True, repr=False)
class Planned:
    """The runs of an experiment, and what is left to do."""

    opened: Opened
    found: plan_command.PlanOutlook
    notes: list[str]
    """What is left, what to mind, what the comparisons can conclude."""

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row for each run, trials of searches included.

        | column | dtype | unit, meaning |
        |---|---|---|
        | name | string | strategy and seed: `full:0` |
        | run | string | the run's id |
        | task | string | |
        | model | string | |
        | strategy | string | |
        | seed | Int64 | |
        | trial | string | the values that a search tries; empty for other runs |
        | state | string | recorded, changed, failed, damaged, running, to do, if open (a later look may need it), not needed |
        | seconds | float64 | s; what it took, or is expected to take |
        | note | string | |
        """
        return frame(
            (
                {
                    "name": one.run.title,
                    "run": one.run.id,
                    "task": one.run.task.label,
                    "model": one.run.model_label,
                    "strategy": one.run.strategy.name,
                    "seed": one.run.seed,
                    "trial": options_in_words(dict(one.run.tried)),
                    "state": one.state,
                    "seconds": one.seconds,
                    "note": one.note,
                }
                for one in self.found.runs
            ),
            PLANNED_COLUMNS,
        )

    @property
    def left(self) -> Left:
        """How many runs are left, the seconds that they are expected to take, and for how many runs these are not known."""
        return left(self.found.runs)

    def resolve(self, difference: float) -> Resolved:
        """How many seeds are needed to detect a difference from the baseline with 80 % power.

        difference: in points, or, if the primary metric is not shown in points, in its own unit. Raises BakeoffError where
        nothing is compared, or a search has not chosen its configuration yet.
        """
        found = self.found.resolve(self.opened.store, difference, self.opened.called)
        return Resolved(found, in_words(found, self.found.plan.titles))

    def __repr__(self) -> str:
        return "\n".join([*plan_command.table(self.found.runs), "", *map(escaped, self.notes)])

    def _repr_html_(self) -> str:
        told = [name for name in ("task", "model") if self.runs[name].nunique() > 1]
        told += [name for name in ("trial", "note") if (self.runs[name] != "").any()]
        shown = [name for name in self.runs if name in {"name", "state", "seconds", *told}]
        return f"{table(self.runs[shown])}\n{_as_paragraphs(self.notes)}"


@dataclass(frozen=True, repr=False)
class Resolved:
    """How many seeds are needed to detect a difference: `resolution` has the numbers."""

    resolution: Resolution
    lines: list[str]
    """The resolution in words."""

    def __repr__(self) -> str:
        return "\n".join(map(escaped, self.lines))

    def _repr_html_(self) -> str:
        return f"<pre>{chr(10).join(map(safe, self.lines))}</pre>"


def _as_paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(f"<p>{safe(line)}</p>" for line in lines)
