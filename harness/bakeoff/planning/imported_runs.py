"""Runs that were made elsewhere, as strategies: each file of predictions is a run of the trainer `imported`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.recipe import DEFAULTS
from bakeoff.contracts.registry import Registry
from bakeoff.errors import BakeoffError
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.planning.runs import ResolvedStrategy
from bakeoff.spec.experiment_file import ImportedRun
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.words import did_you_mean, shown_path

TRAINER: Final = "imported"


@dataclass
class ImportedStrategies:
    """The strategies of the files that an experiment imports, and what is wrong with them."""

    strategies: list[ResolvedStrategy] = field(default_factory=list)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)


def imported_strategies(
    given: Sequence[ImportedRun], names: Collection[str], tasks: Mapping[str, Collection[str]], folder: Path, registry: Registry
) -> ImportedStrategies:
    """Makes strategies of the files of predictions that an experiment imports.

    given: the imported runs, as the file lists them. names: the other strategies of the file. tasks: label of each task -> all
    names that a run may give for it. folder: the folder of the experiment file.
    """
    found = ImportedStrategies()
    contents: dict[tuple[str, str], int] = {}
    files: dict[str, dict[tuple[str, int], Configured]] = {}
    for index, run in enumerate(given):
        place: KeyPath = ("imported_runs", index)
        try:
            task = _task_of(run, tasks)
            if run.strategy in names:
                raise _WrongError(
                    "strategy", f"'{run.strategy}' is one of `strategies`, too: give the imported runs another name"
                )
            others = files.setdefault(run.strategy, {})
            if (task, run.seed) in others:
                raise _WrongError(
                    "seed", f"'{run.strategy}' has a file of seed {run.seed} already; each file has a seed of its own"
                )
            part = _configured(run, folder, registry)
            first = contents.setdefault((task, part.options.model_dump()["sha256"]), index)
            if first != index:
                raise _WrongError("predictions", f"the same predictions as imported_runs[{first}]: a run is imported once")
            others[task, run.seed] = part
        except _WrongError as wrong:
            found.problems.append(((*place, wrong.key) if wrong.key else place, wrong.why))
    for name, runs in files.items():
        if runs:
            part, full = next(iter(runs.values())), registry.get("method", "full")
            method = Configured(full, full.component.Options())
            rows = tuple((task, seed, trainer) for (task, seed), trainer in runs.items())
            found.strategies.append(
                ResolvedStrategy(name, part, method, DEFAULTS, 0, 1, ("trainer",), written=name, files=rows)
            )
    return found


class _WrongError(Exception):
    """What is wrong with an imported run (`why`), and at which of its keys; the key is empty for the run as a whole."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key, self.why = key, why


def _task_of(run: ImportedRun, tasks: Mapping[str, Collection[str]]) -> str:
    """The label of the task whose rows an imported run answers."""
    if run.task is None and len(tasks) > 1:
        raise _WrongError("", f"`task` must say which of {', '.join(tasks)} the predictions are of")
    called = [label for label, names in tasks.items() if run.task is None or run.task in names]
    if len(called) != 1:
        raise _WrongError("task", did_you_mean("task", run.task or "", tasks))
    return called[0]


def _configured(run: ImportedRun, folder: Path, registry: Registry) -> Configured:
    """The trainer `imported`, with the run's file of predictions and its SHA-256 as options."""
    path = folder / run.predictions
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise _WrongError(
                "predictions", f"{shown_path(path)} leads away from the folder of the experiment file: put the file there"
            )
        options = {"predictions": run.predictions, "sha256": sha256_of(path)}
        registered = registry.get("trainer", TRAINER)
    except OSError as error:
        raise _WrongError("predictions", f"{shown_path(path)}: {error.strerror}") from None
    except BakeoffError as error:
        raise _WrongError("", str(error)) from None
    return Configured(registered, registered.component.Options(**options))
