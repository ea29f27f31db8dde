"""The contract of a trainer that owns its model: a contestant that need not be a torch module.

The trainer gets rows as texts and returns answers. The harness withholds the labels of the rows to predict, measures times,
scores and compares, as for every other strategy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from bakeoff.contracts.kind import Kind, Said
from bakeoff.contracts.metric import Floats
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.trainer import Owned, Supports, Trainer, TrainingJob, WhatIsTimed
from bakeoff.errors import PluginError


@dataclass(frozen=True)
class Example:
    """A row of the task as a trainer with a model of its own gets it."""

    id: int
    """A number that no other row of the run has. It says nothing about the row's own id, place or split."""
    texts: Mapping[str, str]
    """Text column of the task -> text."""
    label: Said | None = None
    """The label as plain JSON (`Said`); None where it is withheld."""


@dataclass(frozen=True)
class Answer:
    """What a contestant answers to one row."""

    id: int
    """The `id` of the `Example` that is answered."""
    answer: Said
    scores: Mapping[str, float] | None = None
    """Label -> probability, for all labels; None without scores, as in every regression. In a classification they sum to 1, and
    the answer has the largest; in a multi-label task the answer's labels are those above 0.5."""
    place: str = field(default="", compare=False)
    """Where the answer stands in a file, `line 3 of answers.jsonl`, for messages; empty if it was never in a file."""


@dataclass(frozen=True)
class ReportedStep:
    """An optimizer step as a trainer reports it, which the harness did not observe."""

    loss: float
    learning_rate: float | None = None


class OwnModelJob(Protocol):
    """Everything that a trainer with a model of its own needs."""

    recipe: Recipe
    kind: Kind
    labels: tuple[str, ...]
    """Names of the task's labels, in its order; empty for a regression."""
    text_columns: tuple[str, ...]
    train: Sequence[Example]
    """The rows to train on, with labels: all, or the seed's subset where the recipe has `train_examples`."""
    splits: Mapping[str, Sequence[Example]]
    """Split -> the rows that the trainer will be asked to predict, without labels."""
    seed: int
    """A random seed below 2^32, derived from the run's seed and replicate."""
    device: str
    threads: int
    folder: Path
    """An empty folder for the trainer's files; the same one, with what it holds, when a run is tried again."""

    def dev(self) -> Sequence[Example] | None:
        """The rows of dev with labels, for early stopping or model selection; None where the task has no labelled dev. A call
        is recorded, since scores on dev are then optimistic."""

    def task_ids(self, examples: Sequence[Example]) -> Sequence[str]:
        """The task's own ids of these examples; only for trainers with `knows_ids`, such as one that reads predictions which
        were made elsewhere."""

    def features(self, examples: Sequence[Example]) -> Floats:
        """What the head of the strategy's model would get for each example, (examples, width), dropout off. Only for trainers
        with `uses_model`."""

    def embeddings(self, examples: Sequence[Example], column: str) -> Floats:
        """The mean of the encoder's last hidden states over the tokens of the text in this column alone, (examples, width),
        dropout off, as sentence encoders are meant to be used. Only for trainers with `uses_model`."""


class OwnModelTrainer(Trainer):
    """A trainer that owns the model: whatever `fit_own` returns is its model, and `predict_own` answers with it."""

    supports: ClassVar[Supports] = Supports(kinds=None, recipe_keys=frozenset({"train_examples"}), methods=frozenset({"full"}))
    """By default every kind of task, and no recipe key but `train_examples`. A trainer with `uses_model` may add `max_length`
    and `padding`, which `job.features` and `job.embeddings` follow."""
    owns: ClassVar[Owned] = frozenset({"model", "steps", "order", "randomness", "loss"})
    owns_model: ClassVar[bool] = True
    uses_model: ClassVar[bool] = False
    """Whether it uses the strategy's model, frozen, by `job.features` or `job.embeddings`. Where it does not, its runs have no
    model."""
    timed: ClassVar[WhatIsTimed] = "phases"
    """Which of its times can be compared with other trainers': `phases`, those of `fit_own` as training, of `predict_own` as
    evaluation, and of the whole run; `process`, that of the whole run only; or `nothing`."""
    knows_ids: ClassVar[bool] = False
    """Whether it may call `job.task_ids`."""

    @abstractmethod
    def fit_own(self, job: OwnModelJob, options: Any) -> Any:
        """Trains on `job.train`. Returns the model, of any type."""

    @abstractmethod
    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: Any) -> Sequence[Answer]:
        """An answer for each of the examples, in any order. Called once for each split."""

    def reported_steps(self, model: Any) -> Sequence[ReportedStep]:
        """The optimizer steps that `fit_own` took to train this model, from step 0 on; empty if they are unknown."""
        return ()

    def fit(self, job: TrainingJob, options: Any) -> None:
        """Never called: see `fit_own`."""
        raise PluginError(f"trainer '{self.name}' owns its model and takes no training job")
