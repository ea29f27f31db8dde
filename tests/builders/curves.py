"""Experiments in memory in which one recipe key varies: a row for each strategy and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Vary
from builders.experiments import make_experiment
from builders.runs import drawn_answers

SIZES = (64, 256, 1024, None)
"""The last one is all 3,668."""
LABELS = (np.arange(500) % 3 > 0).astype(np.int64)
FULL, PROBE, TFIDF = (0.62, 0.72, 0.84, 0.90), (0.68, 0.74, 0.77, 0.79), (0.71, 0.75, 0.785, 0.80)
CURVES: Mapping[str, Sequence[float]] = {"tfidf": TFIDF, "full": FULL, "probe": PROBE}
"""Strategy -> accuracy at each size. The first is the baseline."""


def row_name(strategy: str, value: Any) -> str:
    return f"{strategy}@{'all' if value is None else value}"


def varied_experiment(
    curves: Mapping[str, Sequence[float]] = CURVES,
    *,
    key: str = "train_examples",
    values: Sequence[Any] = SIZES,
    seeds: int = 5,
    seed_free: Iterable[str] = (),
    missing: Mapping[str, int] | None = None,
    labels: NDArray[np.int64] = LABELS,
    **keywords: Any,
) -> Experiment:
    """seed_free: rows with a single run. missing: row -> so many runs fewer than `seeds`; keywords are make_experiment's."""
    alone = set(seed_free)
    answers, records, rows = {}, {}, {}
    for strategy, accuracies in curves.items():
        rows[strategy] = [row_name(strategy, value) for value in values]
        for place, (value, accuracy) in enumerate(zip(values, accuracies, strict=True)):
            name = row_name(strategy, value)
            runs = 1 if name in alone else seeds - (missing or {}).get(name, 0)
            answers[name] = drawn_answers(labels, seeds=runs, accuracy=accuracy, seed=place + 10 * len(rows), wobble=0.15)
            recipe = {} if value is None else {key: value}
            records[name] = {"method": strategy, "recipe": recipe}
    declared: dict[str, Any] = {
        "vary": Vary(key=key, values=list(values), rows=rows),
        "under_test": ["method", f"recipe.{key}"],
        "seed_free": sorted(alone),
        "baseline": rows[next(iter(curves))][-1],
    }
    return make_experiment(answers, labels, records=records, **(declared | keywords))
