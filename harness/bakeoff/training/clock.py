"""The clock of a run: every second since its process began belongs to one phase."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bakeoff.records.schema import PHASES


class Clock:
    """One phase after the other from the start of the process; what is not in a phase does not exist, so they add up."""

    def __init__(self, *, synchronize: Callable[[], None] = lambda: None) -> None:
        self.synchronize = synchronize
        self.phase = "import"
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._entered = time.monotonic() - process_age()

    def enter(self, phase: str) -> None:
        """Ends the current phase, when the device has done its work, and begins another."""
        self.synchronize()
        now = time.monotonic()
        self.seconds[self.phase] += max(0.0, now - self._entered)  # whoever fakes a clock may turn it back
        self.phase, self._entered = phase, now

    def add(self, seconds: Mapping[str, float]) -> None:
        """Counts what an earlier process spent on the same run."""
        for phase, amount in seconds.items():
            self.seconds[phase] += amount

    def stop(self) -> float:
        """Ends the last phase; the total of all phases, from the start of the process to now, in seconds."""
        self.enter(self.phase)
        return math.fsum(self.seconds.values())


def process_age() -> float:
    """Seconds since this process began, to 10 ms; 0 where the kernel does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0
