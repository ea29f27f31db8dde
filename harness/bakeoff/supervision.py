"""One run watched from outside: its worker started, heard, timed, and its record read or, where it left none, written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from bakeoff import hardware
from bakeoff.components import Places
from bakeoff.outcome import bare_record
from bakeoff.plan import Run
from bakeoff.process import WAIT_SECONDS, Message, Worker
from bakeoff.record import OUTPUT_FILE, RECORD_FILE, Failure, Reason, Record, dump
from bakeoff.request import Request
from bakeoff.store import Store
from bakeoff.worker import perform

TOUCH_SECONDS = 10.0

EnvironmentChoice = Literal["stop", "rerun", "mix"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is not part of the experiment: where things lie, and on what to run."""

    places: Places
    device: str = "auto"
    threads: int = field(default_factory=hardware.usable_threads)
    environment: EnvironmentChoice = "stop"
    retry_failed: bool = False
    control: bool = True
    """Whether a control run is timed before the first run and after the last."""


class Progress(Protocol):
    """Where a run's progress goes."""

    def start(self, *, total: int, done: int) -> None: ...

    def begin(self, run: Run) -> None: ...

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None: ...

    def end(self, run: Run, record: Record) -> None: ...

    def note(self, line: str) -> None: ...


def request_of(run: Run, settings: Settings) -> Request:
    return Request(
        id=run.id,
        asked=run.asked,
        data=settings.places.data,
        cache=settings.places.cache,
        device=settings.device,
        threads=settings.threads,
    )


def supervise(run: Run, folder: Path, timeout: float | None, store: Store, settings: Settings, progress: Progress) -> Record:
    """A worker from start to record; what it cannot record itself (crash, timeout) is recorded for it."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    request = request_of(run, settings)
    touched, phase = time.monotonic(), "import"
    worker = Worker(perform_aloud, request.model_dump_json(), str(folder), output=folder)
    try:
        while worker.alive:
            for message in worker.messages(WAIT_SECONDS):
                if "phase" in message:
                    phase = message["phase"]
                    progress.update(run, phase, message["step"], message["total"], message["loss"])
            if timeout is not None and time.monotonic() - worker.started > timeout:
                worker.end()
                return record_failure(request, folder, started, "timed out", f"it took over {timeout:g} s", phase)
            if time.monotonic() - touched > TOUCH_SECONDS:
                store.touch(run.id)
                touched = time.monotonic()
        if (folder / RECORD_FILE).is_file() and worker.process.exitcode == 0:
            record = Record.model_validate_json((folder / RECORD_FILE).read_bytes())
            if record.status == "ok":
                (folder / OUTPUT_FILE).unlink(missing_ok=True)
            return record
        return record_failure(request, folder, started, "crashed", worker.last_words(), phase)
    finally:
        worker.end()


def perform_aloud(say: Callable[[Message], None], request: str, folder: str) -> None:
    """The worker's side of `supervise`."""

    def report(phase: str, step: int, total: int, loss: float | None) -> None:
        say({"phase": phase, "step": step, "total": total, "loss": loss if loss is None or loss == loss else None})

    perform(Request.model_validate_json(request), Path(folder), report)


def record_failure(request: Request, folder: Path, started: str, reason: Reason, message: str, phase: str) -> Record:
    """The record of a run whose process could not write one; what it left half-written goes."""
    record = bare_record(request, started, Failure(reason=reason, message=message, phase=phase))
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in {OUTPUT_FILE, "traceback.txt"}:
            path.unlink()
    (folder / RECORD_FILE).write_bytes(dump(record))
    return record
