"""The peak memory of all processes that this process starts, and of their descendants, summed. Linux only."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from bakeoff.machine.processes import descendants

SECONDS: Final = 0.1
"""Seconds between two readings; memory that is held for a shorter time may be missed."""
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class TreeMemory:
    """A context that measures the memory of processes started in it: `peak_bytes` is the largest sum over these processes and
    their descendants that was read, None if none was read.

    Memory that several processes share counts once altogether (proportional set size); where the kernel does not tell that,
    each process counts with its resident set.
    """

    def __init__(self) -> None:
        self.peak_bytes: int | None = None
        self._before: frozenset[int] = frozenset()
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if sys.platform == "linux":
            self._before = frozenset(descendants(os.getpid()))
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        own = os.getpid()
        copied = _command_line(own)  # of a process that is started, before it runs its own program: its memory is this one's
        while True:
            new = [one for one in descendants(own) if one not in self._before]
            held = sum(_bytes_of(one) for one in new if _command_line(one) != copied)
            if held:
                self.peak_bytes = max(held, self.peak_bytes or 0)
            if self._ended.wait(SECONDS):
                return


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _bytes_of(process: int) -> int:
    """The bytes of memory that a process holds, with its share of memory that it shares with others; 0 once the process has
    ended."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0
