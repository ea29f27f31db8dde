"""A metric over the runs of a board: values per example where it is a ratio of sums, and what the bootstrap scores it by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.compare.bootstrap import (
    Replicates,
    Scorer,
    any_scorer,
    bootstrap_ratio,
    mcc_scorer,
    multi_bootstrap,
    pearson_scorer,
    spearman_scorer,
)
from bakeoff.compare.outputs import SplitOutputs
from bakeoff.compare.twoway import pseudo_values
from bakeoff.components import Floats, Metric
from bakeoff.metrics import HubMetric

SLOW_REPLICATES = 500
"""For a metric that must be computed anew for every replicate and run."""

SCORERS = {"mcc": mcc_scorer, "pearson": pearson_scorer, "spearman": spearman_scorer}


def values_of(outputs: SplitOutputs, metric: Metric, strategy: str) -> Floats | None:
    """(K, N) of which each run's score is the mean over examples; None for a metric that is no ratio of sums."""
    parts = outputs.parts(metric, strategy)
    if parts is None:
        return None
    numerator, denominator = parts
    return numerator if (denominator == 1).all() else pseudo_values(numerator, denominator)


def scores_of(outputs: SplitOutputs, metric: Metric, strategy: str, values: Floats | None) -> Floats | None:
    """(K,) computed from the answers; None for a metric that can't be had without the hub."""
    if values is not None:
        return np.asarray(values.mean(axis=1))
    if isinstance(metric, HubMetric):
        return None
    return np.array([metric.score(run, outputs.labels) for run in outputs.answers[strategy]])


def resample(outputs: SplitOutputs, metric: Metric, strategies: list[str], *, seed: int = 0) -> Replicates | None:
    """Scores of these strategies in every replicate of the multi-bootstrap; None for a metric that needs the hub."""
    counts = [len(outputs.seeds[strategy]) for strategy in strategies]
    paired = len({tuple(sorted(outputs.seeds[strategy])) for strategy in strategies}) == 1
    order = {strategy: np.argsort(outputs.seeds[strategy]) for strategy in strategies}
    numerators, denominators = [], []
    for name in strategies:
        if (parts := outputs.parts(metric, name)) is not None:
            numerators.append(parts[0][order[name]])
            denominators.append(parts[1][order[name]] if parts[1].strides[0] else parts[1])  # rows all alike stay one
    if len(numerators) == len(strategies):
        return bootstrap_ratio(numerators, denominators, paired=paired, seed=seed)
    if isinstance(metric, HubMetric):
        return None
    answers: NDArray[Any] = np.concatenate([outputs.answers[name][order[name]] for name in strategies])
    make = SCORERS.get(metric.name)
    scorer: Scorer = make(answers, outputs.labels) if make else any_scorer(metric.score, answers, outputs.labels)
    return multi_bootstrap(
        scorer,
        counts,
        examples=len(outputs.labels),
        paired=paired,
        replicates=2000 if make else SLOW_REPLICATES,
        seed=seed,
        keep_runs=True,
    )
