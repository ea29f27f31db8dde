"""The weights of labels in the loss, and the chances of rows to be drawn, by which rare labels count as much as others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bakeoff.contracts.metric import Floats
from bakeoff.errors import BakeoffError
from bakeoff.text.words import did_you_mean


def class_weights(wanted: str | Mapping[str, float], labels: Sequence[Any], names: Sequence[str]) -> Any | None:
    """The recipe's `class_weights` as a float32 tensor (n_labels,); None for `none`.

    labels: the label number of each row that is trained on; names: of all labels. `balanced`: rows / (labels * rows of the
    label), scikit-learn's formula, in which the weights of all rows average 1; a label without rows weighs 0. Labels that a
    mapping does not name weigh 1. Raises BakeoffError for a name that is no label.
    """
    import torch

    if wanted == "none":
        return None
    if wanted == "balanced":
        counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(names))
        weights = np.divide(len(labels), len(names) * counts, out=np.zeros(len(names)), where=counts > 0)
        return torch.tensor(weights, dtype=torch.float32)
    assert not isinstance(wanted, str)
    if strange := [name for name in wanted if name not in names]:
        raise BakeoffError(did_you_mean("label in `class_weights`", strange[0], names))
    return torch.tensor([float(wanted.get(name, 1.0)) for name in names], dtype=torch.float32)


def chances(labels: Sequence[Any]) -> Floats:
    """The chance of each row, (n,), to be drawn, in which every label that occurs is as likely as any other; they sum to 1."""
    _, numbers, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(counts) * counts[numbers]))
