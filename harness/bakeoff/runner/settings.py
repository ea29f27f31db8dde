"""How runs are made: folders, devices, policies, and who hears of their progress; and the request of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bakeoff.contracts.task import Paths
from bakeoff.machine import hardware
from bakeoff.planning.runs import Run
from bakeoff.records.schema import Record
from bakeoff.training.request import Headings, Request

Policy = Literal["stop", "rerun", "mix"]
"""If data, model, software or hardware differ from those of recorded runs: stop, make these runs anew, or keep them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is not part of the experiment."""

    paths: Paths
    device: str = "auto"
    threads: int = field(default_factory=hardware.usable_threads)
    """Of one run."""
    jobs: int = 1
    """Runs at the same time."""
    changed: Policy = "stop"
    retry: Literal["failed", "unkept"] | None = None
    """Recorded runs that are made anew: those that failed, or those that left no model although the file says `keep: final`."""
    trusted: str = ""
    """The hash of the experiment file's commands that the user has agreed to with this call (`runner/trust`)."""
    control: bool = True
    """Whether a control run is made before the first run and after the last."""


class Progress(Protocol):
    """Who hears how runs go on."""

    def start(self, *, total: int, done: int) -> None:
        """A command begins; `done` of the `total` runs are recorded already."""

    def begin(self, run: Run) -> None:
        """A run begins."""

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None:
        """A run has come to this phase and step; `total` is 0 and `loss` None where they are not known."""

    def end(self, run: Run, record: Record) -> None:
        """A run has ended with this record."""

    def note(self, line: str) -> None:
        """A sentence for the user."""


def request_of(run: Run, settings: Settings, **more: Any) -> Request:
    """The request for a run's worker; `more` are further fields of it."""
    return Request(
        id=run.id,
        requested=run.requested,
        recipe=run.strategy.recipe,
        headings=Headings(task=run.task.title, model=run.model.title if run.model else "", strategy=run.strategy.heading),
        data=settings.paths.data,
        cache=settings.paths.cache,
        beside=settings.paths.beside,
        given=settings.paths.given,
        named=dict(settings.paths.named),
        device=settings.device,
        threads=settings.threads,
        jobs=settings.jobs,
        **more,
    )
