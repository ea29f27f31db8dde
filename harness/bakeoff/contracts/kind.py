"""What a kind of task is: all that differs between classification, regression and multi-label tasks.

The kinds themselves are in `bakeoff.kinds`, one file each. No other code branches on the kind: it calls
the methods of `Kind`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.metric import Answers, Floats
from bakeoff.contracts.returned import described
from bakeoff.errors import PluginError
from bakeoff.text.words import did_you_mean

Said = str | float | Sequence[str]
"""A label or an answer: the name of a label; a number in a regression; a list of names of labels in a multi-label task."""

MADE_UP = 60
"""How many random examples a metric is tried on before any run."""
SMALLEST = 1e-30
"""A smaller probability is raised to this before its logarithm is taken."""
OFF_BY = 1e-3
"""How far from 1 the sum of an example's probabilities may be, since scripts round them."""


@dataclass(frozen=True)
class OtherLabels:
    """How a run's answers compare with one constant answer to every example, the run's most frequent one. It shows whether the
    run collapsed (`statistics.collapse`)."""

    examples: int
    others: int
    """The number of examples whose answer is not the most frequent one."""
    nearer: int
    """The number of examples whose answer is nearer to the right one than the most frequent answer is."""
    by_chance: float
    """How many would be nearer on average if those `others` answers were dealt out to examples at random. NaN where `others`
    is above ten and above a tenth of the examples, since noise never makes so many."""
    telling: bool
    """Whether the labels can show if the run learned: they vary, and at least one answer is wrong."""


@dataclass(frozen=True)
class OtherNumbers:
    """How the answers of a run on a regression spread around their mean. It shows whether the run collapsed."""

    examples: int
    share: float
    """The variance of the answers over that of the labels; 0 where the answers do not vary, infinite where only they do."""
    correlation: float
    """Correlation of the answers with the labels; 0 where either does not vary."""
    telling: bool
    """Whether the labels can show if the run learned: they vary, and at least one answer is wrong."""


ONE_LABEL_ONLY: Mapping[str, str] = {
    "label_smoothing": "smooths between the labels of a classification",
    "class_weights": "weighs the labels of a classification",
    "sampling": "draws rows by the label of a classification",
}
"""`Kind.recipe_conflicts` of a kind in which an example does not have exactly one label."""


class Kind(ABC):
    """A kind of task: its labels, its loss, how a model's logits are turned into answers, and how each is described to a user.

    A subclass is a frozen dataclass without fields, so that two instances of it are equal. The defaults here suit kinds whose
    answers are label numbers. In shapes, n is the number of examples and n_outputs the number of a model's outputs.
    """

    name: ClassVar[str]
    """The kind's name in experiment files and records."""

    # --- labels and outputs ----------------------------------------------------------------------------------------------

    min_labels: ClassVar[int]
    max_labels: ClassVar[int | None]
    """How many labels a task of this kind may name; None for any number, 0 where answers are numbers and not labels."""
    labels_in_words: ClassVar[str]
    """The end of the error message of `check_outputs`: how many labels and outputs a task must have."""
    several_labels: ClassVar[bool] = False
    """Whether one example may have several labels, or none."""
    label_type: ClassVar[type[int] | type[float]] = int
    """The Python type of one example's label, as metrics get it."""
    arrow_type: ClassVar[str] = "int64"
    """The Arrow type of a label in predictions.parquet."""

    @property
    def has_labels(self) -> bool:
        """Whether answers are labels with names; False where they are numbers, as in a regression."""
        return self.max_labels != 0

    def n_outputs(self, n_labels: int) -> int:
        """The number of outputs of the model for a task with n_labels labels."""
        return n_labels

    def allows(self, n_labels: int) -> bool:
        """Whether a task of this kind may have n_labels labels."""
        return self.min_labels <= n_labels and (self.max_labels is None or n_labels <= self.max_labels)

    def check_outputs(self, n_labels: int, n_outputs: int) -> None:
        """Raises PluginError unless a task of this kind may have these numbers of labels and outputs."""
        if not self.allows(n_labels) or n_outputs != self.n_outputs(n_labels):
            raise PluginError(f"it has {n_labels} labels and {n_outputs} outputs: {self.labels_in_words}")

    # --- labels in data --------------------------------------------------------------------------------------------------

    def read_labels(self, labels: Sequence[Any], n_outputs: int) -> Sequence[Any]:
        """Converts a split's column `label`, as the task loaded it, to the labels that metrics take, each a `label_type`.

        Raises DataError for a value of another type. Whether a value is in range is checked later, by `possible`.
        """
        return labels

    @abstractmethod
    def possible(self, labels: NDArray[Any], n_outputs: int) -> NDArray[np.bool_]:
        """Whether each of the labels, (n,), can occur in a task whose model has n_outputs outputs: (n,) booleans."""

    @abstractmethod
    def impossible_in_words(self, n_outputs: int) -> str:
        """What an error message says of a label that cannot occur, after "label ... is": `not one of 0 to 3` for 4 outputs."""

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
        """A label as text for a user: its name."""
        return str(names[label])

    def named(self, label: Any, names: Sequence[str]) -> Said:
        """A label as plain JSON, as a trainer that owns its model gets it: its name."""
        return str(names[label])

    def read_answer(self, said: Any, names: Sequence[str]) -> Any:
        """The inverse of `named`: converts an answer to the form that metrics take. Raises ValueError, whose message is the end
        of a sentence, for what is no answer."""
        return number_of(said, names)

    def logits_of(self, answer: Any, n_outputs: int) -> list[float]:
        """Stand-in logits, n_outputs numbers, for an answer without scores: 1.0 for its label, 0.0 for the other labels."""
        return [float(number == answer) for number in range(n_outputs)]

    def logits_of_scores(self, scores: Sequence[float], answer: Any) -> list[float]:
        """Logits, n_outputs numbers, that give these probabilities and this answer. scores: the probability of each label, in
        [0, 1]. Raises ValueError, whose message is the end of a sentence, where the probabilities can't go together, or imply
        another answer."""
        raise ValueError(f"has scores, and {self.answers_in_words} have none: leave `scores` out")

    def slice_labels(self, labels: NDArray[Any]) -> NDArray[Any] | None:
        """The label number of each example, (n,), by which scores can be broken down; None where an example may have several
        labels or none."""
        return None

    # --- training --------------------------------------------------------------------------------------------------------

    problem_type: ClassVar[str]
    """`problem_type` in a transformers configuration, by which its pipelines interpret logits."""
    recipe_conflicts: ClassVar[Mapping[str, str]] = {}
    """Recipe key that must keep its default in tasks of this kind -> why, as the end of a message."""

    def targets(self, labels: Sequence[Any], n_outputs: int) -> Sequence[Any]:
        """Converts (n,) labels, as metrics get them, to the n targets that `mean_loss` takes."""
        return labels

    @abstractmethod
    def mean_loss(self, logits: Any, targets: Any, *, label_smoothing: float = 0.0, class_weights: Any = None) -> Any:
        """The mean loss of a batch, a scalar tensor. logits: (batch, n_outputs); targets: a tensor of what `targets`
        returned; class_weights: (n_outputs,), by which the loss of a row with that label is multiplied, or None."""

    # --- answers ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def answers(self, logits: Any) -> Answers:
        """Turns logits, (n, n_outputs), into the model's answers, (n,)."""

    def probabilities(self, logits: Any) -> Floats | None:
        """Turns logits into probabilities, (n, n_outputs), that sum to 1 for each example; None for a kind without
        probabilities."""
        return None

    def compact(self, answers: Answers, n_outputs: int) -> NDArray[Any]:
        """The answers, (n,), in the smallest dtype that can hold any answer of this kind, because those of all runs are in
        memory at once."""
        return answers

    def has_label(self, answers: Answers, number: int) -> NDArray[np.bool_]:
        """Whether each answer, (n,), has the label with this number: (n,) booleans."""
        return np.asarray(answers == number)

    def only_label(self, number: int) -> int:
        """The answer that has the label with this number and no other."""
        return number

    def micro_f1_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        """Numerator and denominator of the micro-averaged F1 for each example, both (n,).

        Where each example has exactly one label and one answer, this F1 equals the accuracy.
        """
        return (predictions == references).astype(np.float64), np.ones(len(references))

    def majority(self, labels: NDArray[Any]) -> Any:
        """The constant answer of the majority baseline: the most frequent of `labels`, (n,) with n of 1 or more."""
        found, counts = np.unique(labels, return_counts=True)
        return found[counts.argmax()]

    def errors(self, answers: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        """The distance of each answer, (n,), from its label; 0 where the answer is right."""
        return np.asarray(answers != labels)

    def nearly_constant(self, answers: NDArray[Any], most: int) -> NDArray[np.bool_]:
        """Whether a run may have collapsed, (K,), from (K, N) answers of K runs: no more than `most` answers differ from its
        most frequent one."""
        least = answers.shape[1] - most
        values, counts = np.unique(answers, return_counts=True)
        found = [(answers == value).sum(axis=1) >= least for value in values[counts >= least]]
        return np.logical_or.reduce(found, axis=0) if found else np.zeros(len(answers), np.bool_)

    def beside_constant(self, answers: NDArray[Any], labels: NDArray[Any]) -> OtherLabels | OtherNumbers:
        """How a run's answers, (n,), differ from one constant answer; `statistics.collapse` judges whether by noise only."""
        values, counts = np.unique(answers, return_counts=True)
        constant = values[counts.argmax()]
        missed, errors = self.errors(np.full_like(answers, constant), labels), self.errors(answers, labels)
        nearer = errors < missed
        others = int((answers != constant).sum())
        few = others <= max(10, len(answers) // 10)
        dealt = (
            count * float((self.errors(np.full_like(answers, value), labels) < missed).mean())
            for value, count in zip(values, counts, strict=True)
            if value != constant
        )
        telling = bool((labels != labels[0]).any() and errors.any())
        return OtherLabels(len(answers), others, int(nearer.sum()), float(sum(dealt)) if few else math.nan, telling)

    @abstractmethod
    def made_up_answers(self, draw: np.random.Generator, n_outputs: int) -> Iterator[tuple[Answers, Answers]]:
        """Random pairs (predictions, references), each (MADE_UP,), on which metrics are tried before any run."""

    # --- metrics and words -----------------------------------------------------------------------------------------------

    default_metrics: ClassVar[tuple[str, ...]]
    """Names of the metrics of a task for which none were chosen; the first is primary."""
    overall_metrics: ClassVar[tuple[str, ...]] = ()
    """Metrics over all labels, which messages suggest in place of a metric of a single label."""
    answers_in_words: ClassVar[str] = "labels"
    majority_in_words: ClassVar[str] = "the label that is most frequent in training"

    def __str__(self) -> str:
        return self.name


def number_of(said: Any, names: Sequence[str]) -> int:
    """The number of the label with this name. Raises ValueError, whose message is the end of a sentence, for any other
    value."""
    if not isinstance(said, str):
        raise ValueError(f"is {described(said)}, and must be the name of a label, a text")
    if said not in names:
        raise ValueError(f"is unknown: {did_you_mean('label', said, names)}")
    return names.index(said)


def log_of(probability: float) -> float:
    """The logarithm of a probability, finite for 0 too."""
    return math.log(max(probability, SMALLEST))


def above(limit: float) -> float:
    """The smallest float32 above the limit; predictions.parquet stores float32."""
    return float(np.nextafter(np.float32(limit), np.float32(np.inf)))
