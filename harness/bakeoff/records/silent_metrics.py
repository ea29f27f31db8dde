"""Metrics that say nothing on a split: every prediction there has the same score."""

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
"""Characters of a metric's own error that are kept: the reason stands in the record, which is small."""


def silent_metrics(
    metrics: Iterable[Metric], labels: Mapping[str, NDArray[Any]], names: Sequence[str] = (), *, load: bool = False
) -> dict[str, dict[str, str]]:
    """Split -> metric that says nothing there -> why, by the right answers (n,) of each split; see `why_silent`."""
    known = list(metrics)
    found = {
        split: {metric.name: reason for metric in known if (reason := why_silent(metric, right, names, load=load))}
        for split, right in labels.items()
    }
    return {split: reasons for split, reasons in found.items() if reasons}


def why_silent(metric: Metric, labels: NDArray[Any], names: Sequence[str] = (), *, load: bool = False) -> str:
    """Why the metric says nothing of answers to these right ones, (n,), in words; empty where it may say something.

    Its score is computed for predictions that differ as much as possible: all right, always one label, all wrong, in another
    order. Where all get one score (Matthews' correlation on one label, Pearson's on a constant, recall without a case), or none
    a finite one, be it that the metric raises, it distinguishes no predictions. Metrics that need more labels than there are
    say so themselves (`Metric.least_labels`). `names`: of the labels, by number.

    load: ask metrics of the evaluate library too, the hub's among them; else nothing is known of them. Raises DataError where
    one is not available.
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
        for answers in _unlike(labels, found, case):
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
    return f"it gives no score ({error})" if error else f"whatever is answered, it is {spelt(float(scores[0]))}"


def error_of_metric(error: Exception) -> str:
    """A metric's own error in one short line."""
    text = one_line(f"{type(error).__name__}: {error}")
    return text if len(text) <= MOST_WORDS else f"{text[: MOST_WORDS - 3]}..."


def _is_numpy(metric: Metric, labels: NDArray[Any]) -> bool:
    """Whether it can be asked without the evaluate library: by its parts, or by a score of its own."""
    if isinstance(metric, HubMetric):
        return False
    try:
        return type(metric).score is not Metric.score or metric.ratio_terms(labels, labels) is not None
    except Exception:  # then it has parts of its own, which these labels don't suit
        return True


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
