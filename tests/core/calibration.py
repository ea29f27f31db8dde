"""How often a comparison errs, on whatever draws pairs of strategies: a toy generator here, real records elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.twoway import TwoWay, two_way_paired, two_way_unpaired

Pair = tuple[Floats, Floats]
"""Scores of two strategies, (K, N) each, on the same examples."""

Draw = Callable[[np.random.Generator], Pair]
Test = Callable[[Floats, Floats], "Answer"]

REPLICATIONS = pytest.mark.parametrize("replications", [1000, pytest.param(4000, marks=pytest.mark.long)])
"""How many worlds are drawn; a share of one in twenty then has a standard error of 0.7 or 0.3 points."""

FAMILIES = pytest.mark.parametrize(
    "replications", [pytest.param(1000, marks=pytest.mark.slow), pytest.param(4000, marks=pytest.mark.long)]
)
"""As above, for ten strategies at once: 45 comparisons a world."""


@dataclass(frozen=True)
class Answer:
    p: float
    low: float
    high: float


@dataclass(frozen=True)
class Toy:
    """Right or wrong, drawn from logistic(ability + example + strategy x example + strategy x seed), all normal.

    `example`, `interaction` and `seed` are standard deviations on the logit scale. Every draw has new seeds and new examples,
    as the claim is about both.
    """

    ability: float
    example: float
    interaction: float
    seed: float
    examples: int = 408

    def draw(self, rng: np.random.Generator, seeds: int, *, strategies: int = 2, gains: tuple[float, ...] = ()) -> Floats:
        """(strategies, seeds, examples) scores; `gains` are added to the strategies' abilities."""
        logits = rng.normal(self.ability, self.example, self.examples) + np.zeros((strategies, seeds, self.examples))
        if self.interaction:
            logits += rng.normal(0.0, self.interaction, (strategies, 1, self.examples))
        logits += rng.normal(0.0, self.seed, (strategies, seeds, 1))
        if gains:
            logits += np.reshape(gains, (-1, 1, 1))
        return (rng.random(logits.shape) < special.expit(logits)).astype(np.float64)

    def pair(self, seeds: int, *, gain: float = 0.0) -> Draw:
        """Draws two strategies, the first better by `gain` on the logit scale."""

        def draw(rng: np.random.Generator) -> Pair:
            one, other = self.draw(rng, seeds, gains=(gain, 0.0))
            return one, other

        return draw

    def accuracy(self, gain: float = 0.0) -> float:
        """The expected score over all seeds and examples."""
        z = np.linspace(-10.0, 10.0, 4001)
        density = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
        spread = np.sqrt(self.example**2 + self.interaction**2 + self.seed**2)
        return float(density @ special.expit(self.ability + gain + spread * z))


def answer(result: TwoWay) -> Answer:
    return Answer(result.p, *result.interval())


def paired(a: Floats, b: Floats) -> Answer:
    return answer(two_way_paired(a, b))


def unpaired(a: Floats, b: Floats) -> Answer:
    return answer(two_way_unpaired(a, b))


def answers(draw: Draw, test: Test, replications: int, *, seed: int = 0) -> list[Answer]:
    rng = np.random.default_rng(seed)
    return [test(*draw(rng)) for _ in range(replications)]


def false_positive_rate(
    draw_pair: Draw, replications: int, *, test: Test = unpaired, alpha: float = 0.05, seed: int = 0
) -> float:
    """How often a test finds a difference between strategies that `draw_pair` draws without any."""
    return float(np.mean([answer.p < alpha for answer in answers(draw_pair, test, replications, seed=seed)]))


def coverage(draw_pair: Draw, truth: float, replications: int, *, test: Test = unpaired, seed: int = 0) -> float:
    """How often the interval holds the true difference."""
    return float(np.mean([answer.low <= truth <= answer.high for answer in answers(draw_pair, test, replications, seed=seed)]))
