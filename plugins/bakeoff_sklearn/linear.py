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
"""One row of so many is held out of train, where there is no dev."""
MOST_ITERATIONS = 1_000


def linear_model(kind: Kind, strength: float) -> Any:
    """Logistic regression, one for each label where an example may have several; ridge regression where answers are numbers.

    Each minimises a sum over rows plus the squared norm of the weights over 2 C (ridge: over C).
    """
    if not kind.has_labels:
        return Ridge(alpha=1 / strength)
    logistic = LogisticRegression(C=strength, max_iter=MOST_ITERATIONS)
    return OneVsRestClassifier(logistic) if kind.several_labels else logistic


def chosen_strength(
    trainer: EstimatorTrainer, encoder: Any, features: Any, targets: np.ndarray, job: OwnModelJob, options: Any
) -> float:
    """The C with the smallest mean error on dev, or on every fifth row of train; of equals the smallest.

    features: of train, (n, width), by the fitted `encoder`. Where train is too small to hold anything out, the C nearest to 1.
    """
    if options.choose_on == "dev" and (dev := job.dev()):
        fit_to, checks, examples = (features, targets), encoder.transform(trainer.inputs(dev, job, options)), dev
    else:
        held_out = np.arange(len(targets)) % FOLDS == FOLDS - 1
        fit_to, checks = (features[~held_out], targets[~held_out]), features[held_out]
        examples = [example for example, held in zip(job.train, held_out, strict=True) if held]
        if not examples or (fit_to[1] == fit_to[1][0]).all():
            return min(options.C, key=lambda strength: abs(math.log(strength)))

    def error(strength: float) -> float:
        return mean_error(trainer, linear_model(job.kind, strength).fit(*fit_to), checks, examples, job)

    return min(options.C, key=error)


def mean_error(trainer: EstimatorTrainer, model: Any, features: Any, examples: Sequence[Example], job: OwnModelJob) -> float:
    """The mean of the kind's errors of a fitted model on labelled examples."""
    answers = [answer.answer for answer in trainer.answers(model, features, examples, job)]
    read = [[job.kind.read_answer(said, job.labels) for said in side] for side in (answers, [one.label for one in examples])]
    return float(job.kind.errors(*map(np.asarray, read)).mean())
