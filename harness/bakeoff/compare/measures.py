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
    or_nan,
    pearson_scorer,
    ratio_scorer,
    spearman_scorer,
)
from bakeoff.compare.outputs import SplitOutputs
from bakeoff.compare.twoway import pseudo_values
from bakeoff.components import Floats, Metric
from bakeoff.metrics import HubMetric

SLOW_REPLICATES = 500
"""For a metric that must be computed anew for every replicate and run."""

LUCK_REPLICATES, FEWEST_REPLICATES, SLOW_ANSWERS = 500, 50, 20_000_000
"""Draws that tell what the best of several states owes to luck; fewer, down to a least number, where each score must be
computed anew and so many answers would take some seconds to score."""
ROUNDING = 1e-12

SCORERS = {"mcc": mcc_scorer, "pearson": pearson_scorer, "spearman": spearman_scorer}


def values_of(outputs: SplitOutputs, metric: Metric, strategy: str) -> Floats | None:
    """(K, N) of which each run's score is the mean over examples; None for a metric that is no ratio of sums."""
    parts = outputs.parts(metric, strategy)
    if parts is None:
        return None
    numerator, denominator = parts
    return numerator if (denominator == 1).all() else pseudo_values(numerator, denominator)


def counted(outputs: SplitOutputs, metric: Metric, strategy: str) -> int:
    """How many of the N examples tell something of the score, in the run where they are fewest: those with a part in a ratio's
    denominator (of recall the cases, of precision what was predicted), else all."""
    parts = outputs.parts(metric, strategy)
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
        if (parts := outputs.parts(metric, name)) is not None:
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


def scorer_of(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> Scorer:
    """What gives the scores of runs, answers (runs, N), in resamples of the N examples."""
    if metric.name in SCORERS:
        return SCORERS[metric.name](answers, labels)
    parts = [metric.parts(run, labels) for run in answers]
    whole = [part for part in parts if part is not None]
    if whole and len(whole) == len(parts):
        return ratio_scorer(np.stack([above for above, _ in whole]), np.stack([below for _, below in whole]))
    return any_scorer(metric.score, answers, labels)


def luck_of_the_best(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> float | None:
    """What picking the best of E states by their scores on N examples adds where all are equally good, in score units.

    answers: (E, N). Examples are drawn anew; how far each state's score moves from its own mean over the draws is luck, and
    the best of these E moves is what is picked, in the mean over draws (the bootstrap's optimism, Efron 1983). Deterministic,
    to three digits. None for a metric of the hub, and for scores that are not finite.
    """
    if isinstance(metric, HubMetric):
        return None
    quick = metric.name in SCORERS or metric.parts(answers[0], labels) is not None
    replicates = LUCK_REPLICATES if quick else max(FEWEST_REPLICATES, min(LUCK_REPLICATES, SLOW_ANSWERS // answers.size))
    drawn = multi_bootstrap(
        scorer_of(metric, answers, labels), [len(answers)], examples=len(labels), replicates=replicates, keep_runs=True
    ).resampled
    assert drawn is not None  # runs are kept
    luck = (drawn - drawn.mean(axis=0)) * (1 if metric.higher_is_better else -1)
    found = float(luck.max(axis=1).mean())
    return float(f"{found if found > ROUNDING else 0.0:.3g}") if np.isfinite(found) else None
