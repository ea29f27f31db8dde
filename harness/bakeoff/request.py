"""What a worker is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bakeoff.components import Places
from bakeoff.record import Asked, Attempt


class Request(BaseModel):
    """What a worker is told: the run, and where things lie here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    asked: Asked
    data: Path | None
    cache: Path
    beside: Path = Path()
    """The folder of the experiment file."""
    device: str
    threads: int
    jobs: int = 1
    """How many runs may be under way at the same time, and which of them this is, from 0."""
    place: int = 0
    attempts: list[Attempt] = []
    """At this run, before this one."""
    sources: list[list[str | None]] = []
    """What the experiment's runs are made from, as `provenance.as_plain` has it; empty where nobody looked."""
    keep: Literal["none", "final"] = "none"
    checkpoint_every: int | None = None
    """Steps."""
    checkpoints: Path | None = None
    """Their folder; it outlives this attempt."""

    @property
    def places(self) -> Places:
        return Places(self.data, self.cache, self.beside)
