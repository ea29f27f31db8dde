"""The signals by which a command is stopped, and how a process ended, in words."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bakeoff.errors import causes

STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C; what schedulers, systemd and `kill` send; a terminal that is closed. They often reach all processes of a command, in
any order."""

SAME_WISH_SECONDS = 5.0
"""Signals within so long of the first one ask for the same: they do not disturb the writing of records."""

EXIT_SECONDS = 5.0
"""A process that has done its work has so long to end: threads, children and exit functions of somebody's code may never."""

HEARD_SECONDS = 0.5
"""A signal that is sent to all processes of a command has reached the last one after so long."""


def ending(code: int | None) -> str:
    """How a process ended, in words, by its exit code: below zero for a signal."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    memory = " (the system's answer to a lack of memory, or somebody's)" if code == -signal.SIGKILL else ""
    return f"killed by {name}{memory}"


def was_stopped(code: int | None) -> bool:
    """Whether a process with this exit code was ended by a signal that stops a command."""
    return code is not None and -code in STOPPING


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is a KeyboardInterrupt, or was raised because of one.

    A signal that arrives while an extension module is initialised, for example, comes out of the import as an ImportError.
    """
    return any(isinstance(one, KeyboardInterrupt) for one in causes(error))


def await_own_signal() -> None:
    """Raises KeyboardInterrupt where a signal is still on its way to this process that has ended another one of its command.

    Ctrl-C, and within `stopped_by_signals` any of `STOPPING`.
    """
    time.sleep(HEARD_SECONDS)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within it each of `STOPPING` raises KeyboardInterrupt, once; one that is ignored (`nohup`, `trap ''`) stays ignored.

    To be called in the main thread.
    """
    first: float | None = None

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        if first is None or time.monotonic() - first > SAME_WISH_SECONDS:
            first = time.monotonic()
            raise KeyboardInterrupt

    handled = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Signals that stop the command wait for the end of this: a child that gets only half of its arguments ends in a traceback.

    Outside the main thread, which alone hears signals, nothing is held back.
    """
    seen: list[tuple[int, Any]] = []
    before: dict[int, Any] = {}
    for number in STOPPING:
        if callable(handler := signal.getsignal(number)):
            try:
                before[number] = signal.signal(number, lambda number, frame: seen.append((number, frame)))
            except ValueError:  # another thread than the main one
                break
            before[number] = handler
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if seen:
            before[seen[0][0]](*seen[0])
