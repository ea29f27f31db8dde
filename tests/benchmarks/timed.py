"""Ratios of times, measured as `bakeoff time` does: on an experiment file, by processes that take turns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakeoff.analysis.timings import What, baseline_of, paired
from bakeoff.cli.inputs import find_paths
from bakeoff.contracts.registry import load_registry
from bakeoff.files import temporary_folder
from bakeoff.machine.hardware import usable_threads
from bakeoff.planning.resolver import resolve
from bakeoff.records.schema import Timed, Timing
from bakeoff.records.store import Store
from bakeoff.runner.rounds import TimingGoal
from bakeoff.runner.settings import Settings
from bakeoff.runner.timing import time_experiment
from bakeoff.spec.document import read_document
from bakeoff.statistics.median_ratio import MedianRatio

COURSE = str(Path(__file__).parents[1] / "thirdparty" / "course")
"""The package of the course's loop and of the encoder of 12 layers."""


class Told:
    """Tells how the measurement goes on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.note = say

    def prepare(self, title: str, name: str, number: int, total: int) -> None:
        self.note(f"{title}: preparing {name} ({number} of {total})")

    def turn(self, title: str, *, rounds: int, widest: float, name: str, seconds_left: float) -> None:
        if rounds % 4 == 0:
            self.note(f"{title}: round {rounds}, widest ± {100 * widest:.1f} % ({name}), {seconds_left:.0f} s left")


def measure(spec: str, *, minutes: float, within: float, say: Callable[[str], None], device: str = "auto") -> Timing:
    """The timing of an experiment file's one comparison group; `within` is a share."""
    if COURSE not in sys.path:
        sys.path.insert(0, COURSE)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [COURSE, os.environ.get("PYTHONPATH")]))
    with temporary_folder() as folder:
        path = folder / "spec.yaml"
        path.write_text(spec, encoding="utf-8")
        document = read_document(path)
        plan = resolve(document, load_registry())
        settings = Settings(paths=find_paths(spec=path), device=device, threads=usable_threads())
        goal = TimingGoal(within=within, budget=60 * minutes)
        outcome = time_experiment(document, plan, path, Store(folder), settings=settings, goal=goal, progress=Told(say))
    assert not outcome.failed, outcome.failed
    (timing,) = outcome.timings
    return timing


def named(timing: Timing, name: str) -> Timed:
    return next(one for one in timing.timed if name in one.strategies)


def times_as_fast(timing: Timing, name: str, than: str, what: What = "train") -> dict[str, Any]:
    """How many times as fast the first is, with the 95 % interval of the median over rounds."""
    found = paired(what, named(timing, than), named(timing, name))
    assert found is not None
    return in_figures(found)


def in_figures(found: MedianRatio) -> dict[str, Any]:
    low, high = found.interval() or (None, None)
    return {
        "ratio": round(found.ratio, 3),
        "low": low and round(low, 3),
        "high": high and round(high, 3),
        "rounds": found.rounds,
    }


__all__ = ["COURSE", "baseline_of", "in_figures", "measure", "named", "times_as_fast"]
