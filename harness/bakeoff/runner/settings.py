"""How runs are made: where things lie, on what they run, who hears of their progress; and the request of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bakeoff.contracts.task import Paths
from bakeoff.machine import hardware
from bakeoff.planning.runs import Run
from bakeoff.records.schema import Record
from bakeoff.training.request import Request

Policy = Literal["stop", "rerun", "mix"]
"""What to do where data, model, software or hardware are not those of the records: stop, make these runs again, keep them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is not part of the experiment: where things lie, and on what to run."""

    places: Paths
    device: str = "auto"
    threads: int = field(default_factory=hardware.usable_threads)
    """Of one run."""
    jobs: int = 1
    """Runs under way at the same time."""
    changed: Policy = "stop"
    retry: Literal["failed", "unkept"] | None = None
    """Recorded runs that are made again: those that failed, or those that left no model where `keep: final` wants one."""
    control: bool = True
    """Whether a control run is timed before the first run and after the last."""


class Progress(Protocol):
    """Where a run's progress goes."""

    def start(self, *, total: int, done: int) -> None: ...

    def begin(self, run: Run) -> None: ...

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None: ...

    def end(self, run: Run, record: Record) -> None: ...

    def note(self, line: str) -> None: ...


def request_of(run: Run, settings: Settings, **more: Any) -> Request:
    """What a worker is told of a run; `more` are further fields of the request."""
    return Request(
        id=run.id,
        requested=run.requested,
        recipe=run.strategy.recipe,
        data=settings.places.data,
        cache=settings.places.cache,
        beside=settings.places.beside,
        device=settings.device,
        threads=settings.threads,
        jobs=settings.jobs,
        **more,
    )
