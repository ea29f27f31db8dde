"""The contracts: what a task, a model, a method and a trainer give, and the job that a trainer is handed.

Everything here is free of torch, so that listing and checking components starts at once. A component imports what trains
(torch, transformers, datasets, evaluate) inside the methods that need it.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.model import HeadOrigin
from bakeoff.contracts.unit import OWN_UNIT, Unit
from bakeoff.errors import DataError, PluginError, quoted
from bakeoff.spec import Options, Recipe

if TYPE_CHECKING:
    import evaluate
    from datasets import Dataset

TaskKind = Literal["classification", "regression", "multilabel", "tokens", "text"]
Row = Mapping[str, Any]
Batch = tuple[int, ...]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Answers = Ints | Floats
"""Predictions or references, (n,): label numbers; for regression, numbers; for multi-label, sets of labels as numbers of which
bit i says whether label i is among them."""
MOST_LABELS_AT_ONCE = 62
"""Of a multi-label task: so many bits has a number of 64, with one for the sign and one to spare."""
SAME_LOGITS = 1e-3
"""Two ways through one model give the same logits where they differ by no more than this times the largest logit, or times 1
where all are smaller: rounding in fp32 moves logits by about 1e-6 of the largest, a mistake by far more."""


def same_logits(difference: float, largest: float) -> bool:
    """Whether rounding explains the difference, the largest of two sets of logits whose largest absolute value is `largest`."""
    return difference <= SAME_LOGITS * max(1.0, largest)  # False for NaN


class Component(ABC):
    """What every component has. `version` goes up when the same options would give another result."""

    kind: ClassVar[Literal["task", "model", "method", "trainer"]]
    name: str
    summary: str
    version: str
    Options: ClassVar[type[Options]] = Options
    """The component's options as pydantic: unknown keys refused, every value checked before anything runs."""
    needs: ClassVar[Mapping[str, str]] = {}
    """Modules beyond bakeoff's own dependencies, each with the extra that installs it: `{"peft": "peft"}`."""

    def missing_extras(self) -> list[str]:
        """The extras that would have to be installed before this component can run."""
        return sorted({extra for module, extra in self.needs.items() if not _is_installed(module)})


def _is_installed(module: str) -> bool:
    """Whether a module could be imported; a dotted one's parents may be missing too."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


# --- tasks ---------------------------------------------------------------------------------------------------------------


class Metric(ABC):
    """A score over a split. Where it is a mean or a ratio of sums, `parts` lets statistics work without knowing its name."""

    name: str
    version: str = "1"
    """Goes up when the same predictions would get another score."""
    higher_is_better: bool = True
    unit: Unit = OWN_UNIT
    """In which unit and range its scores lie, and how they are shown: SHARE, CORRELATION, PERCENT, or a `Unit` of its own. A
    metric that declares none has no range, and an experiment that judges by it must name its margin."""
    kinds: frozenset[TaskKind] | None = None
    """Kinds of task whose answers it can score; None for any."""
    least_labels: int = 1
    """So many labels must be among the right answers; of fewer it says nothing, though its score may vary."""

    def locate(self) -> None:  # noqa: B027 - a built-in metric has nothing to look for
        """A look, within 3 s, whether the metric can be had; raises DataError."""

    @abstractmethod
    def load(self) -> evaluate.EvaluationModule:
        """The metric as the evaluate library's own kind of object."""

    def fitted(self, kind: TaskKind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        """The metric for a task of this kind with these labels, of which the task may declare one as the positive class.

        Labels are empty where only the data can tell them. A metric of each class becomes several. Raises DataError where it
        does not fit.
        """
        return (self,)

    def parts(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats] | None:
        """Numerator and denominator per example, each (n,), score = sum / sum; None where the metric is no such ratio."""
        return None

    def score(self, predictions: Answers, references: Answers) -> float:
        """The score in the metric's own unit (accuracy: 0 to 1)."""
        result = self.load().compute(predictions=predictions, references=references)
        if not result or self.name not in result:
            raise DataError(f"metric '{self.name}' gave no score of its own name, but {sorted(result or {})}")
        return float(result[self.name])


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """What a task is, told without loading it."""

    kind: TaskKind
    text_columns: tuple[str, ...]
    """One or two columns of the dataset that the model reads."""
    labels: tuple[str, ...]
    """Label names; a dataset's `label` column holds their index, of a multi-label task a list of them. Empty for regression.

    Empty too where only the data can tell: then train's `label` is a ClassLabel, or a list of it, and these are its names.
    """
    n_outputs: int
    """Of the model: one for each label; one number for regression; 0 where only the data can tell."""
    metrics: tuple[Metric, ...]
    primary_metric: str
    splits: tuple[str, ...]
    """All splits, `train` first."""
    labelled_splits: tuple[str, ...]
    """Those whose rows have labels. The others are predicted and kept, and never scored or reported on."""
    slice_columns: tuple[str, ...] = ()
    """Columns by which results may be cut."""
    hidden_splits: tuple[str, ...] = ()
    """Splits that exist but whose labels are not public: never loaded, and refused as what to report on."""
    positive: str | None = None
    """The label that F1, precision and recall are about, where nobody names another; None where no label is special."""

    def __post_init__(self) -> None:
        """A task that contradicts itself is its author's error, told before anything is loaded.

        Metrics are fitted to the labels here, so that a name tells which class a score is of: `f1 (spam)`.
        """
        if self.positive is not None and self.labels and self.positive not in self.labels:
            raise PluginError(f"its positive label {quoted(self.positive)} is none of its labels")
        fitted = [(metric.name, metric.fitted(self.kind, self.labels, self.positive)) for metric in self.metrics]
        first = next((parts for name, parts in fitted if name == self.primary_metric), ())
        if len(first) > 1:
            raise DataError(
                f"metric {quoted(self.primary_metric)} is several, one for each class, so that it can't be the primary one: "
                "name another first"
            )
        if first:
            object.__setattr__(self, "primary_metric", first[0].name)
        object.__setattr__(self, "metrics", tuple(metric for _, parts in fitted for metric in parts))
        names = [metric.name for metric in self.metrics]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DataError(f"metric {quoted(twice)} stands twice among its metrics")
        if self.primary_metric not in names:
            raise PluginError(f"its primary metric {quoted(self.primary_metric)} is none of its metrics ({', '.join(names)})")
        if "train" not in self.labelled_splits or not set(self.labelled_splits) <= set(self.splits):
            raise PluginError("its labelled splits must be among its splits, and train must be one of them")
        for metric in self.metrics:
            if metric.kinds is not None and self.kind not in metric.kinds:
                scored = " and ".join(sorted(metric.kinds))
                raise PluginError(f"metric {quoted(metric.name)} scores {scored}, and it is a {self.kind} task")
        if self.kind in {"classification", "multilabel"} and self.labels_are_known:
            fewest, most = (2, None) if self.kind == "classification" else (1, MOST_LABELS_AT_ONCE)
            if not (len(self.labels) == self.n_outputs >= fewest) or (most and len(self.labels) > most):
                bounds = f"{fewest} or more" if most is None else f"{fewest} to {most}"
                told = f"it has {len(self.labels)} labels and {self.n_outputs} outputs"
                raise PluginError(f"{told}; both are one number, {bounds}")
        if self.kind == "regression" and (self.labels or self.n_outputs != 1):
            raise PluginError(
                f"it is a regression with {len(self.labels)} labels and {self.n_outputs} outputs: it has none, and one"
            )

    @property
    def labels_are_known(self) -> bool:
        """Whether the data need not be read to know the labels."""
        return bool(self.labels or self.n_outputs) or self.kind not in {"classification", "multilabel"}

    @property
    def predicted_splits(self) -> tuple[str, ...]:
        """Every split but train: what each run predicts."""
        return tuple(split for split in self.splits if split != "train")

    @property
    def scored_splits(self) -> tuple[str, ...]:
        """Of the predicted splits, those with labels."""
        return tuple(split for split in self.predicted_splits if split in self.labelled_splits)


@dataclass(frozen=True)
class Places:
    """Where things lie on this machine: `data` as the user gave it (`--data`, else BAKEOFF_DATA), `cache` for our own, `beside`
    the folder of the experiment file."""

    data: Path | None
    cache: Path
    beside: Path = Path()


class Task(Component):
    """A dataset with its splits, features, metrics and primary metric."""

    kind = "task"

    @abstractmethod
    def info(self, options: Any) -> TaskInfo:
        """What the task is; no download, no torch."""

    def locate(self, options: Any, places: Places) -> None:
        """A look, within 3 s, whether the data can be had; raises DataError that says how to get it."""

    @abstractmethod
    def load(self, options: Any, places: Places) -> dict[str, Dataset]:
        """Every split. Columns: `id` (text, unique over all splits, stable), the text columns, `label` (of labelled splits),
        slice columns.

        The same rows come out whichever way the data was found. What a split's `info.description` says, line by line, the user
        is told before training.
        Raises DataError with file and line for damage.
        """

    def files(self, options: Any, places: Places) -> Mapping[str, Sequence[Path]] | None:
        """Split -> the files that its rows are read from, found without reading or downloading them; raises DataError where
        they can't be had.

        Their hashes go into records, so that `check`, `plan` and `run` see where one was changed after runs were recorded.
        `{}` for a task that reads none; None, the default, says that the task does not tell, and nothing is compared.
        """
        return None

    def sources(self) -> Mapping[str, str]:
        """Distributions whose contents the rows are made of, with their versions; they go into the data's fingerprint."""
        return {}

    def floor(self, info: TaskInfo, train_labels: Ints, references: Ints) -> dict[str, float]:
        """The scores, by metric, of always giving one answer: the training split's most frequent label (of a multi-label task,
        its most frequent set of labels), or its mean number."""
        if info.kind == "regression":
            answer = train_labels.mean()
        else:
            found, counts = np.unique(train_labels, return_counts=True)
            answer = found[counts.argmax()]
        constant = np.full_like(references, answer)
        return {metric.name: metric.score(constant, references) for metric in info.metrics}


# --- models --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoding:
    """How a recipe wants text encoded."""

    max_length: int
    padding: Literal["longest", "max_length"]


class Prepared(ABC):
    """A model's way from rows to tensors and back; needs no weights."""

    @abstractmethod
    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        """Text columns -> one mapping an example (`input_ids` and so on, lists of numbers, unpadded)."""

    def encoding_key(self) -> str | None:
        """All that `encode` hangs on beside the texts, as text; then its rows, lists of whole numbers, are made once and kept.

        None where that can't be told: then each run encodes anew.
        """
        return None

    def tokenizer_key(self) -> str | None:
        """All that `encode` and `collate` hang on beside the texts, the recipe and the versions of libraries, as text.

        Runs whose models have other keys are never averaged. None where that can't be told.
        """
        return None

    @abstractmethod
    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        """Encoded examples, with `labels` where there are any -> tensors (batch, length); a label is a number, or for
        multi-label a list of 0.0 and 1.0. Must be pure."""

    @abstractmethod
    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        """Logits (batch, n_outputs) of a collated batch without `labels`, already on the model's device."""

    def save(self, model: Any, folder: Path, labels: Sequence[str]) -> None:
        """Writes the trained model so that others can load it without bakeoff, as `keep: final` asks; `labels` are their names.

        Raises PluginError where that can't be done.
        """
        raise PluginError("this model does not know how to save itself: leave out `keep: final`")

    def answers_of_saved(self, folder: Path, columns: Mapping[str, Sequence[str]], device: Any) -> Any:
        """Loads what `save` wrote as somebody without bakeoff would; its logits (examples, n_outputs), an array of float32.

        With it the harness makes sure that a kept model gives the recorded predictions. Raises PluginError where that can't
        be done.
        """
        raise PluginError("this model knows how to save itself but not how to load what it saved: leave out `keep: final`")

    def how_to_load(self, folder: Path) -> str:
        """Lines of Python that load what `save` wrote and ask it one example: they go into the model's card."""
        return ""


@dataclass(frozen=True)
class Built:
    """A model ready to be adapted."""

    model: Any
    newly_initialised: tuple[str, ...]
    """Parameters that came from no checkpoint, by name."""
    head: HeadOrigin | None = None
    """Where the layer that gives the logits comes from; None where the model does not tell."""
    cautions: tuple[str, ...] = ()
    """Sentences on what nothing could decide (which label is which), said to the user before any run."""


class Model(Component):
    """What is fine-tuned, with its tokenizer."""

    kind = "model"

    def resolved(self, options: Any, places: Places) -> Any:
        """The options as this machine needs them: a path that is relative to the experiment file, made whole. What all other
        methods get; ids and records keep the options as they were written. Raises ModelError where a path can't be meant.
        """
        return options

    def locate(self, options: Any) -> None:
        """A look, within 3 s, whether the weights can be had; raises ModelError that says what is missing."""

    def files(self, options: Any) -> Mapping[str, Sequence[Path]] | None:
        """The files that the model is made from, found without reading or downloading them, by what they hold: `weights`,
        `tokenizer`, `configuration`; raises ModelError where they can't be had.

        As `Task.files`: `{}` for a model that reads none, None where it does not tell.
        """
        return None

    @abstractmethod
    def prepare(self, task: TaskInfo, options: Any, encoding: Encoding) -> Prepared:
        """The tokenizer's part."""

    @abstractmethod
    def build(self, task: TaskInfo, options: Any) -> Built:
        """The model with a fresh head; called after seeding. Safetensors only, remote code never."""


# --- methods -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that train alike."""

    names: tuple[str, ...]
    lr_scale: float
    weight_decay: float


@dataclass(frozen=True)
class Adaptation:
    """A model made ready for training: only the parameters in `groups` train."""

    model: Any
    groups: tuple[ParameterGroup, ...]
    lineage: tuple[str, ...] = ()
    """Other checkpoints that the trained parameters started from."""


class Method(Component):
    """Which parameters train, and how. The head always trains."""

    kind = "method"

    @abstractmethod
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        """Freezes, wraps or adds to `built.model`; random draws come from the run's `init` stream."""


# --- trainers ------------------------------------------------------------------------------------------------------------


class Signal(Enum):
    """What the harness wants of the trainer after a step or an epoch."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Supports:
    """What a trainer can do; `check` refuses the rest."""

    kinds: frozenset[TaskKind] = frozenset({"classification"})
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


Owned = frozenset[Literal["steps", "order", "randomness", "evaluation", "loss"]]


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

    def examine(self, model: Any, recipe: Recipe) -> None:
        """Raises ModelError where it can't train this adapted model; asked before any run, and of each run's own model."""

    @abstractmethod
    def fit(self, job: TrainingJob, options: Any) -> None:
        """Trains `job.model` in place by exactly `job.recipe`, `job.total_steps` optimizer steps or until a STOP."""

    def evaluating(self, model: Any) -> AbstractContextManager[None]:
        """While it is entered, the harness predicts; a trainer that knows a faster way to the same logits puts it in place.

        The harness compares a batch with the model's own forward pass. Weights may have changed since the last time.
        """
        return nullcontext()


COMPONENT_KINDS: Mapping[str, type[Component]] = {
    "task": Task,
    "model": Model,
    "method": Method,
    "trainer": Trainer,
}
