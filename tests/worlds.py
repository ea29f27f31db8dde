"""Worlds in which it is known which strategy is better: right and wrong answers of strategies, seeds and examples, drawn.

An answer is right with probability logistic(example + seed + strategy x example + shift). `shift` and the size of the seeds'
effects are solved for numerically, so a strategy's accuracy over all seeds and examples, and the standard deviation over seeds
of the accuracy on all examples, are exactly those that were asked for: a true difference can be placed at a margin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Tails = Literal["normal", "t3"]

CLIP = 1e-4
"""No example is easier or harder than this."""

MAJORITY = 0.6649
"""Share of right answers of a run that always gives the same one: MRPC's majority label."""

SAME_ANSWERS, SAME_SEEDS = 0.7, 0.9
"""Correlation of the strategies' random numbers behind each answer, and of their seed effects, where they share streams."""

CELLS = 20_000_000
"""Answers drawn at once: 100 MB in single precision."""


class Drawn(NamedTuple):
    right: Bools
    """(n, S, K, N): whether the answer of strategy s trained with seed k to example i is right, in each of n experiments."""
    collapsed: Bools
    """(n, S, K): whether the run always gives one answer. All experiments' examples and seeds are drawn anew."""


@dataclass(frozen=True)
class World:
    """How answers come about. Values with one entry a strategy are given to strategies in turn, as often as needed.

    accuracy: share right of the runs that learned, over all seeds and examples.
    seed_sd: standard deviation over seeds of a run's accuracy on all examples, in points, without the binomial part.
    concentration: examples' difficulties are Beta(accuracy c, (1 - accuracy) c): .35 let two runs disagree on 8 %.
    suits: standard deviation of a strategy's own effect on each example, in logits.
    shared: strategies share random streams: within a seed answers and seed effects correlate.
    collapse: probability that a run always gives the same answer and is right on MAJORITY of the examples.
    """

    accuracy: float | tuple[float, ...] = 0.8
    seed_sd: float | tuple[float, ...] = 1.0
    concentration: float = 0.35
    tails: Tails = "normal"
    suits: float | tuple[float, ...] = 0.0
    shared: bool = False
    collapse: float | tuple[float, ...] = 0.0

    def better(self, *points: float) -> World:
        """The same world, where one strategy after the other is better by so many points of accuracy."""
        accuracies = in_turn(self.accuracy, len(points))
        return replace(self, accuracy=tuple(float(a + p / 100) for a, p in zip(accuracies, points, strict=True)))

    def at(self, accuracy: float) -> World:
        """The same world at another accuracy of all strategies."""
        return replace(self, accuracy=accuracy)

    def draw(self, rng: np.random.Generator, n: int, strategies: int, seeds: int, examples: int) -> Drawn:
        """n experiments at once; memory is 5 bytes an answer."""
        shape = (n, strategies, seeds, examples)
        solved = [self.solved(s) for s in range(strategies)]
        shift = np.array([[[[one]] for one, _ in solved]])  # (1, S, 1, 1)
        scale = np.array([[[[one]] for _, one in solved]])
        hard = self._difficulties(rng, (n, 1, 1, examples))  # odds against, (n, 1, 1, N)
        suits = in_turn(self.suits, strategies)
        if suits.any():
            hard = hard * np.exp(suits[:, None, None] * rng.standard_normal((n, strategies, 1, examples)))
        against = np.exp(-shift - scale * self._seed_effects(rng, n, strategies, seeds)[..., None])  # (n, S, K, 1)
        hard, against = hard.astype(np.float32), against.astype(np.float32)
        chance = self._uniforms(rng, shape)
        for experiment, (odds, change) in enumerate(zip(hard, against, strict=True)):
            chance[experiment] *= 1 + odds * change  # u < 1 / (1 + odds)
        right = chance < 1
        collapse = in_turn(self.collapse, strategies)
        collapsed = rng.random(shape[:3]) < collapse[:, None]
        if collapse.any():
            majority = np.broadcast_to(rng.random((n, 1, 1, examples)) < MAJORITY, shape)
            right[collapsed] = majority[collapsed]
        return Drawn(right, collapsed)

    def chunks(self, n: int, strategies: int, seeds: int, examples: int, *, seed: int = 0) -> Iterator[Drawn]:
        """The same in as many parts as memory asks for; the same numbers give the same experiments."""
        at_once = max(1, CELLS // (strategies * seeds * examples))
        for part, start in enumerate(range(0, n, at_once)):
            rng = np.random.default_rng((seed, part))
            yield self.draw(rng, min(at_once, n - start), strategies, seeds, examples)

    def solved(self, strategy: int) -> tuple[float, float]:
        """Shift and size of the seeds' effects of a strategy, in logits."""
        accuracy, sd, suits = (
            float(in_turn(each, strategy + 1)[strategy]) for each in (self.accuracy, self.seed_sd, self.suits)
        )
        return solve(accuracy, sd / 100, self._base(), self.concentration, suits, self.tails)

    def _base(self) -> float:
        """The accuracy that shapes the examples' difficulties, which are the same for all strategies."""
        return float(in_turn(self.accuracy, 1)[0])

    def _difficulties(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        a, c = self._base(), self.concentration
        easy = np.clip(rng.beta(a * c, (1 - a) * c, shape), CLIP, 1 - CLIP)
        return np.asarray((1 - easy) / easy)

    def _seed_effects(self, rng: np.random.Generator, n: int, strategies: int, seeds: int) -> Floats:
        """(n, S, K), standard deviation 1."""

        def effects(width: int) -> Floats:
            if self.tails == "t3":
                return rng.standard_t(3, (n, width, seeds)) / np.sqrt(3)
            return rng.standard_normal((n, width, seeds))

        own = effects(strategies)
        return np.sqrt(SAME_SEEDS) * effects(1) + np.sqrt(1 - SAME_SEEDS) * own if self.shared else own

    def _uniforms(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if not self.shared:
            return rng.random(shape, dtype=np.float32)
        n, _, seeds, examples = shape
        common = rng.standard_normal((n, 1, seeds, examples), dtype=np.float32)
        own = rng.standard_normal(shape, dtype=np.float32)
        own *= np.float32(np.sqrt(1 - SAME_ANSWERS))
        own += np.float32(np.sqrt(SAME_ANSWERS)) * common
        return np.asarray(special.ndtr(own, out=own))


def in_turn(values: float | Sequence[float], strategies: int) -> Floats:
    """(S,): one value for all, or one after the other, from the start again where there are too few."""
    return np.resize(np.asarray(values, dtype=np.float64), strategies)


@cache
def solve(accuracy: float, sd: float, base: float, concentration: float, suits: float, tails: Tails) -> tuple[float, float]:
    """Shift and size of the seeds' effects, in logits, that give the accuracy and its standard deviation over seeds."""
    logits, shares = curve(base, concentration, suits)
    effects, weights = _effects(tails)

    def shares_of(shift: float, scale: float) -> Floats:
        return np.interp(shift + scale * effects, logits, shares)

    def shift_for(scale: float) -> float:
        return float(optimize.brentq(lambda shift: weights @ shares_of(shift, scale) - accuracy, -60, 60, xtol=1e-10))

    def excess(log_scale: float) -> float:
        scale = float(np.exp(log_scale))
        found = shares_of(shift_for(scale), scale)
        return float(np.sqrt(weights @ (found - accuracy) ** 2)) - sd

    scale = float(np.exp(optimize.brentq(excess, -12, 2.5, xtol=1e-8))) if sd else 0.0
    return shift_for(scale), scale


@cache
def curve(base: float, concentration: float, suits: float) -> tuple[Floats, Floats]:
    """The share of right answers over all examples, at each of a grid of effects in logits."""
    top = special.logit(1 - CLIP)
    edges = np.linspace(-top, top, 2001)
    below = special.betainc(base * concentration, (1 - base) * concentration, special.expit(edges))
    weights = np.concatenate([[below[0]], np.diff(below), [1 - below[-1]]])
    middles = np.concatenate([[-top], (edges[1:] + edges[:-1]) / 2, [top]])
    logits = np.linspace(-40, 40, 8001)
    shares = np.array([weights @ special.expit(middles + logit) for logit in logits])
    if suits:
        nodes, shares_of = np.polynomial.hermite_e.hermegauss(41)
        shares = sum(
            weight * np.interp(logits + suits * node, logits, shares)
            for node, weight in zip(nodes, shares_of / shares_of.sum(), strict=True)
        )
    return logits, shares


@cache
def _effects(tails: Tails) -> tuple[Floats, Floats]:
    """Values of a seed's effect, with standard deviation 1, and their weights."""
    if tails == "normal":
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)
        return nodes, weights / weights.sum()
    middles = (np.arange(4000) + 0.5) / 4000
    return stats.t.ppf(middles, 3) / np.sqrt(3), np.full(4000, 1 / 4000)


PLAIN = World()
EASY_AND_HARD = World(concentration=0.06)
T3 = World(tails="t3")
ALIKE = World(seed_sd=0.1)
UNEQUAL = World(seed_sd=(0.6, 0.1, 2.0, 0.3, 1.0, 1.3, 3.0))
TENFOLD = World(seed_sd=(0.1,) * 5 + (3.0,) * 5)
LORA_LIKE = World(seed_sd=0.5, suits=1.0)
HEAD_LIKE = World(seed_sd=0.3, suits=2.5)
SHARED = World(shared=True)
SHARED_SUITS = World(shared=True, suits=1.0)
BOTH_COLLAPSE = World(collapse=0.1)
ONE_COLLAPSES = World(collapse=(0.0, 0.1))

WORLDS = {
    "plain": PLAIN,
    "very easy and very hard": EASY_AND_HARD,
    "t3 seeds": T3,
    "seeds alike": ALIKE,
    "unequal seeds": UNEQUAL,
    "LoRA-like": LORA_LIKE,
    "head-like": HEAD_LIKE,
    "same initial weights": SHARED,
    "both collapse": BOTH_COLLAPSE,
}
"""What a test must hold in. A collapse on one side alone is not among them: there the means of all runs differ."""
