"""Commands that are suspended for longer than their claims hold, while another command takes the runs over."""

from __future__ import annotations

import sys
from pathlib import Path

from stress.commands import Start
from stress.disturbance import Disturbance
from stress.hurried import STALE
from stress.scene import Scene

HURRIED = [sys.executable, str(Path(__file__).with_name("hurried.py"))]

LONGEST = 20.0
"""Seconds until it goes on, at most: the other command has to start, to see the claim for `STALE` seconds, and to work."""


class Suspension(Disturbance):
    """Ctrl-Z or a closed lid: the command and all its processes stop, another command is started, and the first goes on."""

    name = "suspended commands"

    def prepare(self, scene: Scene) -> None:
        def hurried(start: Start) -> None:
            start.command = HURRIED

        scene.dressing.append(hurried)

    def disturb(self, scene: Scene) -> str:
        if not scene.alive():
            return ""
        command = scene.draw.choice(scene.alive())
        command.stop_all()
        scene.undo_later(scene.draw.uniform(STALE, LONGEST), command.continue_all)
        scene.start()
        return "suspended while another command runs"
