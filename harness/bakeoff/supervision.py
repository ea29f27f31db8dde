"""One run watched from outside: its worker started, heard, timed, and its record read or, where it left none, written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from bakeoff import hardware
from bakeoff.components import Places
from bakeoff.errors import MachineError, StoreError
from bakeoff.files import Tree
from bakeoff.outcome import bare_record, processes_of
from bakeoff.plan import Run
from bakeoff.process import Message, Worker
from bakeoff.record import OUTPUT_FILE, PHASES, RECORD_FILE, TRACEBACK_FILE, Cost, Failure, Reason, Record
from bakeoff.recorded import dump
from bakeoff.records.kept import without_model
from bakeoff.request import Request
from bakeoff.worker import perform

FAULT = "fault"
"""The key of a worker's message that the machine does not go on, and that nothing is to be recorded of the run."""

Policy = Literal["stop", "rerun", "mix"]
"""What to do where data, model, software or hardware are not those of the records: stop, make these runs again, keep them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is not part of the experiment: where things lie, and on what to run."""

    places: Places
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
        asked=run.asked,
        data=settings.places.data,
        cache=settings.places.cache,
        beside=settings.places.beside,
        device=settings.device,
        threads=settings.threads,
        jobs=settings.jobs,
        **more,
    )


class Supervised:
    """A run's worker, from its start to a record; what it cannot record itself (crash, timeout) is recorded for it."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        request: Request,
        timeout: float | None,
        progress: Progress,
        *,
        read: Callable[[Path], Record],
    ) -> None:
        """`folder` is empty, and holds the record at the end; `timeout` is in seconds; `read` gives the record in a folder."""
        self.run, self.folder, self.request, self.timeout, self.progress = run, folder, request, timeout, progress
        self.read = read
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.worker = Worker(perform_aloud, request.model_dump_json(), str(folder), output=folder)
        self.seen = Seen()

    def look(self) -> Record | None:
        """Hears what the worker has said; the record where it has ended, or took too long. Raises MachineError."""
        alive = self.worker.alive  # asked first, so that all is heard that a worker says before it ends
        for message in self.worker.messages(0):
            if FAULT in message:
                raise MachineError(str(message[FAULT]))
            if "phase" in message:
                self.seen.hear(message)
                self.progress.update(self.run, message["phase"], message["step"], message["total"], message["loss"])
                if message["note"]:
                    self.progress.note(f"{self.run.title}: {message['note']}")
        if not alive:
            return self.left()
        self.seen.weigh(self.worker.process.pid)
        if self.timeout is not None and time.monotonic() - self.worker.started > self.timeout:
            return self.stop("timed out", f"it took over {self.timeout:g} s")
        return None

    def left(self) -> Record:
        """The record of a worker that is gone."""
        try:
            record = self.written()
        except StoreError as error:
            return self.record_failure("crashed", str(error))
        if record is None or (record.status == "failed" and self.worker.process.exitcode != 0):
            return self.record_failure("crashed", self.worker.last_words())
        record = without_model(record, self.folder, f"the run's process ended over it: {self.worker.last_words()}")
        output = self.folder / OUTPUT_FILE
        kept = record.status == "failed" or bool(record.kept and record.kept.reason)
        if not kept or (output.is_file() and not output.stat().st_size):  # nobody will read it, or there is nothing in it
            Tree(self.folder.parent).remove(output)
        return record

    def stop(self, reason: Reason, message: str) -> Record:
        """Ends the worker; the record says why. Scores that are recorded stand: then only the model is not kept."""
        self.worker.end()
        with contextlib.suppress(StoreError):  # written just then, and not whole
            record = self.written()
            if record is not None and record.status == "ok":
                return without_model(record, self.folder, f"{reason}: {message}")
        return self.record_failure(reason, message)

    def written(self) -> Record | None:
        """The record that the worker has written so far."""
        return self.read(self.folder) if (self.folder / RECORD_FILE).is_file() else None

    def record_failure(self, reason: Reason, message: str) -> Record:
        """The record of a run whose process could not write one; what it left half-written goes."""
        failure = Failure(reason=reason, message=message, phase=self.seen.phase)
        record = bare_record(self.request, self.started, failure, cost=self.seen.cost())
        tree = Tree(self.folder.parent)
        for name in tree.names(self.folder):
            path = self.folder / name
            if name not in {OUTPUT_FILE, TRACEBACK_FILE} or path.is_symlink() or not path.is_file():
                tree.remove_folder(path)
        tree.write(self.folder / RECORD_FILE, dump(record))
        return record


class Seen:
    """What could be seen of a run from outside: its phases, steps and memory."""

    def __init__(self) -> None:
        self.phase, self.step, self.memory = "import", 0, 0
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.entered = time.monotonic()

    def hear(self, message: Message) -> None:
        if message["phase"] != self.phase:
            self.pass_on()
            self.phase = message["phase"]
        self.step = max(self.step, message["step"])

    def pass_on(self) -> None:
        now = time.monotonic()
        self.seconds[self.phase] += now - self.entered
        self.entered = now

    def weigh(self, process: int) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):  # it has just ended
            self.memory = max(self.memory, psutil.Process(process).memory_info().rss)

    def cost(self) -> Cost:
        self.pass_on()
        gone = "not measured: the run's process ended before"
        return Cost(
            phase_seconds=self.seconds,
            total_seconds=sum(self.seconds.values()),
            steps=self.step,
            train_samples_per_second=None,
            evaluate_samples_per_second=None,
            peak_memory_bytes=self.memory,
            peak_device_memory_bytes=None,
            energy_joules=None,
            energy_note=gone,
            flops=None,
            flops_note=gone,
            harness_seconds=0.0,
        )


def perform_aloud(say: Callable[[Message], None], request: str, folder: str) -> None:
    """The worker's side of `Supervised`."""

    def report(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
        finite = loss if loss is None or loss == loss else None
        say({"phase": phase, "step": step, "total": total, "loss": finite, "note": note})

    asked = Request.model_validate_json(request)
    if asked.jobs > 1:
        hardware.take_devices(asked.place, processes_of(asked.asked))
    try:
        perform(asked, Path(folder), report)
    except MachineError as error:
        say({FAULT: str(error)})
