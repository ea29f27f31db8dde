"""What was observed of a run while it trained: its optimizer, its cost, the machine."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bakeoff.contracts.columns import in_rows
from bakeoff.contracts.fields import (
    Amount,
    Count,
    Name,
    Number,
    Part,
    Seconds,
    Sha256,
    Some,
    Text,
)
from bakeoff.records.schema.shared import (
    PHASES,
)
from bakeoff.text.values import spelt


class ObservedGroup(Part):
    """A parameter group as the optimizer had it at its first step."""

    tensors: Count
    elements: Count
    weight_decay: Number | None
    betas: list[Number] | None
    eps: Number | None
    fused: bool | None
    lr_scale: Number | None
    """Its learning rate over the highest of all groups; None in records migrated from schema 2."""
    momentum: Number | None = None
    """Of SGD."""
    bias_correction: bool | None = None
    """Of torch's Adams; None of others, and where nobody looked."""


def _ordered_ends(ends: list[float]) -> list[float]:
    if len(ends) not in (0, 2) or ends != sorted(ends):
        raise ValueError("must be [lowest, highest], or empty")
    return ends


Ends = Annotated[list[Number], AfterValidator(_ordered_ends)]


class LossScale(Part):
    """A trainer's loss and gradients over those of the mean loss of each batch, which is what a recipe asks for: 1 is exact.

    Measured at the logits in a few steps; each is [lowest, highest], empty where it could not be measured.
    """

    steps: Count
    loss: Ends
    """Of the loss that the trainer reported for a step with a full batch."""
    gradient: Ends
    """Of the gradient at the logits of each forward pass of such a step, before clipping."""
    short: Ends = Field(default_factory=list)
    """Of the gradient in a step whose batch is not full: an epoch's last one."""


class Observed(Part):
    """What the optimizer did, observed at its own steps, not copied from the experiment file."""

    optimizer: Name
    optimizer_steps: Some
    groups: Annotated[list[ObservedGroup], BeforeValidator(in_rows)]
    learning_rate_first: Number
    learning_rate_peak: Number
    learning_rate_last: Number
    warmup_steps: Count
    """Steps before the learning rate was first at its peak."""
    gradient_norms_measured: Count
    gradient_norm_median: Amount | None
    gradient_norm_max: Amount | None
    """Global 2-norm as the optimizer received it, that is after clipping."""
    clipped_at: Amount | None
    """The value at which the largest of these norms pile up; null where they do not."""
    examples_seen: Count
    tokens_seen: Count
    padded_tokens_seen: Count
    data_order_sha256: Sha256
    """Of the row numbers of every batch, in the order in which they were trained on."""
    loss_scale: LossScale | None = None
    """None where nobody looked, or nothing could be seen."""


def _all_phases(seconds: dict[str, float]) -> dict[str, float]:
    """Raises ValueError unless every phase has its seconds, and nothing else has."""
    for name in (*PHASES, *seconds):
        if name not in seconds or name not in PHASES:
            raise ValueError(f"{name!r} {'is no phase' if name in seconds else 'is missing'}; phases are {', '.join(PHASES)}")
    return seconds


class Cost(Part):
    """What the run took."""

    phase_seconds: Annotated[dict[str, Seconds], AfterValidator(_all_phases)]
    total_seconds: Seconds
    steps: Count
    train_samples_per_second: Amount | None
    evaluate_samples_per_second: Amount | None
    peak_memory_bytes: Count
    """The largest resident set of each of the run's processes until it saves, summed: pages that they share count in each."""
    peak_device_memory_bytes: Count | None
    """Of each process, summed."""
    energy_joules: Amount | None
    energy_note: Text
    flops: Amount | None
    """Floating-point operations of all forward and backward passes of training, over all processes."""
    flops_note: Text
    """How they were counted, or why not."""
    harness_seconds: Seconds
    """Time that the harness spent inside the trainer's steps (seeding, observing); part of `train`."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        phases = math.fsum(self.phase_seconds.values())
        if not math.isclose(phases, self.total_seconds, rel_tol=1e-6, abs_tol=1e-3):
            raise ValueError(f"total_seconds: {spelt(self.total_seconds)} is not the sum of its phases, {spelt(phases)}")
        return self

    @property
    def train_seconds(self) -> float:
        """All of the trainer's own time, its preparation included."""
        return self.phase_seconds["warm-up"] + self.phase_seconds["train"]

    @property
    def evaluate_seconds(self) -> float:
        return self.phase_seconds["evaluate"]


class Environment(Part):
    """Where it ran."""

    software: dict[Name, Text]
    """Distribution -> version, of all that can change a result."""
    hardware: Text
    """The hardware class: device, cores in use. Times are never compared across classes."""
    threads: Some
    """Of all processes of the run together."""
    device: Name
    processor: Text
    memory_bytes: Count
    system: Text
    jobs: Some | None
    """How many runs of the experiment could be under way at the same time; None in records migrated from schema 3."""
    instructions: Name | None = None
    """The vector instructions that torch used on the CPU (`AVX2`, `AVX512`, `DEFAULT`): sums round differently by them. None
    in records migrated from schema 4."""
