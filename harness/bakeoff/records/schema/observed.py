"""What was observed during a run: its optimizer, its cost, the machine."""

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
    """A parameter group as it was at the optimizer's first step."""

    tensors: Count
    elements: Count
    weight_decay: Number | None
    betas: list[Number] | None
    eps: Number | None
    fused: bool | None
    lr_scale: Number | None
    """Its learning rate divided by the highest of all groups; None in records migrated from schema 2."""
    momentum: Number | None = None
    """Momentum of SGD; None for other optimizers."""
    bias_correction: bool | None = None
    """Whether torch's Adam corrects bias; None for other optimizers, and where it was not observed."""


def _ordered_ends(ends: list[float]) -> list[float]:
    if len(ends) not in (0, 2) or ends != sorted(ends):
        raise ValueError("must be [lowest, highest], or empty")
    return ends


Ends = Annotated[list[Number], AfterValidator(_ordered_ends)]


class LossScale(Part):
    """A trainer's loss and gradients divided by those of the mean loss over the batch, which a recipe asks for; 1 is exact.

    Measured at the logits in a few steps, `steps`; the ratios are [lowest, highest], empty where they could not be measured.
    """

    steps: Count
    loss: Ends
    """The ratio for the loss that the trainer reported for steps with a full batch."""
    gradient: Ends
    """The ratio for the gradient at the logits in each forward pass of steps with a full batch, before clipping."""
    short: Ends = Field(default_factory=list)
    """The ratio for the gradient in steps whose batch is not full: the last of an epoch."""


class Observed(Part):
    """What the optimizer did, observed at its steps rather than copied from the experiment file."""

    optimizer: Name
    optimizer_steps: Some
    groups: Annotated[list[ObservedGroup], BeforeValidator(in_rows)]
    learning_rate_first: Number
    learning_rate_peak: Number
    learning_rate_last: Number
    warmup_steps: Count
    """How many steps came before the learning rate first reached its peak."""
    gradient_norms_measured: Count
    gradient_norm_median: Amount | None
    gradient_norm_max: Amount | None
    """The largest global 2-norm of the gradient as the optimizer received it, so after clipping."""
    clipped_at: Amount | None
    """The norm at which gradients were clipped, inferred from equal largest norms; None if the largest norms differ."""
    examples_seen: Count
    tokens_seen: Count
    padded_tokens_seen: Count
    data_order_sha256: Sha256
    """SHA-256 of the row numbers of all batches, in the order of training."""
    loss_scale: LossScale | None = None
    """None where it was not observed or could not be measured."""


def _all_phases(seconds: dict[str, float]) -> dict[str, float]:
    """Returns the mapping unchanged. Raises ValueError unless its keys are exactly the phases."""
    for name in (*PHASES, *seconds):
        if name not in seconds or name not in PHASES:
            raise ValueError(
                f"{name!r} {'is not a phase' if name in seconds else 'is missing'}; phases are {', '.join(PHASES)}"
            )
    return seconds


class Cost(Part):
    """The time, memory and computation of a run."""

    phase_seconds: Annotated[dict[str, Seconds], AfterValidator(_all_phases)]
    total_seconds: Seconds
    steps: Count
    train_samples_per_second: Amount | None
    evaluate_samples_per_second: Amount | None
    peak_memory_bytes: Count
    """The largest resident set of each of the run's processes up to saving, summed; pages that they share are counted in
    each."""
    peak_device_memory_bytes: Count | None
    """The largest memory in use on the device, summed over the run's processes; None without an accelerator."""
    energy_joules: Amount | None
    energy_note: Text
    flops: Amount | None
    """Floating-point operations of all forward and backward passes of training, over all processes."""
    flops_note: Text
    """How `flops` was counted, or why it is None."""
    harness_seconds: Seconds
    """Time that the harness took within the trainer's steps (seeding, observing), in seconds; part of `train`."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        phases = math.fsum(self.phase_seconds.values())
        if not math.isclose(phases, self.total_seconds, rel_tol=1e-6, abs_tol=1e-3):
            raise ValueError(f"total_seconds: {spelt(self.total_seconds)} is not the sum of its phases, {spelt(phases)}")
        return self

    @property
    def train_seconds(self) -> float:
        """Seconds of the trainer's own time, its preparation included (`warm-up` and `train`)."""
        return self.phase_seconds["warm-up"] + self.phase_seconds["train"]

    @property
    def evaluate_seconds(self) -> float:
        return self.phase_seconds["evaluate"]


class Environment(Part):
    """The machine and software of a run."""

    software: dict[Name, Text]
    """Distribution -> version, for everything that can change a result."""
    hardware: Text
    """The hardware class: device, cores in use. Times are never compared across classes."""
    threads: Some
    """Threads of all the run's processes together."""
    device: Name
    processor: Text
    memory_bytes: Count
    system: Text
    jobs: Some | None
    """How many runs of the experiment could train at the same time; None in records migrated from schema 3."""
    instructions: Name | None = None
    """The vector instructions that torch used on the CPU (`AVX2`, `AVX512`, `DEFAULT`), by which rounding differs. None in
    records migrated from schema 4."""
