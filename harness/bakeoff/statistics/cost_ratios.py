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
    """One cost over another: geometric mean, interval and two-sided p against 1; `log` is the same on the log scale."""

    ratio: float
    low: float
    high: float
    p: float
    log: Estimate


@dataclass(frozen=True)
class Objective:
    """One criterion on which strategies A and B are compared, as A minus B.

    interval(level) gives the bounds of the difference, for a ratio of its log (`Ratio.log.interval`). A is not inferior where
    it is worse by at most `margin` (same unit, >= 0).
    """

    interval: Callable[[float], tuple[float, float]]
    margin: float = 0.0
    direction: Literal["higher", "lower"] = "higher"


def log_ratio(a: Floats, b: Floats, *, paired: bool = True, level: float = 0.95) -> Ratio:
    """Costs `b` over costs `a`, by t on the logs: of pairs of runs where `paired`, else by Welch's.

    a, b: (K,) positive numbers, K >= 2, else ValueError. 0.84: b costs 84 % of a.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (a, b)]
    if any(side.ndim != 1 or len(side) < 2 or not (np.isfinite(side) & (side > 0)).all() for side in sides):
        raise ValueError("a ratio of costs needs at least two positive numbers a side")
    logs = [np.log(side) for side in sides]
    log = mean_estimate(logs[1] - logs[0]) if paired else welch(logs[1], logs[0])
    low, high = log.interval(level)
    return Ratio(math.exp(log.difference), math.exp(low), math.exp(high), log.p, log)


def dominates(objectives: Sequence[Objective], *, level: float = 0.95) -> bool:
    """Whether A is inferior to B on no objective by more than its margin, and superior on at least one.

    `level` holds for all objectives together (Bonferroni). A bound that equals the margin is not inferior, so equal constants
    are not.
    """
    each = 1 - (1 - level) / len(objectives)
    lows = []
    for objective in objectives:
        low, high = objective.interval(each)
        lows.append(low if objective.direction == "higher" else -high)
    inferior = any(low < -objective.margin for low, objective in zip(lows, objectives, strict=True))
    return not inferior and any(low > 0 for low in lows)


def front_probability(samples: Floats, directions: Sequence[Literal["higher", "lower"]]) -> Floats:
    """(S,) share of the replicates in which a strategy is on the Pareto front, from replicates (R, S, objectives)."""
    samples = np.asarray(samples, dtype=np.float64)
    signed = samples * np.where(np.asarray(directions) == "higher", 1.0, -1.0)
    shares = np.empty(samples.shape[1])
    for row in range(samples.shape[1]):
        own = signed[:, row : row + 1]
        beaten = np.all(signed >= own, axis=2) & np.any(signed > own, axis=2)  # (R, S)
        shares[row] = 1 - np.any(beaten, axis=1).mean()
    return shares
