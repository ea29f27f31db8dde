"""A metric over the runs of a board: values per example where it is a ratio of sums, and what the bootstrap scores it by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.statistics.bootstrap import (
    Replicates,
    bootstrap_ratio,
    multi_bootstrap,
    or_nan,
)
from bakeoff.statistics.intervals import pseudo_values
from bakeoff.statistics.scorers import SCORERS, scorer_of

SLOW_REPLICATES = 500
"""For a metric that must be computed anew for every replicate and run."""


def values_of(outputs: SplitOutputs, metric: Metric, strategy: str) -> Floats | None:
    """(K, N) of which each run's score is the mean over examples; None for a metric that is no ratio of sums."""
    parts = outputs.ratio_terms(metric, strategy)
    if parts is None:
        return None
    numerator, denominator = parts
    return numerator if (denominator == 1).all() else pseudo_values(numerator, denominator)


def counted(outputs: SplitOutputs, metric: Metric, strategy: str) -> int:
    """How many of the N examples tell something of the score, in the run where they are fewest: those with a part in a ratio's
    denominator (of recall the cases, of precision what was predicted), else all."""
    parts = outputs.ratio_terms(metric, strategy)
    return len(outputs.ids) if parts is None else int((parts[1] != 0).sum(axis=1).min())


def scores_of(outputs: SplitOutputs, metric: Metric, strategy: str, values: Floats | None) -> Floats | None:
    """(K,) computed from the answers, NaN where the metric gives them no score; None for a metric that can't be had without the
    hub."""
    if values is not None:
        return np.asarray(values.mean(axis=1))
    if isinstance(metric, HubMetric):
        return None
    score = or_nan(metric.score)
    return np.array([score(run, outputs.labels) for run in outputs.answers[strategy]])


def resample(outputs: SplitOutputs, metric: Metric, strategies: list[str], *, seed: int = 0) -> Replicates | None:
    """Scores of these strategies in every replicate of the multi-bootstrap; None for a metric that needs the hub, and for one
    that has no value on most resamples."""
    counts = [len(outputs.seeds[strategy]) for strategy in strategies]
    paired = len({tuple(sorted(outputs.seeds[strategy])) for strategy in strategies}) == 1
    order = {strategy: np.argsort(outputs.seeds[strategy]) for strategy in strategies}
    numerators, denominators = [], []
    for name in strategies:
        if (parts := outputs.ratio_terms(metric, name)) is not None:
            numerators.append(parts[0][order[name]])
            denominators.append(parts[1][order[name]] if parts[1].strides[0] else parts[1])  # rows all alike stay one
    if len(numerators) == len(strategies):
        return bootstrap_ratio(numerators, denominators, paired=paired, seed=seed)
    if isinstance(metric, HubMetric):
        return None
    answers: NDArray[Any] = np.concatenate([outputs.answers[name][order[name]] for name in strategies])
    return multi_bootstrap(
        scorer_of(metric, answers, outputs.labels),
        counts,
        examples=len(outputs.labels),
        paired=paired,
        replicates=2000 if metric.name in SCORERS else SLOW_REPLICATES,
        seed=seed,
        keep_runs=True,
    ).defined()
