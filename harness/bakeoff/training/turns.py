"""What `bakeoff time` and the process of a strategy say to each other: turns, and what they took."""

from __future__ import annotations

from bakeoff.contracts.fields import Count, Part, Ratio, Some
from bakeoff.records.schema import Environment

FAILED, FAULT = "failed", "fault"
"""Keys of a message that says why a run cannot go on: by a fault of its own, or by one of the machine."""


class Turn(Part):
    """What the command asks for; sent as JSON."""

    steps: Count = 0
    """To time, after one that is not timed. Of a run that is timed whole, any number above 0 asks for one training."""
    batches: Count = 0
    """Of evaluation to time, after one that is not timed."""
    place: Ratio = 0.0
    """Where among all batches they are taken, evenly spaced: equal for all processes of a round, so that they do the same."""
    end: bool = False


class Taken(Part):
    """The answer: seconds of a step and of a batch, in the mean over the turn; None where none was asked for."""

    step_seconds: float | None
    batch_seconds: float | None
    memory: Count
    """Peak so far, in bytes, summed over the run's processes."""
    device_memory: Count
    device_free: Count | None
    """Bytes of the device that nobody uses; None where it is no CUDA device."""


class Ready(Part):
    """Sent once, when the first turn can begin."""

    environment: Environment
    sources: list[list[str | None]]
    whole: bool
    steps: Some
    """Of a run; 1 where it is timed whole."""
    batches: Count
    """Evaluation batches of a run."""


class Ended(Part):
    """Sent last: phase -> seconds that a run takes there once, however many steps and batches it has."""

    fixed_seconds: dict[str, float]
