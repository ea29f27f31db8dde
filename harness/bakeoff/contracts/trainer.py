"""What a trainer gives, and the job that it is handed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol

from bakeoff.contracts.component import Component
from bakeoff.contracts.model import Batch
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.task import Row


class Signal(Enum):
    """What the harness wants of the trainer after a step or an epoch."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Supports:
    """What a trainer can do; `check` refuses the rest."""

    kinds: frozenset[str] | None = frozenset({"classification"})
    """Names of the kinds of task that it trains; None for all, since it leaves the loss to the job."""
    recipe_keys: frozenset[str] = field(default_factory=lambda: frozenset(Recipe.model_fields))
    """Recipe keys that it follows; any other must stay at its default."""
    precisions: frozenset[str] = frozenset({"fp32"})
    processes: int = 1
    resume: bool = False
    """Whether it calls `job.resume` and begins at `job.first_step`, so that `checkpoint_every` works with it."""
    methods: frozenset[str] | None = None
    """Names of the methods that it goes with; None for all."""


@dataclass(frozen=True)
class MicroBatch:
    """One forward pass of one process."""

    rows: Batch
    """Row numbers. Where a batch is too short for all processes, one row that carries no weight."""
    weight: float
    """Of the mean loss of `rows` in the mean loss of the whole batch."""


class TrainingJob(Protocol):
    """All that a trainer needs. The harness owns seeds, order, clock, evaluation and files; the trainer owns the steps.

    One optimizer step is: `begin_step(step)`; for each of the batch's `micro_batches` forward under `autocast()`,
    `loss(...)` times its weight, backward; clip to `recipe.max_grad_norm`, optimizer, scheduler, `end_step(step, loss)`.
    `begin_step` starts the random streams anew from (seed, step, rank), which is what makes two right trainers identical
    to the bit.
    """

    model: Any
    recipe: Recipe
    device: Any  # torch.device
    rank: int
    world_size: int
    examples: Sequence[Row]
    """The encoded training split, `labels` included; index it with row numbers."""
    first_step: int
    """0, unless a run goes on from a checkpoint."""
    first_epoch: int
    """The one that `first_step` is in."""
    total_steps: int
    warmup_steps: int

    def batches(self, epoch: int) -> Sequence[Batch]:
        """The global batches of an epoch as tuples of row numbers; the last may be short. Of `first_epoch`, those still due."""

    def resume(self, optimizer: Any, scheduler: Any, before_saving: Any = ...) -> None:
        """Call once optimizer and scheduler are made: their state is put back where a run goes on, and kept in checkpoints.

        `before_saving()` is called before each, for a trainer that keeps weights outside of `model`.
        """

    def micro_batches(self, batch: Batch) -> Sequence[MicroBatch]:
        """What this process puts through the model for one batch, of `recipe.micro_batch_size` rows over all processes.

        The weights of all micro-batches of all processes sum to 1: gradients are to be added, over processes too.
        """

    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Examples -> tensors (batch, length) and `labels` (batch,), on the CPU. Pure: may run ahead of `begin_step`."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Around each forward pass: mixed precision where the recipe asks for it."""

    def loss(self, logits: Any, labels: Any) -> Any:
        """The mean training loss of a batch, a scalar tensor; (batch, n_outputs) and `labels` as collated: (batch,) numbers of
        labels, or numbers for regression; (batch, n_outputs) of 0.0 and 1.0 for multi-label."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for a torch optimizer: params, lr, weight_decay."""

    def begin_step(self, step: int) -> None:
        """Call before the forward pass of step `step` (0, 1, ...)."""

    def end_step(self, step: int, loss: Any) -> Signal:
        """Call after the optimizer's step with the batch's loss (this process's part), a detached scalar tensor.

        Never synchronises the device.
        """

    def end_epoch(self) -> Signal:
        """Call after the last batch of an epoch."""


class Trainer(Component):
    """A training loop."""

    kind = "trainer"
    supports: ClassVar[Supports] = Supports()
    owns: ClassVar[Owned] = frozenset()
    """What it does its own way; normally nothing. It is shown in its row."""

    def owned(self, recipe: Recipe, options: Any) -> Owned:
        """The same under this recipe with these options, where that makes a difference; all of `owns` must be in it."""
        return self.owns

    def unsupported(self, recipe: Recipe, options: Any) -> Mapping[str, str]:
        """Recipe keys whose values it can't follow with these options, beyond what `supports` says: key -> why, as the end of a
        sentence that begins with the trainer. `check` tells them."""
        return {}

    def notes(self, recipe: Recipe, options: Any) -> Sequence[str]:
        """What a person should know of this trainer under this recipe, a sentence each: told before the runs, and beside the
        row."""
        return ()

    def check_model(self, model: Any, recipe: Recipe) -> None:
        """Raises ModelError where it can't train this adapted model; asked before any run, and of each run's own model."""

    @abstractmethod
    def fit(self, job: TrainingJob, options: Any) -> None:
        """Trains `job.model` in place by exactly `job.recipe`, `job.total_steps` optimizer steps or until a STOP."""

    def fast_inference(self, model: Any) -> AbstractContextManager[None]:
        """While it is entered, the harness predicts; a trainer that knows a faster way to the same logits puts it in place.

        The harness compares a batch with the model's own forward pass. Weights may have changed since the last time.
        """
        return nullcontext()


Owned = frozenset[Literal["steps", "order", "randomness", "evaluation", "loss"]]
