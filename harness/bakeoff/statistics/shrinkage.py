"""Variances over seeds of several strategies, of which the smallest are luck: shrunk upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from bakeoff.statistics.twoway import Variance


def shrunk_upwards(variances: Sequence[float], seeds: Sequence[int], *, scale: float = 1.0) -> list[Variance]:
    """Variances over seeds of strategies of one group, each that is below what the others let expect lifted towards it.

    A scaled inverse chi-squared distribution is fitted to the variances, as Smyth (2004) does; a variance below the posterior
    mean takes it, with the degrees of freedom of both, and one above stays as it is: in a family of comparisons at three
    seeds, small variances that are luck make the false claims, and large ones are to be believed. seeds: of each strategy;
    scale: the width of the scores' range. A variance of 0 counts as 1e-12.
    """
    nothing = 1e-12 * scale * scale
    s2, d = np.array(variances, dtype=np.float64), np.array(seeds, dtype=np.float64) - 1
    z = np.log(np.maximum(s2, nothing)) - special.digamma(d / 2) + np.log(d / 2)
    excess = float(z.var(ddof=1) - special.polygamma(1, d / 2).mean())
    if excess > 0:
        prior = 2 * _inverse_trigamma(excess)
        expected = math.exp(z.mean() + special.digamma(prior / 2) - math.log(prior / 2))
        lifted, df = (prior * expected + d * s2) / (prior + d), np.minimum(prior + d, d.sum())
    else:
        lifted, df = np.full(len(s2), np.maximum(s2, nothing).mean()), np.full(len(s2), d.sum())
    higher = (lifted > s2) & (lifted > nothing * (1 + 1e-9))
    return [
        Variance(float(more), float(known)) if up else Variance(float(own), float(seen))
        for up, more, known, own, seen in zip(higher, lifted, df, s2, d, strict=True)
    ]


def _inverse_trigamma(value: float) -> float:
    """x > 0 with trigamma(x) = value, by Newton's method on 1 / trigamma, which is nearly a straight line (Smyth 2004)."""
    x = 0.5 + 1 / value
    for _ in range(100):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-14 * x:
            break
    return x
