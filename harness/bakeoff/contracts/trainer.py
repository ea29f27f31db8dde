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
from bakeoff.contracts.task import Paths, Row


class Signal(Enum):
    """What the trainer must do after a step or an epoch: continue, or stop training."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Supports:
    """What a trainer supports. An experiment that needs more is refused before any run starts."""

    kinds: frozenset[str] | None = frozenset({"classification"})
    """Names of the kinds of task that it can train; None for every kind, which needs the loss from `job.loss`."""
    recipe_keys: frozenset[str] = field(default_factory=lambda: frozenset(Recipe.model_fields))
    """Recipe keys that it honours; a strategy must leave all others at their defaults."""
    precisions: frozenset[str] = frozenset({"fp32"})
    processes: int = 1
    resume: bool = False
    """Whether it calls `job.resume` and starts at `job.first_step`; `checkpoint_every` requires that."""
    methods: frozenset[str] | None = None
    """Names of the methods that it can train with; None for all."""
    whole_parameters: bool = True
    """Whether the optimizer gets each parameter as a tensor of its own; else it can only take elementwise optimizers."""


@dataclass(frozen=True)
class MicroBatch:
    """The rows of one forward pass in one process."""

    rows: Batch
    """Indices into train. If a batch has too few rows for all processes, a process without one gets one row with weight 0."""
    weight: float
    """The factor by which the mean loss over `rows` enters the mean loss over the whole batch."""


class TrainingJob(Protocol):
    """Everything that a trainer needs. The harness controls seeds, order, clock, evaluation and files; the trainer takes steps.

    One optimizer step: `begin_step(step)`; for each of the batch's `micro_batches`, forward under `autocast()`, `loss(...)`
    times its weight, backward; clip to `recipe.max_grad_norm`; optimizer; scheduler; `end_step(step, loss)`. `begin_step`
    restarts the random streams from (seed, step, rank): that makes two correct trainers identical to the bit.
    """

    model: Any
    recipe: Recipe
    device: Any  # torch.device
    rank: int
    world_size: int
    examples: Sequence[Row]
    """The encoded rows of train with their `labels`, indexed by row number."""
    first_step: int
    """Number of the first step to take: 0, unless the run resumes from a checkpoint."""
    first_epoch: int
    """Number of the epoch of `first_step`."""
    total_steps: int
    warmup_steps: int

    def batches(self, epoch: int) -> Sequence[Batch]:
        """The batches of an epoch, over all processes: tuples of row numbers. The last may be shorter. In `first_epoch`,
        only those from `first_step` on."""

    def resume(self, optimizer: Any, scheduler: Any, before_saving: Any = ...) -> None:
        """Restores the optimizer and scheduler if the run resumes from a checkpoint, and includes them in later checkpoints.

        To be called once, with the newly made optimizer and scheduler. `before_saving()` is called before each checkpoint and
        each evaluation, for trainers that keep weights outside `model`.
        """

    def micro_batches(self, batch: Batch) -> Sequence[MicroBatch]:
        """This process's forward passes for one batch; together, all processes process `recipe.micro_batch_size` rows in each.

        The weights of all micro-batches over all processes sum to 1, so gradients are to be summed, over processes too.
        """

    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Pads examples into tensors (batch, length), with `labels`, on the CPU. It uses no random numbers, so it may be
        called before `begin_step`."""

    def autocast(self) -> AbstractContextManager[Any]:
        """The context for each forward pass: mixed precision if the recipe asks for it."""

    @property
    def scaler(self) -> Any:
        """A `torch.amp.GradScaler` for the loss of fp16, which does nothing with other precisions. Where it skips a step, the
        schedule of the learning rate must not go on."""

    def loss(self, logits: Any, labels: Any) -> Any:
        """The mean training loss of a micro-batch, a scalar tensor. `logits` are (batch, n_outputs); `labels` as collated:
        (batch,) label numbers, or numbers for regression; (batch, n_outputs) of 0.0 and 1.0 for multi-label."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for a torch optimizer, with `params`, `lr` and `weight_decay`."""

    def plugin_optimizer(self, groups: list[dict[str, Any]]) -> Any | None:
        """A new optimizer of these parameter groups, if the recipe names one that a plugin offers; None for adamw and sgd."""

    def begin_step(self, step: int) -> None:
        """To be called before the forward pass of step `step` (0, 1, ...)."""

    def end_step(self, step: int, loss: Any) -> Signal:
        """To be called after the optimizer's step with this process's part of the batch's loss, a detached scalar tensor.

        Never synchronises the device.
        """

    def end_epoch(self) -> Signal:
        """To be called after the last batch of an epoch. On STOP, `fit` must return: dev got no better (`early_stopping`)."""


class Trainer(Component):
    """A training loop."""

    kind = "trainer"
    supports: ClassVar[Supports] = Supports()
    owns: ClassVar[Owned] = frozenset()
    """What it controls itself instead of the harness (`steps`, `order`, `randomness`, `loss`), normally nothing; shown
    beside its results. A trainer that draws its own random numbers, for dropout, must own `randomness`: its runs share no
    random stream with those of another trainer, so the two are not compared seed by seed."""
    owns_model: ClassVar[bool] = False
    """Whether it is an `OwnModelTrainer`."""
    uses_model: ClassVar[bool] = True
    """Whether it uses the strategy's model; may be False only for an `OwnModelTrainer`."""
    timed: ClassVar[WhatIsTimed] = "phases"
    """Which of its times can be compared with those of other trainers."""
    runs_commands: ClassVar[bool] = False
    """Whether its options name commands that it starts, or code that it runs. An experiment file with such a trainer runs only
    after the user has said that it may (trust)."""

    def commands(self, options: Any) -> Sequence[Sequence[str]]:
        """The commands that it starts, as the options have them: each a list of words, with placeholders not filled in."""
        return ()

    def code_files(self, options: Any) -> Sequence[str]:
        """The files and folders of the code that its commands run, as the options name them: shown to the user, who is asked to
        trust them."""
        return ()

    def code_digest(self, options: Any, places: Paths) -> str | None:
        """SHA-256 of the files beside the experiment file that its commands run; None for a trainer, or options, without any.

        A trainer that returns a hash needs a field `code_sha256: str | None = None` in its `Options`. When an experiment file
        is read, the hash is filled in there, and so becomes part of a run's id. Raises BakeoffError where a file is missing.
        """
        return None

    def resolved(self, options: Any, places: Paths) -> Any:
        """The options as `fit` gets them, with what they need on this machine: called in each process that trains. Raises
        BakeoffError where something is missing."""
        return options

    def recipe_keys(self, options: Any) -> frozenset[str]:
        """The recipe keys that it follows with these options: all that `supports` names, or some of them. For a trainer that
        owns its steps, only these keys are part of a run's id."""
        return self.supports.recipe_keys

    def claims(self, options: Any) -> Sequence[str] | None:
        """Recipe keys that a script is only claimed to follow, since the harness can't observe that; whether it follows others
        is unknown. None, the default, for a trainer that is known to follow `recipe_keys`."""
        return None

    def owned(self, recipe: Recipe, options: Any) -> Owned:
        """The part of `owns` that matters under this recipe and these options."""
        return self.owns

    def unsupported(self, recipe: Recipe, options: Any) -> Mapping[str, str]:
        """Recipe key whose value it cannot honour with these options, beyond what `supports` says -> the reason, as the end
        of a sentence that begins with the trainer's name. Such a run is refused."""
        return {}

    def depends_on_seed(self, recipe: Recipe, options: Any) -> bool:
        """Whether another seed may give other answers from the same rows. A strategy that does not depend on the seed runs once
        for each data set, and its variance over seeds is known to be 0."""
        return True

    def notes(self, recipe: Recipe, options: Any) -> Sequence[str]:
        """Sentences that a user should know about this trainer under this recipe: shown before the runs, and beside its
        results."""
        return ()

    def check_model(self, model: Any, recipe: Recipe) -> None:
        """Raises ModelError if it cannot train this adapted model. Called before any run, and again with each run's own
        model."""

    @abstractmethod
    def fit(self, job: TrainingJob, options: Any) -> None:
        """Trains `job.model` in place by `job.recipe`, until `job.total_steps` optimizer steps are done or the job returns
        STOP."""

    def fast_inference(self, model: Any) -> AbstractContextManager[None]:
        """A context during which the harness predicts. A trainer with a faster forward pass that gives the same logits may
        install it for that time; the default changes nothing.

        The harness compares one batch with the model's own forward pass. Weights may have changed since the last call.
        """
        return nullcontext()


Owned = frozenset[Literal["model", "steps", "order", "randomness", "evaluation", "loss"]]
WhatIsTimed = Literal["phases", "process", "nothing"]
"""Which times of a run can be compared with those of other trainers: `phases`, those of training, of evaluation and of the
whole run; `process`, that of the whole run only; or `nothing`."""
