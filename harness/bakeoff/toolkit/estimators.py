"""Lets estimators with scikit-learn's `fit` and `predict` be compared as strategies. Imports nothing of scikit-learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.metric import Floats
from bakeoff.contracts.own_model import Answer, Example, OwnModelJob, OwnModelTrainer
from bakeoff.contracts.trainer import Supports


class EstimatorTrainer(OwnModelTrainer):
    """A trainer whose model is an estimator with scikit-learn's `fit` and `predict`; a subclass only has to define
    `estimator`.

    Labels are handed to the estimator as numbers, and what it predicts is turned into answers, with probabilities if it has
    `predict_proba`. If all training rows have one label, that is the answer to every row, and no estimator is fitted.

    The trainer says that it depends on the seed. A subclass whose estimator draws no random numbers should say otherwise, and
    is then run once.
    """

    supports = Supports(recipe_keys=OwnModelTrainer.supports.recipe_keys, methods=OwnModelTrainer.supports.methods)

    @abstractmethod
    def estimator(self, job: OwnModelJob, options: Any) -> Any:
        """Returns an estimator that is not fitted yet, with `random_state=job.seed` if it draws random numbers.

        It is fitted to `inputs` and `targets`. It may be a pipeline that begins by turning texts into numbers.
        """

    def inputs(self, examples: Sequence[Example], job: OwnModelJob, options: Any) -> Any:
        """What the estimator is given for each example: by default its text, or its two texts joined by a line break."""
        return ["\n".join(example.texts[column] for column in job.text_columns) for example in examples]

    def targets(self, examples: Sequence[Example], job: OwnModelJob) -> NDArray[Any]:
        """What the estimator learns to predict: (n,) numbers of labels, or numbers in a regression; in a multi-label task
        (n, n_labels) of 0 and 1."""
        labels = [job.kind.read_answer(example.label, job.labels) for example in examples]
        targets = np.asarray(job.kind.targets(labels, job.kind.n_outputs(len(job.labels))))
        return targets.astype(np.int64) if job.kind.has_labels else targets

    def fit_own(self, job: OwnModelJob, options: Any) -> Any:
        targets = self.targets(job.train, job)
        if (targets == targets[0]).all():
            return OneAnswer(targets[0])
        return self.fitted(self.inputs(job.train, job, options), targets, job, options)

    def fitted(self, inputs: Any, targets: NDArray[Any], job: OwnModelJob, options: Any) -> Any:
        """Fits the estimator and returns it. A subclass that chooses among several estimators by `job.dev()` overrides this
        method."""
        return self.estimator(job, options).fit(inputs, targets)

    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: Any) -> Sequence[Answer]:
        if not examples:
            return []
        return self.answers(model, self.inputs(examples, job, options), examples, job)

    def answers(self, model: Any, inputs: Any, examples: Sequence[Example], job: OwnModelJob) -> list[Answer]:
        """The answers of a fitted estimator to these examples. inputs: what `inputs` returns for them."""
        if not job.kind.has_labels:
            numbers = np.asarray(model.predict(inputs), dtype=np.float64).reshape(len(examples))
            return [Answer(example.id, number) for example, number in zip(examples, numbers.tolist(), strict=True)]
        scored = hasattr(model, "predict_proba")
        n_labels = len(job.labels)
        scores = probabilities(model, inputs, n_labels) if scored else certainties(model, inputs, n_labels)
        given = [dict(zip(job.labels, row, strict=True)) for row in scores.tolist()] if scored else [None] * len(examples)
        labels = job.kind.answers(scores - 0.5)  # as of logits: the largest, or those above 0
        return [
            Answer(example.id, job.kind.named(label, job.labels), row)
            for example, label, row in zip(examples, labels, given, strict=True)
        ]


@dataclass(frozen=True)
class OneAnswer:
    """An estimator that always predicts the one label that all training rows had."""

    target: Any
    """That label, as a row of `targets`."""

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The numbers of the labels for which `predict_proba` has columns."""
        return np.arange(len(self.target)) if np.ndim(self.target) else np.asarray([self.target])

    def predict(self, inputs: Any) -> NDArray[Any]:
        return np.repeat(self.target[None], rows_of(inputs), axis=0)

    def predict_proba(self, inputs: Any) -> Floats:
        row = np.asarray(self.target, dtype=np.float64) if np.ndim(self.target) else np.ones(1)
        return np.repeat(row[None], rows_of(inputs), axis=0)


def rows_of(inputs: Any) -> int:
    """How many rows a list, an array or a sparse matrix has."""
    return int(inputs.shape[0]) if hasattr(inputs, "shape") else len(inputs)


def probabilities(model: Any, inputs: Any, n_labels: int) -> Floats:
    """Probabilities, (n, n_labels), by the estimator's `predict_proba`; 0 for labels that no training row has.

    In a multi-label task, some estimators give a list with a matrix for each label, whose two columns are the probabilities of
    0 and 1.
    """
    found = model.predict_proba(inputs)
    if isinstance(found, list):
        pairs = zip(found, model.classes_, strict=True)
        return np.column_stack([columns @ (np.asarray(classes) == 1) for columns, classes in pairs]).astype(np.float64)
    scores = np.zeros((len(found), n_labels))
    scores[:, np.asarray(model.classes_, dtype=np.int64)] = found
    return scores


def certainties(model: Any, inputs: Any, n_labels: int) -> Floats:
    """In place of probabilities, (n, n_labels): 1 for each label that the estimator's `predict` gives, and 0 for the
    others."""
    found = np.asarray(model.predict(inputs))
    return np.eye(n_labels)[found.astype(np.int64)] if found.ndim == 1 else found.astype(np.float64)
