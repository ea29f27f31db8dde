"""Several commands at one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from end_to_end.experiments import records, start, write_spec
from stress.disturbance import Disturbance
from stress.scene import STRATEGIES, Scene

MOST = 3
"""Commands at one folder at the same time."""


class Together(Disturbance):
    """A further command is started, at any moment."""

    name = "several commands"

    def disturb(self, scene: Scene) -> str:
        if not 0 < len(scene.alive()) < MOST:
            return ""
        scene.start()
        return f"{len(scene.alive())} at the same time"


def twins(folder: Path, count: int, *, seeds: int) -> dict[str, Any]:
    """So many commands started at the same moment in one folder, and undisturbed."""
    spec = write_spec(folder, STRATEGIES, seeds=seeds)
    processes = [start("run", spec, "--threads", "1", folder=folder) for _ in range(count)]
    answers = [process.communicate(timeout=1800)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, answers
    ended = sum("accuracy dev" in line for answer in answers for line in answer.splitlines())
    left = [path.name for path in (folder / "records").iterdir() if path.name.startswith((".tmp", ".claim"))]
    assert not left
    return {"commands": count, "runs": 2 * seeds, "recorded": len(records(folder)), "ended": ended}
