"""Metrics that work without the hub, and the door to those that live there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.components import Floats, Ints, Metric
from bakeoff.errors import DataError, quoted
from bakeoff.hub import hub_is_reachable

if TYPE_CHECKING:
    import evaluate


class Accuracy(Metric):
    """The share of right answers."""

    name = "accuracy"

    def parts(self, predictions: Ints, references: Ints) -> tuple[Floats, Floats]:
        return (predictions == references).astype(np.float64), np.ones(len(references))

    def load(self) -> evaluate.EvaluationModule:
        return _ratio_metric(self)


class F1(Metric):
    """F1 of one label: 2 TP / (2 TP + FP + FN); 0 where there is neither a prediction nor a case of it."""

    name = "f1"

    def __init__(self, positive: int = 1) -> None:
        self.positive = positive

    def parts(self, predictions: Ints, references: Ints) -> tuple[Floats, Floats]:
        predicted, actual = predictions == self.positive, references == self.positive
        return 2.0 * (predicted & actual), predicted.astype(np.float64) + actual

    def load(self) -> evaluate.EvaluationModule:
        return _ratio_metric(self)


class HubMetric(Metric):
    """Any metric of the evaluate library by its name on the hub, where the hub is reachable."""

    def __init__(self, name: str) -> None:
        self.name = name

    def locate(self) -> None:
        if not hub_is_reachable():
            raise DataError(
                f"metric {quoted(self.name)} comes from the hub, which is not reachable; accuracy and f1 work offline"
            )

    def load(self) -> evaluate.EvaluationModule:
        self.locate()
        return _from_hub(self.name)


def _ratio_metric(metric: Accuracy | F1) -> evaluate.EvaluationModule:
    """An `evaluate.Metric` over the metric's own per-example parts, so that the two can never disagree."""
    import datasets
    import evaluate

    class Ratio(evaluate.Metric):  # type: ignore[misc]  # evaluate carries no types
        def _info(self) -> evaluate.MetricInfo:
            number = datasets.Value("int64")
            return evaluate.MetricInfo(
                description=metric.__doc__ or "",
                citation="",
                inputs_description="predictions, references: label numbers",
                features=datasets.Features({"predictions": number, "references": number}),
            )

        def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
            numerator, denominator = metric.parts(np.asarray(predictions), np.asarray(references))
            total = denominator.sum()
            return {metric.name: float(numerator.sum() / total) if total else 0.0}

    return Ratio(keep_in_memory=True)  # else it locks a cache file that all processes share


@lru_cache(maxsize=32)
def _from_hub(name: str) -> evaluate.EvaluationModule:
    import evaluate

    try:
        return evaluate.load(name, keep_in_memory=True)
    except FileNotFoundError:
        raise DataError(f"the hub has no metric {quoted(name)}; accuracy and f1 are built in") from None
    except (ImportError, ConnectionError) as error:  # a metric may need a library of its own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"metric {quoted(name)} of the hub cannot be used: {reason}") from None


BUILT_IN = {"accuracy": Accuracy, "f1": F1}


def metric_named(name: str) -> Metric:
    """A built-in metric, else the hub's metric of that name."""
    return BUILT_IN[name]() if name in BUILT_IN else HubMetric(name)
