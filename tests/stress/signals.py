"""Signals at random moments to a random process of a command: itself, its fork server, workers, guards, descendants."""

from __future__ import annotations

import contextlib
import signal

import psutil
from stress.disturbance import Disturbance
from stress.processes import COMMAND, WORKER, family
from stress.scene import Scene

KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSTOP)
"""SIGSTOP is followed by SIGCONT within seconds."""

POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to end: a run that ends by one was interrupted, whoever of its processes heard it first."""

BENEATH = 0.8
"""The share of signals that go to a process of the command where it has any, and not to the command itself."""

STOPPED = 3.0
"""Seconds between SIGSTOP and SIGCONT at most."""


class Signals(Disturbance):
    """To each kind of process as often, whatever their number; less often to the command, whose end ends all."""

    name = "signals"

    def disturb(self, scene: Scene) -> str:
        if not scene.alive():
            return ""
        command = scene.draw.choice(scene.alive())
        members = family(command.process.pid)
        if not members:
            return ""
        beneath = sorted({*members} - {COMMAND})
        kind = scene.draw.choice(beneath) if beneath and scene.draw.random() < BENEATH else COMMAND
        number = scene.draw.choice(KINDS)
        target, what = scene.draw.choice(members[kind]), f"{number.name} to a {kind}"
        if kind == COMMAND:
            command.sent.add(number)
        elif number != signal.SIGSTOP and not (kind == WORKER and number in POLITE):
            scene.excused.append(what)
        with contextlib.suppress(psutil.Error):  # it has just ended
            target.send_signal(number)
            if number == signal.SIGSTOP:
                scene.undo_later(scene.draw.uniform(0, STOPPED), lambda: resume(target))
        return what


def resume(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.resume()
