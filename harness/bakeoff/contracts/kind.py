"""What a kind of task is: all that differs between classification, regression and multi-label tasks.

The kinds themselves are in `bakeoff.kinds`, one file each. No other code asks which kind a task is of: it asks the kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.metric import Answers, Floats
from bakeoff.errors import PluginError

MADE_UP = 60
"""The number of made-up examples that a metric is tried on."""


class Kind(ABC):
    """A kind of task: its labels, its loss, the answers read from a model's logits, and how all of them are described.

    A subclass is a frozen dataclass without fields, so that two of one class are equal. What stands here holds where an answer
    is the number of a label. n is a count of examples, n_outputs that of a model's outputs.
    """

    name: ClassVar[str]
    """The kind's name in experiment files and records."""

    # --- labels and outputs ----------------------------------------------------------------------------------------------

    min_labels: ClassVar[int]
    max_labels: ClassVar[int | None]
    """How many labels a task of this kind may name; None for any number, 0 where answers are numbers and not labels."""
    labels_in_words: ClassVar[str]
    """The end of an error message: how many labels and outputs a task must have."""
    several_labels: ClassVar[bool] = False
    """Whether one example may have several labels, or none."""
    label_type: ClassVar[type[int] | type[float]] = int
    """The type of a label, as metrics get it."""
    arrow_type: ClassVar[str] = "int64"
    """The Arrow type of a label in predictions.parquet."""

    @property
    def has_labels(self) -> bool:
        """Whether answers are labels, which have names; else they are numbers."""
        return self.max_labels != 0

    def n_outputs(self, n_labels: int) -> int:
        """How many outputs the model of a task with so many labels has."""
        return n_labels

    def allows(self, n_labels: int) -> bool:
        """Whether a task of this kind may have so many labels."""
        return self.min_labels <= n_labels and (self.max_labels is None or n_labels <= self.max_labels)

    def check_outputs(self, n_labels: int, n_outputs: int) -> None:
        """Raises PluginError unless a task of this kind may have so many labels and outputs."""
        if not self.allows(n_labels) or n_outputs != self.n_outputs(n_labels):
            raise PluginError(f"it has {n_labels} labels and {n_outputs} outputs: {self.labels_in_words}")

    # --- labels in data --------------------------------------------------------------------------------------------------

    def read_labels(self, labels: Sequence[Any], n_outputs: int) -> Sequence[Any]:
        """A split's column `label`, as its task loads it -> as metrics get it, one `label_type` an example.

        Raises DataError for what can't be read as one. Which values are possible is asked of `possible`.
        """
        return labels

    @abstractmethod
    def possible(self, labels: NDArray[Any], n_outputs: int) -> NDArray[np.bool_]:
        """(n,) labels as metrics get them -> (n,) whether each is possible for a model with n_outputs outputs."""

    @abstractmethod
    def impossible_in_words(self, n_outputs: int) -> str:
        """The end of a message about an impossible label, after "is": `none of 0 to 3`."""

    def first_impossible(self, labels: Sequence[Any], n_outputs: int) -> int | None:
        """Index of the first label that is not of `label_type` or not possible; None where there is none."""
        wrong = next((place for place, label in enumerate(labels) if type(label) is not self.label_type), None)
        if wrong is None and not (possible := self.possible(np.asarray(labels), n_outputs)).all():
            return int(possible.argmin())
        return wrong

    def label_counts(self, labels: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
        """Label name -> number of examples with that label, in the order of `names`; {} where answers are not labels."""
        counts = Counter(labels)
        return {name: counts[number] for number, name in enumerate(names)}

    def label_in_words(self, label: Any, names: Sequence[str]) -> str:
        """A label in words: its name."""
        return str(names[label])

    def slice_labels(self, labels: NDArray[Any]) -> NDArray[Any] | None:
        """(n,) label numbers by which scores can be broken down; None where examples do not have exactly one label each."""
        return None

    # --- training --------------------------------------------------------------------------------------------------------

    problem_type: ClassVar[str]
    """`problem_type` in a transformers configuration, by which its pipelines interpret logits."""
    recipe_conflicts: ClassVar[Mapping[str, str]] = {}
    """Recipe key without a meaning for this kind of task, which must keep its default -> the reason."""

    def targets(self, labels: Sequence[Any], n_outputs: int) -> Sequence[Any]:
        """(n,) labels as metrics get them -> n targets of `mean_loss`."""
        return labels

    @abstractmethod
    def mean_loss(self, logits: Any, targets: Any, *, label_smoothing: float = 0.0) -> Any:
        """The mean loss of a batch, a scalar tensor: `logits` (batch, n_outputs), `targets` a tensor made of `targets`."""

    # --- answers ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def answers(self, logits: Any) -> Answers:
        """(n, n_outputs) logits -> (n,) the model's answers."""

    def probabilities(self, logits: Any) -> Floats | None:
        """(n, n_outputs) probabilities that sum to 1 in each example; None where the logits give none."""
        return None

    def compact(self, answers: Answers, n_outputs: int) -> NDArray[Any]:
        """The same answers in the smallest type that holds all of this kind, since those of all runs are in memory at once."""
        return answers

    def has_label(self, answers: Answers, number: int) -> NDArray[np.bool_]:
        """(n,) whether each answer has the label of this number."""
        return np.asarray(answers == number)

    def only_label(self, number: int) -> int:
        """The answer that has the label of this number and no other."""
        return number

    def micro_f1_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        """Numerator and denominator of the F1 over all labels together, each (n,).

        Where each example has one label and gets one answer, that is the accuracy.
        """
        return (predictions == references).astype(np.float64), np.ones(len(references))

    def majority(self, labels: NDArray[Any]) -> Any:
        """The constant answer of the majority baseline: the most frequent of these labels, (n,) with n at least 1."""
        found, counts = np.unique(labels, return_counts=True)
        return found[counts.argmax()]

    @abstractmethod
    def made_up_answers(self, draw: np.random.Generator, n_outputs: int) -> Iterator[tuple[Answers, Answers]]:
        """Pairs of predictions and references, each (MADE_UP,), on which a metric is tried."""

    # --- metrics and words -----------------------------------------------------------------------------------------------

    default_metrics: ClassVar[tuple[str, ...]]
    """Names of the metrics of a task for which none were chosen; the first is primary."""
    overall_metrics: ClassVar[tuple[str, ...]] = ()
    """Names of metrics of all labels, offered in place of one that is about a single label."""
    answers_in_words: ClassVar[str] = "labels"
    majority_in_words: ClassVar[str] = "the label that is most frequent in training"

    def __str__(self) -> str:
        return self.name
