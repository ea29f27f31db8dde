"""Metrics that work without the hub, in numpy alone, and the door to those that live there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bakeoff.contracts.each_class import EACH, of_class
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Answers, Floats, Ints, Metric, MetricChoice, MetricFacts
from bakeoff.contracts.unit import CORRELATION, OWN_UNIT, PERCENT, SHARE, Unit
from bakeoff.errors import DataError
from bakeoff.machine.hub import hub_is_reachable
from bakeoff.text.values import yaml_value
from bakeoff.text.words import did_you_mean, quoted

if TYPE_CHECKING:
    import evaluate


class BuiltIn(Metric):
    """A metric of this module: scored by numpy, so that rescoring needs no torch; `load` wraps that very score."""

    unit = SHARE
    kinds: frozenset[str] = frozenset({"classification"})

    @abstractmethod
    def compute(self, predictions: Answers, references: Answers) -> float:
        """The score of arrays (n,) of equal length, n at least 1."""

    def score(self, predictions: Answers, references: Answers) -> float:
        if len(predictions) != len(references):
            raise DataError(f"metric '{self.name}': {len(predictions)} predictions and {len(references)} references")
        return self.compute(predictions, references)

    def load(self) -> evaluate.EvaluationModule:
        return _as_evaluate(self, "int64")


class Ratio(BuiltIn):
    """A sum over a sum; 0 where the denominator is."""

    @abstractmethod
    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]: ...

    def compute(self, predictions: Answers, references: Answers) -> float:
        numerator, denominator = self.ratio_terms(predictions, references)
        total = denominator.sum()
        return float(numerator.sum() / total) if total else 0.0


class Accuracy(Ratio):
    """The share of right answers; of sets of labels, of those that are right as a whole."""

    name = "accuracy"
    kinds = frozenset({"classification", "multilabel"})

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return (predictions == references).astype(np.float64), np.ones(len(references))


class OfOneLabel(Ratio):
    """A ratio that looks at one label: named, numbered, or declared by the task. Its name tells which: `f1 (spam)`."""

    kinds = frozenset({"classification", "multilabel"})

    def __init__(self, positive: str | int | None = None) -> None:
        self.positive = positive
        self.number = None if positive is None or isinstance(positive, str) else int(positive)
        """The label's; None where it is not known yet."""
        self.kind: Kind | None = None
        """Of the task; while it is not known, answers are label numbers."""
        if isinstance(positive, str):
            self.name = of_class(type(self).name, positive)

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        wanted = positive if self.positive is None else self.positive
        if kind.name in self.kinds and wanted is None:
            raise DataError(f"{_unnamed(self.name, kind, labels)}{_among(labels)}")
        if not labels or kind.name not in self.kinds or wanted is None:
            return (type(self)(wanted),)
        if isinstance(wanted, str) and wanted not in labels:
            raise DataError(f"metric '{type(self).name}': {did_you_mean('label', wanted, labels)}")
        number = labels.index(wanted) if isinstance(wanted, str) else wanted
        if number >= len(labels):
            raise DataError(f"metric '{self.name}' is of label number {number}, and the task has {len(labels)}")
        return (self.numbered(number, of_class(type(self).name, labels[number]), kind, positive=labels[number]),)

    @classmethod
    def numbered(cls, number: int, name: str, kind: Kind, *, positive: str | int | None = None) -> OfOneLabel:
        """Of the label with this number, under a name that is known."""
        metric = cls(number if positive is None else positive)
        metric.number, metric.kind, metric.name = number, kind, name
        return metric

    def found(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats, Floats]:
        """1.0 per example (n,) where the label is: predicted; actual; predicted and actual."""
        if self.number is None:
            raise DataError(f"metric '{self.name}' is of a label that no task has been asked for yet")
        has_label = np.equal if self.kind is None else self.kind.has_label
        predicted, actual = has_label(predictions, self.number), has_label(references, self.number)
        return predicted.astype(np.float64), actual.astype(np.float64), (predicted & actual).astype(np.float64)


def called(facts: MetricFacts) -> str:
    """A metric's name without the class that it looks at: `f1`. `accuracy (top 5)` looks at none."""
    return facts.name if facts.label is None else facts.name.partition(" (")[0]


def known_as(name: str, metrics: Iterable[MetricFacts]) -> str:
    """The one of these that somebody means who writes `f1`: itself, or the only one of a class; else the name as it is."""
    same = [facts.name for facts in metrics if name in (facts.name, called(facts))]
    return same[0] if name not in same and len(same) == 1 else name


def _unnamed(metric: str, kind: Kind, labels: Sequence[str]) -> str:
    return (
        f"metric '{metric}' looks at one class, and nobody says which: write {_of_class(metric, labels)}, "
        f"{{name: {metric}, of: each}}, {', '.join(kind.overall_metrics)}"
    )


def _of_class(metric: str, labels: Sequence[str]) -> str:
    """As an experiment file asks for the metric of a class: of one of these, where they are known."""
    return yaml_value({"name": metric, "positive": labels[0] if labels else "CLASS"})


def _among(labels: Sequence[str]) -> str:
    return (
        f" (the classes are {', '.join(quoted(label) for label in labels[:10])}{', ...' if len(labels) > 10 else ''})"
        if labels
        else ""
    )


class F1(OfOneLabel):
    """F1 of one label: 2 TP / (2 TP + FP + FN); 0 where there is neither a prediction nor a case of it."""

    name = "f1"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        predicted, actual, both = self.found(predictions, references)
        return 2.0 * both, predicted + actual


class Precision(OfOneLabel):
    """Of the predictions of one label, the share that is right; 0 where there are none."""

    name = "precision"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        predicted, _, both = self.found(predictions, references)
        return both, predicted


class Recall(OfOneLabel):
    """Of the cases of one label, the share that is found; 0 where there are none."""

    name = "recall"

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        _, actual, both = self.found(predictions, references)
        return both, actual


class OfEachLabel(BuiltIn):
    """F1, precision or recall of every class by itself: as many scores as there are classes."""

    kinds = frozenset({"classification", "multilabel"})

    def __init__(self, metric: type[OfOneLabel]) -> None:
        self.metric = metric
        self.name = of_class(metric.name, EACH)

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        if len(labels) > MOST_EACH:
            raise DataError(
                f"metric '{self.metric.name}' of each of {len(labels)} classes: up to {MOST_EACH} can be recorded; name those "
                f"that matter ({_of_class(self.metric.name, labels)}), or macro_f1; `bakeoff rescore` has any later"
            )
        return tuple(metric for label in labels for metric in self.metric(label).fitted(kind, labels, None)) or (self,)

    def compute(self, predictions: Answers, references: Answers) -> float:
        raise DataError(f"metric '{self.name}' is several, one for each class")


class MicroF1(Ratio):
    """F1 over all labels of all answers together: 2 TP / (2 TP + FP + FN); 0 where no set holds a label.

    Where every example has one label and gets one answer, that is the accuracy.
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
    """The mean over labels of each one's F1, of those that stand in a set of predictions or references; 0 where none does.

    What scikit-learn calls the macro average, but for labels that nobody gives, which count there as 0.
    """

    name = "label_f1"
    kinds = frozenset({"multilabel"})

    def compute(self, predictions: Answers, references: Answers) -> float:
        predicted, actual = _as_sets(predictions), _as_sets(references)
        there = int(np.bitwise_or.reduce(predicted | actual))
        scores = [
            F1(1).compute((predicted >> label) & 1, (actual >> label) & 1)
            for label in range(there.bit_length())
            if there >> label & 1
        ]
        return float(np.mean(scores)) if scores else 0.0


def _as_sets(answers: Answers) -> Ints:
    return np.asarray(answers, dtype=np.int64)


class BalancedAccuracy(BuiltIn):
    """The mean recall of the labels that the references hold."""

    name = "balanced_accuracy"
    least_labels = 2  # of one there is nothing to balance

    def compute(self, predictions: Answers, references: Answers) -> float:
        return float(np.mean([Recall(label).compute(predictions, references) for label in np.unique(references)]))


class MacroF1(BuiltIn):
    """The mean F1 of all labels that stand among predictions or references."""

    name = "macro_f1"

    def compute(self, predictions: Answers, references: Answers) -> float:
        labels = np.union1d(predictions, references)
        return float(np.mean([F1(label).compute(predictions, references) for label in labels]))


class MatthewsCorrelation(BuiltIn):
    """Matthews' correlation for any number of labels (Gorodkin, 2004), -1 to 1; 0 where either side holds one label only."""

    name = "mcc"
    unit = CORRELATION

    def compute(self, predictions: Answers, references: Answers) -> float:
        labels = np.union1d(predictions, references)
        # A correlation of indicators, (labels, n): that of one-hot answers, summed over labels before dividing.
        predicted = (predictions == labels[:, None]).astype(np.float64)
        actual = (references == labels[:, None]).astype(np.float64)
        return _correlation(predicted, actual)


class Pearson(BuiltIn):
    """Pearson's correlation, -1 to 1; 0 where either side is constant."""

    name = "pearson"
    unit = CORRELATION
    kinds = frozenset({"regression"})

    def compute(self, predictions: Answers, references: Answers) -> float:
        return _correlation(predictions[None].astype(np.float64), references[None].astype(np.float64))

    def load(self) -> evaluate.EvaluationModule:
        return _as_evaluate(self, "float64")


class Spearman(Pearson):
    """Spearman's correlation, that is Pearson's of the ranks, ties at their mean rank; 0 where either side is constant."""

    name = "spearman"

    def compute(self, predictions: Answers, references: Answers) -> float:
        return super().compute(_ranks(predictions), _ranks(references))


class MeanAbsoluteError(Ratio):
    """The mean distance between answers and right numbers."""

    name = "mae"
    higher_is_better = False
    unit = Unit(low=0.0)  # in the unit of the task's numbers, which no metric knows
    kinds = frozenset({"regression"})

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        return np.abs(predictions.astype(np.float64) - references), np.ones(len(references))

    def load(self) -> evaluate.EvaluationModule:
        return _as_evaluate(self, "float64")


def _correlation(one: Floats, other: Floats) -> float:
    """Covariance over deviations, each summed over the rows of (rows, n); 0 where either side does not vary."""
    if not (np.ptp(one, axis=1).any() and np.ptp(other, axis=1).any()):  # exactly: the sums below may round to more than 0
        return 0.0
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    deviations = np.sqrt((one * one).sum()) * np.sqrt((other * other).sum())
    return float(np.clip((one * other).sum() / deviations, -1.0, 1.0)) if deviations else 0.0


def _ranks(values: Answers) -> Floats:
    """Ranks (n,) from 1, ties at their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


class HubMetric(Metric):
    """Any metric of the evaluate library by its name on the hub, where the hub is reachable.

    The hub does not say which scores are better, nor in which unit they are: the experiment file does.
    """

    def __init__(self, name: str, *, better: Literal["higher", "lower"] | None = None, unit: Unit = OWN_UNIT) -> None:
        self.name, self.better, self.unit = name, better, unit
        self.higher_is_better = better != "lower"

    def check_available(self) -> None:
        if not hub_is_reachable():
            raise DataError(
                f"metric {quoted(self.name)} comes from the hub, which is not reachable; offline work {', '.join(BUILT_IN)}"
            )

    def load(self) -> evaluate.EvaluationModule:
        self.check_available()
        return _from_hub(self.name)


def _as_evaluate(metric: BuiltIn, dtype: str) -> evaluate.EvaluationModule:
    """An `evaluate.Metric` over the metric's own score, so that the two can never disagree."""
    import datasets
    import evaluate

    class Wrapped(evaluate.Metric):  # type: ignore[misc]  # evaluate carries no types
        def _info(self) -> evaluate.MetricInfo:
            number = datasets.Value(dtype)
            return evaluate.MetricInfo(
                description=metric.__doc__ or "",
                citation="",
                inputs_description="predictions, references: label numbers; for regression, numbers",
                features=datasets.Features({"predictions": number, "references": number}),
            )

        def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
            return {metric.name: metric.score(np.asarray(predictions), np.asarray(references))}

    return Wrapped(keep_in_memory=True)  # else it locks a cache file that all processes share


@lru_cache(maxsize=32)
def _from_hub(name: str) -> evaluate.EvaluationModule:
    """The metric `evaluate-metric/NAME` of the hub, and nothing else.

    `evaluate.load` would first run a script of that name in the working directory, and look for a comparison or measurement
    of that name where there is no metric; so the parts that it is made of are called here.
    """
    from evaluate.loading import HubEvaluationModuleFactory, import_main_class

    try:
        script = HubEvaluationModuleFactory(f"evaluate-metric/{name}").get_module()
        metric = import_main_class(script.module_path)(hash=script.hash, keep_in_memory=True)
        metric.download_and_prepare()
    except FileNotFoundError:
        raise DataError(f"the hub has no metric {quoted(name)}; built in are {', '.join(BUILT_IN)}") from None
    except (ImportError, ConnectionError) as error:  # a metric may need a library of its own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"metric {quoted(name)} of the hub cannot be used: {reason}") from None
    if metric.module_type != "metric":
        raise DataError(f"{quoted(name)} of the hub is no metric but a {metric.module_type}")
    return metric


MOST_EACH = 10
"""A record stays small."""

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

UNITS: dict[str, Unit] = {"share": SHARE, "percent": PERCENT, "correlation": CORRELATION}
"""Of the hub's metrics, by the word in the experiment file."""


def metric_named(choice: str | MetricChoice) -> Metric:
    """A built-in metric, else the hub's metric of that name. Raises DataError for what goes ill together."""
    choice = MetricChoice(name=choice) if isinstance(choice, str) else choice
    kind, name = BUILT_IN.get(choice.name), choice.name
    if kind is None:
        if choice.positive is not None or choice.of is not None:
            raise DataError(f"metric {quoted(name)} comes from the hub: it takes `better` and `unit`, no class")
        return HubMetric(name, better=choice.better, unit=UNITS[choice.unit] if choice.unit else OWN_UNIT)
    if choice.better is not None or choice.unit is not None:
        raise DataError(f"metric '{name}' is built in: `better` and `unit` are for metrics of the hub")
    if issubclass(kind, OfOneLabel):
        return OfEachLabel(kind) if choice.of else kind(choice.positive)
    if choice.positive is not None or choice.of is not None:
        raise DataError(f"metric '{name}' is of all classes: `positive` and `of` are for {', '.join(OF_ONE_LABEL)}")
    return kind()


def recorded_metric(facts: MetricFacts, kind: Kind) -> Metric | None:
    """The built-in metric that a record names, fitted to its task; None where it is none."""
    known = BUILT_IN.get(called(facts))
    if known is None:
        return None
    if issubclass(known, OfOneLabel):  # without a number: a record of old, where it was the second label
        return known.numbered(1 if facts.label is None else facts.label, facts.name, kind)
    return known().fitted(kind, (), None)[0]


def unit_of(facts: MetricFacts) -> Unit:
    """A recorded metric's unit: as its record says, else that of the built-in metric of its name and version, else none."""
    if facts.unit is not None:
        return facts.unit
    known = BUILT_IN.get(called(facts))
    return known.unit if known is not None and known.version == facts.version else OWN_UNIT


def facts_of(metric: Metric) -> MetricFacts:
    """What a record says of a metric; the unit only where it is not that of the built-in metric of its name and version."""
    bare = MetricFacts(
        name=metric.name, higher_is_better=metric.higher_is_better, version=metric.version, label=label_of(metric)
    )
    return bare if unit_of(bare) == metric.unit else bare.model_copy(update={"unit": metric.unit})


def label_of(metric: Metric) -> int | None:
    """The number of the label that a metric looks at; None of a metric of all labels."""
    return metric.number if isinstance(metric, OfOneLabel) else None
