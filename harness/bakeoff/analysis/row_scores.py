"""One row by itself: its scores with their intervals."""

from __future__ import annotations

import math

import numpy as np

from bakeoff.analysis.outputs import Measured, SplitOutputs
from bakeoff.analysis.results import Bounds
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.statistics.bootstrap import Replicates, or_nan
from bakeoff.statistics.intervals import ROUNDING, Estimate, bca, mean_estimate, ratio_estimate, score_interval, share_interval
from bakeoff.statistics.twoway import of_one_table, two_way

MOST_FOR_BCA = 5_000
"""The most examples for BCa intervals. These leave out each example in turn, which takes time with the square of their number;
with more examples, simpler methods give the same interval."""


SEEDS_AND_EXAMPLES, ONE_RUN = "seeds and examples", "examples only (one run)"
SEED_FREE = "examples only (does not depend on the seed)"


def bounds_of(
    outputs: SplitOutputs | None, metric: Metric | None, row: str, *, replicates: Replicates | None = None, quick: bool = False
) -> Bounds:
    """The 95 % interval of a row's score by a metric, and what it covers; empty where none can be computed.

    Of several runs: over seeds and examples, by the two-way estimate, or from the bootstrap's `replicates` where the metric is
    no ratio of sums. Of one run: over examples only, by Wilson for a share and by BCa for any other metric; with many
    examples, by the delta method for a ratio of sums and by plain percentiles for others. Where `quick`, others have none:
    theirs take a tenth of a second or more. All lie within the metric's range, and none has width 0: where nothing varies,
    `score_interval` has the answer.
    """
    if outputs is None or metric is None or row not in outputs.answers or len(outputs.ids) < 2:
        return Bounds()
    measured, several = outputs.measured(metric, row), len(outputs.seeds[row]) > 1
    found: Estimate | tuple[float, float] | None = None
    if several and measured.values is not None:
        found = two_way(measured.values)
    elif several:
        table = replicates.table(list(outputs.answers).index(row)) if replicates is not None else None
        found = None if table is None else of_one_table(table)
    elif measured.terms is not None:
        found = _of_a_ratio(measured.terms[0][0], measured.terms[1][0], quick=quick)
    elif not quick and not isinstance(metric, HubMetric):
        drawn = outputs.resample(metric, [row]) if len(outputs.ids) > MOST_FOR_BCA else None
        low, high = _of_any(measured) if drawn is None else np.quantile(drawn.scores[:, 0], [0.025, 0.975])
        found = float(low), float(high)
    alone = SEED_FREE if row in outputs.seed_free else ONE_RUN
    bounds = _bounds(found, measured, SEEDS_AND_EXAMPLES if several else alone)
    return bounds if bounds.low is None else bounds._replace(se=_standard_error(found, measured))


def above_majority_p(outputs: SplitOutputs, metric: Metric, row: str, constant: Measured) -> float | None:
    """One-sided p of the row's score against that of the majority baseline (`constant`: its answers, as one run) on the same
    examples; None for a metric that is no ratio of sums."""
    own = outputs.measured(metric, row)
    if own.values is None or constant.values is None or len(outputs.ids) < 2:
        return None
    apart = own.values - constant.values
    found = two_way(apart) if len(apart) > 1 else mean_estimate(apart[0])
    return found.p_above(0.0) if metric.higher_is_better else found.p_below(0.0)


def _bounds(found: Estimate | tuple[float, float] | None, measured: Measured, covers: str) -> Bounds:
    """The interval of an estimate, within the metric's range. Percentiles of one run, given as a pair, are taken as they are,
    unless they coincide or the run's score is at an end of that range. covers: what the interval covers, in words."""
    unit = measured.metric.unit
    if isinstance(found, tuple):
        score = math.nan if measured.scores is None else float(measured.scores[0])
        if not np.isfinite(found).all():
            return Bounds()
        if found[1] - found[0] > ROUNDING and not {score} & {unit.low, unit.high}:
            return Bounds(*found, covers)
        found = Estimate(score, 0.0, math.inf)
    low, high = (None, None) if found is None else score_interval(found, unit, measured.informative)
    return Bounds(low, high, covers) if low is not None else Bounds()


def _standard_error(found: Estimate | tuple[float, float] | None, measured: Measured) -> float | None:
    """The standard error behind an interval: the estimate's; of one run's ratio of sums, by the delta method. None where it is
    0, since nothing varies then, and where there is none."""
    if isinstance(found, tuple) and measured.terms is not None:
        found = ratio_estimate(measured.terms[0][0], measured.terms[1][0])
    return found.se if isinstance(found, Estimate) and found.variance > 0 else None


def _of_a_ratio(above: Floats, below: Floats, *, quick: bool) -> Estimate | tuple[float, float]:
    if (below == 1).all() and set(np.unique(above)) <= {0.0, 1.0}:
        return share_interval(float(above.mean()), len(above))
    if quick or len(above) > MOST_FOR_BCA or not below.any():
        return ratio_estimate(above, below)
    return bca([above, below], lambda a, b, axis: a.sum(axis=axis) / np.maximum(b.sum(axis=axis), 1e-300))


def _of_any(measured: Measured) -> tuple[float, float]:
    score = or_nan(measured.metric.score)

    def statistic(given: Floats, right: Floats, axis: int) -> Floats:
        given, right = np.moveaxis(given, axis, -1), np.moveaxis(right, axis, -1)
        flat = zip(given.reshape(-1, given.shape[-1]), right.reshape(-1, right.shape[-1]), strict=True)
        return np.array([score(one, other) for one, other in flat]).reshape(given.shape[:-1])

    return bca([measured.answers[0], measured.labels], statistic, resamples=2000)
