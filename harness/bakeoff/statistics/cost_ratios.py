"""Ratios of costs such as seconds, on the log scale; Pareto dominance and the Pareto front under uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.intervals import Estimate, mean_estimate, welch


@dataclass(frozen=True)
class Ratio:
    """One cost over another: geometric mean with interval, and two-sided p against a ratio of 1; `log`: the same on the log
    scale."""

    ratio: float
    low: float
    high: float
    p: float
    log: Estimate


@dataclass(frozen=True)
class Objective:
    """One criterion on which strategies A and B are compared, as A minus B.

    interval(level) gives the bounds of the difference at this confidence; of a ratio, the bounds of its logarithm
    (`Ratio.log.interval`). A is not inferior where it is worse by at most `margin` (same unit, >= 0). direction: which values
    are better.
    """

    interval: Callable[[float], tuple[float, float]]
    margin: float = 0.0
    direction: Literal["higher", "lower"] = "higher"


def log_ratio(a: Floats, b: Floats, *, paired: bool = True, level: float = 0.95) -> Ratio:
    """The ratio of costs `b` to costs `a`, by t on the logs: of pairs of runs where `paired`, else by Welch's t.

    a, b: (K,) positive numbers, one for each run, K >= 2, else ValueError. A ratio of 0.84 means that b costs 84 % of a.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (a, b)]
    if any(side.ndim != 1 or len(side) < 2 or not (np.isfinite(side) & (side > 0)).all() for side in sides):
        raise ValueError("a ratio of costs needs at least two positive numbers a side")
    logs = [np.log(side) for side in sides]
    log = mean_estimate(logs[1] - logs[0]) if paired else welch(logs[1], logs[0])
    low, high = log.interval(level)
    return Ratio(math.exp(log.difference), math.exp(low), math.exp(high), log.p, log)


def dominates(objectives: Sequence[Objective], *, level: float = 0.95) -> bool:
    """Whether A is shown to be inferior to B on no objective by more than its margin, and superior on at least one.

    `level` holds for all objectives together (Bonferroni). Where a bound equals the margin, A is not inferior, so two equal
    constants are not inferior to each other.
    """
    each = 1 - (1 - level) / len(objectives)
    lows = []
    for objective in objectives:
        low, high = objective.interval(each)
        lows.append(low if objective.direction == "higher" else -high)
    inferior = any(low < -objective.margin for low, objective in zip(lows, objectives, strict=True))
    return not inferior and any(low > 0 for low in lows)


def front_probability(samples: Floats, directions: Sequence[Literal["higher", "lower"]]) -> Floats:
    """(S,) for each of S strategies, the share of the R replicates in which it is on the Pareto front.

    samples: (R, S, objectives); directions: which values of each objective are better.
    """
    samples = np.asarray(samples, dtype=np.float64)
    signed = samples * np.where(np.asarray(directions) == "higher", 1.0, -1.0)
    shares = np.empty(samples.shape[1])
    for row in range(samples.shape[1]):
        own = signed[:, row : row + 1]
        beaten = np.all(signed >= own, axis=2) & np.any(signed > own, axis=2)  # (R, S)
        shares[row] = 1 - np.any(beaten, axis=1).mean()
    return shares
