"""t intervals of estimates, intervals of scores within their metric's range, and intervals of a single run.

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
"""A bootstrap interval is computed only if at least this share of the resamples has a score."""

ROUNDING = 1e-12
"""A score counts as at an end of the metric's range when it is nearer to it than this share of the range's width."""


NEAR = 4
"""A share of right examples is near 0 or 1 when fewer than so many are right, or fewer than so many are wrong: its variance is
then badly estimated (Agresti and Coull, 1998, add two successes and two errors for the same reason)."""


ALPHA = 0.05
"""Error rate of a verdict: of one comparison, or of a family of them together."""


@dataclass(frozen=True)
class Estimate:
    """A difference, or a mean, with the variance and the degrees of freedom of its t interval.

    With variance 0 the interval is a point, and p is 1 for a difference of 0, else 0.
    """

    difference: float
    variance: float
    df: float
    span: float | None = field(default=None, kw_only=True)
    """Width of the metric's range: the difference and its interval lie within ± this. None where an end is missing."""

    @property
    def se(self) -> float:
        return math.sqrt(self.variance)

    @property
    def p(self) -> float:
        """The two-sided p against a difference of 0."""
        if self.variance == 0:
            return float(self.difference == 0)
        return float(2 * special.stdtr(self.df, -abs(self.difference) / self.se))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        half, most = float(special.stdtrit(self.df, (1 + level) / 2)) * self.se, math.inf if self.span is None else self.span
        return max(-most, self.difference - half), min(most, self.difference + half)

    def p_above(self, bound: float) -> float:
        """One-sided p, small when the difference is above `bound`; for non-inferiority by m points use `p_above(-m / 100)`."""
        if self.variance == 0:
            return float(self.difference <= bound)
        return float(special.stdtr(self.df, (bound - self.difference) / self.se))

    def p_below(self, bound: float) -> float:
        """One-sided p, small when the difference is below `bound`."""
        if self.variance == 0:
            return float(self.difference >= bound)
        return float(special.stdtr(self.df, (self.difference - bound) / self.se))

    def equivalence_p(self, margin: float) -> float:
        """p of TOST (two one-sided tests), small when the difference lies within ± margin; it is below alpha exactly when the
        interval of level 1 - 2 alpha lies within ± margin."""
        return max(self.p_above(-margin), self.p_below(margin))


def score_interval(
    estimate: Estimate, unit: Unit, examples: int, *, level: float = 0.95
) -> tuple[float, float] | tuple[None, None]:
    """The interval of a mean score, within the metric's range; None where neither the data nor a range bounds it.

    Range with two ends: the t interval on the logit scale (delta method; for a correlation that is twice Fisher's z). Near an
    end the variance is badly estimated, so the interval is widened to include Wilson's over `examples`, the number of examples
    that affect the score, whatever the number of seeds; it is never a point. Range with one end: t on the log of the distance
    from that end. No range: plain t.
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
    """The mean of (K,) values with its t interval. Raises ValueError below two values."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"a t interval needs at least two values in one row, not shape {values.shape}")
    return Estimate(float(values.mean()), spread(values) / len(values), len(values) - 1)


def welch(a: Floats, b: Floats) -> Estimate:
    """The difference of the means of (Ka,) and (Kb,) values by Welch's t (1947). Raises ValueError below two values a side."""
    one, other = mean_estimate(a), mean_estimate(b)
    variance = one.variance + other.variance
    weight = one.variance**2 / one.df + other.variance**2 / other.df
    return Estimate(one.difference - other.difference, variance, variance**2 / weight if weight > 0 else one.df + other.df)


def spread(values: Floats) -> float:
    """Sample variance (n - 1) of (n,) values; exactly 0 where they differ by rounding only."""
    scale = float(np.abs(values).max())
    return 0.0 if float(np.ptp(values)) <= 1e-12 * scale else float(values.var(ddof=1))


def share_interval(share: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of n examples; share * n need not be whole. 0 to 1 where n is 0."""
    if n < 1:
        return 0.0, 1.0
    z = float(special.ndtri((1 + level) / 2))
    weight = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if share == 0 else max(0.0, middle - half)), (1.0 if share == 1 else min(1.0, middle + half))


def ratio_estimate(numerator: Floats, denominator: Floats) -> Estimate:
    """One run's ratio of sums over n examples, with a normal interval by the delta method; numerator, denominator: (n,).

    Raises ValueError below two examples.
    """
    pseudo = pseudo_values(np.asarray(numerator)[None], np.asarray(denominator)[None])[0]
    if len(pseudo) < 2:
        raise ValueError("an interval over examples needs at least two")
    return Estimate(float(pseudo.mean()), spread(pseudo) / len(pseudo), math.inf)


def pseudo_values(numerator: Floats, denominator: Floats) -> Floats:
    """Linearised values (K, N) of a ratio of sums, from its parts of shape (K, N): their mean over examples is the ratio.

    With F = sum a / sum b the value of an example is F + (a - F b) / mean b. A run whose denominators sum to 0 scores 0.
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
    """The interval of one run's score by the bias-corrected and accelerated bootstrap (BCa) over examples (Efron 1987).

    columns: (n,) each, resampled together; statistic(*columns, axis) gives the score, vectorised over resamples. Where BCa is
    undefined (no single example changes the score), the percentile interval over the resamples with a finite score is
    returned instead, or two NaN where these are fewer than half.
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
