"""Plan -> workers -> records: skips what is recorded, survives what fails, tells how it goes."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from bakeoff import hardware
from bakeoff.components import Places
from bakeoff.errors import BakeoffError, Problem, SpecError, StoreError
from bakeoff.plan import Plan, Run
from bakeoff.process import Message, Worker, prepare_environment
from bakeoff.record import OUTPUT_FILE, RECORD_FILE, Declared, DeclaredRun, Failure, Reason, Record, dump
from bakeoff.rehearsal import rehearse
from bakeoff.spec import Document
from bakeoff.store import Store
from bakeoff.tree import KeyPath
from bakeoff.worker import Request, perform

TOUCH_SECONDS = 10.0
WAIT_SECONDS = 0.5

EnvironmentChoice = Literal["stop", "rerun", "mix"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is not part of the experiment: where things lie, and on what to run."""

    places: Places
    device: str = "auto"
    threads: int = field(default_factory=hardware.usable_threads)
    environment: EnvironmentChoice = "stop"
    retry_failed: bool = False


class Progress(Protocol):
    """Where a run's progress goes."""

    def begin(self, run: Run) -> None: ...

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None: ...

    def end(self, run: Run, record: Record) -> None: ...

    def note(self, line: str) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What one call of `run_experiment` did."""

    done: tuple[Record, ...]
    already_recorded: int

    @property
    def failed(self) -> int:
        return sum(record.status == "failed" for record in self.done)


def open_store(document: Document, plan: Plan, spec: Path, folder: Path) -> Store:
    """The experiment's folder, with what it asks for declared and its file beside; refuses another experiment's folder."""
    store = Store(folder)
    store.declare(declaration(document, plan))
    store.adopt(spec)
    return store


def run_experiment(document: Document, plan: Plan, store: Store, settings: Settings, progress: Progress) -> Outcome:
    """Every run of the plan that is not recorded yet, one after the other; interrupted, it goes on next time."""
    prepare_environment(settings.threads)
    store.sweep()
    if settings.retry_failed:
        retire_failures(plan, store, progress)
    recorded = [run for run in plan.runs if store.has(run.id)]
    todo = [run for run in plan.runs if not store.has(run.id)]
    if settings.environment == "rerun":
        todo = rerun_elsewhere(plan, store, settings, progress)
    elif todo and settings.environment == "stop":
        check_environment(recorded, store, settings)
    if todo:
        locate(document, plan, settings.places)
        rehearse_or_stop(document, plan, settings, progress)
    done = [record for run in todo if (record := take(run, plan, store, settings, progress)) is not None]
    done += wait_for_others(todo, plan, store, settings, progress)
    return Outcome(tuple(done), len(plan.runs) - len(todo))


def declaration(document: Document, plan: Plan) -> Declared:
    """The plan as a file beside the records."""
    spec = plan.spec
    return Declared(
        name=spec.name,
        question=spec.question,
        spec_file=Path(document.file).name,
        baseline=plan.baseline,
        report_on=spec.report_on,
        margin=spec.margin,
        under_test=spec.under_test,
        runs=[
            DeclaredRun(id=run.id, task=run.task.label, model=run.model.label, strategy=run.strategy.name, seed=run.seed)
            for run in plan.runs
        ],
    )


# --- before the first run ------------------------------------------------------------------------------------------------


def locate(document: Document, plan: Plan, places: Places) -> None:
    """Whether data and weights can be had, asked within seconds and before anything heavy is imported."""
    problems: list[Problem] = []
    for index, task in enumerate(plan.tasks):
        try:
            task.registered.component.locate(task.options, places)
        except BakeoffError as error:
            problems.append(document.problem(("tasks", index), str(error)))
    for index, model in enumerate(plan.models):
        try:
            model.registered.component.locate(model.options)
        except BakeoffError as error:
            problems.append(document.problem(("models", index), str(error)))
    if problems:
        raise SpecError(problems)


def rehearse_or_stop(document: Document, plan: Plan, settings: Settings, progress: Progress) -> None:
    """Loads every task, builds and adapts every model once, in a process of its own; raises SpecError with all that fails."""
    progress.note("checking that every task loads and every model builds ...")
    with tempfile.TemporaryDirectory() as folder:
        requests = [request_of(run, settings).model_dump_json() for run in plan.runs if run.seed == plan.spec.seeds[0]]
        worker = Worker(rehearse, requests, output=Path(folder))
        try:
            heard: list[Message] = []
            while worker.alive:
                heard += worker.messages(WAIT_SECONDS)
            heard += worker.messages(0)
            verdicts = [message for message in heard if "problems" in message]
            if not verdicts:
                raise BakeoffError(f"the check of tasks and models ended early: {worker.last_words()}")
        finally:
            worker.end()
    places: dict[str, dict[str, KeyPath]] = {
        "task": {task.label: ("tasks", index) for index, task in enumerate(plan.tasks)},
        "model": {model.label: ("models", index) for index, model in enumerate(plan.models)},
        "strategy": {strategy.name: ("strategies", strategy.name) for strategy in plan.strategies},
    }
    problems = [document.problem(places[kind][name], message) for kind, name, message in verdicts[0]["problems"]]
    if problems:
        raise SpecError(problems)


def check_environment(recorded: list[Run], store: Store, settings: Settings) -> None:
    """Stops where the folder's records were made with other software or on other hardware."""
    for run in recorded:
        if differs := differences(store.read(run.id), settings):
            raise StoreError(
                f"{store.folder} holds runs made elsewhere ({'; '.join(differs)}); "
                "--environment rerun makes them again here, --environment mix adds to them (the rows will be flagged)"
            )


def differences(record: Record, settings: Settings) -> list[str]:
    """What of this environment differs from the record's, in words. A device that is not the CPU is told by its run."""
    there = record.environment
    here = hardware.software(there.software)
    found = [
        f"{name} {there.software.get(name, 'missing')} there, {here.get(name, 'missing')} here"
        for name in sorted({*there.software, *here})
        if there.software.get(name) != here.get(name)
    ]
    if there.device == "cpu":
        machine = hardware.environment((), threads=settings.threads).hardware
        if machine != there.hardware:
            found.append(f"{there.hardware} there, {machine} here")
    return found


def rerun_elsewhere(plan: Plan, store: Store, settings: Settings, progress: Progress) -> list[Run]:
    """Sets aside what was recorded in another environment; the runs still to be made."""
    for run in plan.runs:
        if store.has(run.id) and differences(store.read(run.id), settings):
            store.set_aside(run.id)
            progress.note(f"{run.title}: recorded elsewhere, set aside")
    return [run for run in plan.runs if not store.has(run.id)]


def retire_failures(plan: Plan, store: Store, progress: Progress) -> None:
    for run in plan.runs:
        if store.has(run.id) and store.read(run.id).status == "failed":
            store.set_aside(run.id)
            progress.note(f"{run.title}: its failure is set aside, to be tried again")


# --- the runs ------------------------------------------------------------------------------------------------------------


def take(run: Run, plan: Plan, store: Store, settings: Settings, progress: Progress) -> Record | None:
    """One run, unless another process has it or has recorded it."""
    if store.has(run.id) or not store.claim(run.id):
        return None
    folder = store.begin(run.id)
    try:
        if store.has(run.id):  # recorded between the look and the claim
            return None
        progress.begin(run)
        record = supervise(run, folder, plan.spec.run_timeout, store, settings, progress)
        if not store.publish(folder, run.id):
            progress.note(f"{run.title}: another process recorded it first; that record stands")
            return None
        progress.end(run, record)
        return record
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        store.release(run.id)


def wait_for_others(todo: list[Run], plan: Plan, store: Store, settings: Settings, progress: Progress) -> Iterator[Record]:
    """Runs that other processes have claimed: waits for their records, or takes them over when their owner dies."""
    waiting = [run for run in todo if not store.has(run.id)]
    if waiting:
        progress.note(f"waiting for {len(waiting)} run{'s' if len(waiting) > 1 else ''} that another process has claimed ...")
    while waiting:
        for run in waiting:
            if (record := take(run, plan, store, settings, progress)) is not None:
                yield record
        waiting = [run for run in waiting if not store.has(run.id)]
        if waiting:
            time.sleep(1.0)


def supervise(run: Run, folder: Path, timeout: float | None, store: Store, settings: Settings, progress: Progress) -> Record:
    """A worker from start to record; what it cannot record itself (crash, timeout) is recorded for it."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    worker = Worker(perform_aloud, request_of(run, settings).model_dump_json(), str(folder), output=folder)
    touched, phase = time.monotonic(), "import"
    try:
        while worker.alive:
            for message in worker.messages(WAIT_SECONDS):
                if "phase" in message:
                    phase = message["phase"]
                    progress.update(run, phase, message["step"], message["total"], message["loss"])
            if timeout is not None and time.monotonic() - worker.started > timeout:
                worker.end()
                return record_failure(run, folder, started, "timed out", f"it took over {timeout:g} s", phase, settings)
            if time.monotonic() - touched > TOUCH_SECONDS:
                store.touch(run.id)
                touched = time.monotonic()
        if (folder / RECORD_FILE).is_file() and worker.process.exitcode == 0:
            record = Record.model_validate_json((folder / RECORD_FILE).read_bytes())
            if record.status == "ok":
                (folder / OUTPUT_FILE).unlink(missing_ok=True)
            return record
        return record_failure(run, folder, started, "crashed", worker.last_words(), phase, settings)
    finally:
        worker.end()


def perform_aloud(say: object, request: str, folder: str) -> None:
    """The worker's side of `supervise`."""

    def report(phase: str, step: int, total: int, loss: float | None) -> None:
        say({"phase": phase, "step": step, "total": total, "loss": loss if loss is None or loss == loss else None})  # type: ignore[operator]

    perform(Request.model_validate_json(request), Path(folder), report)


def request_of(run: Run, settings: Settings) -> Request:
    return Request(
        id=run.id,
        asked=run.asked,
        data=settings.places.data,
        cache=settings.places.cache,
        device=settings.device,
        threads=settings.threads,
    )


def record_failure(
    run: Run, folder: Path, started: str, reason: Reason, message: str, phase: str, settings: Settings
) -> Record:
    """The record of a run whose process could not write one."""
    record = Record(
        id=run.id,
        status="failed",
        failure=Failure(reason=reason, message=message, phase=phase),
        started=started,
        asked=run.asked,
        environment=hardware.environment({"bakeoff"}, threads=settings.threads, device=settings.device),
        data=None,
        weights=None,
        observed=None,
        scores={},
        cost=None,
        trainer_owns=[],
        files={},
    )
    for path in folder.iterdir():
        if path.name != OUTPUT_FILE:
            path.unlink()  # half-written by a process that is gone
    (folder / RECORD_FILE).write_bytes(dump(record))
    return record
