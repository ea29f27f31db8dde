"""Metrics that cannot tell predictions apart on a split, because any predictions get the same score there."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metric_lookup import label_of
from bakeoff.kinds import CLASSIFICATION
from bakeoff.text.values import spelt
from bakeoff.text.words import one_line

ROUNDING = 1e-12
MOST_WORDS = 120
"""How many characters of a metric's own error are kept, since the reason goes into the record."""


def silent_metrics(
    metrics: Iterable[Metric], labels: Mapping[str, NDArray[Any]], names: Sequence[str] = (), *, load: bool = False
) -> dict[str, dict[str, str]]:
    """Split -> name of a metric that cannot tell predictions apart there -> why. labels: split -> its reference labels, (n,).
    names, load: see `why_silent`."""
    known = list(metrics)
    found = {
        split: {metric.name: reason for metric in known if (reason := why_silent(metric, right, names, load=load))}
        for split, right in labels.items()
    }
    return {split: reasons for split, reasons in found.items() if reasons}


def why_silent(metric: Metric, labels: NDArray[Any], names: Sequence[str] = (), *, load: bool = False) -> str:
    """Why the metric cannot tell predictions apart on examples with these reference labels, (n,); empty if it can.

    The metric is computed for predictions as different as possible: all right, one constant label, all wrong, in another order.
    It cannot tell them apart if all get the same score (Matthews' correlation with one label, Pearson's with a constant, recall
    where no example has the label), or if none gets a finite score, also because the metric raises. Nor can it if fewer labels
    occur than it says that it needs (`Metric.least_labels`). names: names of the labels, by number.

    load: also try metrics that need the evaluate library; otherwise these count as able to tell predictions apart. Raises
    DataError if such a metric is not available.
    """
    found = np.unique(labels)
    if len(found) < getattr(metric, "least_labels", 1):
        return _constant(found, names)
    if not load and not _is_numpy(metric, labels):
        return ""
    if load and isinstance(metric, HubMetric):
        metric.load()
    number, kind = label_of(metric), getattr(metric, "kind", None) or CLASSIFICATION
    case = None if number is None else kind.only_label(number)
    scores: list[float] = []
    error = ""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for answers in _different_predictions(labels, found, case):
            try:
                scores.append(_score(metric, answers, labels))
            except Exception as raised:  # a metric of any author: on these labels it may have no answer
                scores.append(math.nan)
                error = error or error_of_metric(raised)
            if np.isfinite(scores[-1]) and abs(scores[-1] - scores[0]) > ROUNDING:
                return ""
    if not np.isfinite(scores).all() and np.isfinite(scores).any():
        return ""
    if number is not None and not kind.has_label(found, number).any():
        return f"no example has the label {_named(number, names)}"
    if len(found) == 1:
        return _constant(found, names)
    return f"it gives no score ({error})" if error else f"any predictions get {spelt(float(scores[0]))}"


def error_of_metric(error: Exception) -> str:
    """A metric's own exception in one short line."""
    text = one_line(f"{type(error).__name__}: {error}")
    return text if len(text) <= MOST_WORDS else f"{text[: MOST_WORDS - 3]}..."


def _is_numpy(metric: Metric, labels: NDArray[Any]) -> bool:
    """Whether the metric can be computed without the evaluate library: from its ratio terms, or by its own `score`."""
    if isinstance(metric, HubMetric):
        return False
    try:
        return type(metric).score is not Metric.score or metric.ratio_terms(labels, labels) is not None
    except Exception:  # then it has parts of its own, which these labels don't suit
        return True


def _different_predictions(labels: NDArray[Any], found: NDArray[Any], case: int | None) -> Iterator[NDArray[Any]]:
    """Yields predictions as different from each other as possible. case: the label that the metric is about, if it is about
    one (F1)."""
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
    """The metric's score, from its ratio terms if it has them, because its own `score` may load the evaluate library."""
    parts = metric.ratio_terms(answers, labels)
    if parts is None:
        return float(metric.score(answers, labels))
    total = parts[1].sum()
    return float(parts[0].sum() / total) if total else 0.0


def _constant(found: NDArray[Any], names: Sequence[str]) -> str:
    if np.issubdtype(found.dtype, np.floating):
        return f"every example has the number {spelt(float(found[0]))}"
    return f"every example has the label {_named(int(found[0]), names)}"


def _named(label: int, names: Sequence[str]) -> str:
    return repr(names[label]) if 0 <= label < min(len(names), 20) else f"number {label}"
