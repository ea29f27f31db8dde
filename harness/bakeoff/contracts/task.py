"""The contract of a task: its description, its data, and where they come from.

No contract imports torch, so that listing and checking components is quick. A component imports what trains (torch,
transformers, datasets, evaluate) inside the methods that need it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bakeoff.contracts.component import Component
from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Ints, Metric
from bakeoff.contracts.versions import refuse_old_methods
from bakeoff.errors import DataError, PluginError
from bakeoff.text.words import quoted

if TYPE_CHECKING:
    from datasets import Dataset

Row = Mapping[str, Any]


@dataclass(frozen=True)
class NewRows:
    """Rows that a trained model is asked about."""

    ids: Sequence[str]
    texts: Mapping[str, Sequence[str]]
    """Text column -> a text for each row."""
    notes: tuple[str, ...] = ()
    """Sentences about the rows for the user."""


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """The description of a task, given without loading its data. Raises PluginError where it contradicts itself."""

    kind: Kind
    text_columns: tuple[str, ...]
    """One or two columns of the dataset: the texts that the model reads."""
    labels: tuple[str, ...]
    """Names of the labels. The dataset's column `label` holds their numbers, 0 to n - 1; in a multi-label task a list of them.

    Empty for a regression, and where the labels are known only from the data: then the column `label` of train has the type
    `datasets.ClassLabel`, or a list of it, which holds the names.
    """
    n_outputs: int
    """Outputs of the model: one for each label, 1 for a regression, 0 where the labels are known only from the data."""
    metrics: tuple[Metric, ...]
    primary_metric: str
    """Name of the metric by which strategies are compared."""
    splits: tuple[str, ...]
    """All splits, `train` first."""
    labelled_splits: tuple[str, ...]
    """Splits whose rows have labels, `train` among them. All others are predicted but not scored."""
    slice_columns: tuple[str, ...] = ()
    """Columns of the dataset by whose values scores may be broken down."""
    hidden_splits: tuple[str, ...] = ()
    """Splits whose labels are not public: never loaded, and refused in `report_on`."""
    held_out: Mapping[str, float] = field(default_factory=dict)
    """Split that the option `split` makes of rows of train -> the share of rows that was asked for, from 0 to 1."""
    positive: str | None = None
    """The positive class of F1, precision and recall, unless the experiment file names another; None where there is none."""

    @property
    def primary(self) -> Metric:
        """The metric by which strategies are compared."""
        return next(metric for metric in self.metrics if metric.name == self.primary_metric)

    def __post_init__(self) -> None:
        """Checks that the parts agree, and fits the metrics to the labels: `f1` becomes `f1 (spam)`."""
        if not isinstance(self.kind, Kind):
            raise PluginError(
                f"its kind is {quoted(self.kind)}; it must be a kind of task, not its name: CLASSIFICATION, REGRESSION or "
                "MULTILABEL of bakeoff.plugin"
            )
        if self.positive is not None and self.labels and self.positive not in self.labels:
            raise PluginError(f"its positive label {quoted(self.positive)} is not one of its labels")
        for metric in self.metrics:
            refuse_old_methods(metric)
        fitted = [(metric.name, metric.fitted(self.kind, self.labels, self.positive)) for metric in self.metrics]
        first = next((parts for name, parts in fitted if name == self.primary_metric), ())
        if len(first) > 1:
            raise DataError(
                f"metric {quoted(self.primary_metric)} gives one score for each class, so that it can't be the primary one: "
                "list another metric first"
            )
        if first:
            object.__setattr__(self, "primary_metric", first[0].name)
        object.__setattr__(self, "metrics", tuple(metric for _, parts in fitted for metric in parts))
        names = [metric.name for metric in self.metrics]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DataError(f"metric {quoted(twice)} appears twice among its metrics")
        if self.primary_metric not in names:
            raise PluginError(
                f"its primary metric {quoted(self.primary_metric)} is not one of its metrics ({', '.join(names)})"
            )
        if "train" not in self.labelled_splits or not set(self.labelled_splits) <= set(self.splits):
            raise PluginError("its labelled splits must be among its splits, and must include train")
        for metric in self.metrics:
            if metric.kinds is not None and self.kind.name not in metric.kinds:
                scored = " and ".join(sorted(metric.kinds))
                raise PluginError(f"metric {quoted(metric.name)} is for {scored} tasks, and this is a {self.kind} task")
        if self.labels_are_known:
            self.kind.check_outputs(len(self.labels), self.n_outputs)

    @property
    def labels_are_known(self) -> bool:
        """Whether the labels are known without reading the data."""
        return bool(self.labels or self.n_outputs) or not self.kind.has_labels

    @property
    def predicted_splits(self) -> tuple[str, ...]:
        """Every split but train; each run predicts them."""
        return tuple(split for split in self.splits if split != "train")

    @property
    def scored_splits(self) -> tuple[str, ...]:
        """The predicted splits that have labels."""
        return tuple(split for split in self.predicted_splits if split in self.labelled_splits)


@dataclass(frozen=True)
class Paths:
    """Folders on this machine, for tasks, models and trainers.

    data: the user's data (`--data`, else BAKEOFF_DATA; None where neither is given). cache: files that can be made again.
    beside: the folder of the experiment file. given: files of the rows that were passed to `bakeoff.run` from Python (None
    where there are none). named: data folder's name in experiment files -> folder (`--data NAME=PATH`, else the user's
    configuration).
    """

    data: Path | None
    cache: Path
    beside: Path = Path()
    given: Path | None = None
    named: Mapping[str, Path] = field(default_factory=dict)

    def data_named(self, name: str) -> Path | None:
        """The data folder with this name; `data` if no folder has it."""
        return self.named.get(name, self.data)


class Task(Component):
    """A dataset with its splits, labels and metrics."""

    kind = "task"
    takes_rows: ClassVar[bool] = False
    """Whether its options `train`, `dev` and `test` name files with rows. Then rows may be passed from Python as well:
    `bakeoff.run` stores them as Parquet files, and sets these options to those files."""

    @abstractmethod
    def info(self, options: Any) -> TaskInfo:
        """The task's description under these options, without a download and without importing torch."""

    def check_available(self, options: Any, places: Paths) -> None:
        """Checks within 3 s that the data are available. Raises DataError that says how to get them."""

    @abstractmethod
    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        """Every split of `info`, by name, as a `datasets.Dataset`.

        Columns: `id` (a text, unique over all splits, the same at every load), the text columns, `label` (in labelled splits),
        the slice columns. The rows must be the same wherever the data come from. Each line of a split's `info.description` is
        reported to the user before training. Raises DataError with file and line for damaged data.
        """

    def files(self, options: Any, places: Paths) -> Mapping[str, Sequence[Path]] | None:
        """Split -> the files that its rows are read from, found without reading or downloading them. Raises DataError where
        they are not available.

        Their hashes are recorded, so that `check`, `plan` and `run` notice a file that changed after runs were recorded.
        `{}` for a task that reads no files; None, the default, where they are not known: then no files are compared.
        """
        return None

    def row_columns(self, options: Any) -> Sequence[str]:
        """The columns that the task reads from its files. Of rows that are passed from Python (`takes_rows`), only these are
        stored."""
        return ()

    def read_rows(self, options: Any, path: Path, places: Paths) -> NewRows | None:
        """Reads the texts of new rows, without labels, for `bakeoff predict`, from a file like the task's own files.

        None, the default: the harness reads the file itself, as CSV, TSV, JSON lines or Parquet whose columns have the names of
        `info`'s text columns. Raises DataError with file and line for a damaged file.
        """
        return None

    def hub_dataset(self, options: Any) -> HubDataset | None:
        """The dataset on the hub that has the rows of the task under these options, so that published results link there;
        None, the default, where there is none. Only a split whose rows are all of the hub's split, and no others, is in its
        `splits`."""
        return None

    def source_versions(self) -> Mapping[str, str]:
        """Distributions whose contents the rows come from, with their versions; they are part of the data's fingerprint."""
        return {}

    def majority_baseline(self, info: TaskInfo, train_labels: Ints, references: Ints) -> dict[str, float]:
        """Metric name -> the score of one constant answer: the most frequent label of train, in a multi-label task its most
        frequent set of labels, in a regression its mean.

        train_labels: (n,). references: (n,), the labels of the scored split.
        """
        constant = np.full_like(references, info.kind.majority(train_labels))
        return {metric.name: metric.score(constant, references) for metric in info.metrics}
