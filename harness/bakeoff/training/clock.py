"""Measures how long each phase of a run takes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bakeoff.records.schema import PHASES


class Clock:
    """Attributes every second since process start to exactly one phase, so that phases sum to the total."""

    def __init__(self, *, synchronize: Callable[[], None] = lambda: None) -> None:
        self.synchronize = synchronize
        self.phase = "import"
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._entered = time.monotonic() - process_age()

    def enter(self, phase: str) -> None:
        """Waits for the device, ends the current phase and begins another."""
        self.synchronize()
        now = time.monotonic()
        self.seconds[self.phase] += max(0.0, now - self._entered)  # a faked clock may go backwards
        self.phase, self._entered = phase, now

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds the seconds by phase that an earlier process spent on the same run."""
        for phase, amount in seconds.items():
            self.seconds[phase] += amount

    def stop(self) -> float:
        """Ends the last phase and returns the sum of all phases, in seconds."""
        self.enter(self.phase)
        return math.fsum(self.seconds.values())


def process_age() -> float:
    """Seconds since this process began, to 10 ms; 0.0 where the system does not say."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0
