"""The signals that stop a command, and how a process ended, as text."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bakeoff.errors import causes

STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that stop a command: Ctrl-C; the one that schedulers, systemd and `kill` send; the one of a closed terminal.
They often reach all processes of a command, in any order."""

SAME_WISH_SECONDS = 5.0
"""Further signals within this many seconds of the first are ignored, so that records can be written."""

EXIT_SECONDS = 5.0
"""How long a process that has finished may take to exit; threads, children and exit functions of other code may never end."""

HEARD_SECONDS = 0.5
"""The most seconds that pass until a signal to all processes of a command has reached the last of them."""


def ending(code: int | None) -> str:
    """How a process ended, as text. code: its exit code, negative for a signal."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    memory = " (by the system for lack of memory, or by somebody)" if code == -signal.SIGKILL else ""
    return f"killed by {name}{memory}"


def was_stopped(code: int | None) -> bool:
    """Whether this exit code means that one of the signals `STOPPING` ended the process."""
    return code is not None and -code in STOPPING


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is, or was caused by, a KeyboardInterrupt.

    A signal during the initialisation of an extension module, for example, surfaces as an ImportError.
    """
    return any(isinstance(one, KeyboardInterrupt) for one in causes(error))


def await_own_signal() -> None:
    """Waits briefly; raises KeyboardInterrupt if a signal that has ended another process of this command arrives here too.

    This holds for Ctrl-C; within `stopped_by_signals` for all of `STOPPING`.
    """
    time.sleep(HEARD_SECONDS)


def in_main_thread() -> bool:
    """Whether this is the main thread of its process: no other may set a signal's handler."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """A context in which each of `STOPPING` raises KeyboardInterrupt, once. An ignored signal (`nohup`, `trap ''`) stays
    ignored, and a handler of the program that calls Bakeoff stays in place.

    Outside the main thread, which alone receives signals, it does nothing.
    """
    first: float | None = None

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        if first is None or time.monotonic() - first > SAME_WISH_SECONDS:
            first = time.monotonic()
            raise KeyboardInterrupt

    usual = (signal.SIG_DFL, signal.default_int_handler)
    handled = [number for number in STOPPING if in_main_thread() and signal.getsignal(number) in usual]
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """A context that delays signals that stop the command: a child that got only half of its arguments would end in a
    traceback.

    Outside the main thread, which alone receives signals, it does nothing.
    """
    seen: list[tuple[int, Any]] = []
    before: dict[int, Any] = {}
    for number in STOPPING if in_main_thread() else ():
        if callable(handler := signal.getsignal(number)):
            signal.signal(number, lambda number, frame: seen.append((number, frame)))
            before[number] = handler
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if seen:
            before[seen[0][0]](*seen[0])
