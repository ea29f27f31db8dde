"""Where two curves cross: from how many training examples on one strategy is better than another, with a 95 % interval.

The difference of the two strategies at each of J sizes is an estimate like that of the primary test (`twoway`), and the J
estimates depend on each other: they share the examples, and a seed's smaller subset of the training data is part of its larger
one. So J x J matrices stand in for the primary test's variances over seeds and examples. A draw of the parametric bootstrap
(Efron and Tibshirani, 1993, 6.5) moves all J differences at once: by the seeds' matrix with Student's tails of K - 1 degrees of
freedom, and by the examples' matrix. Resampling the runs themselves would give variances that are too small by 1 / K and, of
three runs, ten different draws: `tests/core/statistics/test_crossing_worlds.py` has what that costs.

Between two sizes the difference is a straight line in the place on the axis (the logarithm of the size). Nothing is said beyond
the measured sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.metric import Floats

DRAWS: Final = 4000
LEAST_SINGLE: Final = 0.8
"""A single crossing is reported only if at least this share of the bootstrap draws has at most one, in that direction."""

Found = Literal["overtakes", "falls behind", "ahead", "behind", "several", "open"]
"""What the first strategy does as sizes grow: it `overtakes` the second, or `falls behind` it, at one place; it is `ahead` at
every size, or `behind`; there are `several` crossings, or too few draws agree on one; or it is `open` at every size which
strategy is ahead."""


@dataclass(frozen=True)
class Differences:
    """The first strategy minus the second at J sizes, with these estimates' covariance. Positive: the first is better."""

    means: Floats
    """(J,) the mean difference at each size."""
    seeds: Floats
    """(J, J) covariance of the means from the randomness of seeds, and from what neither seeds nor examples explain."""
    examples: Floats
    """(J, J) covariance of the means from the sampling of examples."""
    df: float
    """Degrees of freedom with which `seeds` is estimated."""

    def draws(self, number: int = DRAWS, *, seed: int = 0) -> Floats:
        """(number, J) draws of the parametric bootstrap: the means with random errors of their covariance. seed: of the
        generator."""
        rng = np.random.default_rng(seed)
        shape = number, len(self.means)
        tails = np.sqrt(self.df / rng.chisquare(self.df, number))
        by_seeds = rng.standard_normal(shape) @ _root(self.seeds).T * tails[:, None]
        return np.asarray(self.means + by_seeds + rng.standard_normal(shape) @ _root(self.examples).T)


@dataclass(frozen=True)
class Crossing:
    """Where the first strategy overtakes the second, or falls behind it: a place, such as the logarithm of a size."""

    found: Found
    at: float | None
    """The place of the crossing; None unless there is exactly one within the measured sizes."""
    low: float | None
    high: float | None
    """The ends of the place's 95 % interval; None for an end beyond the measured sizes. Where `found` is `ahead` or `behind`,
    at most one is known: a crossing that these runs do not show would lie before `high`, or after `low`."""
    single: float
    """Share of the bootstrap draws with at most one crossing, in the direction that `found` says."""


# --- the differences -----------------------------------------------------------------------------------------------------


def differences(first: Floats, second: Floats) -> Differences:
    """The differences of two strategies from values (J, K, N) at J sizes, K seeds and N examples.

    The mean of a run's values over examples is its score, higher is better; the values of a missing run are all NaN. All sizes
    and both strategies have the same seeds and examples. A strategy that does not depend on the seed has the same values at
    every seed. Raises ValueError unless each strategy has two runs or more at each size, and N >= 2.
    """
    values = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])  # (2, J, K, N)
    scores, n = values.mean(axis=3), values.shape[3]
    weight = _weights(scores)
    profiles = np.einsum("sjk,sjkn->sjn", weight, np.nan_to_num(values))
    residuals = values - profiles[:, :, None] - (scores - profiles.mean(axis=2)[:, :, None])[..., None]
    rest = _apart(residuals, weight)  # (J, K, N)
    delta = profiles[0] - profiles[1]
    delta -= delta.mean(axis=1, keepdims=True)
    between = delta @ delta.T / (n * (n - 1))
    residual = np.einsum("jkn,lkn->jl", rest, rest) / (n * (n - 1))
    return _differences(scores, weight, between - residual)


def differences_resampled(first: Floats, second: Floats, resampled_first: Floats, resampled_second: Floats) -> Differences:
    """Like `differences`, of scores that aren't means over examples: (J, K) observed, (R, J, K) in resamples of the examples.

    All runs share each resample. For a mean over examples the result is that of `differences` up to sampling error.
    """
    scores = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])  # (2, J, K)
    resampled = np.stack([resampled_first, resampled_second], axis=1)  # (R, 2, J, K)
    weight, once = _weights(scores), len(resampled) - 1
    means = np.einsum("sjk,rsjk->rsj", weight, np.nan_to_num(resampled))
    deviations = resampled - means[..., None]
    rest = _apart(np.moveaxis(deviations - deviations.mean(axis=0), 0, 3), weight)  # (J, K, R)
    delta = means[:, 0] - means[:, 1]
    delta -= delta.mean(axis=0)
    residual = np.einsum("jkr,lkr->jl", rest, rest) / once
    return _differences(scores, weight, delta.T @ delta / once - residual)


def _differences(scores: Floats, weight: Floats, examples: Floats) -> Differences:
    """The differences of scores (2, J, K). weight: by `_weights`; examples: (J, J) covariance from the examples, whose
    diagonal may be below 0, since the residual's part is subtracted."""
    means = np.einsum("sjk,sjk->sj", weight, np.nan_to_num(scores))
    deviations = _apart((scores - means[..., None])[..., None], weight)[..., 0]  # (J, K)
    df = float((weight > 0).sum(axis=2).min() - 1)
    return Differences(means[0] - means[1], deviations @ deviations.T, examples, df)


def _weights(scores: Floats) -> Floats:
    """(2, J, K) scores -> the weight of each run in its strategy's mean: 1 over the number of runs, 0 for a missing run."""
    there = np.isfinite(scores)
    runs = there.sum(axis=2, keepdims=True)
    if scores.shape[2] < 2 or runs.min() < 2:
        raise ValueError(f"at least two runs of each strategy are needed at each size, not {runs[..., 0].tolist()}")
    return np.asarray(there / runs)


def _apart(deviations: Floats, weight: Floats) -> Floats:
    """(2, J, K, ...) deviations from each strategy's mean -> (J, K, ...), the first strategy's minus the second's, scaled so
    that the sum of their squares over seeds is the variance of the difference of the means."""
    scale = np.sqrt(weight**2 / (1 - weight))  # of n runs: 1 / sqrt(n (n - 1))
    scaled = np.nan_to_num(deviations) * scale[..., None]
    return np.asarray(scaled[0] - scaled[1])


def _root(matrix: Floats) -> Floats:
    """(J, J) square root of a covariance matrix: times its transpose it is the matrix, with negative eigenvalues set to 0."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


# --- the crossing --------------------------------------------------------------------------------------------------------


def crossing(
    found: Differences, places: Sequence[float] | Floats, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Crossing:
    """Where the first strategy overtakes the second, or falls behind it.

    found: the differences at J sizes; places: (J,) where these are on the axis, rising, such as the sizes' logarithms. The
    interval, of confidence `level`, goes from where a draw first crosses to where it last does, so that draws with several
    crossings widen it. Raises ValueError below two places, or where they do not rise.
    """
    at = np.asarray(places, dtype=np.float64)
    if len(at) < 2 or len(at) != len(found.means) or (np.diff(at) <= 0).any():
        raise ValueError(f"a crossing needs two places or more that rise, one for each difference, not {list(places)}")
    drawn, means = found.draws(draws, seed=seed), found.means[None]
    shares = {sign: _single(sign * drawn) for sign in (1, -1)}
    signs = means[0] > 0
    changes = int((signs[1:] != signs[:-1]).sum())
    overtakes = signs[-1] if changes else shares[1] >= shares[-1]
    sign = 1 if overtakes else -1
    low = float(np.quantile(_first(sign * drawn, at), (1 - level) / 2, method="lower"))
    high = float(np.quantile(_last(sign * drawn, at), (1 + level) / 2, method="higher"))
    place = float(_first(sign * means, at)[0]) if changes == 1 else None
    if math.isinf(low) and math.isinf(high) and low < high:
        kind: Found = "open"
    elif changes > 1 or shares[sign] < LEAST_SINGLE:
        kind = "several"
    elif changes:
        kind = "overtakes" if overtakes else "falls behind"
    else:
        kind = "ahead" if signs[0] else "behind"
    known = kind not in ("open", "several")
    ends = (_finite(low), _finite(high)) if known else (None, None)
    return Crossing(kind, place if known else None, *ends, single=shares[sign])


def _single(drawn: Floats) -> float:
    """The share of R draws, (R, J), that never fall back to 0 or below once they are above it."""
    ahead = drawn > 0
    return float((ahead[:, 1:] | ~ahead[:, :-1]).all(axis=1).mean())


def _first(drawn: Floats, places: Floats) -> Floats:
    """(R,) the place where each of (R, J) draws first rises above 0; minus infinity if it starts above 0, infinity if it never
    is above."""
    ahead = drawn > 0
    rises = np.where(ahead.any(axis=1), ahead.argmax(axis=1), len(places))
    return _between(drawn, places, rises)


def _last(drawn: Floats, places: Floats) -> Floats:
    """(R,) the place from which on each of (R, J) draws stays above 0; minus infinity if it always is above, infinity if it
    isn't at the last place."""
    behind = drawn[:, ::-1] <= 0
    rises = np.where(behind.any(axis=1), len(places) - behind.argmax(axis=1), 0)
    return _between(drawn, places, rises)


def _between(drawn: Floats, places: Floats, rises: NDArray[np.int64]) -> Floats:
    """(R,) where each draw's line between place number `rises` - 1 and number `rises` crosses 0; infinite where there is no
    place of that number."""
    inside = np.clip(rises, 1, len(places) - 1)
    rows = np.arange(len(drawn))
    before, after = drawn[rows, inside - 1], drawn[rows, inside]
    step = np.where(after > before, after - before, 1.0)
    crossed = places[inside - 1] - before / step * (places[inside] - places[inside - 1])
    return np.where(rises <= 0, -math.inf, np.where(rises >= len(places), math.inf, crossed))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
