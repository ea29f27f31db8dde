"""Shrinks variances over seeds upwards: of several strategies with few seeds, the smallest variances are small by luck."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.twoway import Variance

SHRUNK_SEEDS, SHRUNK_ROWS = (3, 4), 4
"""Variances over seeds are shrunk upwards at these numbers of seeds, in comparison groups of at least so many strategies: they
have many estimates from few runs, of which the smallest are luck. With more seeds shrinking gains nothing, and fewer
strategies tell too little of each other."""


def shrunk_upwards(variances: Sequence[float], seeds: Sequence[int], *, scale: float = 1.0) -> list[Variance]:
    """The variances over seeds of one comparison group's strategies, those that are below what the others suggest raised.

    A scaled inverse chi-squared distribution is fitted to the variances, as Smyth (2004) does. A variance below its posterior
    mean is replaced by that mean, with the degrees of freedom of both; a larger one stays as it is: in a family of comparisons
    at three seeds, variances that are small by luck make the false claims, and large ones are to be believed. seeds: number of
    seeds of each strategy; scale: the width of the scores' range. A variance of 0 counts as 1e-12 times scale squared.
    """
    s2, d = np.array(variances, dtype=np.float64), np.array(seeds, dtype=np.float64) - 1
    return [Variance(float(value), float(df)) for value, df in zip(*lifted(s2, d, scale=scale), strict=True)]


def lifted(s2: Floats, d: Floats, *, scale: float = 1.0) -> tuple[Floats, Floats]:
    """`shrunk_upwards` of many groups at once: variances s2 (..., S) with degrees of freedom d (S,) -> the raised variances
    and their degrees of freedom, (..., S) each."""
    nothing = 1e-12 * scale * scale
    z = np.log(np.maximum(s2, nothing)) - special.digamma(d / 2) + np.log(d / 2)
    excess = z.var(axis=-1, ddof=1, keepdims=True) - special.polygamma(1, d / 2).mean()
    spread = excess > 0
    prior = 2 * _inverse_trigamma(np.where(spread, excess, 1.0))
    expected = np.exp(z.mean(axis=-1, keepdims=True) + special.digamma(prior / 2) - np.log(prior / 2))
    mean = np.maximum(s2, nothing).mean(axis=-1, keepdims=True)
    values = np.where(spread, (prior * expected + d * s2) / (prior + d), mean)
    df = np.where(spread, np.minimum(prior + d, d.sum()), d.sum())
    higher = (values > s2) & (values > nothing * (1 + 1e-9))
    return np.where(higher, values, s2), np.where(higher, df, d)


def _inverse_trigamma(value: Floats) -> Floats:
    """x > 0 with trigamma(x) = value, by Newton's method on 1 / trigamma, which is nearly a straight line (Smyth 2004)."""
    x = 0.5 + 1 / value
    for _ in range(100):
        trigamma = special.polygamma(1, x)
        step = trigamma * (1 - trigamma / value) / special.polygamma(2, x)
        x = x + step
        if (np.abs(step) < 1e-14 * x).all():
            break
    return np.asarray(x)
