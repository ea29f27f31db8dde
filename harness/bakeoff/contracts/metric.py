"""What a metric is, how a user chooses one, and what is recorded of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from bakeoff.contracts.fields import Count, Name, Part
from bakeoff.contracts.recipe import UNSAID, Options, no_duplicates
from bakeoff.contracts.unit import OWN_UNIT, SHARE, Unit
from bakeoff.errors import DataError

if TYPE_CHECKING:
    import evaluate

    from bakeoff.contracts.kind import Kind


# No '/' and no '.': evaluate would run a local script of such a name.
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


def _label_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


LabelText = Annotated[str, BeforeValidator(_label_text, json_schema_input_type=str | int), Field(min_length=1)]


class MetricChoice(Options):
    """A metric with what its name alone leaves open."""

    name: MetricName
    positive: LabelText | None = Field(
        None, description="Of f1, precision and recall: the class that they are about.", json_schema_extra=UNSAID
    )
    of: Literal["each"] | None = Field(
        None, description="Of f1, precision and recall: a score for each class.", json_schema_extra=UNSAID
    )
    better: Literal["higher", "lower"] | None = Field(
        None, description="Of a metric of the hub: which scores are better.", json_schema_extra=UNSAID
    )
    unit: Literal["share", "percent", "correlation"] | None = Field(
        None,
        description="Of a metric of the hub: 0 to 1, 0 to 100, or -1 to 1. Without: its own, and a margin must be named.",
        json_schema_extra=UNSAID,
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.positive is not None and self.of is not None:
            raise ValueError("positive names one class, of: each is of all: write one of them")
        return self

    def __str__(self) -> str:
        told = self.positive or self.of
        return f"{self.name} ({told})" if told else self.name


def _metric_or_name(value: Any) -> Any:
    """A mapping that says no more than the name is the name: one spelling, one id."""
    return value["name"] if isinstance(value, dict) and value.keys() == {"name"} else value


def _different_metrics(choices: list[str | MetricChoice]) -> list[str | MetricChoice]:
    no_duplicates([str(choice) for choice in choices])
    if choices and isinstance(choices[0], MetricChoice) and choices[0].of:
        raise ValueError("the first metric decides, and `of: each` is several: put one before it, such as macro_f1")
    return choices


MetricNames = Annotated[
    list[
        Annotated[
            Annotated[MetricName, Tag("name")] | Annotated[MetricChoice, Tag("choice")],
            Discriminator(lambda value: "choice" if isinstance(value, dict | MetricChoice) else "name"),
            BeforeValidator(_metric_or_name),
        ]
    ],
    AfterValidator(_different_metrics),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
"""Of a task that lets its metrics be chosen, names or `{name: f1, positive: spam}`; the first is primary."""


class MetricFacts(Part):
    """A metric of the task."""

    name: Name
    higher_is_better: bool
    version: Name
    unit: Unit | None = None
    """As the metric declared it; None where that is the built-in metric's of this name and version, and in
    records migrated from schema 4: `metrics.unit_of` has the answer."""
    label: Count | None = None
    """The number of the label that it looks at; None of a metric of all labels."""


Floats = NDArray[np.float64]


Ints = NDArray[np.int64]


Answers = Ints | Floats
"""Predictions or references, (n,): label numbers; for regression, numbers; for multi-label, sets of labels as numbers of which
bit i says whether label i is among them."""


class Metric(ABC):
    """A score over a split. Where it is a mean or a ratio of sums, `parts` lets statistics work without knowing its name."""

    name: str
    version: str = "1"
    """Goes up when the same predictions would get another score."""
    higher_is_better: bool = True
    unit: Unit = OWN_UNIT
    """In which unit and range its scores lie, and how they are shown: SHARE, CORRELATION, PERCENT, or a `Unit` of its own. A
    metric that declares none has no range, and an experiment that judges by it must name its margin."""
    kinds: frozenset[str] | None = None
    """Names of the kinds of task whose answers it can score; None for any."""
    least_labels: int = 1
    """So many labels must be among the right answers; of fewer it says nothing, though its score may vary."""

    def check_available(self) -> None:  # noqa: B027 - a built-in metric has nothing to look for
        """A look, within 3 s, whether the metric can be had; raises DataError."""

    @abstractmethod
    def load(self) -> evaluate.EvaluationModule:
        """The metric as the evaluate library's own kind of object."""

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        """The metric for a task of this kind with these labels, of which the task may declare one as the positive class.

        Labels are empty where only the data can tell them. A metric of each class becomes several. Raises DataError where it
        does not fit.
        """
        return (self,)

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats] | None:
        """Numerator and denominator per example, each (n,), score = sum / sum; None where the metric is no such ratio."""
        return None

    def score(self, predictions: Answers, references: Answers) -> float:
        """The score in the metric's own unit (accuracy: 0 to 1)."""
        result = self.load().compute(predictions=predictions, references=references)
        if not result or self.name not in result:
            raise DataError(f"metric '{self.name}' gave no score of its own name, but {sorted(result or {})}")
        return float(result[self.name])


def called(facts: MetricFacts) -> str:
    """A metric's name without the class that it looks at: `f1`. `accuracy (top 5)` looks at none."""
    return facts.name if facts.label is None else facts.name.partition(" (")[0]


def known_as(name: str, metrics: Iterable[MetricFacts]) -> str:
    """The one of these that somebody means who writes `f1`: itself, or the only one of a class; else the name as it is."""
    same = [facts.name for facts in metrics if name in (facts.name, called(facts))]
    return same[0] if name not in same and len(same) == 1 else name


class BuiltIn(Metric):
    """A built-in metric, computed by numpy alone, so that rescoring needs no torch."""

    unit = SHARE
    kinds: frozenset[str] = frozenset({"classification"})

    @abstractmethod
    def compute(self, predictions: Answers, references: Answers) -> float:
        """The score of answers to n examples, each array (n,), n at least 1."""

    def score(self, predictions: Answers, references: Answers) -> float:
        if len(predictions) != len(references):
            raise DataError(f"metric '{self.name}': {len(predictions)} predictions and {len(references)} references")
        return self.compute(predictions, references)

    def load(self) -> evaluate.EvaluationModule:
        """An `evaluate.Metric` around `score`, so that the two can never disagree."""
        import datasets
        import evaluate

        metric = self
        number = datasets.Value("float64" if "regression" in self.kinds else "int64")

        class Wrapped(evaluate.Metric):  # type: ignore[misc]  # evaluate carries no types
            def _info(self) -> evaluate.MetricInfo:
                return evaluate.MetricInfo(
                    description=metric.__doc__ or "",
                    citation="",
                    inputs_description="predictions, references: label numbers; for regression, numbers",
                    features=datasets.Features({"predictions": number, "references": number}),
                )

            def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
                return {metric.name: metric.score(np.asarray(predictions), np.asarray(references))}

        return Wrapped(keep_in_memory=True)  # else it locks a cache file that all processes share


class Ratio(BuiltIn):
    """A metric that is one sum over another; 0 where the denominator is 0."""

    @abstractmethod
    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        """Numerator and denominator of each example, each (n,); the score is the sum of one over the sum of the other."""

    def compute(self, predictions: Answers, references: Answers) -> float:
        numerator, denominator = self.ratio_terms(predictions, references)
        total = denominator.sum()
        return float(numerator.sum() / total) if total else 0.0
