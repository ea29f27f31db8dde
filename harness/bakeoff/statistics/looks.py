"""Declared looks: comparisons judged after 3, 5, 8, ... seeds, with one error rate for all looks together.

Each look has a share of the 5 %, whatever happened at earlier ones, so that the sum of the shares bounds the error over looks
and comparisons without any assumption of how looks depend on each other. Which tests are made does not matter here: this
module turns two-sided p-values and p-values of TOST (two one-sided tests of equivalence) into outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from scipy import special

from bakeoff.statistics.intervals import ALPHA

ALPHA_ALONE, ENOUGH_SEEDS = 0.04, 12
"""A single comparison whose last look has fewer than ENOUGH_SEEDS seeds has an error rate of 4 % over all looks: Welch's
p-values from few seeds are too small where one side's seeds vary ten times as much as the other's, and in a family other
comparisons make up for it. With 5 % a false claim was made in 6.1 ± 0.2 % (looks at 3 and 5) and 5.8 ± 0.2 % (3, 5, 8) of such
experiments, simulated."""
LEAST_CHANCE = 0.10
"""A comparison with a smaller chance of being decided by the last look is futile."""
LEAST_SEEDS_OF_RANKS = 5
"""All pairs are judged only at looks of at least so many seeds: at three, the far tails that 45 pairs need are too heavy."""
POWER = 0.8
MOST_EXAMPLES = 10_000_000
"""The largest number of examples that `examples_to_decide` gives."""

Outcome = Literal["equivalent", "different", "futile", "open"]
"""What a look decides of a comparison. `open`: it is judged again at the next look; after the last one it is inconclusive."""


def error_budget(looks: Sequence[int], *, alpha: float = ALPHA) -> tuple[float, ...]:
    """How `alpha` is divided among looks at these numbers of seeds: each gets a share in proportion to what its squared number
    of seeds adds to that of the look before.

    That leaves most to the last look, and little to three seeds, where the tails of t are trusted least. Raises ValueError
    unless looks rise from at least two seeds.
    """
    if not looks or looks[0] < 2 or any(late <= early for early, late in pairwise(looks)):
        raise ValueError(f"looks must be rising numbers of seeds, the first at least 2, not {list(looks)}")
    squares = [0, *(seeds * seeds for seeds in looks)]
    return tuple(alpha * (late - early) / squares[-1] for early, late in pairwise(squares))


@dataclass(frozen=True)
class Look:
    """One look at a family of comparisons: a number of seeds at which they are judged, and its share of the error rate."""

    number: int
    """Which look it is, from 1."""
    seeds: int
    """Of each strategy, at this look."""
    last: int
    """Of each strategy, at the last look."""
    budget: float
    """This look's share of the error rate: the probability of a false verdict that it may have."""
    last_budget: float
    """The last look's share."""
    comparisons: int
    """How many the family has, as declared before the first run."""
    settled: int = 0
    """How many were found better or worse at earlier looks: their share goes to the other comparisons' tests of differences,
    not to their tests of equivalence."""

    @property
    def difference_level(self) -> float:
        """A difference is significant where its two-sided p is at most this."""
        return self.budget / (self.comparisons - self.settled)

    @property
    def equivalence_level(self) -> float:
        """A pair is equivalent where the p of TOST is at most this."""
        return self.budget / self.comparisons

    @property
    def confidence(self) -> float:
        """The confidence of the intervals that are shown beside verdicts of this look: such intervals, of the whole family and
        all looks, contain all true differences in 95 % of experiments."""
        return 1 - self.budget / self.comparisons


def looks_at(looks: Sequence[int], comparisons: int) -> list[Look]:
    """Every look at a family of so many comparisons, none of them settled yet. looks: numbers of seeds.

    Raises ValueError below one comparison.
    """
    if comparisons < 1:
        raise ValueError(f"a family must have at least one comparison, not {comparisons}")
    alone = comparisons == 1 and looks[-1] < ENOUGH_SEEDS
    budgets = error_budget(looks, alpha=ALPHA_ALONE if alone else ALPHA)
    return [
        Look(number, seeds, looks[-1], budget, budgets[-1], comparisons)
        for number, (seeds, budget) in enumerate(zip(looks, budgets, strict=True), 1)
    ]


def outcome_at(look: Look, p: float, equivalence_p: float | None, chance: float | None) -> Outcome:
    """What one look decides of a comparison.

    p: two-sided, of a difference. equivalence_p: of TOST; None where no margin is declared. chance: of a decision by the last
    look (`chance_of_decision`); None where it is not known. Futility is not binding: the error rate also holds if a futile
    comparison gets more seeds.
    """
    if equivalence_p is not None and equivalence_p <= look.equivalence_level:
        return "equivalent"
    if p <= look.difference_level:
        return "different"
    if chance is not None and chance < LEAST_CHANCE and look.seeds < look.last:
        return "futile"
    return "open"


def chance_of_decision(look: Look, difference: float, seeds: float, examples: float, margin: float | None) -> float:
    """The chance that the last look decides a comparison, given the `difference` at this look: that the difference will then
    be far enough from 0 for a verdict, or far enough within the margin.

    seeds, examples: the parts of the variance of `difference` at this look that shrink with more seeds, and that do not.
    margin: of equivalence, in the difference's unit; None without one. By normal theory, with the seeds to come drawn around a
    true difference that is as uncertain as this one: predictive power.
    """
    v = seeds * look.seeds / look.last + examples
    error = math.sqrt(v)
    still = math.sqrt(max(0.0, seeds * (1 - look.seeds / look.last)))
    beyond = _z(look.last_budget / (2 * look.comparisons)) * error
    within = -1.0 if margin is None else margin - _z(look.last_budget / look.comparisons) * error
    if still == 0:
        return float(abs(difference) >= beyond or abs(difference) <= within)
    found = special.ndtr((-beyond - difference) / still) + special.ndtr((difference - beyond) / still)
    if within > 0:
        found += special.ndtr((within - difference) / still) - special.ndtr((-within - difference) / still)
    return min(1.0, float(found))


def examples_to_decide(
    look: Look, effect: float, *, seed: float, example: float, residual: float, power: float = POWER
) -> int | None:
    """The smallest number of examples with which the seeds of the last look decide whether two strategies are equal or differ
    by `effect`: with probability `power`, equal ones are found equivalent within the margin `effect`, and different ones are
    found different, each at the level of the last look.

    seed, example, residual: the variance components of one run of each side on one example, so that the variance of a
    difference is seed / K + example / N + residual / (K N). None where no number of examples is enough for those seeds.
    """
    needed = _z(look.last_budget / look.comparisons) + _z((1 - power) / 2)
    needed = max(needed, _z(look.last_budget / (2 * look.comparisons)) + _z(1 - power))
    left = (effect / needed) ** 2 - seed / look.last
    if left <= 0:
        return None
    number = math.ceil((example + residual / look.last) / left)
    return max(2, number) if number <= MOST_EXAMPLES else None


def _z(tail: float) -> float:
    return float(-special.ndtri(tail))
