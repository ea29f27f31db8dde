"""Plan -> workers -> records: skips what is recorded, survives what fails, tells how it goes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakeoff import hardware
from bakeoff.control import measure_control
from bakeoff.crew import Crew
from bakeoff.document import Document
from bakeoff.errors import BakeoffError, DamageError, StoreError, shown_path
from bakeoff.plan import Plan
from bakeoff.readiness import differences, first_difference, locate, rehearse_or_stop
from bakeoff.record import MODEL_FOLDER, Declared, DeclaredRun, Record
from bakeoff.search import declared_searches, settled, undecided
from bakeoff.store import Store
from bakeoff.supervision import Progress, Settings


@dataclass(frozen=True)
class Outcome:
    """What one call of `run_experiment` did."""

    runs: int
    """Of the plan, trials of its searches included."""
    done: tuple[Record, ...]
    already_recorded: int
    undecided: int = 0
    """Runs that were not made, for no configuration of their search ended well."""

    @property
    def failed(self) -> int:
        return sum(record.status == "failed" for record in self.done)


def run_experiment(
    document: Document, plan: Plan, spec: Path, store: Store, *, settings: Settings, progress: Progress
) -> Outcome:
    """Every run of the plan that is not recorded in `store` yet; interrupted, it goes on next time.

    Nothing is written before it is known that every task loads and every model builds.
    """
    try:
        declared = declaration(document, plan)
        store.check_owner(declared, spec)
        hardware.prepare_environment(settings.threads)
        aside = to_set_aside(document, plan, store, settings, progress)
        plan = settled(plan, lambda run_id: None if run_id in aside else store.find(run_id))
        store.declare(declaration(document, plan))
        store.adopt(spec)
        store.sweep()
        for run in (*plan.trials, *plan.runs):
            if run.id in aside:
                store.set_aside(run.id)
                progress.note(f"{run.title}: {aside[run.id]}; set aside")
        total = len(plan.trials) + len(plan.runs) + plan.waiting
        recorded = sum(store.has(run.id) for run in (*plan.trials, *plan.runs))
        progress.start(total=total, done=recorded)
        with controlled(store, settings, progress, wanted=settings.control and recorded < total):
            crew = Crew(plan.spec, store, settings, progress)
            done = crew.make(plan.trials)
            if plan.waiting:
                plan = settled(plan, store.find)
                store.declare(declaration(document, plan))
                for sentence in undecided(plan, store.find):
                    progress.note(sentence)
            done += crew.make(plan.runs)
    except OSError as error:
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
        except BakeoffError as error:
            progress.note(f"no control run {moment} these runs, so that nothing tells whether their times hold: {error}")

    if wanted:
        measure("before")
    yield
    if wanted:
        measure("after")


def kept_model(record: Record) -> bool:
    return any(name.startswith(f"{MODEL_FOLDER}/") for name in record.files)


def to_set_aside(document: Document, plan: Plan, store: Store, settings: Settings, progress: Progress) -> dict[str, str]:
    """Ids of records that stand in the way of runs, with the reason; raises where the runs could not start."""
    aside: dict[str, str] = {}
    recorded: dict[str, Record] = {}
    for run in (*plan.trials, *plan.runs):
        if not store.occupied(run.id):
            continue
        try:
            record = recorded[run.id] = store.check(run.id)
        except DamageError as error:
            aside[run.id] = str(error)
            continue
        if record.failure and (settings.retry == "failed" or record.failure.reason == "interrupted"):
            aside[run.id] = f"failed before ({record.failure.reason})"
    if plan.spec.keep == "final":
        unkept = [run_id for run_id, record in recorded.items() if record.status == "ok" and not kept_model(record)]
        if settings.retry == "unkept":
            aside |= dict.fromkeys(unkept, "recorded without its model")
        elif unkept:
            count = f"{len(unkept)} recorded run{'s' * (len(unkept) > 1)} left no model"
            progress.note(f"{count}, as `keep: final` came later; --retry unkept makes them again")
    rest = {run_id: record for run_id, record in recorded.items() if run_id not in aside}
    if len(rest) < len(plan.trials) + len(plan.runs) + plan.waiting or settings.environment == "rerun":
        locate(document, plan, settings.places)
        machine = rehearse_or_stop(document, plan, settings, progress)
        if settings.environment == "rerun":
            aside |= {
                run_id: "recorded elsewhere or of other data" for run_id, record in rest.items() if differences(record, machine)
            }
        elif settings.environment == "stop" and (found := first_difference(rest.values(), machine)):
            where = f"{shown_path(store.folder)} holds runs made elsewhere or of other data"
            raise StoreError(
                f"{where} ({'; '.join(found)}); "
                "--environment rerun makes them again here, --environment mix adds to them (the rows will be flagged)"
            )
    return aside
