"""Linear models of scikit-learn for each kind of task, and the choice of their regularisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier

from bakeoff.plugin import EstimatorTrainer, Example, Kind, OwnModelJob

FOLDS = 5
"""One row in this many is held out of train if there is no dev to choose C on."""
MOST_ITERATIONS = 1_000


def linear_model(kind: Kind, strength: float) -> Any:
    """A linear model that is not fitted yet: logistic regression, one for each label in a multi-label task; ridge regression
    if answers are numbers.

    It minimises a sum over rows plus the squared norm of the weights over 2 C (ridge: over C). strength: C.
    """
    if not kind.has_labels:
        return Ridge(alpha=1 / strength)
    logistic = LogisticRegression(C=strength, max_iter=MOST_ITERATIONS)
    return OneVsRestClassifier(logistic) if kind.several_labels else logistic


def best_linear_model(
    trainer: EstimatorTrainer, encoder: Any, features: Any, targets: np.ndarray, job: OwnModelJob, options: Any
) -> Any:
    """The linear model with the best C of the options, fitted to all rows of train. features: (n, width), by the fitted
    encoder.

    The best C has the smallest mean error on dev, or on every fifth row of train when fitted to the other rows; of equals it
    is the smallest. If train is too small to hold rows out, it is the C nearest to 1 on the log scale.
    """
    if len(options.C) == 1:
        return linear_model(job.kind, options.C[0]).fit(features, targets)
    if options.choose_on == "dev" and (dev := job.dev()):
        checks = encoder.transform(trainer.inputs(dev, job, options))
        models = (linear_model(job.kind, strength).fit(features, targets) for strength in options.C)
        return min(models, key=lambda model: mean_error(trainer, model, checks, dev, job))
    strength = best_on_train(trainer, features, targets, job, options)
    return linear_model(job.kind, strength).fit(features, targets)


def best_on_train(trainer: EstimatorTrainer, features: Any, targets: np.ndarray, job: OwnModelJob, options: Any) -> float:
    """The C with the smallest mean error on every fifth row of train, when fitted to the other rows."""
    held_out = np.arange(len(targets)) % FOLDS == FOLDS - 1
    inner, checks = targets[~held_out], features[held_out]
    examples = [example for example, held in zip(job.train, held_out, strict=True) if held]
    if not examples or (inner == inner[0]).all():
        return float(min(options.C, key=lambda strength: abs(math.log(strength))))

    def error(strength: float) -> float:
        return mean_error(trainer, linear_model(job.kind, strength).fit(features[~held_out], inner), checks, examples, job)

    return float(min(options.C, key=error))


def mean_error(trainer: EstimatorTrainer, model: Any, features: Any, examples: Sequence[Example], job: OwnModelJob) -> float:
    """The mean error of a fitted model on labelled examples, by the errors of the kind of task (`Kind.errors`)."""
    answers = [answer.answer for answer in trainer.answers(model, features, examples, job)]
    read = [[job.kind.read_answer(said, job.labels) for said in side] for side in (answers, [one.label for one in examples])]
    return float(job.kind.errors(*map(np.asarray, read)).mean())
