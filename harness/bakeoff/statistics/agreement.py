"""Agreement between runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def agreement(answers: NDArray[Any]) -> float | None:
    """Share of examples on which two of K runs give the same answer, mean over all pairs of runs; (K, N); None for one run."""
    runs, examples = answers.shape
    if runs < 2:
        return None
    same = 0.0
    for value in np.unique(answers):
        votes = (answers == value).sum(axis=0)
        same += float((votes * (votes - 1)).sum())
    return float(same / (runs * (runs - 1) * examples))
