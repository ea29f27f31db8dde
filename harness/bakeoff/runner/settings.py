"""How runs are made: folders, devices, policies, and the object that is told of their progress; and the request for one
run."""

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
    """How the runs of a command are made: what its options say, and the experiment file does not."""

    paths: Paths
    device: str = "auto"
    threads: int = field(default_factory=hardware.usable_threads)
    """CPU threads of one run."""
    jobs: int = 1
    """How many runs are made at the same time."""
    changed: Policy = "stop"
    """What to do if recorded runs were made under other conditions."""
    retry: Literal["failed", "unkept"] | None = None
    """Which recorded runs are made anew: those that failed, or those that left no model although the experiment file says
    `keep: final`; None for none."""
    trusted: str = ""
    """The hash of the experiment file's commands that the user has agreed to with this call (`runner/trust`)."""
    control: bool = True
    """Whether a control run is made before the first run and after the last."""


class Progress(Protocol):
    """An object that is told how runs go on, to show it to the user."""

    def start(self, *, total: int, done: int) -> None:
        """A command begins; `done` of the `total` runs are recorded already."""

    def begin(self, run: Run) -> None:
        """A run begins."""

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None:
        """A run has come to this phase and step; `total` is 0 and `loss` None where they are not known."""

    def end(self, run: Run, record: Record) -> None:
        """A run has ended with this record."""

    def note(self, line: str) -> None:
        """Shows a sentence to the user."""


def request_of(run: Run, settings: Settings, **more: Any) -> Request:
    """The request that tells a worker process which run to make, and how. more: further fields of `Request`."""
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
