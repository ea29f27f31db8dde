"""`bakeoff time`: how long a run of each strategy takes, measured so that it also works on a machine that others use. Read
`time_experiment`.

A process of each strategy is kept ready and takes turns with the others in random order, round after round: a few steps and
evaluation batches, the same batches for all. Whatever slows the machine for longer than a round slows all strategies in that
round, so the ratio of two strategies' times in one round hardly depends on it; short disturbances of single turns hardly move
the median over rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bakeoff.contracts.configured import Configured
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.machine.faults import raise_machine_error
from bakeoff.planning.runs import Plan, ResolvedStrategy, Run, label_of
from bakeoff.planning.search import settled
from bakeoff.records.ownership import require_owner
from bakeoff.records.schema import Timing, timed_digest, together
from bakeoff.records.store import Store
from bakeoff.runner.experiment import declaration
from bakeoff.runner.rounds import CLAIM, Contender, Rounds, TimedGroup, TimingGoal, TimingProgress
from bakeoff.runner.scheduler import CLAIM_SECONDS
from bakeoff.runner.settings import Settings
from bakeoff.runner.trust import require_trust
from bakeoff.spec.document import Document
from bakeoff.text.values import listed
from bakeoff.text.words import shown_path


@dataclass(frozen=True)
class TimingOutcome:
    """What one call of `time_experiment` measured."""

    timings: tuple[Timing, ...]
    failed: Mapping[tuple[str, str], str]
    """(titles of task and model, strategy) -> why the strategy was not timed."""


def time_experiment(
    document: Document,
    plan: Plan,
    spec: Path,
    store: Store,
    *,
    settings: Settings,
    goal: TimingGoal,
    progress: TimingProgress,
) -> TimingOutcome:
    """Times all strategies of the plan, and writes the timing of each comparison group beside the records once it is measured.

    Raises BakeoffError if a baseline can't be timed, StoreError if another command times the same experiment, and MachineError
    if the machine fails.
    """
    require_trust(document, plan, settings)
    deadline = time.monotonic() + goal.budget
    try:
        require_owner(store, declaration(document, plan), spec, document.content)
        store.tree.make(store.records)
        store.sweep()
        groups = timed_groups(settled(plan, store.find))
        for sentence in [*undecided(plan, groups), *untimed(plan)]:
            progress.note(sentence)
        timings, failed = [], dict[tuple[str, str], str]()
        with claimed(store) as keep_claim:
            for number, group in enumerate(groups):
                share = (deadline - time.monotonic()) / (len(groups) - number)
                rounds = Rounds(group, store, settings, goal, progress, keep=plan.spec.keep, polled=keep_claim)
                timing = rounds.measure(until=time.monotonic() + share)
                store.add_timing(timing)
                timings.append(timing)
                failed |= {(group.title, name): reason for name, reason in rounds.failed.items()}
    except OSError as error:
        raise_machine_error(error, [store.folder, settings.paths.cache])
        raise StoreError(f"{shown_path(error.filename or store.folder)}: {error.strerror or error}") from None
    return TimingOutcome(tuple(timings), failed)


def timed_groups(plan: Plan) -> list[TimedGroup]:
    """The plan's comparison groups, with the runs to time. If models are under test, all groups of a task are joined into
    one."""
    joined = "model" in (plan.spec.under_test or ()) and len(plan.models) > 1

    def name_of(strategy: ResolvedStrategy, model: Configured | None) -> str:
        return f"{strategy.name} · {label_of(model)}" if joined and not strategy.has_own_model else strategy.name

    found = []
    for task in plan.tasks:
        groups = [(label, members) for one, label, members in plan.groups if one is task]
        if joined:
            groups = [(together(label for label, _ in groups), [one for _, members in groups for one in members])]
        for label, members in groups:
            runs = {
                name_of(strategy, model): Run(
                    plan.spec.name,
                    task,
                    model,
                    plan.settled(strategy, task, model, plan.search_of(strategy, 0)) or strategy,
                    plan.spec.seeds.numbers[0],
                    plan.spec.select,
                )
                for strategy, model in members
                if not strategy.owns_model
            }
            baseline = next(name_of(*one) for one in members if one[0].name == plan.baseline)
            by_digest: dict[str, list[str]] = {}
            for name in sorted(runs, key=lambda name: name != baseline):
                by_digest.setdefault(timed_digest(runs[name].requested), []).append(name)
            if baseline not in runs:
                raise BakeoffError(
                    f"the trainer of the baseline '{plan.baseline}' owns its model and takes no steps, so that nothing can be "
                    "timed against it: name another baseline"
                )
            contenders = tuple(Contender(tuple(names), runs[names[0]], digest) for digest, names in by_digest.items())
            title = " · ".join(filter(None, (plan.titles.task(task.label), plan.titles.model(label))))
            found.append(TimedGroup(task.label, label, baseline, contenders, title))
    return found


def untimed(plan: Plan) -> list[str]:
    """A sentence that names the strategies whose trainer owns its model: they take no steps that could be timed. Empty without
    them."""
    names = [strategy.name for strategy in plan.strategies if strategy.owns_model]
    return [f"{listed(names)}: not timed, since the trainer owns the model and takes no steps"] if names else []


def undecided(plan: Plan, groups: Sequence[TimedGroup]) -> list[str]:
    """A sentence that names the strategies whose search has not chosen a configuration yet. Empty without them."""
    open_ones = {one.run.strategy.name for group in groups for one in group.contenders if one.run.strategy.tuning is not None}
    if not open_ones:
        return []
    return [f"{listed(sorted(open_ones))}: timed with the first configuration, since the search has not chosen yet"]


@contextmanager
def claimed(store: Store) -> Iterator[Callable[[], None]]:
    """A context in which no other command can time the same experiment. It yields a function that renews the claim, to be
    called every few seconds. Raises StoreError if another command times it already."""
    if not store.claims.take(CLAIM):
        raise StoreError(f"another command times the experiment in {shown_path(store.folder)} at this moment; wait for its end")
    renewed = time.monotonic()

    def keep() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > CLAIM_SECONDS:
            renewed = time.monotonic()
            store.claims.renew(CLAIM)

    try:
        yield keep
    finally:
        store.claims.release(CLAIM)
