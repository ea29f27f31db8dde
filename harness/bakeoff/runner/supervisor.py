"""Watches one run from outside: starts its process, hears its progress, measures its time, and reads the record that it wrote,
or writes one of its failure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakeoff.contracts.fields import Count, first_flaw
from bakeoff.errors import DamageError, MachineError, StoreError
from bakeoff.files import Tree
from bakeoff.machine import hardware
from bakeoff.machine.faults import full_disk
from bakeoff.machine.file_hashes import State, state_of
from bakeoff.machine.output import BYTES_OF_A_GOOD_RUN, HEAD_BYTES, TAIL_BYTES, keep_ends
from bakeoff.machine.signals import EXIT_SECONDS, await_own_signal, ending, was_stopped
from bakeoff.machine.worker_process import Message, MessageError, Worker
from bakeoff.planning.runs import Run
from bakeoff.records.record_files import UNFINISHED, dump, without_model
from bakeoff.records.schema import OUTPUT_FILE, PHASES, RECORD_FILE, Cost, Failure, Reason, Record
from bakeoff.runner.settings import Progress
from bakeoff.text.values import spelt, utc_now
from bakeoff.text.words import escaped, quoted, shown_path
from bakeoff.training.record_writer import bare_record
from bakeoff.training.request import Request
from bakeoff.training.run_folder import clear
from bakeoff.training.worker import perform, places_of

FAULT = "fault"
"""The key of a worker's message that the machine failed and not the run (a full disk, say): nothing is recorded then."""

LONGEST_POLL = 10.0
"""At most this many seconds between two polls count towards a run's timeout: more pass only if the command was suspended, and
the run with it."""

LONGEST_NOTE = 2000
"""The longest sentence for the user in a worker's message, in characters."""

CODE_OF_PHASE: Final[Mapping[str, Sequence[str]]] = {
    "import": ("task", "model", "method", "trainer"),
    "load": ("task",),
    "encode": ("model",),
    "build": ("model", "method"),
    "warm-up": ("trainer",),
    "train": ("trainer",),
    "evaluate": ("trainer", "model"),
    "save": ("trainer", "model"),
}
"""Phase -> the components whose code runs in it."""


class ProgressReport(BaseModel):
    """A message of a run's process about its progress."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    phase: Literal[*PHASES]  # type: ignore[valid-type]
    step: Count
    total: Count
    loss: float | None
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] = ""


class Supervisor:
    """A run's process from its start to its record. A failure that the process cannot record itself (a crash, a timeout) is
    recorded here."""

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
        """folder: empty; the process writes the record into it. timeout: in seconds. read: reads the record in a folder."""
        self.run, self.folder, self.request, self.timeout, self.progress = run, folder.absolute(), request, timeout, progress
        self.read = read
        self.started = utc_now()
        self.worker = Worker(perform_and_report, request.model_dump_json(), str(self.folder), output=self.folder / OUTPUT_FILE)
        self.seen = Seen()
        self.seconds, self.polled = 0.0, time.monotonic()
        """How long the run has taken, and when it was polled last."""
        self.recorded: tuple[State, float] | None = None
        """The state of the record's file when it was last seen, and since when (`time.monotonic()`) it is unchanged."""

    def poll(self) -> Record | None:
        """Handles the messages that have arrived. Returns the record once the run has ended or had to be ended, else None.
        Raises MachineError if the worker says that the machine failed."""
        now = time.monotonic()
        self.seconds, self.polled = self.seconds + min(now - self.polled, LONGEST_POLL), now
        alive = self.worker.alive  # asked first, so that everything is heard that a worker says before it ends
        try:
            for message in self.worker.messages(0):
                self.hear(message)
        except MessageError as error:
            return self.stop("error", str(error))
        if not alive:
            return self.left()
        self.seen.weigh(self.worker.number)
        if self.lingers():
            self.worker.end()
            return self.left(f"it went on for {spelt(float(EXIT_SECONDS))} s after its record was complete, and was killed")
        if self.timeout is not None and self.seconds > self.timeout:
            return self.stop("timed out", f"it took over {spelt(float(self.timeout))} s")
        return None

    def hear(self, message: Message) -> None:
        """Handles one message: notes and shows the progress in it. Raises MessageError if it is no `ProgressReport`, and
        MachineError if it says that the machine failed."""
        if FAULT in message:
            raise MachineError(str(message[FAULT]))
        if "error" in message:  # of a process that could not even begin; its exit code says the same
            return
        try:
            report = ProgressReport.model_validate(message)
        except ValidationError as error:
            raise MessageError(f"its process sent what is no report of progress: {first_flaw(error)}") from None
        self.seen.hear(report)
        self.progress.update(self.run, report.phase, report.step, report.total, report.loss)
        if report.note:
            self.progress.note(f"{self.run.title}: {escaped(report.note)}")

    def lingers(self) -> bool:
        """Whether the record has been complete for `EXIT_SECONDS` and the process has not ended."""
        try:
            state = state_of(self.folder / RECORD_FILE)
        except OSError:
            return False
        if self.recorded is None or self.recorded[0] != state:
            self.recorded = state, time.monotonic()
        if time.monotonic() - self.recorded[1] < EXIT_SECONDS:
            return False
        with contextlib.suppress(StoreError):
            record = self.written()
            return record is not None and record.kept != UNFINISHED
        return True

    def left(self, remark: str = "") -> Record:
        """The record of a run whose process has ended. A complete record counts, however the process ended; without one, a
        failure is recorded. remark: what to add to the record about how the process ended."""
        code = self.worker.process.exitcode
        try:
            record, words = self.written(), self.worker.how_it_ended()
        except StoreError as error:
            record, words = None, str(error).replace(f"{shown_path(self.folder)}/", "its ")
        if record is None or record.failure is not None:
            await_own_signal()
            if was_stopped(code):
                return self.record_failure("interrupted", f"its process was {ending(code)}")
        if record is None:
            if (fault := full_disk(places_of(self.request, self.folder))) is not None:  # it may have died of that
                raise fault
            if self.folder.is_symlink() or not self.folder.is_dir():
                words = f"its folder was removed; {words}"
            return self.record_failure("crashed", f"{words} ({self.code_at_work()})")
        if code != 0:
            remark = remark or f"it did not exit cleanly after its record was complete: {words}"
        record = without_model(record, self.folder, f"the run's process ended while saving it: {words}")
        whole = bool(remark) or record.status == "failed" or bool(record.why_not_kept)
        keep_ends(self.folder / OUTPUT_FILE, HEAD_BYTES + TAIL_BYTES if whole else BYTES_OF_A_GOOD_RUN)
        return self.with_remark(record, remark) if remark else record

    def stop(self, reason: Reason, message: str) -> Record:
        """Ends the worker, and returns the record of a failure with this reason and message. If the run had already been
        recorded completely, that record is returned, with or without its model."""
        self.worker.end()
        how = f"{reason}: {message}"
        with contextlib.suppress(StoreError):  # written at this moment, and not complete
            record = self.written()
            if record is not None and record.status == "ok":
                if record.kept == UNFINISHED:
                    return without_model(record, self.folder, how)
                return self.with_remark(record, f"it was ended after its record was complete: {how}")
        if reason not in ("interrupted", "timed out"):
            message = f"{message} ({self.code_at_work()})"
        return self.record_failure(reason, message)

    def with_remark(self, record: Record, remark: str) -> Record:
        """The record, rewritten with a remark about how the run's process ended."""
        note = f"the run's process: {remark} ({self.code_at_work()})"
        remarked = record.model_copy(update={"process_notes": [*record.process_notes, note]})
        try:
            Tree(self.folder.parent).write(self.folder / RECORD_FILE, dump(remarked))
        except OSError:  # a full disk, for example: the record stands without the remark
            return record
        return remarked

    def code_at_work(self) -> str:
        """The phase in which the process was last heard of, and the components whose code runs in it, as text."""
        phase = self.seen.phase
        parts = [getattr(self.request.requested, kind) for kind in CODE_OF_PHASE[phase]]
        named = (f"{kind} {part.name} of {part.distribution}" for kind, part in zip(CODE_OF_PHASE[phase], parts, strict=True))
        return escaped(f"phase {phase}: {', '.join(named)}")

    def written(self) -> Record | None:
        """The record that the worker has written so far; None if there is none. Raises StoreError if it is damaged or another
        run's."""
        if not (self.folder / RECORD_FILE).exists():
            return None
        record = self.read(self.folder)
        if record.id != self.request.id:
            raise DamageError(f"the worker wrote the record of run {quoted(record.id)} in place of run {self.request.id}")
        return record

    def record_failure(self, reason: Reason, message: str) -> Record:
        """Writes and returns the record of a failed run whose process could not write it itself. Removes incomplete files of
        the run."""
        failure = Failure(reason=reason, message=message, phase=self.seen.phase)
        record = bare_record(self.request, self.started, failure, cost=self.seen.cost())
        tree = Tree(self.folder.parent)
        if self.folder.is_symlink() or not self.folder.is_dir():  # the run's code may do anything to it
            tree.remove_folder(self.folder)
            tree.make_fresh(self.folder)
        clear(self.folder)
        tree.write(self.folder / RECORD_FILE, dump(record))
        return record


class Seen:
    """What the supervisor has heard and measured of a run: its phase, the seconds of each phase, its steps and its peak
    memory."""

    def __init__(self) -> None:
        self.phase, self.step, self.memory = "import", 0, 0
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.entered = time.monotonic()

    def hear(self, report: ProgressReport) -> None:
        if report.phase != self.phase:
            self.pass_on()
            self.phase = report.phase
        self.step = max(self.step, report.step)

    def pass_on(self) -> None:
        now = time.monotonic()
        self.seconds[self.phase] += now - self.entered
        self.entered = now

    def weigh(self, process: int | None) -> None:
        """Reads the process's memory (resident set), and keeps the largest value. process: the id of the run's process, not of
        its guard; None before its first message."""
        if process is None:
            return
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


def perform_and_report(send: Callable[[Message], None], request: str, folder: str) -> None:
    """What the worker process of a `Supervisor` does: makes the run of this request (JSON of `Request`), and sends its
    progress."""

    def report(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
        finite = loss if loss is None or loss == loss else None
        send({"phase": phase, "step": step, "total": total, "loss": finite, "note": note[:LONGEST_NOTE]})

    asked = Request.model_validate_json(request)
    if asked.jobs > 1:
        hardware.take_devices(asked.place, asked.requested.processes)
    try:
        perform(asked, Path(folder), report)
    except MachineError as error:
        send({FAULT: str(error)})
