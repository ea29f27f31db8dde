"""Power of a design: minimum detectable effects, and the numbers of seeds and examples needed.

All follow from the design, not from the observed difference: there is no "observed power" here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import optimize, special

from bakeoff.statistics.twoway import Budget

GRID, STEP = np.linspace(-10.0, 10.0, 401, retstep=True)
DENSITY = np.exp(-GRID * GRID / 2) / math.sqrt(2 * math.pi) * STEP
"""Points and weights for expectations over a standard normal variable; sums over this grid are exact to rounding."""

MOST_SEEDS, MOST_EXAMPLES = 10_000, 10_000_000
"""Largest numbers of seeds and of examples that are searched."""

WhyNone = Literal["", "too few", "unknown", "too many"]
"""Why no number of seeds is given. `too few`: there are too few examples, whatever the seeds; `unknown`: the pilot cannot tell
whether there are; `too many`: more seeds than anybody runs. Likewise for a number of examples, with too few seeds."""


@dataclass(frozen=True)
class Needed:
    """The `number` of seeds or examples needed, or None and `why`; `limit`: the smallest effect that any number can detect."""

    number: int | None
    limit: float
    why: WhyNone = ""
    limits: tuple[float, float] | None = None
    """`limit` at both ends of the 90 % interval of its variance component; None where that is not estimated."""


def minimum_detectable_effect(se: float, df: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided t test with this standard error detects with this power, in the unit of `se`.

    By the noncentral t distribution; for a family of m comparisons, pass alpha / m.
    """
    if se < 0 or df < 1 or not 0 < alpha < power < 1:
        raise ValueError(f"se >= 0, df >= 1 and 0 < alpha < power < 1 are needed, not {se}, {df}, {alpha}, {power}")
    return _noncentrality(df, alpha, power) * se


def _noncentrality(df: float, alpha: float, power: float) -> float:
    """The noncentrality, in standard errors, at which the t test has that power.

    scipy's noncentral t is NaN for few degrees of freedom, hence the sum over quantiles of chi-squared, the distribution of the
    estimated variance.
    """
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    bounds = critical * np.sqrt(special.chdtri(df, special.ndtr(GRID)) / df)

    def lacking(shift: float) -> float:
        found = special.ndtr(shift - bounds) + special.ndtr(-shift - bounds)
        return power - float(DENSITY @ found)

    high = critical + 2.0
    while lacking(high) > 0:
        high *= 2
    return float(optimize.brentq(lacking, 0.0, high, xtol=1e-10))


def mde_of_design(
    budget: Budget,
    seeds: int,
    *,
    examples: int,
    comparisons: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Minimum detectable difference of so many seeds per side on so many examples, in score units.

    Of several comparisons at Holm's strictest step, alpha over their number.
    """
    se = math.sqrt(budget.variance(seeds, examples))
    df = budget.df(seeds, examples)
    return minimum_detectable_effect(se, df, alpha=alpha / comparisons, power=power)


def seeds_needed(
    budget: Budget,
    difference: float,
    *,
    examples: int,
    comparisons: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Needed:
    """Seeds per side that detect a true `difference` (score units); none where there are too few examples for it.

    Whether there are is decided only where both ends of the interval of the examples' variance component agree, else it is
    `unknown`: noise in that estimate must not make one strategy need 200 seeds and another infinitely many.
    """
    per_error = minimum_detectable_effect(1.0, budget.df(MOST_SEEDS, examples), alpha=alpha / comparisons, power=power)

    def limit(example: float) -> float:
        return per_error * math.sqrt(example / examples)

    limits = (limit(budget.example_range[0]), limit(budget.example_range[1])) if budget.example_range else None

    def mde(seeds: int) -> float:
        return mde_of_design(budget, seeds, examples=examples, comparisons=comparisons, alpha=alpha, power=power)

    return _least(mde, difference, limit(budget.example), most=MOST_SEEDS, limits=limits)


def examples_needed(budget: Budget, difference: float, *, seeds: int, alpha: float = 0.05, power: float = 0.8) -> Needed:
    """Test examples that detect a true `difference` with these seeds; none where there are too few seeds for it."""
    known = replace(budget, example=0.0, residuals=(0.0,) * len(budget.seeds))
    limit = minimum_detectable_effect(math.sqrt(budget.seed / seeds), known.df(seeds, 2), alpha=alpha, power=power)

    def mde(examples: int) -> float:
        return mde_of_design(budget, seeds, examples=examples, alpha=alpha, power=power)

    return _least(mde, difference, limit, most=MOST_EXAMPLES)


def _least(
    mde: Callable[[int], float], difference: float, limit: float, *, most: int, limits: tuple[float, float] | None = None
) -> Needed:
    """The smallest number from 2 on with a detectable effect of at most `difference`; mde(number) falls as the number grows."""
    if difference <= 0:
        raise ValueError(f"the difference to be found is above 0, not {difference}")
    lowest, highest = limits or (limit, limit)
    if difference < highest:
        return Needed(None, limit, "too few" if difference < lowest else "unknown", limits)
    number = bisect_left(range(most + 1), True, lo=2, key=lambda number: mde(number) <= difference)
    return Needed(number, limit, limits=limits) if number <= most else Needed(None, limit, "too many", limits)


def mde_examples(discordance: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Minimum detectable difference of two fixed models on n examples: (z + z) sqrt(discordance / n), in score units.

    discordance: share of the examples that exactly one of the two has right.
    """
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power)) * math.sqrt(discordance / n)


def expected_max_sigma(n: int) -> float:
    """Expected maximum of n standard normal values: the bias of picking the best of n, in standard deviations."""
    return max(0.0, float(np.sum(GRID * DENSITY * n * special.ndtr(GRID) ** (n - 1))))


def best_epoch_optimism(evaluations: int, discordance: float, n: int) -> float:
    """Bias from picking the best of so many evaluations on n examples of a model that no longer improves, in score units.

    discordance: mean share of the examples on which exactly one of two evaluations is right; the variance of one evaluation is
    then discordance / (2 n).
    """
    return expected_max_sigma(evaluations) * math.sqrt(discordance / (2 * n))
