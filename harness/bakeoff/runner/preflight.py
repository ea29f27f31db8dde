"""Before the first run: can everything be had, does everything build, and is this the machine of the records there?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError, Problem, SpecError
from bakeoff.files import temporary_folder
from bakeoff.machine import hardware
from bakeoff.machine.worker_process import Worker
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.provenance import (
    BAKEOFF,
    MACHINE,
    MADE_FROM,
    Difference,
    Facts,
    differences,
    facts_of,
    from_plain,
    unknown,
)
from bakeoff.records.schema import OUTPUT_FILE, Record
from bakeoff.records.store import Store
from bakeoff.runner.changes import Changes, owner
from bakeoff.runner.rehearsal import rehearse
from bakeoff.runner.settings import Progress, Settings, request_of
from bakeoff.spec.document import Document
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.values import listed
from bakeoff.training import assembly

MISSING = "missing"
"""What is said for the version of a distribution that is not there."""


@dataclass(frozen=True)
class Machine:
    """What the runs would run on, as the rehearsal found it."""

    device: str
    accelerator: str
    threads: int
    instructions: str | None
    """As `Environment.instructions`."""
    sources: Mapping[tuple[str, str], Facts]
    """Labels of a task and a model -> what a run of them would be made from."""

    def hardware(self, processes: int) -> str:
        """The hardware class of a run in so many processes."""
        return hardware.hardware_class(self.accelerator, threads=self.threads, processes=processes)


def check_available(document: Document, plan: Plan, places: Paths) -> None:
    """Whether data and weights can be had, asked within seconds and before anything heavy is imported."""
    problems: list[Problem] = []
    for key, parts in (("tasks", plan.tasks), ("models", plan.models)):
        for index, part in enumerate(parts):
            try:
                assembly.check_available(part, places)
            except BakeoffError as error:
                problems.append(document.problem((key, index), str(error)))
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
    requests = [request_of(run, settings, keep=plan.spec.keep).model_dump_json() for run in one_seed_of(plan)]
    with temporary_folder() as folder:
        seeds = sorted({(run.seed, run.strategy.replicate) for run in (*plan.trials, *plan.runs)})
        worker = Worker(rehearse, requests, [run.id for run in plan.trials], seeds, output=folder / OUTPUT_FILE)
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
    sources = {(task, model): from_plain(facts) for task, model, facts in verdict["sources"]}
    return Machine(verdict["device"], verdict["accelerator"], settings.threads, verdict["instructions"], sources)


def differences_from_records(
    document: Document, plan: Plan, settled: Plan, store: Store, settings: Settings, progress: Progress
) -> list[str]:
    """In sentences, how recorded runs differ from what they would be here. Raises SpecError with all that would keep the plan's
    runs from starting."""
    hardware.prepare_environment(settings.threads)
    check_available(document, plan, settings.places)
    machine = rehearse_or_stop(document, plan, settings, progress)
    runs = {run.id: run for run in (*settled.trials, *settled.runs)}
    records = {record.id: record for record in store.read_all(runs)[0]}
    changed = {run_id: differences_here(runs[run_id], record, machine) for run_id, record in records.items()}
    return [f"since runs were recorded: {clause}" for clause in told(changed, runs)] + unsure(runs, records, machine)


def differences_here(run: Run, record: Record, machine: Machine) -> list[Difference]:
    """In what a run made here would differ from its record: what it is made from, hardware, software.

    Bakeoff's own version is none: the versions of components decide whether runs are alike.
    """
    used, sources = record.environment.software, record.data.source_versions if record.data else {}
    installed = hardware.software({*used, *sources})
    here: Facts = {
        **machine.sources.get((run.task.label, run.model.label), {}),
        ("hardware", ""): (machine.hardware(record.requested.processes),),
        ("instruction set", ""): (machine.instructions if machine.device == "cpu" else None,),
        **{("software", name): (installed.get(name, MISSING),) for name in used if name != BAKEOFF},
        **{("sources", name): (installed.get(name, MISSING),) for name in sources},
    }
    found = differences(here, facts_of(record), MADE_FROM | MACHINE | {"sources"})
    if any(one.subject == "sources" for one in found):  # they make other rows, and are named
        return [one for one in found if one.subject != "rows"]
    return found


def told(changed: Mapping[str, Sequence[Difference]], runs: Mapping[str, Run]) -> list[str]:
    """What changed, each once, with the task or model that it is of; of hardware and versions both values. By run's id."""
    clauses = []
    for run_id, found in changed.items():
        for one in found:
            if one.subject in MADE_FROM:
                clauses.append(f"{owner(runs[run_id], one)}: {one.what} changed")
            else:
                name = one.name or ("" if one.subject == "hardware" else one.subject)
                clauses.append(f"{name} {one.there} there, {one.here} here".lstrip())
    return list(dict.fromkeys(clauses))


def harmless(plan: Plan, moved: Changes, compared: Mapping[str, Sequence[Difference]]) -> list[str]:
    """Files that changed though what recorded runs were made from is the same; what only cuts results into slices is no part
    of that. `compared`: run id -> in what the run would differ now."""
    files = {
        run_id: found
        for run_id, found in moved.files.items()
        if not any(one.subject in MADE_FROM or one.subject == "sources" for one in compared[run_id])
    }
    same = "rows, label names, weights and tokenizer are the same"
    told = [f"{sentence}; {same}" for sentence in Changes(files, 0, ()).sentences(plan)]
    rows = {run_id for run_id, found in files.items() if any(one.subject == "rows" for one in found)}
    tasks = [run.task for run in (*plan.trials, *plan.runs) if run.id in rows]
    if any(task.registered.component.info(task.options).slice_columns for task in tasks):
        told.append("columns by which results are cut stay as recorded")
    return told


def unsure(runs: Mapping[str, Run], records: Mapping[str, Record], machine: Machine) -> list[str]:
    """What records do not tell, though it is known of the sources here; and that they were made by another Bakeoff."""
    lacking, others = Counter[str](), Counter[str]()
    ours = hardware.software([BAKEOFF]).get(BAKEOFF, MISSING)
    for run_id, record in records.items():
        here = machine.sources.get((runs[run_id].task.label, runs[run_id].model.label), {})
        lacking.update(key[0] for key in unknown(here, facts_of(record)) if any(here.get(key, ())))
        others.update(one.there for one in differences({("bakeoff", ""): (ours,)}, facts_of(record), {"bakeoff"}))
    found = []
    if lacking:
        count = max(lacking.values())
        found.append(f"{counted(count)} not tell {listed([*lacking])}: taken for the same as here")
    return found + [
        f"Bakeoff {version} made {count} of the recorded runs, and this is {ours}" for version, count in others.items()
    ]


def counted(count: int) -> str:
    return "1 recorded run does" if count == 1 else f"{count} recorded runs do"
