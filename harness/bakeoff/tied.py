"""Processes that the kernel ends when their parent ends, whatever they are doing. Linux only.

The fork server imports this before anything else: by itself it would notice only when its imports are done, which takes
seconds. Its children, the workers, call `end_with_server`: a thread of theirs would wait while a library holds the lock of
the interpreter, and where the fork server alone is gone nobody can learn how they end.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

COMMAND = "BAKEOFF_COMMAND"
"""The environment variable that tells the fork server which process starts it."""

PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def end_with(parent: int) -> None:
    """From now on this process ends with its parent; it ends at once where that one, whose number is given, is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent and is_gone(parent):
        os._exit(1)


def is_gone(process: int) -> bool:
    """Whether it has ended, though nobody may have asked yet how (a zombie)."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}


def end_with_server() -> None:
    """In a child of the fork server."""
    if SERVER is not None:
        end_with(SERVER)


SERVER: int | None = None
"""The fork server, in itself and in its children."""

if COMMAND in os.environ:
    SERVER = os.getpid()
    end_with(int(os.environ.pop(COMMAND)))
