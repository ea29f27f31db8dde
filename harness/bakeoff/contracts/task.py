"""The contracts: what a task, a model, a method and a trainer give, and the job that a trainer is handed.

Everything here is free of torch, so that listing and checking components starts at once. A component imports what trains
(torch, transformers, datasets, evaluate) inside the methods that need it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.contracts.component import Component
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Ints, Metric
from bakeoff.contracts.versions import refuse_old_methods
from bakeoff.errors import DataError, PluginError
from bakeoff.text.words import quoted

if TYPE_CHECKING:
    from datasets import Dataset

Row = Mapping[str, Any]


# --- tasks ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """What a task is, told without loading it."""

    kind: Kind
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
        if not isinstance(self.kind, Kind):
            raise PluginError(
                f"its kind is {quoted(self.kind)}; it must be a kind of task, not its name: CLASSIFICATION, REGRESSION or "
                "MULTILABEL of bakeoff.plugin"
            )
        if self.positive is not None and self.labels and self.positive not in self.labels:
            raise PluginError(f"its positive label {quoted(self.positive)} is none of its labels")
        for metric in self.metrics:
            refuse_old_methods(metric)
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
            if metric.kinds is not None and self.kind.name not in metric.kinds:
                scored = " and ".join(sorted(metric.kinds))
                raise PluginError(f"metric {quoted(metric.name)} scores {scored}, and it is a {self.kind} task")
        if self.labels_are_known:
            self.kind.check_outputs(len(self.labels), self.n_outputs)

    @property
    def labels_are_known(self) -> bool:
        """Whether the data need not be read to know the labels."""
        return bool(self.labels or self.n_outputs) or not self.kind.has_labels

    @property
    def predicted_splits(self) -> tuple[str, ...]:
        """Every split but train: what each run predicts."""
        return tuple(split for split in self.splits if split != "train")

    @property
    def scored_splits(self) -> tuple[str, ...]:
        """Of the predicted splits, those with labels."""
        return tuple(split for split in self.predicted_splits if split in self.labelled_splits)


@dataclass(frozen=True)
class Paths:
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

    def check_available(self, options: Any, places: Paths) -> None:
        """A look, within 3 s, whether the data can be had; raises DataError that says how to get it."""

    @abstractmethod
    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        """Every split. Columns: `id` (text, unique over all splits, stable), the text columns, `label` (of labelled splits),
        slice columns.

        The same rows come out whichever way the data was found. What a split's `info.description` says, line by line, the user
        is told before training.
        Raises DataError with file and line for damage.
        """

    def files(self, options: Any, places: Paths) -> Mapping[str, Sequence[Path]] | None:
        """Split -> the files that its rows are read from, found without reading or downloading them; raises DataError where
        they can't be had.

        Their hashes go into records, so that `check`, `plan` and `run` see where one was changed after runs were recorded.
        `{}` for a task that reads none; None, the default, says that the task does not tell, and nothing is compared.
        """
        return None

    def source_versions(self) -> Mapping[str, str]:
        """Distributions whose contents the rows are made of, with their versions; they go into the data's fingerprint."""
        return {}

    def majority_baseline(self, info: TaskInfo, train_labels: Ints, references: Ints) -> dict[str, float]:
        """The scores, by metric, of always giving one answer: the training split's most frequent label (of a multi-label task,
        its most frequent set of labels), or its mean number."""
        constant = np.full_like(references, info.kind.majority(train_labels))
        return {metric.name: metric.score(constant, references) for metric in info.metrics}


# --- models --------------------------------------------------------------------------------------------------------------


# --- methods -------------------------------------------------------------------------------------------------------------


# --- trainers ------------------------------------------------------------------------------------------------------------
