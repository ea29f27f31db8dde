"""Runs that learned nothing: whether a run's answers are a constant plus noise, and how often that happens.

A run has *collapsed* when both hold: it gives all examples the same answer, with no more exceptions than noise on one example
in a hundred causes in 95 of 100 runs; and the exceptions are no nearer to the labels than chance would have them. A model that
answers a rare label seldom, and rightly, has learned; so has one that gives many other answers, however wrong.
"""

from __future__ import annotations

import math
from functools import lru_cache

from scipy import special

from bakeoff.contracts.kind import OtherLabels, OtherNumbers
from bakeoff.statistics.intervals import share_interval

NOISE = 0.01
"""The noise that a constant predictor may have: this share of its answers differs, or, where answers are numbers, their
variance is this share of the labels' variance. A predictor that explains a share r^2 of the labels' variance has that share of
it as its own variance."""
ALPHA = 0.05


def has_collapsed(found: OtherLabels | OtherNumbers) -> bool:
    """Whether a run's answers, described by `found`, are a constant plus noise. False where the labels cannot tell (`telling`
    is False)."""
    if not found.telling:
        return False
    if isinstance(found, OtherLabels):
        return found.others <= most_by_noise(found.examples) and _of_labels(found) > ALPHA
    return found.share <= widest_by_noise(found.examples) and _of_numbers(found) > ALPHA


@lru_cache(maxsize=64)
def most_by_noise(examples: int) -> int:
    """How many of so many answers may differ by noise alone: the 95 % quantile of a binomial with probability `NOISE`."""
    most = math.floor(examples * NOISE)
    while special.bdtr(most, examples, NOISE) < 1 - ALPHA:
        most += 1
    return most


def widest_by_noise(examples: int) -> float:
    """The largest ratio of the answers' variance to the labels' that noise alone may give: the 95 % quantile of the ratio in
    samples of so many examples, where it is `NOISE` in truth."""
    df = max(examples - 1, 1)
    return NOISE * float(special.chdtri(df, ALPHA)) / df


def _of_labels(found: OtherLabels) -> float:
    """One-sided p of the answers other than the constant: the chance that as many of them would be nearer to the labels than
    the constant is, were they dealt to examples at random. By a binomial with their mean chance, whose tail is at least that
    of unequal chances (Hoeffding, 1956)."""
    if found.nearer <= found.by_chance or not found.others:
        return 1.0
    return float(special.bdtrc(found.nearer - 1, found.others, found.by_chance / found.others)) if found.by_chance else 0.0


def _of_numbers(found: OtherNumbers) -> float:
    """One-sided p of a correlation of answers and labels above 0, by t."""
    df = found.examples - 2
    if df < 1 or found.correlation <= 0:
        return 1.0
    return float(special.stdtr(df, -found.correlation * math.sqrt(df / max(1 - found.correlation**2, 1e-300))))


def share_range(runs: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, `runs` out of `of` runs; (0, 1) where `of` is 0.

    Wilson's; for no run or all runs, an exact one-sided bound instead: 0 of n runs are compatible with a true share of up to
    1 - 0.05^(1/n), for n = 5 with 45 %.
    """
    if of and runs in (0, of):
        bound = ALPHA ** (1 / of)
        return (0.0, 1 - bound) if runs == 0 else (bound, 1.0)
    return share_interval(runs / of if of else 0.0, of)
