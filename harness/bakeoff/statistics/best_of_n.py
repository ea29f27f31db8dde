"""The expected best of several runs, the probability of improvement, and GRIM: whether printed scores are possible at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.contracts.metric import Floats

MOST_TRIES = 10
"""The largest n for which `expected_bests` gives the expected best of n runs."""


@dataclass(frozen=True)
class Grim:
    """What `grim` finds: whether a confusion matrix rounds to the printed accuracy and F1, and the nearest one's scores."""

    attainable: bool
    accuracy: float
    f1: float


def expected_best_of_n(values: Sequence[float] | Floats, n: int) -> float:
    """The expected largest of n values that are drawn without replacement from the B given ones; unbiased (Tang et al., 2020).

    Raises ValueError unless 1 <= n <= B: nothing is extrapolated.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    size = len(ordered)
    if not 1 <= n <= size:
        raise ValueError(f"the best of {n} cannot be estimated from {size} values")
    subsets = np.array([math.comb(i - 1, n - 1) / math.comb(size, n) for i in range(1, size + 1)])
    return float(subsets @ ordered)


def expected_bests(values: Sequence[float] | Floats, *, higher_is_better: bool) -> list[float]:
    """The expected best score of 1, 2, ... runs, up to the number of runs or ten, by `expected_best_of_n`.

    values: one score for each run. The best is the lowest score unless `higher_is_better`.
    """
    sign = 1.0 if higher_is_better else -1.0
    signed = sign * np.asarray(values, dtype=np.float64)
    return [sign * expected_best_of_n(signed, n) for n in range(1, min(len(signed), MOST_TRIES) + 1)]


def probability_of_improvement(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float:
    """Probability that a random run of `a` scores above a random run of `b`; ties count half. a, b: scores, one for each run.

    Raises ValueError if a side has no run.
    """
    left, right = np.asarray(a, dtype=np.float64)[:, None], np.asarray(b, dtype=np.float64)[None]
    if not left.size or not right.size:
        raise ValueError("a probability of improvement needs at least one run on each side")
    return float((left > right).mean() + (left == right).mean() / 2)


def grim(accuracy: float, f1: float, *, positives: int, negatives: int, digits: int) -> Grim:
    """Whether an accuracy and an F1 that were printed with `digits` decimals can come from one evaluation.

    Both are shares: 84.07 points are 0.8407 with 4 digits. positives, negatives: how many labels of each there are. For each
    number of right answers, F1 grows with the true positives, so only the two counts around the printed F1 have to be tried.
    After Brown and Heathers (2017). Raises ValueError for impossible arguments.
    """
    if not (0 <= accuracy <= 1 and 0 <= f1 <= 1) or min(positives, negatives) < 0 or positives + negatives < 1:
        raise ValueError(
            f"accuracy {accuracy} and F1 {f1} must be from 0 to 1, and positives {positives} and negatives {negatives} whole "
            "numbers from 0, not both 0"
        )
    n = positives + negatives
    wrong = np.arange(n + 1)  # fn + fp
    # fn = positives - tp is at most `wrong`; fp = wrong - fn is at most `negatives`
    least, most = np.maximum(positives - wrong, 0), np.minimum(positives, n - wrong)
    ideal = f1 * wrong / (2 * (1 - f1)) if f1 < 1 else np.full(n + 1, float(positives))
    tp = np.stack([np.clip(np.floor(ideal), least, most), np.clip(np.ceil(ideal), least, most)]).astype(np.int64)
    total = 2 * tp + wrong
    scores = np.divide(2 * tp, total, out=np.zeros(tp.shape), where=total > 0)
    apart = np.maximum(np.abs(scores - f1), np.abs((n - wrong) / n - accuracy))
    row, column = np.unravel_index(int(apart.argmin()), apart.shape)
    return Grim(
        attainable=bool(apart[row, column] <= 0.5 * 10.0**-digits + 1e-12),
        accuracy=float((n - wrong[column]) / n),
        f1=float(scores[row, column]),
    )
