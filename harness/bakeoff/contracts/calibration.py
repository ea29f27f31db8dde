"""Calibration of predicted probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.metric import Floats

BINS = 15


def expected_calibration_error(probabilities: Floats, labels: NDArray[Any]) -> float:
    """Mean distance between confidence and accuracy over 15 bins of equally many examples; 0 to 1.

    probabilities: (n, n_outputs); labels: (n,). Fine-tuned models are confident nearly everywhere, so that most of 15 bins of
    equal width would be empty (Nixon et al., 2019).
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    right = probabilities.argmax(axis=1) == labels
    bins = np.arange(len(order)) * min(BINS, len(order)) // len(order)
    return float(np.abs(np.bincount(bins, right[order] - confidence[order])).sum() / len(order))


def squared_error(probabilities: Floats, labels: NDArray[Any]) -> float:
    """The Brier score in its original form (1950): squared differences summed over labels, mean over examples; 0 to 2.

    probabilities: (n, n_outputs); labels: (n,).
    """
    n = len(labels)
    true = probabilities[np.arange(n), np.asarray(labels, dtype=np.intp)]
    found = float(np.einsum("ij,ij->", probabilities, probabilities) / n - 2 * true.mean() + 1)
    return min(max(found, 0.0), 2.0)  # rounding may lead beyond
