"""Regression: the label of an example is a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.kind import MADE_UP, ONE_LABEL_ONLY, Kind, OtherNumbers, Said
from bakeoff.contracts.metric import Answers
from bakeoff.contracts.returned import described
from bakeoff.text.numbers import significant
from bakeoff.text.values import spelt

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Regression(Kind):
    """An answer is a number, the model's only output. The loss is the mean squared error."""

    name = "regression"
    min_labels, max_labels = 0, 0
    labels_in_words = "a regression has no labels, and one output"
    label_type = float
    arrow_type = "double"
    problem_type = "regression"
    recipe_conflicts: ClassVar[Mapping[str, str]] = ONE_LABEL_ONLY
    default_metrics = ("pearson", "spearman", "mae")
    answers_in_words = "numbers"
    majority_in_words = "the mean of the training split"

    def n_outputs(self, n_labels: int) -> int:
        return 1

    def possible(self, labels: NDArray[Any], n_outputs: int) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(labels))

    def impossible_in_words(self, n_outputs: int) -> str:
        return "not a finite number (a float)"

    def label_counts(self, labels: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
        return {}

    def label_in_words(self, label: Any, names: Sequence[str]) -> str:
        return str(label)

    def named(self, label: Any, names: Sequence[str]) -> Said:
        """The label itself, a float."""
        return float(label)

    def read_answer(self, said: Any, names: Sequence[str]) -> Any:
        """The answer as a float, if predictions.parquet can hold it (float32). Raises ValueError, a sentence, for others."""
        if not isinstance(said, Real) or isinstance(said, bool):
            raise ValueError(f"is {described(said)}, and must be a number")
        if not abs(float(said)) <= LARGEST_FLOAT32:
            raise ValueError(f"is {spelt(float(said))}, and must be a finite number, {significant(LARGEST_FLOAT32, 2)} at most")
        return float(said)

    def logits_of(self, answer: Any, n_outputs: int) -> list[float]:
        """The answer itself, as the only logit."""
        return [float(answer)]

    def mean_loss(self, logits: Any, targets: Any, *, label_smoothing: float = 0.0, class_weights: Any = None) -> Any:
        from torch.nn.functional import mse_loss

        return mse_loss(logits.float().squeeze(-1), targets)

    def answers(self, logits: Any) -> Answers:
        return np.asarray(logits[:, 0].astype(np.float64))

    def majority(self, labels: NDArray[Any]) -> Any:
        """The constant answer of the majority baseline: the mean of the labels."""
        return labels.mean()

    def errors(self, answers: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.abs(answers - labels))

    def nearly_constant(self, answers: NDArray[Any], most: int) -> NDArray[np.bool_]:
        """Every run: answers that are numbers seldom repeat, so that only `beside_constant` tells."""
        return np.ones(len(answers), np.bool_)

    def beside_constant(self, answers: NDArray[Any], labels: NDArray[Any]) -> OtherNumbers:
        """How a run's answers (n,) spread around their mean, and go with the labels (n,); answers that differ by rounding only
        count as constant."""
        rounding = 1e-12 * float(np.abs(answers).max(initial=0.0))
        varies = float(np.ptp(answers)) > rounding
        spread, of_labels = float(answers.var()) if varies else 0.0, float(labels.var())
        share = spread / of_labels if of_labels > 0 else np.inf if varies else 0.0
        correlation = float(np.corrcoef(answers, labels)[0, 1]) if varies and of_labels > 0 else 0.0
        return OtherNumbers(len(answers), share, correlation, of_labels > 0 and bool(self.errors(answers, labels).any()))

    def made_up_answers(self, draw: np.random.Generator, n_outputs: int) -> Iterator[tuple[Answers, Answers]]:
        """Random numbers as labels, and the same with noise as predictions; never a constant, since a correlation with one may
        be undefined."""
        numbers = draw.normal(size=MADE_UP)
        yield numbers + draw.normal(size=MADE_UP), numbers


REGRESSION = Regression()
