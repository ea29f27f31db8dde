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
from bakeoff.errors import StoreError
from bakeoff.machine import hardware
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.provenance import environment, same_hardware
from bakeoff.records.schema import Record, Requested
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


@dataclass(frozen=True)
class Left:
    """What `bakeoff run` has left to do."""

    runs: int
    seconds: float
    unknown: int
    """Runs without a similar recorded run; not counted in `seconds`."""


def survey(plan: Plan, store: Store, changed: Collection[str] = ()) -> list[Outlook]:
    """The state of every wanted run, in the plan's order, trials of searches first. changed: ids of recorded runs whose files
    have changed since."""
    runs = [run for run in (*plan.trials, *plan.runs) if plan.is_wanted(run)]
    todo = {run.id for run in runs if store.is_due(run.id)}
    times = like_times(plan, store) if todo else {}
    return [_outlook(run, store, times if run.id in todo else None, changed) for run in runs]


def left(outlooks: Iterable[Outlook]) -> Left:
    """Counts the runs without a record, running or not, and sums their estimated seconds; a recorded failure is not
    repeated."""
    todo = [outlook.seconds for outlook in outlooks if outlook.state in ("to do", "running")]
    known = [seconds for seconds in todo if seconds is not None]
    return Left(len(todo), sum(known), len(todo) - len(known))


def like_times(plan: Plan, store: Store) -> dict[str, float]:
    """`likeness` -> median seconds of the recorded runs of that likeness that succeeded on hardware of this machine: those of
    the experiment's own folder, or of neighbouring folders where it has none."""
    classes = hardware_here()
    own = _times(store.read_all()[0], classes)
    wanted = {likeness(run.requested) for run in plan.by_id.values()} - own.keys()
    elsewhere = _times(neighbours(plan, store), classes) if wanted else {}
    return {key: statistics.median(times) for key, times in {**elsewhere, **own}.items()}


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


def _times(records: Iterable[Record], classes: set[str]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.status == "ok" and record.cost is not None and any(same_hardware(record, name) for name in classes):
            times[likeness(record.requested)].append(record.cost.total_seconds)
    return times


def likeness(asked: Requested) -> str:
    """All that was requested except the seed, as one text. Runs with the same text take about the same time."""
    trained = {kind: [getattr(asked, kind).name, getattr(asked, kind).options] for kind in ("trainer", "method")}
    return canonical([asked.task_label, asked.model_label, trained, asked.recipe])


def _outlook(run: Run, store: Store, times: Mapping[str, float] | None, changed: Collection[str]) -> Outlook:
    """One run's state. times: `likeness` -> estimated seconds; None if the run is recorded."""
    if times is not None:
        return Outlook(run, "running" if store.claims.is_held(run.id) else "to do", times.get(likeness(run.requested)))
    try:
        record = store.read(run.id)
    except StoreError as error:
        return Outlook(run, "damaged", None, str(error))
    seconds = record.cost.total_seconds if record.cost else None
    if record.failure:
        return Outlook(run, "failed", seconds, f"{record.failure.reason}: {record.failure.message}")
    return Outlook(run, "changed" if run.id in changed else "recorded", seconds)
