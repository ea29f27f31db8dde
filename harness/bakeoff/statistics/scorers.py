"""Scorers of metrics for the bootstrap, and the selection bias of picking the best of several checkpoints."""

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
"""Resamples for `luck_of_the_best`; for metrics without a quick scorer fewer, so that at most SLOW_ANSWERS answers are scored,
but at least FEWEST_REPLICATES."""


SCORERS = {"mcc": mcc_scorer, "pearson": pearson_scorer, "spearman": spearman_scorer}


def scorer_of(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> Scorer:
    """The bootstrap's scorer of a metric, for runs with answers (runs, N) to examples with labels (N,)."""
    if metric.name in SCORERS:
        return SCORERS[metric.name](answers, labels)
    parts = [metric.ratio_terms(run, labels) for run in answers]
    whole = [part for part in parts if part is not None]
    if whole and len(whole) == len(parts):
        return ratio_scorer(np.stack([above for above, _ in whole]), np.stack([below for _, below in whole]))
    return any_scorer(metric.score, answers, labels)


def luck_of_the_best(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> float | None:
    """Bias from picking the best of E equally good checkpoints by their scores on N examples, in score units.

    answers: (E, N). In each resample of the examples every checkpoint's score deviates from its own mean over resamples; the
    bias is the mean over resamples of the largest of these E deviations (the bootstrap's optimism, Efron 1983). Deterministic,
    three significant digits. None for a metric of the Hugging Face hub, and for scores that are not finite.
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
