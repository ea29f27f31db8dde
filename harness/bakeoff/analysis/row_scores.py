"""One row by itself: its scores with their intervals, and the seeds that learnt nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.measures import counted, resample, values_of
from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.pairs import Side
from bakeoff.analysis.verdicts import Terms
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.statistics.bootstrap import Replicates, or_nan
from bakeoff.statistics.intervals import ROUNDING, Estimate, bca, ratio_estimate, score_interval, share_interval
from bakeoff.statistics.twoway import two_way

MOST_FOR_BCA = 5_000
"""Leaving out each example in turn takes time with their square; with so many, simpler methods give the same interval."""


SEEDS_AND_EXAMPLES, ONE_RUN = "seeds and examples", "examples only (one run)"


class Bounds(NamedTuple):
    """A 95 % interval, and what it covers in words; as `Score` has them."""

    low: float | None = None
    high: float | None = None
    method: str = ""


def bounds_of(
    outputs: SplitOutputs | None, metric: Metric | None, row: str, *, replicates: Replicates | None = None, quick: bool = False
) -> Bounds:
    """Of several runs over seeds and examples, by the two-way estimate, or from `replicates` where the metric is no ratio.

    Of one run over examples only, by Wilson for a share and by BCa for any other metric. Of many examples, by the delta method
    for a ratio and by plain percentiles for others; where `quick`, the latter have none: they take a tenth of a second or more.
    All lie within the metric's range, and none is a point: where nothing varies, `score_interval` has the answer.
    """
    if outputs is None or metric is None or row not in outputs.answers or len(outputs.ids) < 2:
        return Bounds()
    found: Estimate | tuple[float, float] | None
    if len(outputs.seeds[row]) > 1:
        values = values_of(outputs, metric, row)
        if values is not None:
            found = two_way(values)
        else:
            found = replicates.score(list(outputs.answers).index(row)) if replicates is not None else None
        return _bounds(found, outputs, metric, row, SEEDS_AND_EXAMPLES)
    parts = outputs.ratio_terms(metric, row)
    if parts is not None:
        found = _of_a_ratio(parts[0][0], parts[1][0], quick=quick)
    elif quick or isinstance(metric, HubMetric):
        found = None
    elif len(outputs.ids) > MOST_FOR_BCA and (drawn := resample(outputs, metric, [row])) is not None:
        low, high = np.quantile(drawn.scores[:, 0], [0.025, 0.975])
        found = float(low), float(high)
    else:
        found = _of_any(metric, outputs.answers[row][0], outputs.labels)
    return _bounds(found, outputs, metric, row, ONE_RUN)


def _bounds(
    found: Estimate | tuple[float, float] | None, outputs: SplitOutputs, metric: Metric, row: str, covers: str
) -> Bounds:
    """An estimate's interval within the metric's range; percentiles of one run as they are, unless they are a point or its
    score is at an end of that range."""
    if found is None or (isinstance(found, tuple) and not np.isfinite(found).all()):
        return Bounds()
    if isinstance(found, tuple):
        score, unit = metric.score(outputs.answers[row][0], outputs.labels), metric.unit
        if found[1] - found[0] > ROUNDING and not {score} & {unit.low, unit.high}:
            return Bounds(*found, covers)
        found = Estimate(score, 0.0, math.inf)
    low, high = score_interval(found, metric.unit, counted(outputs, metric, row))
    return Bounds(low, high, covers) if low is not None else Bounds()


def _of_a_ratio(above: Floats, below: Floats, *, quick: bool) -> Estimate | tuple[float, float]:
    if (below == 1).all() and set(np.unique(above)) <= {0.0, 1.0}:
        return share_interval(float(above.mean()), len(above))
    if quick or len(above) > MOST_FOR_BCA or not below.any():
        return ratio_estimate(above, below)
    return bca([above, below], lambda a, b, axis: a.sum(axis=axis) / np.maximum(b.sum(axis=axis), 1e-300))


def _of_any(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> tuple[float, float]:
    score = or_nan(metric.score)

    def statistic(given: Floats, right: Floats, axis: int) -> Floats:
        given, right = np.moveaxis(given, axis, -1), np.moveaxis(right, axis, -1)
        flat = zip(given.reshape(-1, given.shape[-1]), right.reshape(-1, right.shape[-1]), strict=True)
        return np.array([score(one, other) for one, other in flat]).reshape(given.shape[:-1])

    return bca([answers, labels], statistic, resamples=2000)


@dataclass(frozen=True)
class Degenerate:
    """Seeds whose run is no better than not learning, and the row's mean without them."""

    seeds: list[int] = field(default_factory=list)
    mean_without: float | None = None


def degenerate_seeds(sides: Mapping[str, Side], floor: float | None, terms: Terms) -> dict[str, Degenerate]:
    """Runs that answer always the same, or score no better than the majority's floor plus one standard error."""
    found = {}
    for name, side in sides.items():
        fallen = [_is_degenerate(side, number, floor, terms) for number in range(len(side.seeds))]
        if any(fallen):
            rest = [score for score, bad in zip(side.scores, fallen, strict=True) if not bad]
            found[name] = Degenerate(
                [seed for seed, bad in zip(side.seeds, fallen, strict=True) if bad], float(np.mean(rest)) if rest else None
            )
    return found


def _is_degenerate(side: Side, number: int, floor: float | None, terms: Terms) -> bool:
    if np.ptp(side.answers[number]) == 0:
        return True
    if floor is None:
        return False
    error = 0.0
    if side.values is not None:
        error = float(side.values[number].std(ddof=1)) / math.sqrt(side.values.shape[1])
    score = float(side.scores[number])
    return score <= floor + error if terms.higher_is_better else score >= floor - error
