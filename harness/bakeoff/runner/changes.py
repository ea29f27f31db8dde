"""What changed since the runs of a plan were recorded, told from files alone: without torch, within a second.

Files that differ may hold the same rows or weights; which it is, the rehearsal finds out (`bakeoff.runner.preflight`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.machine.file_hashes import FileHashes, Files, code_digest
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.provenance import (
    DATA,
    MADE_FROM,
    Difference,
    Facts,
    differences,
    facts_of_data,
    facts_of_model,
    facts_of_sources,
    origin_of,
    unknown,
)
from bakeoff.records.schema import MadeFrom, Record
from bakeoff.text.words import escaped

LARGE: Final = 64 * 2**20
"""Bytes of a file that `check` and `plan` do not read: a second's work on a slow machine."""

Pair = tuple[str, str]
"""The labels of a task and a model."""


@dataclass(frozen=True)
class Sources:
    """A plan's sources as they are now."""

    facts: Mapping[Pair, Facts]
    unseen: tuple[str, ...]
    """What could not be looked at, and why, each a clause."""


def look_at_files(plan: Plan, places: Paths, *, at_most: int | None = None) -> Sources:
    """The hashes of all files that the plan's tasks and models name; of those above `at_most` bytes only if remembered."""
    hashes, unseen = FileHashes(places.cache), list[str]()

    def found(component: Configured, find: Callable[[], Files | None]) -> dict[str, str] | None:
        kind, label = component.registered.component.kind, escaped(component.label)
        try:
            files = find()
            digests = {part: hashes.digest(paths, at_most=at_most) for part, paths in (files or {}).items()}
        except OSError as error:
            unseen.append(f"the files of {label} ({error.filename}: {error.strerror})")
        except Exception as error:  # a component of any author: its fault is told where it is loaded
            reason = str(error) if isinstance(error, BakeoffError) else type(error).__name__
            unseen.append(f"the files of {label} ({reason})")
        else:
            if files is None:
                unseen.append(f"{label} ({kind} {component.name} does not tell its files)")
            unseen.extend(f"the {part} of {label} (large, and not read yet)" for part in digests if digests[part] is None)
            return None if files is None else {part: digest for part, digest in digests.items() if digest is not None}
        return None

    tasks = {task.label: found(task, partial(task.registered.component.files, task.options, places)) for task in plan.tasks}
    models = {model.label: found(model, partial(files_of_model, model, places)) for model in plan.models}
    facts = {
        (task, model): {
            **facts_of_data(None, MadeFrom(task_files=task_files)),
            **facts_of_model(MadeFrom(model_files=model_files)),
        }
        for task, task_files in tasks.items()
        for model, model_files in models.items()
    }
    return Sources(facts, tuple(unseen))


def files_of_model(model: Configured, places: Paths) -> Files | None:
    """As `Model.files` has them; raises ModelError where they can't be had."""
    files: Files | None = model.registered.component.files(model.options_at(places))
    return files


# --- held against records --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changes:
    """What of a plan's records is not as the sources are now."""

    files: Mapping[str, Sequence[Difference]]
    """Run id -> in what its files differ."""
    untold: int
    """Records that do not say from which files they were made."""
    code: Sequence[str]
    """Plugins whose source changed though neither their version nor that of their distribution did, each a clause."""

    def sentences(self, plan: Plan) -> list[str]:
        """Each file that changed, with the number of runs that were made from others; then plugins."""
        runs = {run.id: run for run in (*plan.trials, *plan.runs)}
        counts = Counter(
            f"{owner(runs[run_id], one)}: the files of {one.name or one.subject} changed"
            for run_id, found in self.files.items()
            for one in found
        )
        return [f"{what} since {_runs(count)} recorded" for what, count in counts.items()] + [
            f"{clause}: if it gives other results now, raise its `version`" for clause in self.code
        ]


def owner(run: Run, one: Difference) -> str:
    """The label of the task or the model that a difference is of."""
    return (run.task if one.subject in DATA else run.model).label


def changes(plan: Plan, records: Mapping[str, Record], sources: Sources) -> Changes:
    """The records of a plan's runs, by id, against its sources as they are now."""
    files: dict[str, list[Difference]] = {}
    untold: set[str] = set()
    code: Counter[str] = Counter()
    for run in (*plan.trials, *plan.runs):
        if (record := records.get(run.id)) is None:
            continue
        here, there = sources.facts[run.task.label, run.model.label], facts_of_sources(record)
        if found := differences(here, there, MADE_FROM):
            files[run.id] = found
        if any(any(here.get(key, ())) for key in unknown(here, there, MADE_FROM)):
            untold.add(run.id)
        code.update(_edited(run, record))
    clauses = [f"the source of {plugin} changed since {_runs(count)} recorded" for plugin, count in code.items()]
    return Changes(files, len(untold), clauses)


def _edited(run: Run, record: Record) -> list[str]:
    """The run's plugins whose source is another than its record tells, under the same version of component and distribution."""
    parts = {"task": run.task, "model": run.model, "method": run.strategy.method, "trainer": run.strategy.trainer}
    found = []
    for kind, part in parts.items():
        origin, before = getattr(record.requested, kind), record.made_from.code.get(kind)
        here = origin_of(part)
        same = (origin.version, origin.distribution_version) == (here.version, here.distribution_version)
        if same and before not in (None, code_digest(part.registered.package)):
            found.append(f"{kind} {part.name} (version {origin.version}; {part.registered.origin})")
    return found


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"


def untold(count: int) -> list[str]:
    """That so many records do not say from which files they were made, as a clause; none of none."""
    return [f"{_runs(count)} recorded before fingerprints of files were kept"] if count else []
