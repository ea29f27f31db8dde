"""Which runs of a plan are recorded, and how long the others may take, estimated from similar recorded runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakeoff.contracts.configured import canonical
from bakeoff.errors import DamageError, StoreError
from bakeoff.machine import hardware
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.provenance import environment, same_hardware
from bakeoff.records.schema import Cost, Record, Requested
from bakeoff.records.store import Store

State = Literal["recorded", "changed", "failed", "damaged", "running", "to do", "if open", "not needed"]
"""The state of a run. `changed`: recorded, but the files that it read have changed since. `if open`: belongs to a later look (a
number of seeds at which the comparisons are judged), and is made only if one of them is still open then. `not needed`: belongs
to a later look, and the comparisons are decided."""

NEIGHBOURS_READ = 200
"""The most records of other experiments that are read: enough for a median, and read in an instant."""


@dataclass(frozen=True)
class Outlook:
    """A run of the plan: its state, and the seconds that it took or may take (None if there is no similar run)."""

    run: Run
    state: State
    seconds: float | None
    note: str = ""
    """Why the run failed, or what is wrong with its record."""
    memory: int | None = None
    """Peak main memory in bytes of similar runs; None where that is not known."""
    device_memory: int | None = None
    """Peak memory in bytes of the device in similar runs."""


@dataclass(frozen=True)
class Like:
    """What recorded runs of one likeness took."""

    seconds: float
    """The median, or the longest."""
    memory: int | None
    """The largest peak of main memory, in bytes."""
    device_memory: int | None
    """The largest peak of the device's memory, in bytes."""


@dataclass(frozen=True)
class Left:
    """What `bakeoff run` has left to do."""

    runs: int
    seconds: float
    unknown: int
    """Runs without a similar recorded run; not counted in `seconds`."""


def survey(plan: Plan, store: Store, changed: Collection[str] = (), *, anywhere: bool = False) -> list[Outlook]:
    """The state of every wanted run, in the plan's order, trials of searches first. changed: ids of recorded runs whose files
    have changed since. anywhere: the runs may be made on other machines, so that what like runs took anywhere counts, the
    longest of them."""
    runs = [run for run in (*plan.trials, *plan.runs) if plan.is_wanted(run)]
    known = {run.id: store.look(run.id) for run in runs}
    alike = like_runs(plan, store, anywhere=anywhere) if None in known.values() else {}
    return [_outlook(run, known[run.id], store, alike, changed) for run in runs]


def left(outlooks: Iterable[Outlook]) -> Left:
    """Counts the runs without a record, running or not, and sums their estimated seconds; a recorded failure is not
    repeated."""
    todo = [outlook.seconds for outlook in outlooks if outlook.state in ("to do", "running")]
    known = [seconds for seconds in todo if seconds is not None]
    return Left(len(todo), sum(known), len(todo) - len(known))


def like_runs(plan: Plan, store: Store, *, anywhere: bool = False) -> dict[str, Like]:
    """`likeness` -> what the recorded runs of that likeness took that succeeded on hardware of this machine: those of the
    experiment's own folder, or of neighbouring folders where it has none. anywhere: on any machine, and the longest time in
    place of the median."""
    classes = None if anywhere else hardware_here()
    typical = max if anywhere else statistics.median
    own = _costs(store.read_all()[0], classes)
    wanted = {likeness(run.requested) for run in plan.by_id.values()} - own.keys()
    elsewhere = _costs(neighbours(plan, store), classes) if wanted else {}
    return {
        key: Like(
            typical(cost.total_seconds for cost in costs),
            max((cost.peak_memory_bytes for cost in costs), default=None),
            max((cost.peak_device_memory_bytes for cost in costs if cost.peak_device_memory_bytes is not None), default=None),
        )
        for key, costs in {**elsewhere, **own}.items()
    }


def neighbours(plan: Plan, store: Store) -> list[Record]:
    """Records of experiments in neighbouring folders that share a task and a model with the plan."""
    pairs = {(run.task.label, run.model_label) for run in plan.by_id.values()}
    found: list[Record] = []
    for other in store.neighbours:
        try:
            like = [run.id for run in other.declared().runs if (run.task, run.model) in pairs]
        except StoreError:
            continue  # another experiment's damage is no concern of this one
        found += other.read_all(like[: NEIGHBOURS_READ - len(found)])[0]
        if len(found) >= NEIGHBOURS_READ:
            break
    return found


def hardware_here() -> set[str]:
    """The hardware classes that a run may have on this machine, found without importing torch."""
    classes = {environment((), threads=hardware.usable_threads()).hardware}
    for information in Path("/proc/driver/nvidia/gpus").glob("*/information"):
        with suppress(OSError):
            lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
            classes |= {line.partition(":")[2].strip() for line in lines if line.startswith("Model:")}
    return classes


def _costs(records: Iterable[Record], classes: set[str] | None) -> dict[str, list[Cost]]:
    """classes: of hardware; None for any."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    for record in records:
        here = classes is None or any(same_hardware(record, name) for name in classes)
        if record.status == "ok" and record.cost is not None and here:
            costs[likeness(record.requested)].append(record.cost)
    return costs


def likeness(asked: Requested) -> str:
    """All that was requested except the seed, as one text. Runs with the same text take about the same time."""
    trained = {kind: [getattr(asked, kind).name, getattr(asked, kind).options] for kind in ("trainer", "method")}
    return canonical([asked.task_label, asked.model_label, trained, asked.recipe])


def _outlook(
    run: Run, known: Record | DamageError | None, store: Store, alike: Mapping[str, Like], changed: Collection[str]
) -> Outlook:
    """One run's state. known: from `Store.look`. alike: `likeness` -> what such runs took."""
    if known is None:
        state: State = "running" if store.claims.is_held(run.id) else "to do"
        like = alike.get(likeness(run.requested))
        if like is None:
            return Outlook(run, state, None)
        return Outlook(run, state, like.seconds, memory=like.memory, device_memory=like.device_memory)
    if isinstance(known, DamageError):
        return Outlook(run, "damaged", None, str(known))
    seconds = known.cost.total_seconds if known.cost else None
    if known.failure:
        return Outlook(run, "failed", seconds, f"{known.failure.reason}: {known.failure.message}")
    return Outlook(run, "changed" if run.id in changed else "recorded", seconds)
