"""Power of a design: minimum detectable effects, and the numbers of seeds and examples needed.

All follow from the design (variance components, numbers of seeds and examples), not from the observed difference: there is no
"observed power" here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from bakeoff.contracts.fields import Part
from bakeoff.contracts.metric import Floats
from bakeoff.statistics.shrinkage import SHRUNK_ROWS, SHRUNK_SEEDS, lifted
from bakeoff.statistics.twoway import Budget

GRID, STEP = np.linspace(-10.0, 10.0, 401, retstep=True)
DENSITY = np.exp(-GRID * GRID / 2) / math.sqrt(2 * math.pi) * STEP
"""Points and weights for expectations over a standard normal variable; sums over this grid are exact to rounding."""

NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()
"""Fewer points and weights, for expectations over two standard normal variables at once."""
DRAWS, MOST_DRAWN_ROWS = 400, 12
"""Where variances are shrunk (`shrinkage`), power is averaged over so many simulated comparison groups, always the same ones,
of at most so many strategies: more change nothing."""

MOST_SEEDS, MOST_EXAMPLES = 10_000, 10_000_000
"""The largest numbers of seeds and of examples that `seeds_needed` and `examples_needed` give."""

WhyNone = Literal["", "too few", "unknown", "too many"]
"""Why no number of seeds is given. `too few`: there are too few examples, whatever the seeds; `unknown`: the earlier runs from
which variances are estimated cannot tell whether there are too few; `too many`: more seeds than anybody runs. Of a number of
examples likewise, where `too few` means too few seeds."""


@dataclass(frozen=True)
class Needed:
    """The `number` of seeds or examples needed, or None and `why`; `limit`: the smallest difference that an unlimited number
    detects."""

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
    if se == 0:
        return 0.0
    return _Test(1.0, np.sqrt(_relative(df, GRID)), np.full(len(GRID), df), DENSITY).detectable(alpha, power) * se


def _relative(df: float, normal: Floats) -> Floats:
    """Quantiles of the ratio of an estimated variance, of `df` degrees of freedom, to the true one; normal: the standard
    normal quantiles of the same probabilities."""
    return np.asarray(special.chdtri(df, special.ndtr(-normal)) / df)


@dataclass(frozen=True)
class _Test:
    """A t test before its runs: the true standard error `se` of the difference, and P possible estimates of it.

    scipy's noncentral t is NaN for few degrees of freedom and knows no estimated ones, hence sums over these P estimates.
    """

    se: float
    errors: Floats
    """(P,) the possible estimates of the standard error."""
    df: Floats
    """(P,) their degrees of freedom."""
    weights: Floats
    """(P,) their probabilities."""

    def chance_of_difference(self, difference: float, alpha: float) -> float:
        """The chance that this true difference is found, with the right sign, at the two-sided level `alpha`."""
        return float(self.weights @ special.ndtr((difference - self._bounds(1 - alpha / 2)) / self.se))

    def chance_of_equivalence(self, margin: float, alpha: float) -> float:
        """The chance that TOST at the level `alpha` finds two equal strategies within the margin."""
        room = np.maximum(0.0, margin - self._bounds(1 - alpha)) / self.se
        return float(self.weights @ (2 * special.ndtr(room) - 1))

    def detectable(self, alpha: float, power: float) -> float:
        """The true difference that is found, with either sign, with this power at the two-sided level `alpha`."""
        from scipy import optimize  # as long as all the rest of `bakeoff check`

        bounds = self._bounds(1 - alpha / 2)

        def lacking(difference: float) -> float:
            found = special.ndtr((difference - bounds) / self.se) + special.ndtr((-difference - bounds) / self.se)
            return power - float(self.weights @ found)

        high = 4 * self.se
        while lacking(high) > 0:
            high *= 2
        return float(optimize.brentq(lacking, 0.0, high, xtol=1e-10 * self.se))

    def _bounds(self, quantile: float) -> Floats:
        return np.asarray(special.stdtrit(self.df, quantile) * self.errors)


def _design(budget: Budget, seeds: int, examples: int, rows: int) -> _Test:
    """The test of so many seeds a side on so many examples, in a comparison group of so many strategies (`rows`).

    Each side's variance over seeds is estimated with seeds - 1 degrees of freedom, so that those of the difference vary too.
    Were only their expected number used, seven strategies at five seeds would find the printed difference in 72 % of
    experiments, not in 80 %.
    """
    parts, example = budget.parts(seeds, examples), budget.example / examples
    se = math.sqrt(float(parts.sum()) + example)
    d = seeds - 1.0
    if len(parts) == 1:
        estimated = parts[0] * _relative(d, GRID)
        return _Test(se, np.sqrt(estimated + example), np.full(len(GRID), d), DENSITY)
    if rows >= SHRUNK_ROWS and seeds in SHRUNK_SEEDS:
        of_row = np.concatenate([parts, np.full(min(rows, MOST_DRAWN_ROWS) - 2, parts.mean())])
        drawn = np.random.default_rng(0).chisquare(d, (DRAWS, len(of_row))) / d
        both, df = (found[:, :2] for found in lifted(of_row * drawn, np.full(len(of_row), d), scale=max(1e-3, se)))
        weights = np.full(DRAWS, 1 / DRAWS)
    else:
        x = _relative(d, NODES)
        both = np.stack(np.meshgrid(parts[0] * x, parts[1] * x, indexing="ij"), axis=-1).reshape(-1, 2)
        df, weights = np.full(both.shape, d), np.outer(NODE_WEIGHTS, NODE_WEIGHTS).ravel()
    variance = both.sum(axis=1) + example
    doubt = (both**2 / df).sum(axis=1) + example**2 / (examples - 1)
    return _Test(se, np.sqrt(variance), np.divide(variance**2, doubt, out=np.full(len(doubt), 2 * d), where=doubt > 0), weights)


class Detectable(NamedTuple):
    """A minimum detectable difference: its estimate, and the ends between which the true one lies in 80 % of experiments."""

    value: float
    low: float
    high: float


def with_range(value: float, df: float) -> Detectable:
    """A minimum detectable difference with its uncertainty, which is that of the variance behind it: with `df` degrees of
    freedom, df times the estimated over the true variance is chi-squared."""
    return Detectable(value, *(value * math.sqrt(df / float(special.chdtri(df, tail))) for tail in (0.1, 0.9)))


def mde_of_design(
    budget: Budget,
    seeds: int,
    *,
    examples: int,
    comparisons: int = 1,
    rows: int = 2,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Minimum detectable difference of so many seeds per side on so many examples, in score units.

    comparisons: how many are tested together; the level is that of Holm's strictest step, alpha over their number. rows: how
    many strategies the comparison group has.
    """
    test = _design(budget, seeds, examples, rows)
    return test.detectable(alpha / comparisons, power) if test.se else 0.0


class Chances(Part):
    """The probabilities of a design's verdicts, 0 to 1."""

    equivalent: float
    """Probability that two equal strategies are found equivalent."""
    better: float
    """Probability that a difference as large as the margin is found."""
    better_by_two: float
    """Probability that a difference of two margins is found."""


def chances(
    budget: Budget,
    seeds: int,
    margin: float,
    *,
    examples: int,
    comparisons: int = 1,
    rows: int = 2,
    alpha: float = 0.05,
) -> Chances:
    """The probabilities of verdicts with so many seeds per side on so many examples; margin: in score units.

    comparisons, rows: as in `mde_of_design`.
    """
    test, level = _design(budget, seeds, examples, rows), alpha / comparisons
    if not test.se:
        return Chances(equivalent=1.0, better=1.0, better_by_two=1.0)
    better, by_two = (test.chance_of_difference(times * margin, level) for times in (1, 2))
    return Chances(equivalent=test.chance_of_equivalence(margin, level), better=better, better_by_two=by_two)


def seeds_needed(
    budget: Budget,
    difference: float,
    *,
    examples: int,
    comparisons: int = 1,
    rows: int = 2,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Needed:
    """Seeds per side that detect a true `difference` (score units); none where there are too few examples for it.

    Whether there are too few is decided only where both ends of the interval of the examples' variance component agree, else
    it is `unknown`: noise in that estimate must not make one strategy need 200 seeds and another infinitely many. Other
    arguments: as in `mde_of_design`.
    """
    df = MOST_SEEDS - 1.0 if len(budget.seeds) == 1 else examples - 1.0  # of the examples alone, with seeds without end
    per_error = minimum_detectable_effect(1.0, df, alpha=alpha / comparisons, power=power)

    def limit(example: float) -> float:
        return per_error * math.sqrt(example / examples)

    limits = (limit(budget.example_range[0]), limit(budget.example_range[1])) if budget.example_range else None

    def mde(seeds: int) -> float:
        return mde_of_design(budget, seeds, examples=examples, comparisons=comparisons, rows=rows, alpha=alpha, power=power)

    return _least(mde, difference, limit(budget.example), most=MOST_SEEDS, limits=limits)


def examples_needed(
    budget: Budget,
    difference: float,
    *,
    seeds: int,
    comparisons: int = 1,
    rows: int = 2,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Needed:
    """Test examples that detect a true `difference` (score units) with so many seeds per side; none where there are too few
    seeds for it. Other arguments: as in `mde_of_design`."""
    known = replace(budget, example=0.0, residuals=(0.0,) * len(budget.seeds))
    limit = mde_of_design(known, seeds, examples=2, comparisons=comparisons, rows=rows, alpha=alpha, power=power)

    def mde(examples: int) -> float:
        return mde_of_design(budget, seeds, examples=examples, comparisons=comparisons, rows=rows, alpha=alpha, power=power)

    return _least(mde, difference, limit, most=MOST_EXAMPLES)


def _least(
    mde: Callable[[int], float], difference: float, limit: float, *, most: int, limits: tuple[float, float] | None = None
) -> Needed:
    """The smallest number, from 2 to `most`, with which mde(number), the minimum detectable difference, is at most
    `difference`; it falls as the number grows. limit, limits: as in `Needed`."""
    if difference <= 0:
        raise ValueError(f"the difference to be detected must be above 0, not {difference}")
    lowest, highest = limits or (limit, limit)
    if difference < highest:
        return Needed(None, limit, "too few" if difference < lowest else "unknown", limits)
    number = bisect_left(range(most + 1), True, lo=2, key=lambda number: mde(number) <= difference)
    return Needed(number, limit, limits=limits) if number <= most else Needed(None, limit, "too many", limits)


def mde_examples(discordance: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Minimum detectable difference of two fixed models on n examples, in score units: sqrt(discordance / n) times the sum of
    the normal quantiles at 1 - alpha / 2 and at `power`.

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
