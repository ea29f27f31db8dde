"""Metrics that say nothing on a split: whatever is answered there, they give one score."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.components import Metric
from bakeoff.metrics import HubMetric, label_of

ROUNDING = 1e-12


def why_silent(metric: Metric, labels: NDArray[Any], names: Sequence[str] = ()) -> str:
    """Why the metric says nothing of answers to these right ones, (n,), in words; empty where it may say something.

    It is asked for its score of answers as unlike each other as can be: all right, always one label, all wrong, in another
    order. Where all get one score (Matthews' correlation on one label, Pearson's on a constant, recall without a case), or none
    a finite one, no answers can be told apart. Metrics that need more labels than there are say so themselves
    (`Metric.least_labels`). Nothing is known of a metric of the hub. `names`: of the labels, by number.
    """
    found = np.unique(labels)
    if len(found) < getattr(metric, "least_labels", 1):
        return _constant(found, names)
    parts = metric.parts(labels, labels) is not None
    if isinstance(metric, HubMetric) or not (parts or type(metric).score is not Metric.score):
        return ""
    number, of_sets = label_of(metric), getattr(metric, "kind", "") == "multilabel"
    case = None if number is None else 1 << number if of_sets else number
    scores = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for answers in _unlike(labels, found, case):
            scores.append(_score(metric, answers, labels))
            if np.isfinite(scores[-1]) and abs(scores[-1] - scores[0]) > ROUNDING:
                return ""
    if not np.isfinite(scores).all() and np.isfinite(scores).any():
        return ""
    if number is not None and not ((found & case).any() if of_sets else number in found):
        return f"no example has the label {_named(number, names)}"
    return _constant(found, names) if len(found) == 1 else f"whatever is answered, it is {scores[0]:g}"


def _unlike(labels: NDArray[Any], found: NDArray[Any], case: int | None) -> Iterator[NDArray[Any]]:
    """Answers as unlike each other as can be; `case` is one that a metric of one label looks for."""
    yield labels
    if np.issubdtype(labels.dtype, np.floating):
        width = float(np.ptp(labels)) or 1.0
        yield labels[::-1] + width
        yield np.linspace(found[0] - width, found[-1] + width, len(labels))
        yield np.linspace(found[-1] + width, found[0] - width, len(labels))
        return
    others = [case] if case is not None else [label for label in (0, 1, int(found[-1]) + 1) if label != found[0]]
    for other in [*found[:3].tolist(), *others]:
        yield np.full_like(labels, other)
    yield np.where(np.arange(len(labels)) % 2 == 0, labels, others[-1] if others[-1] != found[0] else found[-1] + 1)
    yield np.roll(labels, 1)


def _score(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> float:
    """By its parts where it has any: a score may be the evaluate library's, which would have to be loaded."""
    parts = metric.parts(answers, labels)
    if parts is None:
        return float(metric.score(answers, labels))
    total = parts[1].sum()
    return float(parts[0].sum() / total) if total else 0.0


def _constant(found: NDArray[Any], names: Sequence[str]) -> str:
    if np.issubdtype(found.dtype, np.floating):
        return f"every example has the number {found[0]:g}"
    return f"every example has the label {_named(int(found[0]), names)}"


def _named(label: int, names: Sequence[str]) -> str:
    return repr(names[label]) if 0 <= label < min(len(names), 20) else f"number {label}"
