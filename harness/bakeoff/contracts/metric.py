"""The contract of a metric, how an experiment file asks for one, and what a record says of it."""

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


LabelText = Annotated[
    str,
    BeforeValidator(lambda label: str(label) if type(label) is int else label, json_schema_input_type=str | int),
    Field(min_length=1),
]


class MetricChoice(Options):
    """A metric as an experiment file asks for it, where its name alone is not enough: `{name: f1, positive: spam}`."""

    name: MetricName = Field(description="A built-in metric, or one of the hub by its name there.")
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
            raise ValueError("positive names one class, and `of: each` means all: write one of the two")
        return self

    def __str__(self) -> str:
        told = self.positive or self.of
        return f"{self.name} ({told})" if told else self.name


def _different_metrics(choices: list[str | MetricChoice]) -> list[str | MetricChoice]:
    no_duplicates([str(choice) for choice in choices])
    if choices and isinstance(choices[0], MetricChoice) and choices[0].of:
        raise ValueError("the first metric is primary and can't be `of: each`: put another first, such as macro_f1")
    return choices


MetricNames = Annotated[
    list[
        Annotated[
            Annotated[MetricName, Tag("name")] | Annotated[MetricChoice, Tag("choice")],
            Discriminator(lambda value: "choice" if isinstance(value, dict | MetricChoice) else "name"),
            # `{name: f1}` is read as `f1`, so that one choice has one spelling and one run id
            BeforeValidator(lambda value: value["name"] if isinstance(value, dict) and value.keys() == {"name"} else value),
        ]
    ],
    AfterValidator(_different_metrics),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
"""The type of a task's option for its metrics: a list of names or `MetricChoice`s, the first of which is primary."""


class MetricFacts(Part):
    """What a record stores about a metric."""

    name: Name
    higher_is_better: bool
    version: Name
    unit: Unit | None = None
    """The unit that the metric declares. None where that is the unit of the built-in metric of this name and version, and in
    records migrated from schema 4; `metric_lookup.unit_of` then finds it."""
    label: Count | None = None
    """The number of the label that the metric is about; None where it is about all labels."""


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Answers = Ints | Floats
"""One answer for each example, (n,). For classification the label's number; for regression a number; for multi-label the set of
labels as a number whose bit i says whether label i is in it."""


class Metric(ABC):
    """A score of predictions against the right answers, over a split.

    A metric that is a ratio of sums over examples should have `ratio_terms`, so that its intervals need no bootstrap.
    """

    name: str
    version: str = "1"
    """To be raised when the same predictions no longer get the same score."""
    higher_is_better: bool = True
    unit: Unit = OWN_UNIT
    """Unit and range of its scores, and how they are shown: SHARE, CORRELATION, PERCENT, or a `Unit` of its own. With
    the default the metric has no range, and an experiment whose primary metric it is must state a margin."""
    kinds: frozenset[str] | None = None
    """Names of the kinds of task whose answers it can score; None for every kind."""
    least_labels: int = 1
    """The fewest distinct labels among the references for which the score is meaningful."""

    def check_available(self) -> None:  # noqa: B027 - a built-in metric has nothing to look for
        """Checks within 3 s that the metric is available. Raises DataError where it is not."""

    @abstractmethod
    def load(self) -> evaluate.EvaluationModule:
        """The metric as an object of the evaluate library. Raises DataError where it is not available."""

    def fitted(self, kind: Kind, labels: Sequence[str], positive: str | None) -> tuple[Metric, ...]:
        """The metric as it is computed for a task of this kind with these labels, as a tuple of one; a metric with `of: each`
        becomes one metric for each label.

        labels: empty where they are known only after reading the data. positive: the label that the task declares as its
        positive class. Raises DataError where the metric does not suit the task.
        """
        return (self,)

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats] | None:
        """Numerator and denominator of each example, both (n,): the score is the sum of the first over the sum of the second.

        None, the default, for a metric that is not a ratio of sums.
        """
        return None

    def ratio_terms_of_runs(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats] | None:
        """`ratio_terms` of the answers of K runs, 1 or more, predictions (K, n): both (K, n)."""
        found = [self.ratio_terms(run, references) for run in predictions]
        terms = [one for one in found if one is not None]
        if len(terms) < len(found):
            return None
        above, below = np.stack([one for one, _ in terms]), np.stack([one for _, one in terms])
        # a mean: no need to hold a one for every example and run
        return above, np.broadcast_to(below[0], below.shape) if (below == 1).all() else below

    def score(self, predictions: Answers, references: Answers) -> float:
        """The score of answers (n,), in the metric's own unit (accuracy: 0 to 1). Raises DataError if no score of its
        name is computed."""
        result = self.load().compute(predictions=predictions, references=references)
        if not result or self.name not in result:
            raise DataError(f"metric '{self.name}' returned no score under its own name, only {sorted(result or {})}")
        return float(result[self.name])


def called(facts: MetricFacts) -> str:
    """The metric's name without its class: `f1` for `f1 (spam)`. A metric of no single class, such as `accuracy (top 5)`,
    keeps its name."""
    return facts.name if facts.label is None else facts.name.partition(" (")[0]


def one_example(metric: Metric | None, references: Answers) -> float | None:
    """What one right answer adds to a score over these references, (n,) with n of 1 or more, in the metric's own unit: 1 / n.

    None unless the score is a share of the examples, as accuracy is: all examples count alike, and each is right or wrong.
    """
    if metric is None or metric.unit != SHARE:
        return None
    for answers in (references, np.roll(references, 1)):
        terms = metric.ratio_terms(answers, references)
        if terms is None or not (terms[1] == 1).all() or not np.isin(terms[0], (0, 1)).all():
            return None
    return 1 / len(references)


def is_below(margin: float, example: float | None) -> bool:
    """Whether a margin is less than what one example is worth (`example`, from `one_example`), both in the metric's own unit:
    then only equal scores lie within the margin. False where `example` is None."""
    return example is not None and margin < example * (1 - 1e-9)


def known_as(name: str, metrics: Iterable[MetricFacts]) -> str:
    """The full name of a metric that a user calls `name`: `f1` stands for `f1 (spam)` if that is the only F1 of one class among
    `metrics`; any other name is returned unchanged."""
    same = [facts.name for facts in metrics if name in (facts.name, called(facts))]
    return same[0] if name not in same and len(same) == 1 else name


class BuiltIn(Metric):
    """A built-in metric, computed by numpy alone, so that rescoring needs no torch."""

    unit = SHARE
    kinds: frozenset[str] = frozenset({"classification"})
    answer_dtype: str = "int64"
    """The dtype of answers in the metric's evaluate object: `float64` for numbers, `int64` for labels."""

    @abstractmethod
    def compute(self, predictions: Answers, references: Answers) -> float:
        """The score of answers to n examples, each array (n,), n at least 1."""

    def score(self, predictions: Answers, references: Answers) -> float:
        if len(predictions) != len(references):
            raise DataError(f"metric '{self.name}': {len(predictions)} predictions and {len(references)} references")
        return self.compute(predictions, references)

    def load(self) -> evaluate.EvaluationModule:
        """An `evaluate.Metric` that calls `score`, so that both always agree."""
        import datasets
        import evaluate

        metric = self
        number = datasets.Value(self.answer_dtype)

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
    """A metric that is one sum over examples divided by another; its score is 0 where the denominator is 0."""

    @abstractmethod
    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        """Numerator and denominator of each example, each (n,); the score is the ratio of their sums over all examples.

        The answers of K runs at once, predictions (K, n), give (K, n) of each, or (n,) of what is the same in all runs.
        """

    def ratio_terms_of_runs(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        above, below = self.ratio_terms(predictions, references)
        return above, np.broadcast_to(below, predictions.shape)

    def compute(self, predictions: Answers, references: Answers) -> float:
        numerator, denominator = self.ratio_terms(predictions, references)
        total = denominator.sum()
        return float(numerator.sum() / total) if total else 0.0
