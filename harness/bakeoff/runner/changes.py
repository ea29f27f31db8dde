"""How recorded runs differ from what they would be if they were made here and now.

`check` and `plan` compare files alone, without torch and within a second: a file that changed may still hold the same rows or
weights. `run` and `check --build` compare what tasks and models really load, as `runner/preflight` found it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.machine import hardware
from bakeoff.machine.file_hashes import FileHashes, Files, code_digest
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.provenance import (
    BAKEOFF,
    DATA,
    HARDWARE,
    MACHINE,
    MADE_FROM,
    Difference,
    Facts,
    differences,
    facts_of,
    facts_of_data,
    facts_of_model,
    facts_of_sources,
    made_on,
    origin_of,
    parts_of,
    unknown,
)
from bakeoff.records.schema import MadeFrom, Record, Requested
from bakeoff.text.values import grouped, listed
from bakeoff.text.words import escaped

LARGE: Final = 64 * 2**20
"""`check` and `plan` read no larger file, in bytes: it would take a second on a slow machine."""
MISSING: Final = "missing"
"""The version of a distribution that is not installed."""

Pair = tuple[str, str]
"""The labels of a task and a model."""


# --- from files alone ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sources:
    """The fingerprints of the files from which a plan's tasks and models would be loaded now."""

    facts: Mapping[Pair, Facts]
    unseen: tuple[str, ...]
    """A clause for each file that could not be read, with the reason."""


def look_at_files(plan: Plan, paths: Paths, *, at_most: int | None = None) -> Sources:
    """Hashes all files that the plan's tasks and models name; those above `at_most` bytes only if their hash is cached."""
    hashes, unseen = FileHashes(paths.cache), list[str]()

    def found(component: Configured, find: Callable[[], Files | None]) -> dict[str, str] | None:
        kind, label = component.registered.component.kind, escaped(component.title)
        try:
            files = find()
            digests = {part: hashes.digest(names, at_most=at_most) for part, names in (files or {}).items()}
        except OSError as error:
            unseen.append(f"the files of {label} ({error.filename}: {error.strerror})")
            return None
        except Exception as error:  # a component of any author: its fault is reported where it is loaded
            reason = str(error) if isinstance(error, BakeoffError) else type(error).__name__
            unseen.append(f"the files of {label} ({reason})")
            return None
        if files is None:
            unseen.append(f"{label} ({kind} {component.name} does not name its files)")
            return None
        unseen.extend(f"the {part} of {label} (large, and not read yet)" for part in digests if digests[part] is None)
        return {part: digest for part, digest in digests.items() if digest is not None}

    tasks = {task.label: found(task, partial(task.registered.component.files, task.options, paths)) for task in plan.tasks}
    used = [model for model, _ in plan.all_models.values()]
    models = {model.label: found(model, partial(files_of_model, model, paths)) for model in used}
    facts = {
        (task, model): {
            **facts_of_data(None, MadeFrom(task_files=task_files)),
            **facts_of_model(MadeFrom(model_files=model_files)),
        }
        for task, task_files in tasks.items()
        for model, model_files in ({"": None} | models).items()
    }
    return Sources(facts, tuple(unseen))


def files_of_model(model: Configured, paths: Paths) -> Files | None:
    """The files from which a model would be loaded, as `Model.files` gives them. Raises ModelError if they are not
    available."""
    files: Files | None = model.registered.component.files(model.options_at(paths))
    return files


@dataclass(frozen=True)
class Changes:
    """How the files and plugins of recorded runs differ from those here."""

    files: Mapping[str, Sequence[Difference]]
    """Run id -> how the files from which it was made differ from those here."""
    without_files: int
    """Number of records that do not say from which files they were made."""
    code: Sequence[str]
    """A clause for each plugin whose source code changed although neither its version nor that of its distribution did."""

    def sentences(self, plan: Plan) -> list[str]:
        """A sentence for each input file that changed, with the number of runs that used another version of it; then one for
        each plugin that changed."""
        counts = Counter(
            f"{_owner(plan, run_id, one)}: the files of {one.name or one.subject} changed"
            for run_id, found in self.files.items()
            for one in found
        )
        return [f"{what} since {_runs(count)} recorded" for what, count in counts.items()] + [
            f"{clause}: if it gives other results now, raise its `version`" for clause in self.code
        ]


def changes(plan: Plan, records: Mapping[str, Record], sources: Sources) -> Changes:
    """How the records of a plan's runs differ from the files and plugins here. records: by run id; those of interrupted runs
    tell nothing, and are to be made again."""
    files: dict[str, list[Difference]] = {}
    without_files = 0
    code: Counter[str] = Counter()
    recorded = (run for run in plan.by_id.values() if run.id in records and not records[run.id].was_interrupted)
    for alike in grouped(((id(run.strategy), *parts_of(records[run.id])), run) for run in recorded).values():
        run, record = alike[0], records[alike[0].id]
        here, there = sources.facts[run.task.label, run.model_label], facts_of_sources(record)
        if found := differences(here, there, MADE_FROM):
            files |= {one.id: found for one in alike}
        if any(any(here.get(key, ())) for key in unknown(here, there, MADE_FROM)):
            without_files += len(alike)
        for clause in _changed_code(run, record):
            code[clause] += len(alike)
    clauses = [f"the source of {plugin} changed since {_runs(count)} recorded" for plugin, count in code.items()]
    return Changes(files, without_files, clauses)


def _changed_code(run: Run, record: Record) -> Iterator[str]:
    """Each of the run's plugins whose source code changed since it was recorded although its version did not."""
    parts = {"task": run.task, "model": run.model, "method": run.strategy.method, "trainer": run.strategy.trainer}
    for kind, part in parts.items():
        if part is None:
            continue
        then, now = getattr(record.requested, kind), origin_of(part)
        same = (then.version, then.distribution_version) == (now.version, now.distribution_version)
        if same and record.made_from.code.get(kind) not in (None, code_digest(part.registered.package)):
            yield f"{kind} {part.name} (version {then.version}; {part.registered.origin})"
    for kind, part in run.strategy.parts.items():
        if record.made_from.code.get(kind) not in (None, code_digest(part.registered.package)):
            yield f"{kind} {part.name} (version {part.registered.component.version}; {part.registered.origin})"


def not_compared(sources: Sources, found: Changes) -> list[str]:
    """A sentence for each file or record that could not be compared."""
    old = [f"{_runs(found.without_files)} recorded before fingerprints of files were kept"] if found.without_files else []
    return [f"not compared with the records: {clause}" for clause in (*sources.unseen, *old)]


def _owner(plan: Plan, run_id: str, one: Difference) -> str:
    """The title of the task or model of run `run_id` whose data or weights differ."""
    run, titles = plan.by_id[run_id], plan.titles
    return titles.task(run.task.label) if one.subject in DATA else titles.model(run.model_label)


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"


# --- from what tasks and models load -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """The hardware that runs would use here, and the data and weights from which they would be made, as the preflight found
    them."""

    device: str
    accelerator: str
    threads: int
    instructions: str | None
    """The vector instructions that torch uses on this CPU; None if torch was not imported (`Environment.instructions`)."""
    sources: Mapping[Pair, Facts]

    def hardware_of(self, requested: Requested) -> str:
        """The hardware class that such a run has here."""
        return hardware.hardware_class(self.accelerator, threads=self.threads, processes=requested.processes)


def differences_here(run: Run, record: Record, machine: Machine, declared: Collection[str] = ()) -> list[Difference]:
    """How a run made here would differ from its record: in data and weights, hardware and software. declared: the hardware
    classes that the experiment declares, which count as one.

    Bakeoff's own version is left out: the versions of components decide whether runs are alike.
    """
    used, sources = record.environment.software, record.data.source_versions if record.data else {}
    installed = hardware.software({*used, *sources})
    ours = machine.hardware_of(record.requested)
    here: Facts = {
        **machine.sources.get((run.task.label, run.model_label), {}),
        ("hardware", ""): (ours,),
        ("instruction set", ""): (machine.instructions if machine.device == "cpu" else None,),
        **{("software", name): (installed.get(name, MISSING),) for name in used if name != BAKEOFF},
        **{("sources", name): (installed.get(name, MISSING),) for name in sources},
    }
    mixed = ours in declared and made_on([record], declared)
    found = differences(here, facts_of(record), MADE_FROM | (MACHINE - HARDWARE if mixed else MACHINE) | {"sources"})
    if any(one.subject == "sources" for one in found):  # their version explains other rows
        return [one for one in found if one.subject != "rows"]
    return found


def in_words(plan: Plan, changed: Mapping[str, Sequence[Difference]]) -> list[str]:
    """A clause for each thing that changed, without repetition: with the task or model that it belongs to, or, for hardware
    and versions, with both values. changed: run id -> how the run would differ now."""
    clauses = []
    for run_id, found in changed.items():
        for one in found:
            if one.subject in MADE_FROM:
                clauses.append(f"{_owner(plan, run_id, one)}: {one.what} changed")
            else:
                name = one.name or ("" if one.subject == "hardware" else one.subject)
                clauses.append(f"{name} {one.there} there, {one.here} here".lstrip())
    return list(dict.fromkeys(clauses))


def harmless(plan: Plan, found: Changes, compared: Mapping[str, Sequence[Difference]]) -> list[str]:
    """A sentence for each file that changed although rows, label names, weights and tokenizer, from which runs are made, did
    not; and one for columns that only divide results into slices, which are not compared. compared: run id -> how the run
    would differ now."""
    files = {
        run_id: changed
        for run_id, changed in found.files.items()
        if not any(one.subject in MADE_FROM or one.subject == "sources" for one in compared[run_id])
    }
    same = "rows, label names, weights and tokenizer are the same"
    sentences = [f"{sentence}; {same}" for sentence in Changes(files, 0, ()).sentences(plan)]
    rows = {run_id for run_id, changed in files.items() if any(one.subject == "rows" for one in changed)}
    tasks = [plan.by_id[run_id].task for run_id in rows]
    if any(task.registered.component.info(task.options).slice_columns for task in tasks):
        sentences.append("columns by which results are divided into slices are not compared, and stay as recorded")
    return sentences


def caveats(plan: Plan, records: Mapping[str, Record], machine: Machine) -> list[str]:
    """A sentence on what records do not tell and is therefore taken for the same as here; and one for each other version of
    Bakeoff that made records."""
    lacking, others = Counter[str](), Counter[str]()
    ours = hardware.software([BAKEOFF]).get(BAKEOFF, MISSING)
    for run_id, record in records.items():
        run = plan.by_id[run_id]
        here = machine.sources.get((run.task.label, run.model_label), {})
        lacking.update(key[0] for key in unknown(here, facts_of(record)) if any(here.get(key, ())))
        others.update(one.there for one in differences({("bakeoff", ""): (ours,)}, facts_of(record), {"bakeoff"}))
    found = []
    if lacking:
        count = max(lacking.values())
        which = "1 recorded run does" if count == 1 else f"{count} recorded runs do"
        found.append(f"{which} not tell {listed([*lacking])}, which is taken to be the same as here")
    return found + [
        f"Bakeoff {version} made {count} of the recorded runs, and this is {ours}" for version, count in others.items()
    ]
