"""The base of engines whose jobs are started by a process in the background of the machine that submits: a queue.

The queue, `python -m MODULE FOLDER`, reads `queue.json` in the folder of its batch. By files there it tells of each job that it
has begun and ended, and is told what is cancelled.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from bakeoff.plugin import (
    BakeoffError,
    Engine,
    JobBatch,
    JobState,
    Tree,
    process_lives,
    process_start,
    quoted,
    read_json,
    read_regular,
    shown_path,
)

QUEUE_FILE: Final = "queue.json"
QUEUE_LOG: Final = "queue.log"
"""What the queue itself printed."""
MOST_BYTES: Final = 2**28
MOST_OF_A_MARK: Final = 2**12
HANDLE: Final = re.compile(r"([^/:]{1,255}):([0-9]{1,10})\.([0-9]{1,20}|None):([0-9]{1,6}):(/.*)", re.DOTALL)
"""HOST:PROCESS.START:NUMBER:FOLDER"""


class Background(Engine):
    """An engine with a queue in the background."""

    module: ClassVar[str]
    """The module of the queue."""

    @abstractmethod
    def settings(self, batch: JobBatch, options: Any) -> dict[str, Any]:
        """What the queue needs to know besides the jobs, as JSON."""

    def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
        jobs = [{"number": job.number, "words": batch.words_of(job), "log": job.log.name} for job in batch.jobs]
        plan = {
            "jobs": jobs,
            "then": list(batch.then),
            "at_once": batch.needs.at_once,
            "threads": batch.needs.threads,
            "gpus": batch.needs.gpus,
            "memory": batch.needs.memory,
            "seconds": batch.needs.seconds,
            "directory": str(batch.directory),
            "environment": dict(batch.environment),
            **self.settings(batch, options),
        }
        Tree(batch.folder).write(batch.folder / QUEUE_FILE, json.dumps(plan).encode())
        words = [sys.executable, "-P", "-m", self.module, str(batch.folder)]
        queue = start(words, batch.folder, QUEUE_LOG, None, str(batch.directory), batch.environment)
        own = f"{socket.gethostname()}:{queue.pid}.{process_start(queue.pid)}"
        yield {job.number: f"{own}:{job.number}:{batch.folder}" for job in batch.jobs}

    def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
        return {handle: state_of(parts_of(handle)) for handle in handles}

    def cancel(self, handles: Sequence[str], options: Any) -> None:
        for one in map(parts_of, handles):
            if (one.folder / QUEUE_FILE).is_file():  # else the submission was deleted
                Tree(one.folder).write(mark(one.folder, "cancel", one.number), b"")


class Queued(NamedTuple):
    """What a handle tells of a job."""

    host: str
    process: int
    """The process id of the queue on that host."""
    start: int | None
    """When that process began, by `process_start`."""
    number: int
    folder: Path


def mark(folder: Path, what: str, number: int) -> Path:
    """The file by which `begun`, `ended` and `cancel` of a job are told; its content, a text, may say more."""
    return folder / f"{what}-{number}"


def parts_of(handle: str) -> Queued:
    """What the handle tells. Raises BakeoffError for one that is none of such an engine."""
    if (found := HANDLE.fullmatch(handle)) is None:
        raise BakeoffError(f"{quoted(handle)} is no job of a queue in the background")
    host, process, start, number, folder = found.groups()
    return Queued(host, int(process), None if start == "None" else int(start), int(number), Path(folder))


def state_of(one: Queued) -> JobState:
    """From another machine than the queue's, whether the queue lives is not known: then what it has told counts."""
    here = one.host == socket.gethostname()
    if (ended := text_in(mark(one.folder, "ended", one.number))) is not None:
        return JobState("gone", ended)
    if here and not process_lives(one.process, one.start):
        log = shown_path(one.folder / QUEUE_LOG)
        return JobState("gone", f"its queue, process {one.process} of {one.host}, has ended: {log} may say why")
    cancelled = text_in(mark(one.folder, "cancel", one.number)) is not None
    if (begun := text_in(mark(one.folder, "begun", one.number))) is not None:
        return (
            JobState("gone", f"cancelled; its queue is on {one.host}") if cancelled and not here else JobState("running", begun)
        )
    return JobState("gone", "cancelled") if cancelled else JobState("waiting", f"in the queue of {one.host}")


def text_in(path: Path) -> str | None:
    """The text in a mark; None if it does not exist."""
    try:
        return read_regular(path, at_most=MOST_OF_A_MARK).decode(errors="replace")
    except OSError:
        return None


class Queue:
    """What the processes in the background have in common: their plan and the marks."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, Tree(folder)
        self.plan: Mapping[str, Any] = read_json(read_regular(folder / QUEUE_FILE, at_most=MOST_BYTES))
        self.waiting = deque[Mapping[str, Any]](self.plan["jobs"])

    def has_room(self, active: int) -> bool:
        """Whether another job may start, beside so many."""
        return self.plan["at_once"] is None or active < self.plan["at_once"]

    def tell(self, what: str, number: int, text: str = "") -> None:
        self.tree.write(mark(self.folder, what, number), text.encode()[:MOST_OF_A_MARK], synced=False)

    def is_cancelled(self, number: int) -> bool:
        return os.path.lexists(mark(self.folder, "cancel", number))

    def start(self, words: Sequence[str], log: str, gpus: str | None) -> subprocess.Popen[bytes]:
        """Starts a process of the batch on this machine. log: name of the file for what it prints. gpus: numbers of those that
        it sees, with commas; None for those that this process sees."""
        return start(words, self.folder, log, gpus, self.plan["directory"], self.plan["environment"])


def start(
    words: Sequence[str], folder: Path, log: str, gpus: str | None, directory: str, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """As `Queue.start`, also on another machine, in the working directory and with the variables of the batch."""
    output = Tree(folder).append_to(folder / log)
    try:
        return subprocess.Popen(
            words,
            cwd=directory,
            env={**os.environ, **environment, **({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    finally:
        os.close(output)
