"""What the fork server does first, so that it ends with its command: left alone, it would notice the command's end only after
its imports, which take seconds. Linux only.

The server also adopts processes that workers leave behind, and ignores signals that stop the command: if such a signal ended
the server, its workers would end too, and nobody would learn how. What the server prints goes to a log of the command.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

from bakeoff.files import open_that_of
from bakeoff.machine.processes import adopt_orphans, end_with
from bakeoff.machine.signals import STOPPING

COMMAND = "BAKEOFF_COMMAND"
"""Environment variable that tells the fork server the command's process id, and the log's file descriptor in the command."""

READY = "ready"
"""The last line of the log when the imports are done."""

SERVER: int | None = None
"""Process id of the fork server: set in the server and in the processes that it forks; None in others."""

HANDLERS: dict[int, Any] = {}
"""Signal -> the handler that the server inherited, for signals that stop a command; the processes that it forks restore
them."""


def _prepare() -> None:
    global SERVER
    SERVER = os.getpid()
    command, log = os.environ.pop(COMMAND).split(":")
    end_with(int(command))
    adopt_orphans()
    for number in STOPPING:
        HANDLERS[number] = signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # where /proc is hidden its words go where the command's go
        descriptor = open_that_of(int(command), int(log))
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)


if COMMAND in os.environ:
    _prepare()
