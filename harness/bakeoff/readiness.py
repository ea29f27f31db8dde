"""Before the first run: can everything be had, does everything build, and is this the machine of the records there?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bakeoff import hardware
from bakeoff.components import Places
from bakeoff.document import Document
from bakeoff.errors import BakeoffError, Problem, SpecError
from bakeoff.outcome import processes_of
from bakeoff.plan import Plan, Run
from bakeoff.process import Worker
from bakeoff.record import Record
from bakeoff.rehearsal import rehearse
from bakeoff.supervision import Progress, Settings, request_of
from bakeoff.tree import KeyPath


@dataclass(frozen=True)
class Machine:
    """What the runs would run on, as the rehearsal found it."""

    device: str
    accelerator: str
    threads: int
    fingerprints: dict[str, dict[str, str]]
    """Of the tasks' data: label -> split -> what its rows hash to."""

    def hardware(self, processes: int) -> str:
        """The hardware class of a run in so many processes."""
        return hardware.hardware_class(self.accelerator, threads=self.threads, processes=processes)


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


def one_seed_of(plan: Plan) -> list[Run]:
    """All that the experiment may come to train, at one seed each."""
    firsts = {strategy.name: strategy.tuning.space.seeds[0] for strategy in plan.strategies if strategy.tuning}
    trials = [run for run in plan.trials if run.seed == firsts[run.strategy.name]]
    return [*trials, *(run for run in plan.runs if run.seed == plan.spec.seeds[0])]


def rehearse_or_stop(document: Document, plan: Plan, settings: Settings, progress: Progress) -> Machine:
    """Loads every task, builds and adapts every model once, in a process of its own; raises SpecError with all that fails."""
    progress.note("checking that every task loads and every model builds ...")
    requests = [request_of(run, settings).model_dump_json() for run in one_seed_of(plan)]
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(rehearse, requests, output=Path(folder))
        try:
            verdict = next((message for message in worker.listen() if "problems" in message), None)
            if verdict is None:
                raise BakeoffError(f"the check of tasks and models ended early: {worker.last_words()}")
        finally:
            worker.end()
    places: dict[str, dict[str, KeyPath]] = {
        "task": {task.label: ("tasks", index) for index, task in enumerate(plan.tasks)},
        "model": {model.label: ("models", index) for index, model in enumerate(plan.models)},
        "strategy": {strategy.name: ("strategies", strategy.name) for strategy in plan.strategies},
    }
    if verdict["problems"]:
        raise SpecError(document.problem(places[kind][name], message) for kind, name, message in verdict["problems"])
    for label, sentence in verdict["remarks"]:
        progress.note(f"{label}: {sentence}")
    return Machine(verdict["device"], verdict["accelerator"], settings.threads, verdict["fingerprints"])


def differences(record: Record, machine: Machine) -> list[str]:
    """What differs between the record's environment and this one, in words; what its data were made from is part of it."""
    there = {**record.environment.software, **(record.data.sources if record.data else {})}
    here = hardware.software(there)
    found = [
        f"{name} {there.get(name, 'missing')} there, {here.get(name, 'missing')} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    if record.environment.hardware != (ours := machine.hardware(processes_of(record.asked))):
        found.append(f"{record.environment.hardware} there, {ours} here")
    if not found and record.data is not None:  # other sources make other rows, and were named above
        task, splits = record.asked.task_label, record.data.splits
        here = machine.fingerprints.get(task, {})
        found += [
            f"{task}: split {name} has other rows than when {record.id} was made"
            for name, fingerprint in here.items()
            if name in splits and splits[name].fingerprint != fingerprint
        ]
    return found


def first_difference(records: Iterable[Record], machine: Machine) -> list[str]:
    """The differences of the first record that was made elsewhere."""
    return next((found for record in records if (found := differences(record, machine))), [])
