"""What a worker is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bakeoff.record import Asked


class Request(BaseModel):
    """What a worker is told: the run, and where things lie here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    asked: Asked
    data: Path | None
    cache: Path
    device: str
    threads: int
