"""The queue of the engine `local`: `python -m bakeoff_engines.local_queue FOLDER`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bakeoff_engines.background import Queue

POLL_SECONDS: Final = 0.2
GRACE_SECONDS: Final = 120.0
"""Seconds between the signal that asks a job to end and the one that kills it."""


@dataclass
class Active:
    """A job that runs."""

    number: int
    place: int
    """Its number, from 0, among those that run at the same time; it decides which GPUs it sees."""
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    asked: float | None = None
    """When it was asked to end, by `time.monotonic()`."""


class LocalQueue(Queue):
    """Performs the jobs on this machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.active: list[Active] = []
        self.ends = False
        """Whether the queue itself was asked to end."""

    def perform(self) -> None:
        """Performs all jobs, then the command that follows them."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "ends", True))
        while self.waiting or self.active:
            while self.waiting and self.has_room(len(self.active)):
                self.begin(self.waiting.popleft())
            for one in [*self.active]:
                self.look_at(one)
            time.sleep(POLL_SECONDS)
        if self.plan["then"] and not self.ends:
            self.start(self.plan["then"], "then.log", gpus=None).wait()

    def begin(self, job: Mapping[str, Any]) -> None:
        """Starts a job, unless it was cancelled."""
        if self.is_cancelled(number := job["number"]):
            self.tell("ended", number, "cancelled")
            return
        gpus, place = self.plan["gpus"], min({*range(len(self.active) + 1)} - {one.place for one in self.active})
        seen = ",".join(self.plan["visible"][place * gpus : (place + 1) * gpus]) if gpus else None
        self.active.append(Active(number, place, self.start(job["words"], job["log"], seen)))
        self.tell("begun", number, "on this machine")

    def look_at(self, one: Active) -> None:
        """Asks a job to end that was cancelled, or whose time is over, and tells of its end."""
        now, limit = time.monotonic(), self.plan["seconds"]
        if one.process.poll() is not None:
            self.active.remove(one)
            self.tell("ended", one.number)
        elif one.asked is None and (self.is_cancelled(one.number) or (limit and now - one.began > limit)):
            one.process.terminate()
            one.asked = now
        elif one.asked is not None and now - one.asked > GRACE_SECONDS:
            one.process.kill()

    def is_cancelled(self, number: int) -> bool:
        return self.ends or super().is_cancelled(number)


if __name__ == "__main__":
    LocalQueue(Path(sys.argv[1])).perform()
