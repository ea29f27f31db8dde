"""Plan -> workers -> records: skips what is recorded, survives what fails, tells how it goes."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakeoff.errors import BakeoffError, DamageError, StoreError
from bakeoff.machine import hardware
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.surroundings import same_folder
from bakeoff.planning.runs import Plan
from bakeoff.planning.search import declared_searches, settled, undecided
from bakeoff.records.ownership import keep_spec, require_owner
from bakeoff.records.provenance import MADE_FROM, Difference, Facts
from bakeoff.records.schema import MODEL_FOLDER, Declared, DeclaredRun, Record
from bakeoff.records.store import Store
from bakeoff.runner.changes import Pair, changes, look_at_files, untold
from bakeoff.runner.machine_check import measure_control
from bakeoff.runner.preflight import check_available, differences_here, harmless, rehearse_or_stop, told, unsure
from bakeoff.runner.scheduler import Again, Crew
from bakeoff.runner.settings import Progress, Settings
from bakeoff.spec.document import Document
from bakeoff.text.words import shown_path


@dataclass(frozen=True)
class Outcome:
    """What one call of `run_experiment` did."""

    runs: int
    """Of the plan, trials of its searches included."""
    done: tuple[Record, ...]
    already_recorded: int
    undecided: int = 0
    """Runs that were not made, for no configuration of their search ended well."""


def run_experiment(
    document: Document, plan: Plan, spec: Path, store: Store, *, settings: Settings, progress: Progress
) -> Outcome:
    """Every run of the plan that is not recorded in `store` yet; interrupted, it goes on next time. Raises MachineError where
    the machine does not go on (no space, ...), of which nothing is recorded.

    Nothing is written before it is known that every task loads and every model builds.
    """
    try:
        declared = declaration(document, plan)
        require_owner(store, declared, spec, document.content)
        hardware.prepare_environment(settings.threads)
        if recovered := store.recover():
            count = f"{len(recovered)} run{'s' * (len(recovered) > 1)}"
            progress.note(f"{count} that a command had made before it was killed: recorded now")
        with same_folder():  # tasks and models are asked whether they can be had
            again, sources = made_again(document, plan, store, settings, progress)
        plan = settled(plan, lambda run_id: None if run_id in again else store.find(run_id))
        store.declare(declaration(document, plan))
        if note := keep_spec(store, spec, document.content):
            progress.note(note)
        store.sweep()
        crew = Crew(plan.spec, store, settings, progress, sources=sources, again=again)
        total = len(plan.trials) + len(plan.runs) + plan.waiting
        recorded = sum(not crew.is_due(run) for run in (*plan.trials, *plan.runs))
        if recorded < total:
            for note, names in plan.notes.items():
                progress.note(f"note: {', '.join(names)}: {note}")
        progress.start(total=total, done=recorded)
        with controlled(store, settings, progress, wanted=settings.control and recorded < total):
            done = crew.make(plan.trials)
            if plan.waiting:
                plan = settled(plan, crew.find)
                store.declare(declaration(document, plan))
                for sentence in undecided(plan, crew.find):
                    progress.note(sentence)
            done += crew.make(plan.runs)
    except OSError as error:
        places = [store.folder, settings.places.cache]
        raise_machine_error(error, places)
        raise StoreError(f"{shown_path(error.filename or store.folder)}: {error.strerror or error}") from None
    return Outcome(total - plan.waiting, tuple(done), recorded, plan.waiting)


def declaration(document: Document, plan: Plan) -> Declared:
    """The plan as a file beside the records."""
    spec = plan.spec
    return Declared(
        name=spec.name,
        question=spec.question,
        spec_file=Path(document.file).name,
        baseline=plan.baseline,
        report_on=spec.report_on,
        margin=plan.margin,
        under_test=spec.under_test,
        gate=spec.gate.stated,
        metrics={task.task.label: task.metric.name for task in plan.known_tasks},
        imported=list(plan.imported),
        trials={strategy.name: strategy.trials for strategy in plan.strategies},
        history=[],
        searches=declared_searches(plan),
        runs=[
            DeclaredRun(id=run.id, task=run.task.label, model=run.model.label, strategy=run.strategy.name, seed=run.seed)
            for run in plan.runs
        ],
    )


@contextmanager
def controlled(store: Store, settings: Settings, progress: Progress, *, wanted: bool) -> Iterator[None]:
    """A control run before what is done within and one after it; an interrupt leaves only the first."""
    session = str(uuid.uuid4())

    def measure(moment: Literal["before", "after"]) -> None:
        try:
            store.add_control(measure_control(settings, session=session, moment=moment))
        except (BakeoffError, OSError) as error:
            progress.note(f"no control run {moment} these runs, so that nothing tells whether their times hold: {error}")

    if wanted:
        measure("before")
    yield
    if wanted:
        measure("after")


def kept_model(record: Record) -> bool:
    return any(name.startswith(f"{MODEL_FOLDER}/") for name in record.files)


def why_unkept(record: Record) -> str:
    reason = record.kept.reason if record.kept else None
    return reason or "`keep: final` came later"


def made_again(
    document: Document, plan: Plan, store: Store, settings: Settings, progress: Progress
) -> tuple[dict[str, Again], Mapping[Pair, Facts]]:
    """Recorded runs, by id, that are made again; and what runs are made from now, where it was looked at.

    Raises where the runs could not start. What is decided here is decided of the records that stand now: `Crew` looks once more
    when it has claimed a run.
    """
    marks = {run.id: mark for run in (*plan.trials, *plan.runs) if (mark := store.mark(run.id)) is not None}
    why, sources = why_again(document, plan, store, settings, progress, marks)
    return {run_id: Again(marks[run_id], reason) for run_id, reason in why.items()}, sources


def why_again(
    document: Document, plan: Plan, store: Store, settings: Settings, progress: Progress, there: Collection[str]
) -> tuple[dict[str, str], Mapping[Pair, Facts]]:
    """As `made_again`, with the reason for each run; `there` are the ids of those of which something is recorded."""
    aside: dict[str, str] = {}
    recorded: dict[str, Record] = {}
    runs = {run.id: run for run in (*plan.trials, *plan.runs)}
    for run_id in runs:
        if run_id not in there:
            continue
        try:
            record = recorded[run_id] = store.check(run_id)
        except DamageError as error:
            raise_machine_error(error, [store.folder])  # the record may be whole
            aside[run_id] = str(error)
            continue
        if record.failure and (settings.retry == "failed" or record.was_interrupted):
            aside[run_id] = f"failed before ({record.failure.reason})"
    if plan.spec.keep == "final":
        unkept = [run_id for run_id, record in recorded.items() if record.status == "ok" and not kept_model(record)]
        if settings.retry == "unkept":
            aside |= dict.fromkeys(unkept, "recorded without its model")
        elif unkept:
            count = f"{len(unkept)} recorded run{'s' * (len(unkept) > 1)} left no model"
            progress.note(f"{count} ({why_unkept(recorded[unkept[0]])}); --retry unkept makes them again")
    rest = {run_id: record for run_id, record in recorded.items() if run_id not in aside}
    due = len(rest) < len(runs) + plan.waiting
    seen = look_at_files(plan, settings.places)
    moved = changes(plan, rest, seen)
    for clause in moved.code:
        progress.note(f"caution: {clause}; if it gives other results now, raise its `version`")
    if not (due or moved.files or settings.changed == "rerun"):
        for clause in (*seen.unseen, *untold(moved.untold)):
            progress.note(f"not compared with what is recorded: {clause}")
        return aside, {}
    check_available(document, plan, settings.places)
    machine = rehearse_or_stop(document, plan, settings, progress)
    compared = {run_id: differences_here(runs[run_id], record, machine) for run_id, record in rest.items()}
    if not due and settings.changed != "rerun":  # where nothing is added, it is no matter where the records were made
        compared = {run_id: [one for one in found if one.subject in MADE_FROM] for run_id, found in compared.items()}
    changed = {run_id: found for run_id, found in compared.items() if found}
    for sentence in harmless(plan, moved, compared):
        progress.note(sentence)
    for sentence in unsure(runs, rest, machine):
        progress.note(sentence)
    return aside | by_policy(plan, store, settings, progress, changed), machine.sources


def by_policy(
    plan: Plan, store: Store, settings: Settings, progress: Progress, changed: Mapping[str, Sequence[Difference]]
) -> dict[str, str]:
    """Those of the records that were made otherwise than runs would be now, by id, that are made again; raises StoreError where
    the user has not said what to do."""
    if not changed:
        return {}
    runs = {run.id: run for run in (*plan.trials, *plan.runs)}
    sentence = f"{len(changed)} recorded run{'s' * (len(changed) > 1)} made otherwise ({'; '.join(told(changed, runs))})"
    if settings.changed == "rerun":
        return dict.fromkeys(changed, "made elsewhere, or from other data or another model")
    if settings.changed == "stop":
        raise StoreError(
            f"{shown_path(store.folder)} holds {sentence}; --changed rerun makes them again, --changed mix keeps them beside "
            "new ones: those of other data or another model then stand in tables of their own"
        )
    progress.note(f"{shown_path(store.folder)} holds {sentence}")
    others = {run_id for run_id, found in changed.items() if any(one.subject in MADE_FROM for one in found)}
    # a search compares its trials with each other
    return dict.fromkeys((run.id for run in plan.trials if run.id in others), "a trial of other data or another model")
