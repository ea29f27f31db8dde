"""The primary test: a difference over seeds and examples, both treated as random samples.

Var(mean D) = seed / K + example / N + residual / (K N), estimated from the mean squares of a two-way layout without
replication; degrees of freedom by Satterthwaite (1946). Tests over seeds alone ignore the sampling of examples, McNemar's test
ignores the randomness of training; this test covers both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy import special

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.intervals import Estimate

ALONE, IN_FAMILY = 4, 2
"""Satterthwaite's degrees of freedom are capped at so many times (seeds - 1), alone and as one of several comparisons. Where
examples contribute most of the variance they can be hundreds, though few seeds hardly bound the rest, which matters most in the
far tail that adjusted tests use. With these caps error rates stayed within bounds in all scenarios of the calibration tests."""


@dataclass(frozen=True)
class Budget:
    """Variance components of a difference, in squared score units.

    `seed` shrinks with seeds, `example` with examples, `residual` with both. Estimates below 0 are set to 0.
    """

    seed: float
    example: float
    residual: float
    example_range: tuple[float, float] | None = None
    """90 % interval of `example`; None where it is not estimated."""

    def variance(self, seeds: float, examples: float) -> float:
        """Variance of the mean difference over so many seeds and examples; either may be infinite."""
        return self.seed / seeds + self.example / examples + self.residual / (seeds * examples)

    def df(self, seeds: int, examples: int, *, paired: bool = True, family: bool = False) -> float:
        """Expected degrees of freedom of a design with so many seeds per side."""
        runs = seeds - 1 if paired else 2 * (seeds - 1)
        squares = (
            examples * self.seed + self.residual,
            seeds * self.example + self.residual,
            -self.residual,
        )
        return _satterthwaite(
            squares, (runs, examples - 1, runs * (examples - 1)), most=(IN_FAMILY if family else ALONE) * (seeds - 1)
        )


@dataclass(frozen=True)
class TwoWay(Estimate):
    """A mean difference over seeds and examples, with its variance from both.

    Mean squares are scaled so that variance = (ms_seed + ms_example - ms_residual) / (K N) wherever that is positive, K the
    harmonic mean of `seeds`, the numbers of both sides, equal where `paired`.
    """

    ms_seed: float
    ms_example: float
    ms_residual: float
    seeds: tuple[int, int]
    examples: int
    paired: bool
    budget: Budget

    def in_family(self) -> TwoWay:
        """The same with the lower cap on the degrees of freedom, for p-values that are adjusted for several comparisons."""
        return replace(self, df=min(self.df, IN_FAMILY * (sum(self.seeds) / 2 - 1)))


E = TypeVar("E", bound=Estimate)


def with_two_examples(estimate: E, examples: int) -> E:
    """An estimate with variance 0 gets the variance that it would have with two more examples; others stay as they are.

    At every seed, one more example is right on the first side only and one on the second only (Agresti and Min, 2005): n
    examples without any difference are compatible with a true difference of about 3 / n. Metrics without a range are left as
    they are.
    """
    if estimate.variance > 0 or estimate.span is None:
        return estimate
    n, span, d = examples, estimate.span, estimate.difference
    mean = n * d / (n + 2)
    squares = n * (d - mean) ** 2 + (span - mean) ** 2 + (span + mean) ** 2
    found = replace(estimate, variance=squares / ((n + 1) * (n + 2)), df=min(estimate.df, n + 1.0))
    if not isinstance(found, TwoWay):
        return found
    example = found.variance * found.examples
    return replace(found, budget=replace(found.budget, example=example, example_range=(0.0, example)))


def two_way(d: Floats) -> TwoWay:
    """The mean of (K, N) differences, or scores, with an interval for new seeds and new examples.

    Raises ValueError unless K >= 2 and N >= 2. Where the estimated variance is not positive, its largest term is used instead.
    """
    d = np.asarray(d, dtype=np.float64)
    k, n = _shape(d)
    by_seed, by_example = d.mean(axis=1), d.mean(axis=0)
    mean = by_seed.mean()
    by_seed -= mean
    residual = d - by_example
    residual -= by_seed[:, None]
    by_example -= mean
    scale = float(np.abs(d).max())
    ms_seed = _mean_square(by_seed, k - 1, scale) * n
    ms_example = _mean_square(by_example, n - 1, scale) * k
    ms_residual = _mean_square(residual, (k - 1) * (n - 1), scale)
    error = _error(by_example, [residual])
    return _paired(float(mean), (ms_seed, ms_example, ms_residual), k, n, error)


def two_way_resampled(observed: Floats, resampled: Floats, examples: int) -> TwoWay:
    """The same for scores that are no means over examples: observed (K,), and (R, K) in resamples of the examples.

    All runs share each resample. The variance of their mean over resamples gives the examples' mean square, the variance of
    their deviations from it the residual's. For a mean over examples the result is that of `two_way` up to sampling error.
    Raises ValueError below two seeds or two resamples.
    """
    resamples, k = _shape(resampled)
    scale = max(float(np.abs(observed).max()), float(np.abs(resampled).max()))
    together = resampled.mean(axis=1)
    apart = resampled - together[:, None]
    ms_seed = _mean_square(observed - observed.mean(), k - 1, scale) * examples
    ms_example = _mean_square(together - together.mean(), resamples - 1, scale) * k * examples
    ms_residual = _mean_square(apart - apart.mean(axis=0), (k - 1) * (resamples - 1), scale) * examples
    error = _normal_error(ms_example / k, examples, resamples)
    return _paired(float(observed.mean()), (ms_seed, ms_example, ms_residual), k, examples, error)


def _paired(mean: float, squares: tuple[float, float, float], k: int, n: int, error: float) -> TwoWay:
    """error: standard error of the examples' variance component."""
    ms_seed, ms_example, ms_residual = squares
    example = (ms_example - ms_residual) / k
    dfs = (k - 1, n - 1, (k - 1) * (n - 1))
    variance, df = _variance((ms_seed, ms_example, -ms_residual), dfs, most=ALONE * (k - 1))
    return TwoWay(
        difference=mean,
        variance=variance / (k * n),
        df=df,
        ms_seed=ms_seed,
        ms_example=ms_example,
        ms_residual=ms_residual,
        seeds=(k, k),
        examples=n,
        paired=True,
        budget=Budget(max(0.0, ms_seed - ms_residual) / n, max(0.0, example), ms_residual, _range(example, error)),
    )


def two_way_unpaired(a: Floats, b: Floats) -> TwoWay:
    """The difference of the means of (Ka, N) and (Kb, N) values of the same examples, seeds not paired.

    Each side has its own seed and residual components; the examples' component is that of the difference of the sides' means.
    Raises ValueError unless Ka, Kb and N are 2 or more and both sides have the same examples.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (a, b)]
    (_, n), (_, other) = map(_shape, sides)
    if n != other:
        raise ValueError(f"the two sides of a comparison must have the same examples; they have {n} and {other} examples")
    alone = [two_way(side) for side in sides]
    delta = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    mean = float(delta.mean())
    scale = max(float(np.abs(side).max()) for side in sides)
    delta -= mean
    example = _mean_square(delta, n - 1, scale)  # seed-mean differences: one value an example
    return _unpaired(mean, alone, example, _error(delta, [_residual(side) for side in sides]))


def two_way_unpaired_resampled(observed: Sequence[Floats], resampled: Sequence[Floats], examples: int) -> TwoWay:
    """`two_way_unpaired` of scores that are no means over examples: for each side (K,), and (R, K) in resamples of examples."""
    alone = [two_way_resampled(*side, examples) for side in zip(observed, resampled, strict=True)]
    delta = resampled[0].mean(axis=1) - resampled[1].mean(axis=1)
    scale = max(float(np.abs(side).max()) for side in resampled)
    example = _mean_square(delta - delta.mean(), len(delta) - 1, scale) * examples
    error = _normal_error(example, examples, len(delta))
    return _unpaired(alone[0].difference - alone[1].difference, alone, example, error)


def _unpaired(mean: float, alone: Sequence[TwoWay], example: float, error: float) -> TwoWay:
    """alone: each side by itself; example: mean square over examples of the difference of their means; error: see `_paired`."""
    (ka, kb), n = (side.seeds[0] for side in alone), alone[0].examples
    seeds, residuals = [side.ms_seed for side in alone], [side.ms_residual for side in alone]
    terms = (seeds[0] / (ka * n), seeds[1] / (kb * n), example / n, -residuals[0] / (ka * n), -residuals[1] / (kb * n))
    dfs = (ka - 1, kb - 1, n - 1, (ka - 1) * (n - 1), (kb - 1) * (n - 1))
    variance, df = _variance(terms, dfs, most=ALONE * (ka + kb - 2) // 2)
    k = 2 / (1 / ka + 1 / kb)
    own = [max(0.0, seed - residual) / n for seed, residual in zip(seeds, residuals, strict=True)]
    alike = example - residuals[0] / ka - residuals[1] / kb
    return TwoWay(
        difference=mean,
        variance=variance,
        df=df,
        ms_seed=k * (seeds[0] / ka + seeds[1] / kb),
        ms_example=k * example,
        ms_residual=k * (residuals[0] / ka + residuals[1] / kb),
        seeds=(ka, kb),
        examples=n,
        paired=False,
        budget=Budget(sum(own), max(0.0, alike), sum(residuals), _range(alike, error)),
    )


def _residual(d: Floats) -> Floats:
    """(K, N) values minus their seed and example effects."""
    return np.asarray(d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean())


def _error(by_example: Floats, residuals: Sequence[Floats]) -> float:
    """Standard error of the examples' variance component, from the contribution of each example.

    by_example: (N,) deviations of the examples' means; residuals: (K, N) for each side. No distribution is assumed: most
    differences are 0, so a normal one would be far off.
    """
    n = len(by_example)
    parts = by_example**2
    for residual in residuals:
        k = len(residual)
        parts = parts - np.einsum("ki,ki->i", residual, residual) / (k * (k - 1))
    return float(parts.std(ddof=1)) * n / (n - 1) / math.sqrt(n)


def _normal_error(example: float, examples: int, resamples: int) -> float:
    """The same from resampled scores alone: of a mean square of normal values, estimated from so many resamples."""
    return example * math.sqrt(2 / (examples - 1) + 2 / (resamples - 1))


def _range(example: float, error: float) -> tuple[float, float]:
    """90 % interval of a variance component, at least 0.

    The error of a component grows with the component, like that of a count; where few differing examples happened to be drawn,
    its estimate is too small. So the upper end is computed like Wilson's for a count.
    """
    z = float(special.ndtri(0.95))
    skew = z * z * error * error / max(example, error) / 2 if error else 0.0
    return max(0.0, example - z * error), max(0.0, example + skew + math.hypot(z * error, skew))


def _shape(d: Floats) -> tuple[int, int]:
    if d.ndim != 2 or min(d.shape) < 2:
        raise ValueError(f"at least two seeds and two examples are needed, (seeds, examples), not shape {d.shape}")
    return d.shape[0], d.shape[1]


def _mean_square(deviations: Floats, df: int, scale: float) -> float:
    """Sum of squared deviations over df; exactly 0 where they are rounding errors of values of size `scale`."""
    flat = deviations.ravel()
    square = float(np.einsum("i,i->", flat, flat))  # BLAS would wake threads for it, which costs more on a busy machine
    return square / df if square > flat.size * (1e-13 * scale) ** 2 else 0.0


def _variance(terms: Sequence[float], dfs: Sequence[int], *, most: int) -> tuple[float, float]:
    """Sum of the signed mean squares and its degrees of freedom; where it is not positive, the largest term and its own."""
    total = sum(terms)
    if total > 1e-12 * max(map(abs, terms)):  # terms that cancel leave a rounding error, which is no variance
        return total, _satterthwaite(terms, dfs, most=most)
    largest, df = max(zip(terms, dfs, strict=True))
    return (largest, float(min(df, most))) if largest > 0 else (0.0, float(most))


def _satterthwaite(terms: Sequence[float], dfs: Sequence[int], *, most: int) -> float:
    """Satterthwaite's degrees of freedom, at most `most`, and at least 1: below that t has no usable quantiles."""
    total, weight = sum(terms), sum(term * term / df for term, df in zip(terms, dfs, strict=True))
    return min(max(1.0, total * total / weight), most) if weight > 0 else float(most)
