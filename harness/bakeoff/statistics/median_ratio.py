"""The median of ratios with a distribution-free interval: for times of two strategies that run in turns, one ratio a round.

The interval lies between two order statistics: the number of values below the true median is binomial with p = 1/2, whatever
the values' distribution. So bursts of load, which stretch single turns manyfold, hardly move the median and its interval.
Source: W. J. Conover, *Practical Nonparametric Statistics* (3rd ed., 1999), 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bakeoff.contracts.metric import Floats


@dataclass(frozen=True)
class MedianRatio:
    """The median of ratios above 0, one for each round of measurement."""

    logs: Floats
    """(n,) the natural logarithms of the n ratios, ascending."""

    @property
    def ratio(self) -> float:
        return math.exp(float(np.median(self.logs)))

    @property
    def rounds(self) -> int:
        return len(self.logs)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """The ratio's interval, which covers the true median with a probability of at least `level`. None where there are too
        few rounds (below six for 95 %)."""
        found = self.log_interval(level)
        return None if math.isinf(found[0]) else (math.exp(found[0]), math.exp(found[1]))

    def log_interval(self, level: float = 0.95) -> tuple[float, float]:
        """The interval of the ratio's logarithm; its ends are infinite where there are too few rounds."""
        rank = order_of_bound(len(self.logs), level)
        if rank is None:
            return -math.inf, math.inf
        return float(self.logs[rank]), float(self.logs[-1 - rank])

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval on the log scale: 0.02 is about ± 2 %. Infinite where there is no interval."""
        low, high = self.log_interval()
        return (high - low) / 2


def median_ratio(ratios: Sequence[float]) -> MedianRatio | None:
    """The median of positive ratios, one for each round; None if there are none. Raises ValueError for other numbers."""
    found = np.asarray(ratios, dtype=np.float64)
    if not (np.isfinite(found) & (found > 0)).all():
        raise ValueError("ratios of times must be positive, finite numbers")
    return MedianRatio(np.sort(np.log(found))) if len(found) else None


def order_of_bound(n: int, level: float) -> int | None:
    """The largest k for which the k + 1st smallest and the k + 1st largest of n values enclose the median with a probability
    of at least `level`.

    The chance that at most k of n values lie below the median is that of a binomial with p = 1/2, and must be at most
    (1 - level) / 2. None where even the smallest and the largest value (k = 0) are not enough.
    """
    allowed = (1 - level) / 2
    tails = special.bdtr(np.arange(n // 2), n, 0.5)
    fitting = int(np.count_nonzero(tails <= allowed + 1e-12))
    return fitting - 1 if fitting else None
