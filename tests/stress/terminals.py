"""Terminals that are closed while a command runs at them, with the signal that this sends or without it."""

from __future__ import annotations

import signal

from stress.commands import Start
from stress.disturbance import Disturbance
from stress.scene import Scene


class ClosedTerminals(Disturbance):
    """Half of the commands own their terminal, as in the foreground of a shell: closing it sends SIGHUP. The other half only
    write to it, as after `bakeoff run ... & disown`: they get no signal, and every write to it fails."""

    name = "closed terminals"

    def prepare(self, scene: Scene) -> None:
        def at_a_terminal(start: Start) -> None:
            start.at = "own terminal" if scene.draw.random() < 1 / 2 else "terminal"

        scene.dressing.append(at_a_terminal)

    def disturb(self, scene: Scene) -> str:
        commands = [command for command in scene.alive() if command.close_terminal is not None]
        if not commands:
            return ""
        command = scene.draw.choice(commands)
        assert command.close_terminal is not None
        command.close_terminal()
        return "closed under its owner" if signal.SIGHUP in command.sent else "closed under a command that was disowned"
