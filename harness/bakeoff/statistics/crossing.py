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
"""The smallest share of draws with at most one crossing, in the direction that is told, of which a single one is told."""

Found = Literal["overtakes", "falls behind", "ahead", "behind", "several", "open"]
"""What the first strategy does as sizes grow: it `overtakes` the second, or `falls behind` it, at one place; it is `ahead` at
every size, or `behind`; there are `several` crossings, or too few draws agree on one; or it is `open` at every size who is
ahead."""


@dataclass(frozen=True)
class Differences:
    """The first strategy minus the second at J sizes, with what is known of the joint error. Positive: the first is better."""

    means: Floats
    """(J,)"""
    seeds: Floats
    """(J, J): covariance of the means through the seeds; it holds what seeds and examples do not explain."""
    examples: Floats
    """(J, J): through the examples."""
    df: float
    """Degrees of freedom with which `seeds` is known."""

    def draws(self, number: int = DRAWS, *, seed: int = 0) -> Floats:
        """(number, J): the differences with errors as large as theirs."""
        rng = np.random.default_rng(seed)
        shape = number, len(self.means)
        tails = np.sqrt(self.df / rng.chisquare(self.df, number))
        by_seeds = rng.standard_normal(shape) @ _root(self.seeds).T * tails[:, None]
        return np.asarray(self.means + by_seeds + rng.standard_normal(shape) @ _root(self.examples).T)


@dataclass(frozen=True)
class Crossing:
    """Where the first strategy overtakes the second, or falls behind it, on the axis of places."""

    found: Found
    at: float | None
    """None unless there is one crossing within the measured sizes."""
    low: float | None
    high: float | None
    """The 95 % interval; None for an end that lies beyond the measured sizes. Of `ahead` and `behind` at most one is known: the
    place before which, or behind which, even a crossing that these runs do not show would lie."""
    single: float
    """Share of the draws with at most one crossing, in the direction that is told."""


# --- the differences -----------------------------------------------------------------------------------------------------


def differences(first: Floats, second: Floats) -> Differences:
    """Of (J, K, N) values whose means over the N examples are scores, higher is better; NaN for all of a run that there is not.

    Seeds and examples are those of all sizes and both strategies. A strategy that does not depend on the seed has the same
    values at every seed. Raises ValueError unless each strategy has two runs or more at each size, and N >= 2.
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
    """Of scores that are no means over examples: (J, K) observed, and (R, J, K) in resamples of the examples.

    All runs share each resample. Else as `differences`; for a mean over examples the result is the same up to sampling error.
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
    """scores: (2, J, K); examples: (J, J), with what the residual took away from it perhaps below 0."""
    means = np.einsum("sjk,sjk->sj", weight, np.nan_to_num(scores))
    deviations = _apart((scores - means[..., None])[..., None], weight)[..., 0]  # (J, K)
    df = float((weight > 0).sum(axis=2).min() - 1)
    return Differences(means[0] - means[1], deviations @ deviations.T, examples, df)


def _weights(scores: Floats) -> Floats:
    """(2, J, K) scores -> what each run has in its strategy's mean: 1 over the number of runs, 0 where there is none."""
    there = np.isfinite(scores)
    runs = there.sum(axis=2, keepdims=True)
    if scores.shape[2] < 2 or runs.min() < 2:
        raise ValueError(f"at least two runs of each strategy are needed at each size, not {runs[..., 0].tolist()}")
    return np.asarray(there / runs)


def _apart(deviations: Floats, weight: Floats) -> Floats:
    """(2, J, K, ...) deviations from each strategy's mean -> (J, K, ...), the first's minus the second's, scaled so that their
    squares, summed over seeds, are the variance of the difference of the means."""
    scale = np.sqrt(weight**2 / (1 - weight))  # of n runs: 1 / sqrt(n (n - 1))
    scaled = np.nan_to_num(deviations) * scale[..., None]
    return np.asarray(scaled[0] - scaled[1])


def _root(matrix: Floats) -> Floats:
    """(J, J) whose product with its transpose is the matrix, or the nearest one without negative variances."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


# --- the crossing --------------------------------------------------------------------------------------------------------


def crossing(
    found: Differences, places: Sequence[float] | Floats, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Crossing:
    """Where the first strategy overtakes the second, or falls behind it. places: (J,), rising: logarithms of the sizes.

    The interval goes from where a draw first crosses to where it last does, so that draws with several crossings widen it.
    Raises ValueError below two places, or where they do not rise.
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
    """The share of (R, J) draws that never fall back to 0 or below once they are above it."""
    ahead = drawn > 0
    return float((ahead[:, 1:] | ~ahead[:, :-1]).all(axis=1).mean())


def _first(drawn: Floats, places: Floats) -> Floats:
    """(R,) where each of (R, J) draws first rises above 0; minus infinity where it begins above, infinity where it never is."""
    ahead = drawn > 0
    rises = np.where(ahead.any(axis=1), ahead.argmax(axis=1), len(places))
    return _between(drawn, places, rises)


def _last(drawn: Floats, places: Floats) -> Floats:
    """(R,) from where on each draw stays above 0: minus infinity where it always is, infinity where it is not at the end."""
    behind = drawn[:, ::-1] <= 0
    rises = np.where(behind.any(axis=1), len(places) - behind.argmax(axis=1), 0)
    return _between(drawn, places, rises)


def _between(drawn: Floats, places: Floats, rises: NDArray[np.int64]) -> Floats:
    """(R,) where the line between the places `rises` - 1 and `rises` crosses 0; infinite where one of them does not exist."""
    inside = np.clip(rises, 1, len(places) - 1)
    rows = np.arange(len(drawn))
    before, after = drawn[rows, inside - 1], drawn[rows, inside]
    step = np.where(after > before, after - before, 1.0)
    crossed = places[inside - 1] - before / step * (places[inside] - places[inside - 1])
    return np.where(rises <= 0, -math.inf, np.where(rises >= len(places), math.inf, crossed))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
