"""The messages between `bakeoff time` and the process of a strategy: turns that the command asks for, and what they took."""

from __future__ import annotations

from bakeoff.contracts.fields import Count, Part, Ratio, Some
from bakeoff.records.schema import Environment

FAILED, FAULT = "failed", "fault"
"""Keys of a message that says why a run cannot go on: by a fault of its own, or by one of the machine."""


class Turn(Part):
    """A turn that the command asks a process to take; sent as JSON."""

    steps: Count = 0
    """How many optimizer steps to time, after one that is not timed. For a run that is timed whole, any number above 0 asks
    for one training."""
    batches: Count = 0
    """How many evaluation batches to time, after one that is not timed."""
    place: Ratio = 0.0
    """Where the first of these batches lies, as a share of the distance between two of them: they are evenly spaced among all
    evaluation batches. Equal for all processes of a round, so that they evaluate the same batches."""
    end: bool = False
    """Whether there are no more turns."""


class Taken(Part):
    """What a process measured in its turn (`bakeoff time` lets one process train at a time): the mean seconds of a step and of
    an evaluation batch; None for what it was not asked to measure."""

    step_seconds: float | None
    batch_seconds: float | None
    memory: Count
    """Peak memory so far, in bytes, summed over the run's processes."""
    device_memory: Count
    device_free: Count | None
    """Bytes of the device's memory that nobody uses; None if it is no CUDA device."""


class Ready(Part):
    """What a process tells of its run, once, when it is ready for the first turn."""

    environment: Environment
    sources: list[list[str | None]]
    whole: bool
    steps: Some
    """Optimizer steps of a run; 1 if it is timed whole."""
    batches: Count
    """Evaluation batches of a run."""


class Ended(Part):
    """What a process sends last."""

    fixed_seconds: dict[str, float]
    """Phase -> seconds that a run takes there once, however many steps and batches it has."""
