"""The built-in metrics, computed by numpy alone. Each docstring says what the score is where its denominator is 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bakeoff.contracts.each_class import EACH, of_class
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Answers, BuiltIn, Floats, Metric, Ratio
from bakeoff.contracts.unit import CORRELATION, Unit
from bakeoff.errors import DataError
from bakeoff.text.values import yaml_value
from bakeoff.text.words import did_you_mean, quoted


class Accuracy(Ratio):
    """Accuracy: the share of right predictions. A multi-label prediction is right if its whole set of labels is."""

    name = "accuracy"
    kinds = frozenset({"classification", "multilabel"})

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return (predictions == references).astype(np.float64), np.ones(len(references))


class OfOneLabel(Ratio):
    """A ratio about one label, such as `f1 (spam)`. The label is given by name, by number, or by the task's `positive`."""

    kinds = frozenset({"classification", "multilabel"})

    def __init__(self, positive: str | int | None = None) -> None:
        self.positive = positive
        self.number = None if positive is None or isinstance(positive, str) else int(positive)
        """The label's number; None until `fitted` finds it by the name."""
        self.kind: Kind | None = None
        """The task's kind; while it is None, answers are taken for label numbers."""
        if isinstance(positive, str):
            self.name = of_class(type(self).name, positive)

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        wanted = positive if self.positive is None else self.positive
        if kind.name in self.kinds and wanted is None:
            classes = ", ".join(map(quoted, labels[:10])) + (", ..." if len(labels) > 10 else "")
            raise DataError(
                f"metric '{self.name}' is about one class, and none is named: write {_of_class(self.name, labels)}, "
                f"{{name: {self.name}, of: each}}, {', '.join(kind.overall_metrics)}"
                + (f" (the classes are {classes})" if labels else "")
            )
        if not labels or kind.name not in self.kinds or wanted is None:
            return (type(self)(wanted),)
        if isinstance(wanted, str) and wanted not in labels:
            raise DataError(f"metric '{type(self).name}': {did_you_mean('label', wanted, labels)}")
        number = labels.index(wanted) if isinstance(wanted, str) else wanted
        if number >= len(labels):
            raise DataError(f"metric '{self.name}' is of label {number}, and the task's {len(labels)} labels count from 0")
        return (self.numbered(number, of_class(type(self).name, labels[number]), kind, positive=labels[number]),)

    @classmethod
    def numbered(cls, number: int, name: str, kind: Kind, *, positive: str | int | None = None) -> OfOneLabel:
        """The metric of the label with this number, in a task of this kind. name: its full name, as in a record: `f1 (spam)`.
        positive: the label's name, if it is known."""
        metric = cls(number if positive is None else positive)
        metric.number, metric.kind, metric.name = number, kind, name
        return metric

    def memberships(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats, Floats]:
        """Three arrays (n,) of 0.0 and 1.0: whether the label is predicted, whether the example has it, and both.

        Raises DataError where the label's number is not known.
        """
        if self.number is None:
            raise DataError(f"metric '{self.name}' is about one label, and has not been fitted to a task: call `fitted`")
        has_label = np.equal if self.kind is None else self.kind.has_label
        predicted, actual = has_label(predictions, self.number), has_label(references, self.number)
        return predicted.astype(np.float64), actual.astype(np.float64), (predicted & actual).astype(np.float64)


def _of_class(metric: str, labels: Sequence[str]) -> str:
    """How to write a metric of one class in an experiment file: `{name: f1, positive: spam}`, with the first of the labels, or
    `CLASS` where none is known."""
    return yaml_value({"name": metric, "positive": labels[0] if labels else "CLASS"})


class F1(OfOneLabel):
    """F1 of one label, 2 TP / (2 TP + FP + FN); 0 where no example has the label and it is never predicted."""

    name = "f1"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        predicted, actual, both = self.memberships(predictions, references)
        return 2.0 * both, predicted + actual


class Precision(OfOneLabel):
    """Precision of one label, TP / (TP + FP); 0 where it is never predicted."""

    name = "precision"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        predicted, _, both = self.memberships(predictions, references)
        return both, predicted


class Recall(OfOneLabel):
    """Recall of one label, TP / (TP + FN); 0 where no example has it."""

    name = "recall"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        _, actual, both = self.memberships(predictions, references)
        return both, actual


class OfEachLabel(BuiltIn):
    """F1, precision or recall of every class; `fitted` makes it one metric for each label."""

    kinds = frozenset({"classification", "multilabel"})

    def __init__(self, metric: type[OfOneLabel]) -> None:
        self.metric = metric
        self.name = of_class(metric.name, EACH)

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        if len(labels) > MOST_EACH:
            raise DataError(
                f"metric '{self.metric.name}' is asked for each of {len(labels)} classes; at most {MOST_EACH} fit: name those "
                f"that matter ({_of_class(self.metric.name, labels)}), or macro_f1; `bakeoff rescore` computes any other later"
            )
        return tuple(metric for label in labels for metric in self.metric(label).fitted(kind, labels, None)) or (self,)

    def compute(self, predictions: Answers, references: Answers) -> float:
        raise DataError(f"metric '{self.name}' stands for one metric a class, and has not been fitted to a task: call `fitted`")


class MicroF1(Ratio):
    """Micro-averaged F1, 2 TP / (2 TP + FP + FN) with counts summed over all labels; 0 where no label occurs.

    For classification it equals the accuracy.
    """

    name = "micro_f1"
    kinds = frozenset({"classification", "multilabel"})

    def __init__(self, kind: Kind | None = None) -> None:
        self.kind = kind

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        return (MicroF1(kind),)

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        if self.kind is None:  # answers are label numbers
            return Accuracy().ratio_terms(predictions, references)
        return self.kind.micro_f1_terms(predictions, references)


class LabelF1(BuiltIn):
    """Macro-averaged F1 for multi-label answers: the mean F1 of the labels that occur in an example or a prediction; 0 if none
    does.

    scikit-learn's macro average also counts labels that never occur, with an F1 of 0.
    """

    name = "label_f1"
    kinds = frozenset({"multilabel"})

    def compute(self, predictions: Answers, references: Answers) -> float:
        predicted, actual = np.asarray(predictions, dtype=np.int64), np.asarray(references, dtype=np.int64)
        there = int(np.bitwise_or.reduce(predicted | actual))
        scores = [
            F1(1).compute((predicted >> label) & 1, (actual >> label) & 1)
            for label in range(there.bit_length())
            if there >> label & 1
        ]
        return float(np.mean(scores)) if scores else 0.0


class BalancedAccuracy(BuiltIn):
    """Balanced accuracy: the mean recall over the labels that occur among the references."""

    name = "balanced_accuracy"
    least_labels = 2  # of one there is nothing to balance

    def compute(self, predictions: Answers, references: Answers) -> float:
        return float(np.mean([Recall(label).compute(predictions, references) for label in np.unique(references)]))


class MacroF1(BuiltIn):
    """Macro-averaged F1: the mean F1 over the labels that occur among references or predictions."""

    name = "macro_f1"

    def compute(self, predictions: Answers, references: Answers) -> float:
        labels = np.union1d(predictions, references)
        return float(np.mean([F1(label).compute(predictions, references) for label in labels]))


class MatthewsCorrelation(BuiltIn):
    """Matthews' correlation for any number of labels (Gorodkin, 2004), -1 to 1; 0 where references or predictions are
    constant."""

    name = "mcc"
    unit = CORRELATION

    def compute(self, predictions: Answers, references: Answers) -> float:
        labels = np.union1d(predictions, references)
        # A correlation of indicators, (labels, n): that of one-hot answers, summed over labels before dividing.
        predicted = (predictions == labels[:, None]).astype(np.float64)
        actual = (references == labels[:, None]).astype(np.float64)
        return _correlation(predicted, actual)


class Pearson(BuiltIn):
    """Pearson's correlation, -1 to 1; 0 where references or predictions are constant."""

    name = "pearson"
    unit = CORRELATION
    kinds = frozenset({"regression"})
    answer_dtype = "float64"

    def compute(self, predictions: Answers, references: Answers) -> float:
        return _correlation(predictions[None].astype(np.float64), references[None].astype(np.float64))


class Spearman(Pearson):
    """Spearman's correlation, -1 to 1: Pearson's of the ranks, ties at their mean rank; 0 where one side is constant."""

    name = "spearman"

    def compute(self, predictions: Answers, references: Answers) -> float:
        return super().compute(_ranks(predictions), _ranks(references))


class MeanAbsoluteError(Ratio):
    """The mean absolute error, in the unit of the task's labels."""

    name = "mae"
    higher_is_better = False
    unit = Unit(low=0.0)
    kinds = frozenset({"regression"})
    answer_dtype = "float64"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return np.abs(predictions.astype(np.float64) - references), np.ones(len(references))


def _correlation(one: Floats, other: Floats) -> float:
    """Pearson's correlation of two arrays (rows, n), over all their elements; 0 where one of them is constant."""
    if not (np.ptp(one, axis=1).any() and np.ptp(other, axis=1).any()):  # exactly: the sums below may round to more than 0
        return 0.0
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    deviations = np.sqrt((one * one).sum()) * np.sqrt((other * other).sum())
    return float(np.clip((one * other).sum() / deviations, -1.0, 1.0)) if deviations else 0.0


def _ranks(values: Answers) -> Floats:
    """(n,) values -> (n,) ranks from 1, ties at their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


MOST_EACH = 10
"""The most classes that a metric with `of: each` may score, so that a record stays small."""

BUILT_IN: dict[str, type[BuiltIn]] = {
    metric.name: metric
    for metric in (
        Accuracy,
        F1,
        Precision,
        Recall,
        BalancedAccuracy,
        MacroF1,
        MicroF1,
        LabelF1,
        MatthewsCorrelation,
        Pearson,
        Spearman,
        MeanAbsoluteError,
    )
}

OF_ONE_LABEL = tuple(name for name, metric in BUILT_IN.items() if issubclass(metric, OfOneLabel))
