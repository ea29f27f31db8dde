"""Quality against cost: which rows no other row beats on both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from bakeoff.analysis.costs import ComparedCost
from bakeoff.analysis.pairs import PairwiseComparison
from bakeoff.analysis.sides import Side
from bakeoff.analysis.verdicts import Terms
from bakeoff.contracts.metric import Floats
from bakeoff.statistics.cost_ratios import Objective, dominates, front_probability

COST_MARGIN = 0.05
"""The relative difference up to which two costs count as the same."""
DRAWS = 2000


def front_of(
    rankings: Mapping[str, int],
    compared: Sequence[PairwiseComparison],
    terms: Terms,
    cost: ComparedCost | None,
    *,
    looked_at: Sequence[tuple[PairwiseComparison, float]] | None = None,
) -> dict[str, tuple[float, list[str]]]:
    """The Pareto front of quality and a cost within each ranking, for rows that have both and whose spread over seeds is
    known: row -> the share of bootstrap draws in which it is on the front, and the rows that dominate it.

    looked_at: with declared looks, the pairs that they judged, each with its look's share of the error rate; these decide who
    dominates whom.
    """
    sides = {side.name: side for one in compared for side in (one.first, one.second)}
    found: dict[str, tuple[float, list[str]]] = {}
    for ranking in set(rankings.values()) if cost is not None else ():
        assert cost is not None
        known = {name for name, side in sides.items() if len(side.seeds) >= 2 or side.seed_free}  # how it varies over seeds
        names = [name for name in sides if rankings[name] == ranking and name in known and name in cost.amounts]
        if len(names) < 2:
            continue
        judged = [(one, 1.0) for one in compared] if looked_at is None else looked_at
        own = [(one, share) for one, share in judged if {one.first.name, one.second.name} <= set(names)]
        beaten = _dominations(own, cost, terms)
        chances = _chances([sides[name] for name in names], cost, terms)
        found |= {name: (float(chance), beaten.get(name, [])) for name, chance in zip(names, chances, strict=True)}
    return found


def _dominations(
    compared: Sequence[tuple[PairwiseComparison, float]], cost: ComparedCost, terms: Terms
) -> dict[str, list[str]]:
    """Row -> the rows that dominate it: not worse in quality or cost by more than the margins, and better in one of them, at
    simultaneous 95 %. compared: pairs, each with the share of the 5 % that may be spent on its quality."""
    found: dict[str, list[str]] = {}
    for one, share in compared:
        first, second = one.first.name, one.second.name
        if one.estimate is None or any(not fact.declared for fact in one.facts):
            continue
        ratio = cost.log_ratio(first, second)
        for turned in (False, True):
            ahead, behind = (second, first) if turned else (first, second)
            direction: Literal["higher", "lower"] = "higher" if terms.higher_is_better else "lower"
            interval = _widened(one.estimate.interval, share)
            quality = _objective(interval, terms.margin or 0.0, direction, turned=turned)
            cheaper = _objective(ratio.interval, math.log1p(COST_MARGIN), "lower", turned=turned)
            if dominates([quality, cheaper]):
                found.setdefault(behind, []).append(ahead)
    return found


def _widened(interval: Callable[[float], tuple[float, float]], share: float) -> Callable[[float], tuple[float, float]]:
    return lambda level: interval(1 - (1 - level) * share)


def _objective(
    interval: Callable[[float], tuple[float, float]], margin: float, direction: Literal["higher", "lower"], *, turned: bool
) -> Objective:
    """One of the two, quality or cost, as first minus second; second minus first where `turned`."""

    def bounds(level: float) -> tuple[float, float]:
        low, high = interval(level)
        return (-high, -low) if turned else (low, high)

    return Objective(bounds, margin, direction)


def _chances(sides: Sequence[Side], cost: ComparedCost, terms: Terms) -> Floats:
    """How often each row is on the front when its seeds, and the rounds in which it was timed, are drawn anew."""
    generator = np.random.default_rng(0)
    samples = np.empty((DRAWS, len(sides), 2))
    for number, side in enumerate(sides):
        drawn = generator.integers(0, len(side.seeds), (DRAWS, len(side.seeds)))
        samples[:, number, 0] = side.scores[drawn].mean(axis=1)
        samples[:, number, 1] = cost.draws(side.name, generator, DRAWS)
    return front_probability(samples, ("higher" if terms.higher_is_better else "lower", "lower"))
