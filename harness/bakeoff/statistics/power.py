"""What a design can see, and what it would take: minimum detectable effects, seeds and examples needed.

All from the design, before the comparison or beside it; "observed power" is not to be had here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, special

from bakeoff.statistics.twoway import Budget

GRID, STEP = np.linspace(-10.0, 10.0, 401, retstep=True)
DENSITY = np.exp(-GRID * GRID / 2) / math.sqrt(2 * math.pi) * STEP
"""Points and weights of an expectation over a standard normal value; sums over such a grid are right to rounding."""

MOST_SEEDS, MOST_EXAMPLES = 10_000, 10_000_000
"""A search for a number of seeds or of examples ends here."""

WhyNone = Literal["", "too few", "unknown", "too many"]
"""Why no number of seeds is given: the examples are too few for the difference, whatever the seeds; they may or may not be,
which these seeds cannot tell; or it would take more seeds than anybody runs. The same of examples, seeds being too few."""


@dataclass(frozen=True)
class Needed:
    """A `number` of seeds or examples, None where none is given, and `why`; `limit` is the effect that any number can find."""

    number: int | None
    limit: float
    why: WhyNone = ""
    limits: tuple[float, float] | None = None
    """`limit` at both ends of the 90 % interval of what it is made from; None where that is given and not estimated."""


def minimum_detectable_effect(se: float, df: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that a two-sided t test with this standard error finds with this power, in the unit of `se`.

    By the noncentral t distribution; for a family of m comparisons, pass alpha / m.
    """
    if se < 0 or df < 1 or not 0 < alpha < power < 1:
        raise ValueError(f"se >= 0, df >= 1 and 0 < alpha < power < 1 are needed, not {se}, {df}, {alpha}, {power}")
    return _noncentrality(df, alpha, power) * se


def _noncentrality(df: float, alpha: float, power: float) -> float:
    """The shift, in standard errors, at which the test has that power: over the distribution of the estimated standard error.

    scipy's own noncentral t is NaN for few degrees of freedom, hence the sum over the quantiles of chi-squared.
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
    paired: bool = True,
    comparisons: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The least difference that so many seeds a side on so many examples find, in score units.

    Of several comparisons, at Holm's hardest step: alpha over their number.
    """
    se = math.sqrt(budget.variance(seeds, examples))
    df = budget.df(seeds, examples, paired=paired, family=comparisons > 1)
    return minimum_detectable_effect(se, df, alpha=alpha / comparisons, power=power)


def seeds_needed(
    budget: Budget,
    difference: float,
    *,
    examples: int,
    paired: bool = True,
    comparisons: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Needed:
    """How many seeds a side find a true `difference` (score units).

    None where the examples alone are too few for it. That, and a number, is said only where it holds at either end of the
    interval of the examples' part: of two rows on the same examples one would else need 200 seeds and the other infinitely many
    for no other reason than the noise of that estimate.
    """
    per_error = minimum_detectable_effect(1.0, examples - 1, alpha=alpha / comparisons, power=power)

    def limit(example: float) -> float:
        return per_error * math.sqrt(example / examples)

    limits = (limit(budget.example_range[0]), limit(budget.example_range[1])) if budget.example_range else None

    def mde(seeds: int) -> float:
        return mde_of_design(budget, seeds, examples=examples, paired=paired, comparisons=comparisons, alpha=alpha, power=power)

    return _least(mde, difference, limit(budget.example), most=MOST_SEEDS, limits=limits)


def examples_needed(
    budget: Budget, difference: float, *, seeds: int, paired: bool = True, alpha: float = 0.05, power: float = 0.8
) -> Needed:
    """How many test examples find a true `difference` with these seeds; None where the seeds alone are too few for it."""
    runs = seeds - 1 if paired else 2 * (seeds - 1)
    limit = minimum_detectable_effect(math.sqrt(budget.seed / seeds), runs, alpha=alpha, power=power)

    def mde(examples: int) -> float:
        return mde_of_design(budget, seeds, examples=examples, paired=paired, alpha=alpha, power=power)

    return _least(mde, difference, limit, most=MOST_EXAMPLES)


def _least(
    mde: Callable[[int], float], difference: float, limit: float, *, most: int, limits: tuple[float, float] | None = None
) -> Needed:
    """The least number from 2 whose detectable effect is `difference` or less; it falls as the number grows."""
    if difference <= 0:
        raise ValueError(f"the difference to be found is above 0, not {difference}")
    lowest, highest = limits or (limit, limit)
    if difference < highest:
        return Needed(None, limit, "too few" if difference < lowest else "unknown", limits)
    number = bisect_left(range(most + 1), True, lo=2, key=lambda number: mde(number) <= difference)
    return Needed(number, limit, limits=limits) if number <= most else Needed(None, limit, "too many", limits)


def mde_examples(discordance: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The least difference between two fixed models that n examples find: (z + z) sqrt(discordance / n), in score units.

    discordance: the share of examples that just one of the two has right.
    """
    if not 0 <= discordance <= 1 or n < 1:
        raise ValueError(f"discordance is a share and n at least 1, not {discordance} and {n}")
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power)) * math.sqrt(discordance / n)


def expected_max_sigma(n: int) -> float:
    """The expected largest of n standard normal values: what picking the best of n adds, in standard deviations."""
    if n < 1:
        raise ValueError(f"there is no largest of {n}")
    return max(0.0, float(np.sum(GRID * DENSITY * n * special.ndtr(GRID) ** (n - 1))))


def best_epoch_optimism(evaluations: int, discordance: float, n: int) -> float:
    """What picking the best of so many evaluations on n examples adds where skill stands still, in score units.

    discordance: the mean share of examples on which two of the evaluations differ in being right. Each evaluation's own share
    of the variance is discordance / (2 n).
    """
    return expected_max_sigma(evaluations) * math.sqrt(discordance / (2 * n))
