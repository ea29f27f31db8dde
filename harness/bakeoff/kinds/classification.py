"""Classification: each example has exactly one of two or more labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.kind import MADE_UP, OFF_BY, Kind, above, log_of
from bakeoff.contracts.metric import Answers, Floats
from bakeoff.text.numbers import significant


@dataclass(frozen=True)
class Classification(Kind):
    """An answer is the number of the label with the largest logit. The loss is the cross-entropy."""

    name = "classification"
    min_labels, max_labels = 2, None
    labels_in_words = "it must have as many outputs as labels, 2 or more"
    problem_type = "single_label_classification"
    default_metrics = ("accuracy", "macro_f1")
    overall_metrics = ("macro_f1", "micro_f1")

    def possible(self, labels: NDArray[Any], n_outputs: int) -> NDArray[np.bool_]:
        return np.asarray((labels >= 0) & (labels < n_outputs))

    def impossible_in_words(self, n_outputs: int) -> str:
        return f"not one of 0 to {n_outputs - 1}"

    def logits_of_scores(self, scores: Sequence[float], answer: Any) -> list[float]:
        """The logarithms of the scores; where another label is as probable as the answer, the answer's logit is made larger by
        one step of float32."""
        if abs((total := math.fsum(scores)) - 1) > OFF_BY:
            raise ValueError(f"has scores that sum to {significant(total, 6)}; those of all labels must sum to 1")
        if scores[answer] < max(scores):
            raise ValueError("is not the label with the largest score: answer that one, or leave `scores` out")
        logits = [log_of(score) for score in scores]
        others = max(logit for number, logit in enumerate(logits) if number != answer)
        if np.float32(logits[answer]) <= np.float32(others):
            logits[answer] = above(others)
        return logits

    def slice_labels(self, labels: NDArray[Any]) -> NDArray[Any] | None:
        return labels

    def mean_loss(self, logits: Any, targets: Any, *, label_smoothing: float = 0.0, class_weights: Any = None) -> Any:
        from torch.nn.functional import cross_entropy

        if class_weights is None:
            return cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)
        losses = cross_entropy(logits.float(), targets, label_smoothing=label_smoothing, reduction="none")
        return (losses * class_weights.to(losses.device)[targets]).mean()

    def answers(self, logits: Any) -> Answers:
        return np.asarray(logits.argmax(axis=1))

    def probabilities(self, logits: Any) -> Floats | None:
        """The softmax of the logits, (n, n_outputs)."""
        odds = np.ascontiguousarray(logits.T, dtype=np.float64)  # numpy is slow along axes of two
        odds -= odds.max(axis=0)
        np.exp(odds, out=odds)
        odds /= odds.sum(axis=0)
        return odds.T

    def compact(self, answers: Answers, n_outputs: int) -> NDArray[Any]:
        return answers.astype(np.int16 if n_outputs <= np.iinfo(np.int16).max + 1 else np.int32)

    def made_up_answers(self, draw: np.random.Generator, n_outputs: int) -> Iterator[tuple[Answers, Answers]]:
        """Random labels, with random predictions, and with predictions that are always the first label."""
        references = draw.integers(n_outputs, size=MADE_UP)
        yield draw.integers(n_outputs, size=MADE_UP), references
        yield np.zeros_like(references), references


CLASSIFICATION = Classification()
