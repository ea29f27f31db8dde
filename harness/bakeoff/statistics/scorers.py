"""What the bootstrap scores a metric by, and what picking the best of several states owes to luck."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric
from bakeoff.statistics.bootstrap import (
    Scorer,
    any_scorer,
    mcc_scorer,
    multi_bootstrap,
    pearson_scorer,
    ratio_scorer,
    spearman_scorer,
)
from bakeoff.statistics.intervals import ROUNDING
from bakeoff.text.numbers import rounded

LUCK_REPLICATES, FEWEST_REPLICATES, SLOW_ANSWERS = 500, 50, 20_000_000
"""Draws that tell what the best of several states owes to luck; fewer, down to a least number, where each score must be
computed anew and so many answers would take some seconds to score."""


SCORERS = {"mcc": mcc_scorer, "pearson": pearson_scorer, "spearman": spearman_scorer}


def scorer_of(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> Scorer:
    """What gives the scores of runs, answers (runs, N), in resamples of the N examples."""
    if metric.name in SCORERS:
        return SCORERS[metric.name](answers, labels)
    parts = [metric.ratio_terms(run, labels) for run in answers]
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
    quick = metric.name in SCORERS or metric.ratio_terms(answers[0], labels) is not None
    replicates = LUCK_REPLICATES if quick else max(FEWEST_REPLICATES, min(LUCK_REPLICATES, SLOW_ANSWERS // answers.size))
    drawn = multi_bootstrap(
        scorer_of(metric, answers, labels), [len(answers)], examples=len(labels), replicates=replicates, keep_runs=True
    ).resampled
    assert drawn is not None  # runs are kept
    luck = (drawn - drawn.mean(axis=0)) * (1 if metric.higher_is_better else -1)
    found = float(luck.max(axis=1).mean())
    return rounded(found if found > ROUNDING else 0.0, 3) if np.isfinite(found) else None
