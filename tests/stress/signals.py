"""Signals at random moments to the processes of a command: itself, its fork server, workers, guards, descendants."""

from __future__ import annotations

import contextlib
import signal
import time

import psutil
from stress.commands import Command
from stress.disturbance import Disturbance
from stress.processes import COMMAND, WORKER, family
from stress.scene import Scene

KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGSTOP)
"""SIGSTOP is followed by SIGCONT within seconds."""

POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to end: a run that ends by one was interrupted, whoever of its processes heard it first."""

TO_ALL = 0.25
"""The share of moments at which a signal goes to all processes of a command, in any order, as systemd and Slurm send it."""
BETWEEN = 0.05
"""Seconds from one of them to the next at most."""

BENEATH = 0.8
"""The share of single signals that go to a process of the command where it has any, and not to the command itself."""

STOPPED = 3.0
"""Seconds between SIGSTOP and SIGCONT at most."""


class Signals(Disturbance):
    """To one process, each kind as often whatever their number, or to all of them."""

    name = "signals"

    def disturb(self, scene: Scene) -> str:
        if not scene.alive():
            return ""
        command, number = scene.draw.choice(scene.alive()), scene.draw.choice(KINDS)
        members = [(kind, one) for kind, found in sorted(family(command.process.pid).items()) for one in found]
        if not members:
            return ""
        to_all = scene.draw.random() < TO_ALL
        scene.draw.shuffle(members)
        for kind, target in members if to_all else [self.one_of(members, scene)]:
            harmless = number == signal.SIGSTOP or kind == COMMAND or (number in POLITE and (to_all or kind == WORKER))
            if self.send(number, kind, target, command, scene) and not harmless:
                scene.excused.append(f"{number.name} to a {kind}")
            if to_all:
                time.sleep(scene.draw.uniform(0, BETWEEN))
        return f"{number.name} to all at once" if to_all else f"{number.name} to one"

    def one_of(self, members: list[tuple[str, psutil.Process]], scene: Scene) -> tuple[str, psutil.Process]:
        beneath = sorted({kind for kind, _ in members} - {COMMAND})
        chosen = scene.draw.choice(beneath) if beneath and scene.draw.random() < BENEATH else COMMAND
        return next(one for one in members if one[0] == chosen)

    def send(self, number: signal.Signals, kind: str, target: psutil.Process, command: Command, scene: Scene) -> bool:
        """Whether it was still there."""
        try:
            target.send_signal(number)
        except psutil.Error:
            return False
        if kind == COMMAND:
            command.sent.add(number)
        if number == signal.SIGSTOP:
            scene.undo_later(scene.draw.uniform(0, STOPPED), lambda: resume(target))
        scene.signals[kind, number.name] += 1
        return True


def resume(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):  # it was killed meanwhile
        process.resume()
