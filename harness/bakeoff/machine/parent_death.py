"""What the fork server does before anything else: by itself it would notice the end of its command only when its imports, which
take seconds, are done. Linux only.

It ends with the command, adopts what workers leave behind, and leaves it to the command to hear signals that stop it: a fork
server that such a signal ends takes its workers with it, and nobody learns how they end. What it prints goes to a log of the
command's.
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
"""The environment variable that tells the fork server which process starts it, and the number of the log's descriptor there."""

READY = "ready"
"""The last line of the log once the imports are done."""

SERVER: int | None = None
"""The fork server, in itself and in its children."""

HANDLERS: dict[int, Any] = {}
"""What it had inherited for signals that stop a command, which its children have again."""


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
