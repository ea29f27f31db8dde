"""Makes the runs of one shard of a plan (`--shard I/N`), beside other workers that make the other shards in the same folder.

A shard waits for nobody and writes neither plan nor tables: it makes its runs of the first phase that lacks records. A phase is
the trials of the searches, the runs of a look, or all runs. Which phase is due follows from the records alone, so the same
command goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bakeoff.errors import StoreError
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.surroundings import same_folder
from bakeoff.planning.runs import Plan, Run
from bakeoff.planning.search import settled
from bakeoff.planning.shards import Shard, only_of
from bakeoff.records.ownership import keep_spec, require_owner
from bakeoff.records.schema import Declared, Record
from bakeoff.records.store import Store
from bakeoff.runner.experiment import choose_reruns, controlled, declaration
from bakeoff.runner.looks import stage_of
from bakeoff.runner.scheduler import Scheduler
from bakeoff.runner.settings import Progress, Settings
from bakeoff.spec.document import Document
from bakeoff.text.numbers import count
from bakeoff.text.values import listed
from bakeoff.text.words import shown_path

WAITS: Final = 5
"""Exit code of a command that leaves runs without a record because other processes have to make them first."""


@dataclass(frozen=True)
class Phase:
    """Runs that can be made without knowing the results of one another."""

    name: str
    """`trials`, `look 2 of 5`, or `runs`."""
    runs: tuple[Run, ...]
    is_last: bool
    """Whether no phase can follow it."""


@dataclass(frozen=True)
class ShardDone:
    """What one call of `make_shard` did."""

    phase: str
    runs: int
    """Number of the phase's runs that are the shard's."""
    done: tuple[Record, ...]
    already_recorded: int
    held: tuple[str, ...]
    """Names of the shard's runs that another process makes."""
    missing: tuple[str, ...]
    """Names of the phase's runs of other shards that have no record yet, where the shard's own have all and a next phase may
    follow."""

    @property
    def complete(self) -> bool:
        """Whether there was something for the shard to do, or nothing can come any more."""
        return not (self.held or self.missing)


def make_shard(
    document: Document, plan: Plan, spec: Path, store: Store, shard: Shard, *, settings: Settings, progress: Progress
) -> ShardDone:
    """Makes the shard's runs of the first phase that lacks records. Writes the plan only into a folder that has none.

    Raises StoreError where the folder's plan is another one, MachineError if the machine fails and not a run.
    """
    try:
        require_owner(store, declaration(document, plan), spec, document.content)
        if recovered := store.recover():
            progress.note(f"{count(len(recovered), 'run')} that a command had finished before it was killed: recorded now")
        plan = settled(plan, store.find)
        begin_or_join(document, plan, spec, store)
        phase = first_lacking(plan, store, retry_failed=settings.retry == "failed")
        own = [run for run in phase.runs if shard.has(run.id)]
        mine = only_of(plan, own, shard)
        with same_folder():  # the code of tasks and models runs here
            reruns, sources = choose_reruns(document, mine, store, settings, progress)
        scheduler = Scheduler(plan.spec, store, settings, progress, sources=sources, reruns=reruns)
        due = [run for run in own if scheduler.is_due(run)]
        progress.start(total=len(own), done=len(own) - len(due))
        with controlled(store, settings, progress, wanted=settings.control and bool(due)):
            done = scheduler.make(due, waits=False)
        held = tuple(run.title for run in own if scheduler.is_due(run))
        others = () if due or phase.is_last else tuple(run.title for run in phase.runs if scheduler.is_due(run))
    except OSError as error:
        raise_machine_error(error, [store.folder, settings.paths.cache])
        raise StoreError(f"{shown_path(error.filename or store.folder)}: {error.strerror or error}") from None
    return ShardDone(phase.name, len(own), tuple(done), len(own) - len(due), held, () if held else others)


def first_lacking(plan: Plan, store: Store, *, retry_failed: bool = False) -> Phase:
    """The first phase with runs that have no record; the last phase if all have. The plan has all choices of searches whose
    trials are recorded. retry_failed: wanted runs that failed belong to it too, whatever phase they were made in."""
    phase = _first_lacking(plan, store)
    if not retry_failed:
        return phase
    known = {run.id for run in phase.runs}
    failed = [run for run in plan.wanted.values() if run.id not in known and _has_failed(run, store)]
    return replace(phase, runs=(*phase.runs, *failed))


def _first_lacking(plan: Plan, store: Store) -> Phase:
    def lacks(runs: Sequence[Run]) -> bool:
        return any(store.find(run.id) is None for run in runs)

    if lacks(plan.first_trials):
        return Phase("trials", plan.first_trials, is_last=False)
    looks = plan.spec.seeds.looks
    if not looks:
        return Phase("runs", tuple(run for run in plan.runs if plan.is_wanted(run)), is_last=True)
    if not store.plan_file.is_file():
        first = tuple(run for run in plan.runs if run.seed in plan.first_seeds and plan.is_wanted(run))
        return Phase(f"look 1 of {len(looks)}", first, is_last=False)
    stage = stage_of(plan, store)
    which = listed([f"{number} of {len(looks)}" for number in stage.numbers])
    runs = stage.trials or stage.runs
    return Phase(f"look {which}" if runs else "looks", runs, is_last=not runs)


def _has_failed(run: Run, store: Store) -> bool:
    record = store.find(run.id)
    return record is not None and record.failure is not None


def begin_or_join(document: Document, plan: Plan, spec: Path, store: Store) -> None:
    """Writes plan and experiment file into a folder without a plan. Raises StoreError if the folder's plan is another one."""
    now = declaration(document, plan)
    if not store.plan_file.is_file():
        store.declare(now)
        keep_spec(store, spec, document.content)
    elif outline(now) != outline(store.declared()):
        raise StoreError(
            f"{shown_path(store.plan_file)} was written for another state of {shown_path(spec)}, and a shard rewrites no plan: "
            "`bakeoff run` without --shard does"
        )


def outline(declared: Declared) -> Any:
    """A plan without what grows while its runs are made (history, choices of searches, and the runs that follow from them), and
    without what plugins only tell of rows and weights."""
    searches = {name: search.model_copy(update={"chosen": []}) for name, search in declared.searches.items()}
    runs = sorted(
        (run.task, run.model, run.strategy, run.seed, run.id) for run in declared.runs if run.strategy not in searches
    )
    update = {"history": [], "seal": "", "searches": searches, "runs": [], "hub_datasets": {}, "licences": {}}
    return declared.model_copy(update=update), runs


def in_words(done: ShardDone, shard: Shard) -> list[str]:
    """What the shard did, and for whom it waits, a line each."""
    failed = sum(record.failure is not None for record in done.done)
    before = f", {done.already_recorded} already recorded" if done.already_recorded else ""
    what = "trials of searches" if done.phase == "trials" else "all runs" if done.phase == "runs" else done.phase
    made = f"{len(done.done)} done now{before}{f', {failed} failed' if failed else ''}"
    lines = [f"shard {shard} of {what}: {count(done.runs, 'run')}, {made}"]
    if done.held:
        lines.append(f"made by another process at the moment: {listed(done.held, most=5)}")
    if done.missing:
        lines.append(
            f"the next phase waits for {count(len(done.missing), 'run')} of other shards: {listed(done.missing, most=5)}; the "
            "same command goes on once they are recorded"
        )
    return lines
