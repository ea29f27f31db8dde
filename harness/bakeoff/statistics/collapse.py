"""Runs that learned nothing: whether a run's answers are a constant plus noise, and how often that happens.

A run has *collapsed* when both hold: its answers are one constant answer but for as few others as noise on one example in a
hundred gives in 95 of 100 runs, and these others know nothing of the labels. A model that answers a rare label seldom, and
rightly, has learned; so has one that gives many other answers, however wrong.
"""

from __future__ import annotations

import math

from scipy import special

from bakeoff.contracts.kind import OtherLabels, OtherNumbers
from bakeoff.statistics.intervals import share_interval

NOISE = 0.01
"""The noise that is allowed for: this share of the answers, or of the labels' variance where answers are numbers. A predictor
of numbers that explains a share r^2 of the labels' variance spreads by that share of it."""
ALPHA = 0.05


def has_collapsed(found: OtherLabels | OtherNumbers) -> bool:
    """Whether the answers are a constant plus noise. Never where the labels cannot tell."""
    if not found.telling:
        return False
    if isinstance(found, OtherLabels):
        return found.others <= most_by_noise(found.examples) and _of_labels(found) > ALPHA
    return found.share <= widest_by_noise(found.examples) and _of_numbers(found) > ALPHA


def most_by_noise(examples: int) -> int:
    """The 95 % quantile of how many of so many answers noise changes: binomial with `NOISE`."""
    most = math.floor(examples * NOISE)
    while special.bdtr(most, examples, NOISE) < 1 - ALPHA:
        most += 1
    return most


def widest_by_noise(examples: int) -> float:
    """The 95 % quantile of the variance of so many numbers, over that of the labels, where it is `NOISE` in truth."""
    df = max(examples - 1, 1)
    return NOISE * float(special.chdtri(df, ALPHA)) / df


def _of_labels(found: OtherLabels) -> float:
    """One-sided p of so many answers nearer to the truth, were they dealt at random: the binomial with their mean chance, whose
    tail is at least that of unequal chances (Hoeffding, 1956)."""
    if found.nearer <= found.by_chance or not found.others:
        return 1.0
    return float(special.bdtrc(found.nearer - 1, found.others, found.by_chance / found.others)) if found.by_chance else 0.0


def _of_numbers(found: OtherNumbers) -> float:
    """One-sided p of the correlation, by t."""
    df = found.examples - 2
    if df < 1 or found.correlation <= 0:
        return 1.0
    return float(special.stdtr(df, -found.correlation * math.sqrt(df / max(1 - found.correlation**2, 1e-300))))


def share_range(runs: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share of runs: Wilson's; where it is none or all of them, a bound on one side, which is exact:
    none of n is compatible with a share of 1 - 0.05^(1/n), of 5 with 45 %. 0 to 1 where n is 0."""
    if of and runs in (0, of):
        bound = ALPHA ** (1 / of)
        return (0.0, 1 - bound) if runs == 0 else (bound, 1.0)
    return share_interval(runs / of if of else 0.0, of)
