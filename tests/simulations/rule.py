"""The primary rule in a second form, for thousands of experiments at once, written from its formulas and not from the code.

Simulations use it; a test says that it gives what the package's functions give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from worlds import Bools, Floats

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""(P,) first and (P,) second strategies."""

ROUNDING = 1e-9
"""Sums of shares that are smaller are rounding errors: the least that is not 0 is far above."""


class Estimates(NamedTuple):
    """(n, P) differences, their variances and degrees of freedom, for each experiment and pair."""

    difference: Floats
    variance: Floats
    df: Floats

    def p(self) -> Floats:
        """Two-sided, against a difference of 0."""
        return np.asarray(2 * special.stdtr(self.df, -np.abs(self.difference) / np.sqrt(self.variance)))

    def equivalence_p(self, margin: float) -> Floats:
        """Of two one-sided tests, against differences of the margin and more."""
        sides = (np.abs(self.difference) - margin) / np.sqrt(self.variance)
        return np.asarray(special.stdtr(self.df, sides))


@dataclass(frozen=True)
class Tables:
    """What the rule needs of n experiments with S strategies."""

    scores: Floats
    """(n, S, K) scores of runs; NaN where a run is left out."""
    by_example: Floats
    """(n, S, S) sums over examples of the products of two strategies' means over seeds."""
    by_answer: Floats | None
    """(n, S, S) sums over seeds and examples of the products of two strategies' answers; None where nothing is paired."""
    examples: int

    @property
    def seeds(self) -> Floats:
        """(n, S) runs that count."""
        return np.asarray((~np.isnan(self.scores)).sum(axis=2, dtype=np.float64))

    @property
    def means(self) -> Floats:
        return np.asarray(np.nanmean(self.scores, axis=2))

    def seed_variances(self) -> Floats:
        """(n, S) over seeds of the runs' scores."""
        return over_seeds(self.scores)

    def residuals(self) -> Floats:
        """(n, S) residual mean squares of each strategy's own table: an answer is 0 or 1, and its own square."""
        squares = self.examples * np.nansum(self.scores, axis=2)
        return self._residual(squares, np.einsum("nss->ns", self.by_example), self.scores, self.seeds)

    def _residual(self, squares: Floats, by_example: Floats, scores: Floats, seeds: Floats) -> Floats:
        n, mean = self.examples, np.nanmean(scores, axis=-1)
        left = squares - seeds * by_example - n * np.nansum(scores**2, axis=-1) + n * seeds * mean**2
        return np.where(left > ROUNDING, left, 0) / ((seeds - 1) * (n - 1))

    def with_two_examples(self) -> Tables:
        """Two more examples for each pair: at every seed the first side is right on one only, the second on the other only.

        Of a pair's own two, no third strategy's table knows: products of other pairs would be wrong, and none are used.
        """
        same = np.eye(self.scores.shape[1])
        return Tables(
            scores=(self.examples * self.scores + 1) / (self.examples + 2),
            by_example=self.by_example + same,
            by_answer=None if self.by_answer is None else self.by_answer + same * self.seeds[:, :, None],
            examples=self.examples + 2,
        )


def tables(right: Bools, *, kept: Bools | None = None, paired: bool = False) -> Tables:
    """Of (n, S, K, N) answers; kept: (n, S, K) runs that count; paired: also what pairing by seeds needs."""
    n, strategies, seeds, examples = right.shape
    ones = right.view(np.uint8)
    scores = ones.sum(axis=3, dtype=np.int32) / examples
    if kept is not None:
        ones = ones * kept[..., None]
        scores = np.where(kept, scores, np.nan)
    counts = ones.sum(axis=2, dtype=np.uint8).astype(np.float64)
    profiles = counts / np.sum(~np.isnan(scores), axis=2)[..., None]
    flat = ones.reshape(n, strategies, seeds * examples).astype(np.float32) if paired else None
    return Tables(
        scores=scores,
        by_example=profiles @ profiles.swapaxes(1, 2),
        by_answer=None if flat is None else (flat @ flat.swapaxes(1, 2)).astype(np.float64),
        examples=examples,
    )


def together(parts: list[Tables]) -> Tables:
    """Tables of further experiments of the same shape, one after the other."""
    answers = [part.by_answer for part in parts if part.by_answer is not None]
    return Tables(
        scores=np.concatenate([part.scores for part in parts]),
        by_example=np.concatenate([part.by_example for part in parts]),
        by_answer=np.concatenate(answers) if answers else None,
        examples=parts[0].examples,
    )


def to_baseline(strategies: int) -> Pairs:
    """All others against the first, which is the baseline."""
    return np.arange(1, strategies), np.zeros(strategies - 1, dtype=np.intp)


def all_pairs(strategies: int) -> Pairs:
    return np.triu_indices(strategies, 1)


def over_seeds(scores: Floats) -> Floats:
    """Variances of (..., K) scores; NaN is left out."""
    found = np.nanvar(scores, axis=-1, ddof=1)
    return np.where(found > ROUNDING**2, found, 0.0)


def between_examples(of: Tables, pairs: Pairs) -> Floats:
    """(n, P) variances over examples of the difference of two strategies' means over seeds."""
    a, b = pairs
    g, n = of.by_example, of.examples
    difference = of.means[:, a] - of.means[:, b]
    squares = g[:, a, a] + g[:, b, b] - 2 * g[:, a, b] - n * difference**2
    return np.where(squares > ROUNDING, squares, 0) / (n - 1)


def welch(of: Tables, pairs: Pairs, *, shrunk: bool = False) -> Estimates:
    """Welch two-way by strategy; shrunk: variances over seeds shrunk upwards."""
    a, b = pairs
    n, seeds, residuals = of.examples, of.seeds, of.residuals()
    variances, dfs = of.seed_variances(), seeds - 1
    if shrunk:
        variances, dfs = shrink_upwards(variances, dfs)
    parts = residuals / seeds
    first, second = variances[:, a] / seeds[:, a], variances[:, b] / seeds[:, b]
    between = between_examples(of, pairs)
    example = _positive(between - parts[:, a] - parts[:, b], between) / n
    total = first + second + example
    weight = first**2 / dfs[:, a] + second**2 / dfs[:, b] + example**2 / (n - 1)
    return _with_no_variance_of_0(of.means[:, a] - of.means[:, b], total, total**2, weight, dfs[:, a] + dfs[:, b], n)


NEAR = 0.3
"""A strategy's seeds count as skewed where they differ, beyond the examples' part, by this share of its mean distance from the
end of the range, or more."""


def skewed_p(of: Tables, pairs: Pairs) -> Floats:
    """(n, P) where the seeds of the side with the higher mean are skewed towards 1, the p of the test of two lognormal means of
    the shares of errors; else 0. The lower side and 0 likewise."""
    a, b = pairs
    first = of.means[:, a] > of.means[:, b]
    high = np.where(_skewed(of, 1 - of.means, np.where(first, a, b)), _lognormal_p(1 - of.scores, of, pairs, first), 0.0)
    low = np.where(_skewed(of, of.means, np.where(first, b, a)), _lognormal_p(of.scores, of, pairs, ~first), 0.0)
    return np.maximum(high, low)


def _skewed(of: Tables, distance: Floats, side: NDArray[np.intp]) -> Bools:
    own = np.sqrt(np.maximum(of.seed_variances() - of.residuals() / of.examples, 0))
    return np.take_along_axis((own > 0) & (own >= NEAR * distance), side, axis=1)


def _lognormal_p(distances: Floats, of: Tables, pairs: Pairs, first: Bools) -> Floats:
    """first: where the first side is to be the nearer one; where it is not, p is 1."""
    a, b = pairs
    logs, seeds = np.log(distances + 0.5 / of.examples), of.seeds
    s2 = np.nanvar(logs, axis=2, ddof=1)
    means, variances = np.nanmean(logs, axis=2) + s2 / 2, s2 / seeds + s2**2 / (2 * (seeds - 1))
    nearer = np.where(first, 1, -1) * (means[:, b] - means[:, a])
    total = variances[:, a] + variances[:, b]
    with np.errstate(invalid="ignore", divide="ignore"):
        df = total**2 / (variances[:, a] ** 2 / (seeds[:, a] - 1) + variances[:, b] ** 2 / (seeds[:, b] - 1))
        p = 2 * special.stdtr(df, -np.abs(nearer) / np.sqrt(total))
    return np.where((nearer > 0) & (total > 0), p, 1.0)


def paired(of: Tables, pairs: Pairs) -> Estimates:
    """The two-way test of the table of differences, where seeds share their random streams.

    One variance over few seeds is often small by luck: the examples' part lends no degrees of freedom.
    """
    d, seed, between, residual, seeds = _squares(of, pairs)
    example = _positive(between - residual / seeds, between) / of.examples
    total = seed / seeds + example
    return _with_no_variance_of_0(d, total, total**2, total**2 / (seeds - 1), seeds - 1, of.examples)


def capped(of: Tables, pairs: Pairs, *, times: int) -> Estimates:
    """The rule before: always paired by seed, all terms signed, and degrees of freedom at most so many times K - 1.

    4 for a comparison alone and 2 for one of several.
    """
    d, seed, between, residual, seeds = _squares(of, pairs)
    n, most = of.examples, times * (seeds - 1)
    terms = np.stack([seed / seeds, between / n, -residual / (seeds * n)])
    dfs = np.stack([seeds - 1, np.full_like(seeds, n - 1), (seeds - 1) * (n - 1)])
    total, largest = terms.sum(axis=0), np.argmax(terms, axis=0)[None]
    fits = total > 1e-12 * np.abs(terms).max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(fits, total**2 / (terms**2 / dfs).sum(axis=0), np.take_along_axis(dfs, largest, axis=0)[0])
    variance = np.where(fits, total, np.take_along_axis(terms, largest, axis=0)[0])
    nothing = variance <= ROUNDING**2
    variance = np.where(nothing, _of_two_more_examples(d, n), variance)
    return Estimates(d, variance, np.where(nothing, np.minimum(most, n + 1), np.minimum(np.maximum(df, 1), most)))


def _squares(of: Tables, pairs: Pairs) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Of tables of differences: mean, variance over seeds, variance over examples, residual mean square, seeds."""
    a, b = pairs
    assert of.by_answer is not None
    by_seed = of.scores[:, a] - of.scores[:, b]
    products, g, seeds = of.by_answer, of.by_example, of.seeds[:, a]
    squares = products[:, a, a] + products[:, b, b] - 2 * products[:, a, b]
    by_example = g[:, a, a] + g[:, b, b] - 2 * g[:, a, b]
    residual = of._residual(squares, by_example, by_seed, seeds)
    return by_seed.mean(axis=2), over_seeds(by_seed), between_examples(of, pairs), residual, seeds


def shrink_upwards(variances: Floats, dfs: Floats) -> tuple[Floats, Floats]:
    """(n, S) variances over seeds and their degrees of freedom, those below what the others let expect lifted to that."""
    half = dfs / 2
    z = np.log(np.maximum(variances, 1e-12)) - special.digamma(half) + np.log(half)
    excess = z.var(axis=1, ddof=1) - special.polygamma(1, half).mean(axis=1)
    vary = excess > 0
    prior = 2 * inverse_trigamma(np.where(vary, excess, 1.0))
    expected = np.exp(z.mean(axis=1) + special.digamma(prior / 2) - np.log(prior / 2))
    posterior = (prior[:, None] * expected[:, None] + dfs * variances) / (prior[:, None] + dfs)
    all_seeds = dfs.sum(axis=1, keepdims=True)
    alike = np.maximum(variances, 1e-12).mean(axis=1, keepdims=True)
    lifted = np.where(vary[:, None], posterior, alike)
    known = np.where(vary[:, None], np.minimum(prior[:, None] + dfs, all_seeds), all_seeds)
    up = (lifted > variances) & (lifted > 1e-12 * (1 + 1e-9))
    return np.where(up, lifted, variances), np.where(up, known, dfs)


def inverse_trigamma(values: Floats) -> Floats:
    """x > 0 with trigamma(x) = value, by bisection of log x."""
    low, high = np.full_like(values, -20.0), np.full_like(values, 20.0)
    for _ in range(80):
        middle = (low + high) / 2
        too_small = special.polygamma(1, np.exp(middle)) > values
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    return np.exp((low + high) / 2)


def holm(p: Floats) -> Floats:
    """(n, P) p-values adjusted within each experiment."""
    order = np.argsort(p, axis=1)
    m = p.shape[1]
    adjusted = np.minimum(1, np.maximum.accumulate(np.take_along_axis(p, order, axis=1) * np.arange(m, 0, -1), axis=1))
    back = np.empty_like(adjusted)
    np.put_along_axis(back, order, adjusted, axis=1)
    return back


def _positive(example: Floats, between: Floats) -> Floats:
    return np.where(example > ROUNDING * between, example, 0.0)


def _with_no_variance_of_0(d: Floats, total: Floats, square: Floats, weight: Floats, dfs: Floats, examples: int) -> Estimates:
    nothing = total == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(nothing, np.minimum(dfs, examples + 1), square / weight)
    return Estimates(d, np.where(nothing, _of_two_more_examples(d, examples), total), df)


def _of_two_more_examples(d: Floats, n: int) -> Floats:
    """The variance of a constant difference at n examples and at one each of +1 and -1."""
    mean = n * d / (n + 2)
    squares = n * (d - mean) ** 2 + (1 - mean) ** 2 + (1 + mean) ** 2
    return np.asarray(squares / ((n + 1) * (n + 2)))
