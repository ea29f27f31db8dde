"""The contract of a trainer, and the job that the harness gives it."""

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
    """What the trainer has to do after a step or an epoch: go on, or stop training."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Supports:
    """What a trainer can do. An experiment that needs more is refused before any run."""

    kinds: frozenset[str] | None = frozenset({"classification"})
    """Names of the kinds of task that it can train; None for every kind, where it leaves the loss to `job.loss`."""
    recipe_keys: frozenset[str] = field(default_factory=lambda: frozenset(Recipe.model_fields))
    """Recipe keys that it follows; all others must keep their default."""
    precisions: frozenset[str] = frozenset({"fp32"})
    processes: int = 1
    resume: bool = False
    """Whether it calls `job.resume` and begins at `job.first_step`, as `checkpoint_every` needs."""
    methods: frozenset[str] | None = None
    """Names of the methods that it can train with; None for all."""


@dataclass(frozen=True)
class MicroBatch:
    """The rows of one forward pass of one process."""

    rows: Batch
    """Row numbers of train. Where a batch is too short for all processes, one row with weight 0."""
    weight: float
    """Factor of the mean loss of `rows` in the mean loss of the whole batch."""


class TrainingJob(Protocol):
    """Everything that a trainer needs. The harness controls seeds, order, clock, evaluation and files; the trainer takes steps.

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
    """The encoded rows of train, with `labels`, to be indexed with row numbers."""
    first_step: int
    """Number of the first step to take: 0, unless the run resumes from a checkpoint."""
    first_epoch: int
    """Number of the epoch of `first_step`."""
    total_steps: int
    warmup_steps: int

    def batches(self, epoch: int) -> Sequence[Batch]:
        """The batches of an epoch, over all processes, as tuples of row numbers; the last may be shorter. Of `first_epoch`
        only those from `first_step` on."""

    def resume(self, optimizer: Any, scheduler: Any, before_saving: Any = ...) -> None:
        """To be called once with the new optimizer and scheduler: restores their state where the run resumes from a
        checkpoint, and saves it in later ones.

        `before_saving()` is called before each checkpoint, for a trainer that keeps weights outside of `model`.
        """

    def micro_batches(self, batch: Batch) -> Sequence[MicroBatch]:
        """The forward passes of this process for one batch, each of `recipe.micro_batch_size` rows over all processes.

        The weights of all micro-batches of all processes sum to 1: gradients are to be summed, over processes too.
        """

    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Examples -> tensors (batch, length) and `labels`, on the CPU. May be called before `begin_step`: it draws nothing."""

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of each forward pass: mixed precision where the recipe asks for it."""

    def loss(self, logits: Any, labels: Any) -> Any:
        """The mean training loss of a micro-batch, a scalar tensor. `logits` are (batch, n_outputs); `labels` as collated:
        (batch,) label numbers, or numbers for regression; (batch, n_outputs) of 0.0 and 1.0 for multi-label."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for a torch optimizer, with `params`, `lr` and `weight_decay`."""

    def begin_step(self, step: int) -> None:
        """To be called before the forward pass of step `step` (0, 1, ...)."""

    def end_step(self, step: int, loss: Any) -> Signal:
        """To be called after the optimizer's step, with the batch's loss (this process's part of it) as a detached scalar
        tensor. Never synchronises the device."""

    def end_epoch(self) -> Signal:
        """To be called after the last batch of an epoch."""


class Trainer(Component):
    """A training loop."""

    kind = "trainer"
    supports: ClassVar[Supports] = Supports()
    owns: ClassVar[Owned] = frozenset()
    """What it does differently from the recipe, normally nothing; shown beside its results."""

    def owned(self, recipe: Recipe, options: Any) -> Owned:
        """`owns` under this recipe and these options, where they make a difference; must hold all of `owns`."""
        return self.owns

    def unsupported(self, recipe: Recipe, options: Any) -> Mapping[str, str]:
        """Recipe key whose value it can't follow with these options, beyond `supports` -> the reason, as the end of a sentence
        that begins with the trainer's name. Such a run is refused."""
        return {}

    def notes(self, recipe: Recipe, options: Any) -> Sequence[str]:
        """Sentences that a user should know about this trainer under this recipe: shown before the runs, and beside its
        results."""
        return ()

    def check_model(self, model: Any, recipe: Recipe) -> None:
        """Raises ModelError where it can't train this adapted model. Called before any run, and with each run's own model."""

    @abstractmethod
    def fit(self, job: TrainingJob, options: Any) -> None:
        """Trains `job.model` in place, as `job.recipe` says, until `job.total_steps` optimizer steps are done or the job says
        STOP."""

    def fast_inference(self, model: Any) -> AbstractContextManager[None]:
        """A context in which the harness predicts. A trainer with a faster forward pass of the same logits replaces the
        model's own while it is entered; the default changes nothing.

        The harness compares one batch with the model's own forward pass. Weights may have changed since the last call.
        """
        return nullcontext()


Owned = frozenset[Literal["steps", "order", "randomness", "evaluation", "loss"]]
