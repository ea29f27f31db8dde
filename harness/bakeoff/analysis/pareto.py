"""Quality against cost: ratios of costs to the baseline's, and which rows no other row beats on both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from bakeoff.analysis.findings import Ratio
from bakeoff.analysis.machines import why_no_hardware, why_no_time
from bakeoff.analysis.pairs import PairwiseComparison, Side
from bakeoff.analysis.verdicts import Terms
from bakeoff.contracts.metric import Floats
from bakeoff.records.schema import Control, Cost, Record
from bakeoff.statistics.cost_ratios import Objective, dominates, front_probability, log_ratio
from bakeoff.statistics.intervals import Estimate

Quantity = Literal["train_seconds", "evaluate_seconds", "total_seconds", "peak_memory"]
QUANTITIES: tuple[Quantity, ...] = ("train_seconds", "evaluate_seconds", "total_seconds", "peak_memory")
TIME_MARGIN = 0.05
"""A row may take so much longer and still count as not slower, when it is asked who beats whom."""
DRAWS = 2000


def amounts(quantity: str, a: Sequence[Cost], b: Sequence[Cost]) -> tuple[Floats, Floats]:
    """A cost of two sides in seconds or bytes; memory is the device's where every run has measured it, else the process's."""
    field = quantity
    if quantity == "peak_memory":
        on_device = all(cost.peak_device_memory_bytes for cost in (*a, *b))
        field = "peak_device_memory_bytes" if on_device else "peak_memory_bytes"
    mine, theirs = (np.array([float(getattr(cost, field)) for cost in side]) for side in (a, b))
    return mine, theirs


def cost_ratios(succeeded: Mapping[str, Sequence[Record]], baseline: str, controls: Sequence[Control]) -> list[Ratio]:
    """Every row's costs over the baseline's, seed by seed where both have the same seeds."""
    sides = {row: [record for record in records if record.cost is not None] for row, records in succeeded.items()}
    there = sides.pop(baseline, [])
    return [
        _ratio(row, baseline, here, there, quantity, controls)
        for row, here in sides.items()
        for quantity in QUANTITIES
        if here and there
    ]


def _ratio(
    row: str, baseline: str, here: Sequence[Record], there: Sequence[Record], quantity: Quantity, controls: Sequence[Control]
) -> Ratio:
    reason = why_no_hardware(here, there) if quantity == "peak_memory" else why_no_time(here, there, controls)
    paired = [record.requested.seed for record in here] == [record.requested.seed for record in there]
    mine, theirs = amounts(quantity, *([record.cost for record in side if record.cost is not None] for side in (here, there)))
    positive = bool((mine > 0).all() and (theirs > 0).all())
    several = min(len(mine), len(theirs)) >= 2
    whole = log_ratio(theirs, mine, paired=paired) if positive and several else None
    simple = math.exp(float(np.log(mine).mean() - np.log(theirs).mean())) if positive else None
    return Ratio(
        first=row,
        second=baseline,
        quantity=quantity,
        ratio=whole.ratio if whole else simple,
        low=whole.low if whole else None,
        high=whole.high if whole else None,
        p=whole.p if whole else None,
        seeds=min(len(mine), len(theirs)),
        comparable=positive and not reason,
        reason=reason if positive else f"a run's {quantity} is not a positive number",
    )


def front_of(
    succeeded: Mapping[str, Sequence[Record]],
    rankings: Mapping[str, int],
    compared: Sequence[PairwiseComparison],
    terms: Terms,
    controls: Sequence[Control],
) -> dict[str, tuple[float, list[str]]]:
    """Of quality and train seconds, for the rows of each ranking whose times may be compared: row -> how often it is on the
    front, and the rows that dominate it."""
    sides = {side.name: side for one in compared for side in (one.first, one.second)}
    found: dict[str, tuple[float, list[str]]] = {}
    for ranking in set(rankings.values()):
        names = [name for name in sides if rankings[name] == ranking and len(sides[name].seeds) >= 2]
        records = {name: _of_side(succeeded[name], sides[name]) for name in names}
        timed = {name: [record.cost.train_seconds for record in records[name] if record.cost] for name in names}
        names = [name for name in names if len(timed[name]) == len(sides[name].seeds) and min(timed[name]) > 0]
        if len(names) < 2 or any(why_no_time(records[names[0]], records[name], controls) for name in names[1:]):
            continue
        times = {name: np.array(timed[name]) for name in names}
        own = [one for one in compared if {one.first.name, one.second.name} <= set(names)]
        beaten = _dominations(own, times, terms)
        chances = _chances([sides[name] for name in names], times, terms)
        found |= {name: (float(chance), beaten.get(name, [])) for name, chance in zip(names, chances, strict=True)}
    return found


def _of_side(records: Sequence[Record], side: Side) -> list[Record]:
    by_seed = {record.requested.seed: record for record in records}
    return [by_seed[seed] for seed in side.seeds]


def _dominations(compared: Sequence[PairwiseComparison], times: Mapping[str, Floats], terms: Terms) -> dict[str, list[str]]:
    """Row -> those that dominate it: worse in nothing by more than the margins, better in something, at simultaneous 95 %."""
    found: dict[str, list[str]] = {}
    for one in compared:
        first, second = one.first.name, one.second.name
        if one.estimate is None or any(not fact.declared for fact in one.facts):
            continue
        log = log_ratio(times[second], times[first], paired=one.paired).log
        for turned in (False, True):
            ahead, behind = (second, first) if turned else (first, second)
            quality = _objective(
                one.estimate, terms.margin or 0.0, "higher" if terms.higher_is_better else "lower", turned=turned
            )
            if dominates([quality, _objective(log, math.log1p(TIME_MARGIN), "lower", turned=turned)]):
                found.setdefault(behind, []).append(ahead)
    return found


def _objective(estimate: Estimate, margin: float, direction: Literal["higher", "lower"], *, turned: bool) -> Objective:
    """First minus second; second minus first where `turned`."""

    def interval(level: float) -> tuple[float, float]:
        low, high = estimate.interval(level)
        return (-high, -low) if turned else (low, high)

    return Objective(interval, margin, direction)


def _chances(sides: Sequence[Side], times: Mapping[str, Floats], terms: Terms) -> Floats:
    """How often each row is on the front when its seeds are drawn anew, quality and time of a run together."""
    generator = np.random.default_rng(0)
    samples = np.empty((DRAWS, len(sides), 2))
    for number, side in enumerate(sides):
        drawn = generator.integers(0, len(side.seeds), (DRAWS, len(side.seeds)))
        samples[:, number, 0] = side.scores[drawn].mean(axis=1)
        samples[:, number, 1] = times[side.name][drawn].mean(axis=1)
    return front_probability(samples, ("higher" if terms.higher_is_better else "lower", "lower"))
