"""An estimate with its t interval, that of a score within its metric's range, and the intervals of a single run.

The intervals of a single run (`share_interval`, `bca`, `ratio_estimate`) cover the sampling of the test set, not of training.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from bakeoff.contracts.metric import Floats
from bakeoff.contracts.unit import Unit

LEAST_DEFINED = 0.5
"""Share of the resamples on which a metric must have a value, for them to say how far its score may be off."""

ROUNDING = 1e-12
"""So near to an end of a range, relative to its width, is at the end."""


NEAR = 4
"""A share of n examples is near an end where fewer than so many examples' worth are wrong, or right: of them a variance is told
badly (two errors and two successes are what Agresti and Coull, 1998, add to a count)."""


@dataclass(frozen=True)
class Estimate:
    """A difference with the variance and the degrees of freedom of its t interval.

    With variance 0 nothing is left to chance: the interval is a point, and p is 1 at a difference of 0 and else 0.
    """

    difference: float
    variance: float
    df: float
    span: float | None = field(default=None, kw_only=True)
    """The true difference lies within ± this, and so does the interval: the range of the metric. None where there is none."""

    @property
    def se(self) -> float:
        return math.sqrt(self.variance)

    @property
    def p(self) -> float:
        """Two-sided, against a difference of 0."""
        if self.variance == 0:
            return float(self.difference == 0)
        return float(2 * special.stdtr(self.df, -abs(self.difference) / self.se))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        half, most = float(special.stdtrit(self.df, (1 + level) / 2)) * self.se, math.inf if self.span is None else self.span
        return max(-most, self.difference - half), min(most, self.difference + half)

    def p_above(self, bound: float) -> float:
        """One-sided: small where the difference is above `bound`; non-inferiority by m points is `p_above(-m / 100)`."""
        if self.variance == 0:
            return float(self.difference <= bound)
        return float(special.stdtr(self.df, (bound - self.difference) / self.se))

    def p_below(self, bound: float) -> float:
        """One-sided: small where the difference is below `bound`."""
        if self.variance == 0:
            return float(self.difference >= bound)
        return float(special.stdtr(self.df, (self.difference - bound) / self.se))

    def equivalence_p(self, margin: float) -> float:
        """TOST: small where the difference lies within ± margin; below alpha just when the 1 - 2 alpha interval does."""
        return max(self.p_above(-margin), self.p_below(margin))


def score_interval(
    estimate: Estimate, unit: Unit, examples: int, *, level: float = 0.95
) -> tuple[float, float] | tuple[None, None]:
    """The interval of a mean score, within the metric's range.

    Of two ends, the t interval of the logit of the score's place between them (delta method: for a share the logit, for a
    correlation twice Fisher's z). Near an end few examples tell of the variance, and at the end none: there Wilson's interval
    over the `examples` that count, however many seeds answered them, is taken in. It is never a point. Of one end, t on the log
    of the distance from it; of none, plain t. None where only a range would tell how far the score may be off.
    """
    mean, low, high = estimate.difference, unit.low, unit.high
    t = float(special.stdtrit(estimate.df, (1 + level) / 2))
    if low is not None and high is not None:
        share, error = (mean - low) / (high - low), estimate.se / (high - low)
        share = min(max(share, 0.0), 1.0)
        left, right = share_interval(share, examples, level=level)
        if ROUNDING < share < 1 - ROUNDING and error > ROUNDING:
            middle, half = float(special.logit(share)), t * error / (share * (1 - share))
            ends = float(special.expit(middle - half)), float(special.expit(middle + half))
            near = examples * min(share, 1 - share) < NEAR
            left, right = (min(left, ends[0]), max(right, ends[1])) if near else ends
        return max(low, low + left * (high - low)), min(high, low + right * (high - low))
    if estimate.variance == 0:
        return None, None
    end = low if low is not None else high
    if end is None:
        return mean - t * estimate.se, mean + t * estimate.se
    if mean == end:
        return None, None
    factor = math.exp(min(t * estimate.se / abs(mean - end), 700.0))
    ends = end + (mean - end) / factor, end + (mean - end) * factor
    return min(ends), max(ends)


def mean_estimate(values: Floats) -> Estimate:
    """The mean of (K,) values with its t interval; ValueError below two values."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"a t interval needs at least two values in one row, not shape {values.shape}")
    return Estimate(float(values.mean()), spread(values) / len(values), len(values) - 1)


def spread(values: Floats) -> float:
    """The variance of (n,) values over n - 1; exactly 0 where they differ by rounding alone."""
    scale = float(np.abs(values).max())
    return 0.0 if float(np.ptp(values)) <= 1e-12 * scale else float(values.var(ddof=1))


def share_interval(share: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of n examples that need not be a whole number of them; of none, 0 to 1."""
    if n < 1:
        return 0.0, 1.0
    z = float(special.ndtri((1 + level) / 2))
    weight = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if share == 0 else max(0.0, middle - half)), (1.0 if share == 1 else min(1.0, middle + half))


def ratio_estimate(numerator: Floats, denominator: Floats) -> Estimate:
    """One run's ratio of sums, (n,) parts each, by the delta method: normal, from the linearised values per example."""
    pseudo = pseudo_values(np.asarray(numerator)[None], np.asarray(denominator)[None])[0]
    if len(pseudo) < 2:
        raise ValueError("an interval over examples needs at least two")
    return Estimate(float(pseudo.mean()), spread(pseudo) / len(pseudo), math.inf)


def pseudo_values(numerator: Floats, denominator: Floats) -> Floats:
    """A ratio of sums as one value per example, (K, N) from (K, N) parts: their mean over examples is the ratio.

    With F = sum a / sum b: F + (a - F b) / mean b, its first-order expansion. A run whose denominator adds up to 0 scores 0.
    """
    a, b = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"numerator and denominator are (runs, examples) each, not {a.shape} and {b.shape}")
    mean = b.mean(axis=1, keepdims=True)
    there = mean != 0
    mean = np.where(there, mean, 1.0)
    ratio = a.mean(axis=1, keepdims=True) / mean
    return np.where(there, (a + ratio * (mean - b)) / mean, 0.0)


def bca(
    columns: Sequence[Floats],
    statistic: Callable[..., Floats],
    *,
    level: float = 0.95,
    resamples: int = 5_000,
    seed: int = 0,
) -> tuple[float, float]:
    """One run's score by the bias-corrected and accelerated bootstrap over examples (Efron 1987).

    columns: (n,) each, resampled together. statistic(*columns, axis) works along an axis of stacked resamples. Where BCa has no
    value, because leaving out any one example changes nothing, the percentile interval stands in; over the resamples on which
    the statistic is finite, NaN where those are fewer than half.
    """
    from scipy import stats  # takes most of a second

    columns = [np.asarray(column) for column in columns]
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        answer = stats.bootstrap(
            columns,
            statistic,
            n_resamples=resamples,
            vectorized=True,
            paired=True,
            confidence_level=level,
            method="BCa",
            batch=max(1, 4_000_000 // len(columns[0])),  # else all resamples are held at once, and all leave-one-outs
            rng=np.random.default_rng(seed),
        )
    low, high = float(answer.confidence_interval.low), float(answer.confidence_interval.high)
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    drawn = answer.bootstrap_distribution
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < LEAST_DEFINED * resamples:
        return math.nan, math.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
