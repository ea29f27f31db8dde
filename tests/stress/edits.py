"""Data that are edited between a command that was stopped and the next one."""

from __future__ import annotations

from stress.disturbance import Disturbance
from stress.invariants import good_records
from stress.scene import Scene

from bakeoff.records.store import Store


def is_due(scene: Scene) -> bool:
    """Whether a run is left to do: where none is, a command has no reason to load a task that does not tell its files."""
    recorded = Store(scene.experiment).read_all()[0]
    return len(recorded) < scene.runs or any(record.was_interrupted for record in recorded)


class EditedData(Disturbance):
    """A command that finds other data must refuse them and touch nothing; half of the time they are then put back, and half of
    the time `--changed rerun` has everything made again of the new ones."""

    name = "edited data"

    def disturb(self, scene: Scene) -> str:
        return ""

    def between(self, scene: Scene) -> list[str]:
        before = good_records(scene.experiment)
        if not before or not is_due(scene) or "--changed" in scene.options:
            return []
        scene.write_data(1 - scene.variant)
        answer = scene.call(*scene.arguments)
        wrong = []
        if answer.returncode != 2 or "--changed rerun" not in answer.stderr:
            wrong.append(f"edited data were not refused: exit code {answer.returncode}, {answer.stderr[-300:]}")
        if not before.items() <= good_records(scene.experiment).items():  # it may recover what a killed command had finished
            wrong.append("a command that refused edited data changed a record")
        if scene.draw.random() < 1 / 2:
            scene.write_data(1 - scene.variant)
            scene.done[self.name, "refused, and put back"] += 1
        else:
            scene.options += ["--changed", "rerun"]
            scene.replaced |= before.keys()
            scene.done[self.name, "refused, and everything made again of the new ones"] += 1
        return wrong
