"""The primary comparison: a difference over seeds x examples, both taken as drawn from many.

Var(mean D) = seed / K + example / N + residual / (K N), estimated from the mean squares of a two-way layout without
replication; degrees of freedom by Satterthwaite (1946). A test over seeds alone takes the test set for the world, McNemar's
takes one trained model for the method; this one does neither.
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
"""Satterthwaite's degrees of freedom are at most so many times (seeds - 1). Where examples make most of the variance he allows
hundreds, though a few seeds say little of how small the rest is; and the further out in the tail a test looks, the more that
matters. The caps are the round numbers at which errors stayed in bounds in every world of the calibration tests."""


@dataclass(frozen=True)
class Budget:
    """Where the variance comes from, in squared score units; what to buy next follows from it.

    `seed` shrinks with seeds, `example` with examples, `residual` with both. Estimates below 0 are set to 0.
    """

    seed: float
    example: float
    residual: float
    example_range: tuple[float, float] | None = None
    """A 90 % interval of `example`; None where it is given and not estimated."""

    def variance(self, seeds: float, examples: float) -> float:
        """Of the mean difference over so many seeds and examples; infinity for either is a limit."""
        return self.seed / seeds + self.example / examples + self.residual / (seeds * examples)

    def df(self, seeds: int, examples: int, *, paired: bool = True, family: bool = False) -> float:
        """The degrees of freedom that a design may expect; seeds that are not paired count for both sides."""
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
    """A mean difference over seeds and examples, with the variance of both.

    Mean squares are scaled so that variance = (ms_seed + ms_example - ms_residual) / (K N) wherever that is positive, K the
    harmonic mean of `seeds`. `seeds` holds both sides, equal where `paired`.
    """

    ms_seed: float
    ms_example: float
    ms_residual: float
    seeds: tuple[int, int]
    examples: int
    paired: bool
    budget: Budget

    def in_family(self) -> TwoWay:
        """As one of several comparisons, whose p-values are adjusted: with the lower cap on the degrees of freedom."""
        return replace(self, df=min(self.df, IN_FAMILY * (sum(self.seeds) / 2 - 1)))


E = TypeVar("E", bound=Estimate)


def with_two_examples(estimate: E, examples: int) -> E:
    """The variance that a difference has with two examples more, where it varies with nothing.

    At every seed one more example that only the first side has right, and one that only the second has (Agresti and Min, 2005):
    n examples on which two strategies never differ are compatible with a difference of about 3 / n, not with none. A difference
    that varies is left alone, as is one of a metric without a range.
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
    """The mean of (K, N) differences, or values, with an interval that holds for new seeds and new examples.

    ValueError unless K >= 2 and N >= 2. Where the variance comes out at or below 0, the larger of the two terms stands in.
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
    """The same for scores that are no means over examples: (K,) differences, or scores, and (R, K) in resamples of examples.

    All runs share a resample. How far they move together is the examples' mean square, how far each moves for itself the
    residual's. Of a mean over examples this is `two_way`, but for the chance of the resamples. ValueError below two of either.
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
    """`error` is the standard error of the examples' component."""
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

    Each side has its own terms for seeds and residual; the examples' term is that of the difference of the sides' means.
    ValueError unless Ka, Kb and N are 2 or more and both sides have the same examples.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (a, b)]
    (_, n), (_, other) = map(_shape, sides)
    if n != other:
        raise ValueError(f"both sides need the same examples, not {n} and {other}")
    alone = [two_way(side) for side in sides]
    delta = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    mean = float(delta.mean())
    scale = max(float(np.abs(side).max()) for side in sides)
    delta -= mean
    example = _mean_square(delta, n - 1, scale)  # seed-mean differences: one value an example
    return _unpaired(mean, alone, example, _error(delta, [_residual(side) for side in sides]))


def two_way_unpaired_resampled(observed: Sequence[Floats], resampled: Sequence[Floats], examples: int) -> TwoWay:
    """`two_way_unpaired` for scores that are no means over examples: (K,) of each side, and (R, K) in resamples of examples."""
    alone = [two_way_resampled(*side, examples) for side in zip(observed, resampled, strict=True)]
    delta = resampled[0].mean(axis=1) - resampled[1].mean(axis=1)
    scale = max(float(np.abs(side).max()) for side in resampled)
    example = _mean_square(delta - delta.mean(), len(delta) - 1, scale) * examples
    error = _normal_error(example, examples, len(delta))
    return _unpaired(alone[0].difference - alone[1].difference, alone, example, error)


def _unpaired(mean: float, alone: Sequence[TwoWay], example: float, error: float) -> TwoWay:
    """From each side alone, and the mean square over examples of the difference of their means; `error` as in `_paired`."""
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
    """What seed and example leave of (K, N) values."""
    return np.asarray(d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean())


def _error(by_example: Floats, residuals: Sequence[Floats]) -> float:
    """The standard error of the examples' component, from each example's own part in it.

    (N,) deviations of the examples' means, and the residuals (K, N) of each side. No distribution is assumed, which matters
    here: most differences are 0.
    """
    n = len(by_example)
    parts = by_example**2
    for residual in residuals:
        k = len(residual)
        parts = parts - np.einsum("ki,ki->i", residual, residual) / (k * (k - 1))
    return float(parts.std(ddof=1)) * n / (n - 1) / math.sqrt(n)


def _normal_error(example: float, examples: int, resamples: int) -> float:
    """The same where only resampled scores are there: of a mean square of normal values, and of so many draws."""
    return example * math.sqrt(2 / (examples - 1) + 2 / (resamples - 1))


def _range(example: float, error: float) -> tuple[float, float]:
    """90 %; a component is at least 0.

    The error of a component grows with the component itself, as that of a count does. So the upper end is Wilson's for a count:
    of few examples that differ, the error that was found is too small where few happened to be drawn.
    """
    z = float(special.ndtri(0.95))
    skew = z * z * error * error / max(example, error) / 2 if error else 0.0
    return max(0.0, example - z * error), max(0.0, example + skew + math.hypot(z * error, skew))


def _shape(d: Floats) -> tuple[int, int]:
    if d.ndim != 2 or min(d.shape) < 2:
        raise ValueError(f"at least two seeds and two examples are needed, (seeds, examples), not shape {d.shape}")
    return d.shape[0], d.shape[1]


def _mean_square(deviations: Floats, df: int, scale: float) -> float:
    """Their squares over df; exactly 0 where they are rounding errors of values of that scale."""
    flat = deviations.ravel()
    square = float(np.einsum("i,i->", flat, flat))  # BLAS would wake threads for it, which costs more on a busy machine
    return square / df if square > flat.size * (1e-13 * scale) ** 2 else 0.0


def _variance(terms: Sequence[float], dfs: Sequence[int], *, most: int) -> tuple[float, float]:
    """(sum of the signed mean squares, its df); where the sum is not positive, the largest term and its own df."""
    total = sum(terms)
    if total > 1e-12 * max(map(abs, terms)):  # terms that cancel leave a rounding error, which is no variance
        return total, _satterthwaite(terms, dfs, most=most)
    largest, df = max(zip(terms, dfs, strict=True))
    return (largest, float(min(df, most))) if largest > 0 else (0.0, float(most))


def _satterthwaite(terms: Sequence[float], dfs: Sequence[int], *, most: int) -> float:
    """At least 1, since a small difference of large terms has next to none and t no finite quantile; at most `most`."""
    total, weight = sum(terms), sum(term * term / df for term, df in zip(terms, dfs, strict=True))
    return min(max(1.0, total * total / weight), most) if weight > 0 else float(most)
