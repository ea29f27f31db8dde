"""Multi-label: each example has any number of labels, or none.

A set of labels is stored as an integer whose bit i says whether label i is in the set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.kind import MADE_UP, ONE_LABEL_ONLY, Kind, Said, above, log_of, number_of
from bakeoff.contracts.metric import Answers, Floats, Ints
from bakeoff.contracts.returned import described
from bakeoff.errors import DataError
from bakeoff.text.words import quoted

MAX_LABELS = 62
"""The most labels of a task: their set fits into a signed 64-bit integer, with one bit to spare."""


@dataclass(frozen=True)
class Multilabel(Kind):
    """An answer is the set of labels whose logits are above 0. The loss is the binary cross-entropy, averaged over labels."""

    name = "multilabel"
    min_labels, max_labels = 1, MAX_LABELS
    labels_in_words = f"it must have as many outputs as labels, 1 to {MAX_LABELS}"
    several_labels = True
    problem_type = "multi_label_classification"
    recipe_conflicts: ClassVar[Mapping[str, str]] = ONE_LABEL_ONLY
    default_metrics = ("micro_f1", "label_f1", "accuracy")
    overall_metrics = ("label_f1", "micro_f1")
    answers_in_words = "sets of labels"

    def read_labels(self, labels: Sequence[Any], n_outputs: int) -> Sequence[Any]:
        """Converts each example's list of label numbers to a set, an integer. Raises DataError for anything else."""
        return [_set_of(members, n_outputs, row) for row, members in enumerate(labels)]

    def possible(self, labels: NDArray[Any], n_outputs: int) -> NDArray[np.bool_]:
        return np.asarray((labels >= 0) & (labels < 2**n_outputs))

    def impossible_in_words(self, n_outputs: int) -> str:
        return f"not one of 0 to {2**n_outputs - 1}"

    def label_counts(self, labels: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
        """Label name -> number of examples whose set has the label: an example counts once for each of its labels."""
        counted = memberships(np.asarray(labels), len(names)).sum(axis=0)
        return {name: int(count) for name, count in zip(names, counted, strict=True)}

    def label_in_words(self, label: Any, names: Sequence[str]) -> str:
        members = memberships(np.asarray([label]), len(names))[0]
        return ", ".join(name for name, member in zip(names, members, strict=True) if member) or "none"

    def named(self, label: Any, names: Sequence[str]) -> Said:
        """The names of the labels in a set, in the task's order."""
        members = memberships(np.asarray([label]), len(names))[0]
        return [name for name, member in zip(names, members, strict=True) if member]

    def read_answer(self, said: Any, names: Sequence[str]) -> Any:
        """The set of labels with these names. Raises ValueError, a sentence, for unknown names, and for a name given twice."""
        if isinstance(said, str) or not isinstance(said, Collection) or isinstance(said, Mapping):
            raise ValueError(f"is {described(said)}, and must be a list of names of labels, which may be empty")
        members = [number_of(name, names) for name in said]
        if len(set(members)) < len(members):
            raise ValueError("names a label twice")
        return sum(1 << number for number in members)

    def logits_of(self, answer: Any, n_outputs: int) -> list[float]:
        """For each label, 1.0 if it is in the answer and -1.0 if not."""
        return [1.0 if member else -1.0 for member in memberships(np.asarray([answer]), n_outputs)[0]]

    def logits_of_scores(self, scores: Sequence[float], answer: Any) -> list[float]:
        """The log-odds of the scores. Raises ValueError, a sentence, unless the answer has every label whose score is above
        0.5, and none whose score is below."""
        logits = [log_of(score) - log_of(1 - score) for score in scores]
        for number, member in enumerate(memberships(np.asarray([answer]), len(scores))[0]):
            if (scores[number] < 0.5) if member else (scores[number] > 0.5):
                raise ValueError("must have exactly the labels whose score is above 0.5: answer those, or leave `scores` out")
            if member and np.float32(logits[number]) <= 0:
                logits[number] = above(0.0)
            elif not member:
                logits[number] = min(logits[number], 0.0)
        return logits

    def targets(self, labels: Sequence[Any], n_outputs: int) -> Sequence[Any]:
        """For each example a list of n_outputs numbers, 1.0 for labels in its set and 0.0 for the others."""
        return [[float(member) for member in row] for row in memberships(np.asarray(labels), n_outputs)]

    def mean_loss(self, logits: Any, targets: Any, *, label_smoothing: float = 0.0, class_weights: Any = None) -> Any:
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(logits.float(), targets)

    def answers(self, logits: Any) -> Answers:
        """The set of labels whose probability is above 0.5, for each example."""
        return label_sets(logits > 0)

    def has_label(self, answers: Answers, number: int) -> NDArray[np.bool_]:
        return ((_as_ints(answers) >> number) & 1).astype(bool)

    def only_label(self, number: int) -> int:
        return 1 << number

    def errors(self, answers: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        """For each example, how many labels are either in its answer or in its label set, but not in both."""
        return np.asarray(np.bitwise_count(_as_ints(answers) ^ _as_ints(labels)), dtype=np.int64)

    def micro_f1_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        """Of each example, 2 TP and 2 TP + FP + FN, counted over labels: numerator and denominator of F1."""
        predicted, actual = _as_ints(predictions), _as_ints(references)
        both = np.bitwise_count(predicted & actual).astype(np.float64)
        return 2.0 * both, np.bitwise_count(predicted).astype(np.float64) + np.bitwise_count(actual)

    def made_up_answers(self, draw: np.random.Generator, n_outputs: int) -> Iterator[tuple[Answers, Answers]]:
        """Random sets as labels, with random sets as predictions, and with predictions that are always the empty set."""
        references = draw.integers(1 << n_outputs, size=MADE_UP)
        yield draw.integers(1 << n_outputs, size=MADE_UP), references
        yield np.zeros_like(references), references


MULTILABEL = Multilabel()


def label_sets(members: Any) -> Ints:
    """Converts memberships, (n, n_outputs) of True or False, to sets, (n,) integers."""
    bits = np.left_shift(np.int64(1), np.arange(members.shape[1], dtype=np.int64))
    return np.asarray(np.asarray(members, dtype=bool) @ bits, dtype=np.int64)


def memberships(sets: Any, n_outputs: int) -> NDArray[np.bool_]:
    """The inverse of `label_sets`: sets (n,) -> (n, n_outputs) of True or False."""
    return np.asarray((_as_ints(sets)[:, None] >> np.arange(n_outputs, dtype=np.int64)) & 1, dtype=bool)


def _as_ints(answers: Any) -> Ints:
    return np.asarray(answers, dtype=np.int64)


def _set_of(labels: Any, n_outputs: int, row: int) -> int:
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < n_outputs for label in labels):
        raise DataError(f"row {row}: labels {quoted(labels)} are not a list of numbers from 0 to {n_outputs - 1}")
    return sum(1 << label for label in set(labels))
