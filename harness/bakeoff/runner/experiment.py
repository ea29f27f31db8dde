"""Makes the runs of a plan: skips those that are recorded, goes on after a failed run, reports progress."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakeoff.errors import BakeoffError, DamageError, SpecError, StoreError
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.garbage import without_collection
from bakeoff.machine.surroundings import same_folder
from bakeoff.planning.runs import Plan
from bakeoff.planning.search import declared_searches, settled, undecided
from bakeoff.planning.search import in_words as search_in_words
from bakeoff.records.ownership import keep_spec, require_owner
from bakeoff.records.provenance import MADE_FROM, Difference, Facts
from bakeoff.records.schema import MODEL_FOLDER, Declared, DeclaredRun, Record
from bakeoff.records.store import Store
from bakeoff.runner.changes import (
    Machine,
    Pair,
    caveats,
    changes,
    differences_here,
    harmless,
    in_words,
    look_at_files,
    not_compared,
)
from bakeoff.runner.looks import make_look_by_look, stage_of
from bakeoff.runner.machine_check import measure_control
from bakeoff.runner.preflight import preflight
from bakeoff.runner.scheduler import Rerun, Scheduler
from bakeoff.runner.settings import Progress, Settings
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count
from bakeoff.text.values import listed
from bakeoff.text.words import quoted_whole, shown_path


@dataclass(frozen=True)
class Outcome:
    """What one call of `run_experiment` did."""

    runs: int
    """Number of runs that were needed, trials of searches included. With looks this may be fewer than the plan's runs."""
    done: tuple[Record, ...]
    already_recorded: int
    undecided: int = 0
    """Number of runs that were not made because every trial of their search failed, so that no configuration was chosen."""
    at_most: int = 0
    """Number of runs that the whole plan needs at most, if every look is taken."""
    wanted: frozenset[str] = frozenset()
    """The ids of all runs that were to be made, or are recorded."""


def run_experiment(
    document: Document, plan: Plan, spec: Path, store: Store, *, settings: Settings, progress: Progress
) -> Outcome:
    """Makes every run of the plan that is not recorded in `store` yet; if interrupted, the next call continues.

    Nothing is written before the preflight has passed. Raises MachineError if the machine fails and not the run (a full disk,
    say): no run is recorded as failed then.
    """
    try:
        declared = declaration(document, plan)
        require_owner(store, declared, spec, document.content)
        if recovered := store.recover():
            progress.note(f"{count(len(recovered), 'run')} that a command had finished before it was killed: recorded now")
        with same_folder(), without_collection():  # the code of tasks and models runs here
            reruns, sources = choose_reruns(document, settled(plan, store.find), store, settings, progress)
        plan = settled(plan, lambda run_id: None if run_id in reruns else store.find(run_id))
        store.declare(declaration(document, plan))
        if note := keep_spec(store, spec, document.content):
            progress.note(note)
        store.sweep()
        scheduler = Scheduler(plan.spec, store, settings, progress, sources=sources, reruns=reruns)
        recorded = number_recorded(plan, scheduler)
        total = recorded + number_due(plan, scheduler)
        if recorded < total:
            for note, names in plan.notes.items():
                progress.note(f"note: {', '.join(names)}: {note}")
            if plan.spec.seeds.looks:
                fewest, most = plan.run_range
                progress.note(f"{plan.spec.seeds.in_words}: {fewest:,} to {most:,} runs to report, as few as decide")
        progress.start(total=total, done=recorded)
        with controlled(store, settings, progress, wanted=settings.control and recorded < total):

            def choose(plan: Plan) -> Plan:
                """The plan with the configurations that the trials recorded by now choose; also writes it to `plan.json`."""
                plan = settled(plan, scheduler.find)
                store.declare(declaration(document, plan))
                return plan

            done = scheduler.make(plan.first_trials)
            if plan.waiting:
                plan = choose(plan)
            if plan.spec.seeds.looks:
                plan, made = make_look_by_look(plan, store, scheduler, progress, choose)
                done += made
                total = number_recorded(plan, scheduler)
            else:
                done += scheduler.make([run for run in plan.runs if plan.is_wanted(run)])
                total -= plan.waiting
            without = {search: n for search, n in undecided(plan, scheduler.find).items() if plan.is_wanted_search(search)}
            for search in without:
                progress.note(search_in_words(plan, search))
    except OSError as error:
        places = [store.folder, settings.paths.cache]
        raise_machine_error(error, places)
        raise StoreError(f"{shown_path(error.filename or store.folder)}: {error.strerror or error}") from None
    return Outcome(total, tuple(done), recorded, sum(without.values()), len(plan.wanted) + plan.waiting, frozenset(plan.wanted))


def number_recorded(plan: Plan, scheduler: Scheduler) -> int:
    """How many wanted runs (those that `--only` selects, trials included) have a record that is not about to be replaced."""
    return sum(not scheduler.is_due(run) for run in plan.wanted.values())


def number_due(plan: Plan, scheduler: Scheduler) -> int:
    """How many runs are known to be needed and have no record yet. With looks only the runs of the next look count."""
    first, waiting = plan.first_seeds, plan.waiting_among(plan.first_seeds)
    if plan.spec.seeds.looks and not waiting:
        stage = stage_of(plan, scheduler.store, scheduler.to_replace)
        return sum(scheduler.is_due(run) for run in stage.trials) + len(stage.runs)
    now = {run.id for run in (plan.first_trials if plan.spec.seeds.looks else plan.trials)}
    now |= {run.id for run in plan.runs if run.seed in first or run.strategy.files}
    return sum(run_id in now and scheduler.is_due(run) for run_id, run in plan.wanted.items()) + waiting


def declaration(document: Document, plan: Plan) -> Declared:
    """The plan as it is written to `plan.json`, beside the records."""
    spec = plan.spec
    return Declared(
        name=spec.name,
        question=spec.question,
        spec_file=document.path.name,
        baseline=plan.baseline,
        report_on=spec.report_on,
        margin=plan.margin,
        under_test=spec.under_test or [],
        spelt_out=plan.spelt_out,
        hardware=spec.hardware or [],
        looks=list(spec.seeds.looks),
        ranks=spec.seeds.ranks,
        gate=spec.gate.model_dump(exclude_none=True),
        metrics={task.task.label: task.metric.name for task in plan.known_tasks},
        own_models=plan.own_models,
        titles=plan.titles,
        imported=list(plan.imported),
        trials={strategy.name: strategy.trials for strategy in plan.strategies},
        history=[],
        vary=plan.vary,
        seed_free=plan.seed_free,
        hub_datasets=plan.hub_datasets,
        licences=plan.licences,
        searches=declared_searches(plan),
        runs=[
            DeclaredRun(id=run.id, task=run.task.label, model=run.model_label, strategy=run.strategy.name, seed=run.seed)
            for run in plan.runs
        ],
    )


@contextmanager
def controlled(store: Store, settings: Settings, progress: Progress, *, wanted: bool) -> Iterator[None]:
    """A context that makes a control run at its beginning, and another one at its end unless it is interrupted. wanted: False
    makes none."""
    session = str(uuid.uuid4())

    def measure(moment: Literal["before", "after"]) -> None:
        try:
            store.add_control(measure_control(settings, session=session, moment=moment))
        except (BakeoffError, OSError) as error:
            progress.note(f"no control run {moment} these runs, so whether the machine's speed changed is unknown: {error}")

    if wanted:
        measure("before")
    yield
    if wanted:
        measure("after")


def choose_reruns(
    document: Document, plan: Plan, store: Store, settings: Settings, progress: Progress
) -> tuple[dict[str, Rerun], Mapping[Pair, Facts]]:
    """Returns which recorded runs are made anew (run id -> why), and from what runs would be made now: labels of task and
    model -> fingerprints, empty where nothing was loaded to see.

    Raises SpecError if the runs could not start, and StoreError if they would differ from the records and `--changed` does not
    say what to do. The scheduler checks each record again when it claims the run, because another process may have replaced
    it.
    """
    marks = {run_id: mark for run_id in plan.by_id if (mark := store.mark(run_id)) is not None}
    why: dict[str, str] = {}
    recorded: dict[str, Record] = {}
    for run_id in marks:
        try:
            record = store.check(run_id)
        except DamageError as error:
            raise_machine_error(error, [store.folder])  # the record may be whole
            why[run_id] = str(error)
            continue
        if record.failure and (settings.retry == "failed" or record.was_interrupted):
            why[run_id] = f"failed before ({record.failure.reason})"
        elif plan.spec.keep == "final" and settings.retry == "unkept" and is_unkept(record):
            why[run_id] = "recorded without its model"
        if run_id not in why or run_id not in plan.wanted:
            recorded[run_id] = record
    store.keep_index()
    why = {run_id: reason for run_id, reason in why.items() if run_id in plan.wanted}
    if plan.spec.keep == "final" and (unkept := [one for one in recorded.values() if one.id in plan.wanted and is_unkept(one)]):
        reason = unkept[0].why_not_kept or "`keep: final` was added later"
        progress.note(f"{count(len(unkept), 'recorded run')} left no model ({reason}); --retry unkept repeats them")
    due = anything_due(document, plan, store, recorded, why)
    files = look_at_files(plan, settings.paths)
    changed_files = changes(plan, recorded, files)
    for clause in changed_files.code:
        progress.note(f"caution: {clause}; if it gives other results now, raise its `version`")
    sources: Mapping[Pair, Facts] = {}
    if due or changed_files.files or settings.changed == "rerun":
        machine = preflight(document, plan, settings, progress)
        if due or settings.changed == "rerun":
            require_declared_hardware(document, plan, machine)
        compared = {
            run_id: differences_here(plan.by_id[run_id], record, machine, plan.spec.hardware or ())
            for run_id, record in recorded.items()
        }
        if not due and settings.changed != "rerun":  # nothing is added, so it does not matter where the records were made
            compared = {run_id: [one for one in found if one.subject in MADE_FROM] for run_id, found in compared.items()}
        for sentence in (*harmless(plan, changed_files, compared), *caveats(plan, recorded, machine)):
            progress.note(sentence)
        changed = {run_id: found for run_id, found in compared.items() if found}
        why |= by_policy(plan, store, settings, progress, changed)
        sources = machine.sources
    else:
        for sentence in not_compared(files, changed_files):
            progress.note(sentence)
    return {run_id: Rerun(marks[run_id], reason) for run_id, reason in why.items()}, sources


def require_declared_hardware(document: Document, plan: Plan, machine: Machine) -> None:
    """Raises SpecError if runs would be made here on a hardware class that the experiment file does not name in `hardware`."""
    declared = plan.spec.hardware
    here = dict.fromkeys(machine.hardware_of(run.requested) for run in plan.wanted.values())
    if declared and (others := [name for name in here if name not in declared]):
        message = (
            f"runs are made on {quoted_whole(others[0])} here, and only {listed([quoted_whole(name) for name in declared])} "
            f"{'is' if len(declared) == 1 else 'are'} declared: add it, or choose another machine, --device or --threads"
        )
        raise SpecError([document.problem(("hardware",), message)])


def anything_due(document: Document, plan: Plan, store: Store, recorded: Collection[str], reruns: Collection[str]) -> bool:
    """Whether any run has to be made. recorded, reruns: ids of the runs whose records stay, and of those that are made anew.
    With looks, a run without a record may never be needed."""
    lacking = any(run_id not in recorded for run_id in plan.wanted) or bool(plan.waiting)
    open_search = plan.waiting_among(plan.first_seeds) or any(run.id in reruns for run in plan.trials)
    if not lacking or not plan.spec.seeds.looks or open_search or not store.plan_file.is_file():
        return lacking
    there, now = store.declared(), declaration(document, plan)
    if now.model_copy(update={"history": there.history, "seal": there.seal}) != there:
        return True
    stage = stage_of(plan, store, reruns)
    return bool(stage.trials or stage.runs)


def is_unkept(record: Record) -> bool:
    """Whether a run succeeded but left no model, although its trainer trains a model that can be kept."""
    return (
        record.status == "ok"
        and not record.owns_model
        and not any(name.startswith(f"{MODEL_FOLDER}/") for name in record.files)
    )


def by_policy(
    plan: Plan, store: Store, settings: Settings, progress: Progress, changed: Mapping[str, Sequence[Difference]]
) -> dict[str, str]:
    """Which of the changed records are replaced, by `--changed`: run id -> why. changed: run id -> how the run would differ if
    it were made now. Raises StoreError if the user has not said what to do."""
    if not changed:
        return {}
    clauses = "; ".join(in_words(plan, changed))
    sentence = f"{shown_path(store.folder)} holds {count(len(changed), 'recorded run')} made under other conditions ({clauses})"
    if settings.changed == "rerun":
        if left := sum(run_id not in plan.wanted for run_id in changed):
            progress.note(f"{sentence}; {count(left, 'run')} of them, which --only leaves out, will not be repeated")
        reason = "made elsewhere, or from other data or another model"
        return {run_id: reason for run_id in changed if run_id in plan.wanted}
    if settings.changed == "stop":
        raise StoreError(
            f"{sentence}; --changed rerun repeats them, --changed mix keeps them (runs of other data or models then get "
            "tables of their own)"
        )
    progress.note(sentence)
    others = {run_id for run_id, found in changed.items() if any(one.subject in MADE_FROM for one in found)}
    # a search compares its trials with each other
    return dict.fromkeys(
        (run.id for run in plan.trials if run.id in others and plan.is_wanted(run)), "a trial of other data or another model"
    )
