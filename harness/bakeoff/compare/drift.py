"""Whether the machine was the same, and equally fast, for runs whose times are compared."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.record import Control, Record

DRIFT = 0.10
"""Control runs that differ by more say that the machine was not equally fast."""


def drift(controls: Sequence[Control], *, hardware: str) -> float | None:
    """By how much the slowest control run on that hardware took longer than the fastest; None below two of them."""
    times = [control.milliseconds for control in controls if control.hardware == hardware]
    return max(times) / min(times) - 1 if len(times) > 1 and min(times) > 0 else None


def why_no_hardware(first: Sequence[Record], second: Sequence[Record]) -> str:
    """Empty where all runs of both sides were made on one class of hardware."""
    here, there = ([*dict.fromkeys(record.environment.hardware for record in side)] for side in (first, second))
    if here != there or len(here) > 1:
        return f"the hardware differs: {' and '.join(here)} against {' and '.join(there)}"
    return ""


def why_no_time(first: Sequence[Record], second: Sequence[Record], controls: Sequence[Control]) -> str:
    """Empty where the machine was the same and equally fast, as far as control runs tell."""
    if not first or not second:
        return "nothing is recorded"
    if unlike := why_no_hardware(first, second):
        return unlike
    moved = drift(controls, hardware=first[0].environment.hardware)
    if moved is not None and moved > DRIFT:
        return f"the control run moved by {100 * moved:.0f} % (at most {100 * DRIFT:.0f} % is tolerated)"
    return ""
