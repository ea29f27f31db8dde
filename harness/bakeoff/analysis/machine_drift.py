"""Whether the machine was the same, and equally fast, for runs whose times are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bakeoff.records.provenance import HARDWARE, differing
from bakeoff.records.schema import Control, Record
from bakeoff.text.numbers import per_cent

DRIFT = 0.10
"""Control runs that differ by more say that the machine was not equally fast."""

COUNT = re.compile(r"^\d+ x |, \d+ threads?$")
"""What a hardware class says besides the machine: how much of it a run had."""


def drift(controls: Sequence[Control], *, hardware: str) -> float | None:
    """By how much the slowest control run on that hardware took longer than the fastest; None below two of them.

    A run of several processes may have more devices or threads than the control runs had: then those tell that had less of
    the same machine, each class of them for itself.
    """
    times: dict[str, list[float]] = {}
    for control in controls:
        times.setdefault(control.hardware, []).append(control.milliseconds)
    same = [hardware] if hardware in times else [name for name in times if COUNT.sub("", name) == COUNT.sub("", hardware)]
    moved = [max(times[name]) / min(times[name]) - 1 for name in same if len(times[name]) > 1 and min(times[name]) > 0]
    return max(moved, default=None)


def why_no_hardware(first: Sequence[Record], second: Sequence[Record]) -> str:
    """Empty where all runs of both sides were made on one class of hardware, with the same instructions."""
    everything = [*first, *second]
    for one in differing(everything, everything, HARDWARE):
        return f"{one.what} differs: {one.here} against {one.there}"
    return ""


def why_no_time(first: Sequence[Record], second: Sequence[Record], controls: Sequence[Control]) -> str:
    """Empty where the machine was the same and equally fast, as far as control runs tell."""
    if not first or not second:
        return "nothing is recorded"
    if unlike := why_no_hardware(first, second):
        return unlike
    return why_moved(controls, hardware=first[0].environment.hardware)


def why_moved(controls: Sequence[Control], *, hardware: str) -> str:
    """Empty where the machine was equally fast, as far as control runs tell."""
    moved = drift(controls, hardware=hardware)
    if moved is not None and moved > DRIFT:
        return f"the control run moved by {per_cent(moved)} (at most {per_cent(DRIFT)} is tolerated)"
    return ""
