"""The cost by which one strategy's training may be called cheaper than another's: the first measure that the strategies have.

First the seconds that `bakeoff time` measured, strategies taking turns, in rounds enough for an interval; else the train
seconds of recorded runs, where control runs show that the machine was the same and equally fast and each run had it to itself;
else floating-point operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.analysis.costs import GroupTimings, Rows
from bakeoff.analysis.machines import drift, why_no_time
from bakeoff.analysis.pareto import COST_MARGIN
from bakeoff.analysis.recommendation import Measure
from bakeoff.analysis.timings import log_ratio
from bakeoff.records.schema import Control, Record
from bakeoff.statistics.cost_ratios import log_ratio as ratio_of_runs

LEVEL = 0.95


@dataclass(frozen=True)
class TrainingCosts:
    """What training costs by one measure, for the strategies that may be compared by it."""

    measure: Measure
    amounts: Mapping[str, float]
    """Strategy -> the cost of one run, above 0."""
    bounds: Callable[[str, str], tuple[float, float]]
    """The 95 % interval of the first's cost over the second's; 0 to infinity where it is not known."""

    def times_cheaper(self, one: str, than: str) -> tuple[float, float, float]:
        """How many times cheaper `one` is than `than`, and the 95 % interval of that ratio."""
        low, high = self.bounds(than, one)
        return self.amounts[than] / self.amounts[one], low, high

    def is_cheaper(self, one: str, than: str) -> bool:
        """Whether `one` is shown to be cheaper: the whole interval of the ratio is beyond what counts as the same cost."""
        known = one in self.amounts and than in self.amounts
        return known and self.times_cheaper(one, than)[1] >= 1 + COST_MARGIN

    def cheapest(self, names: Sequence[str]) -> list[str]:
        """Of these strategies the cheapest, and all that cost the same within `COST_MARGIN`; in the order given."""
        least = min(self.amounts[name] for name in names)
        return [name for name in names if self.amounts[name] <= least * (1 + COST_MARGIN)]


def training_costs(
    rows: Rows, best: str, others: Sequence[str], timings: GroupTimings, controls: Sequence[Control]
) -> TrainingCosts | None:
    """What training costs, by the first measure that the best and all others have; else by the one that the best and most of
    the others have. None where no measure allows to compare the best with another."""
    names = [best, *others]
    found = [one for one in (_timed(names, timings), _recorded(rows, names, controls), _operations(rows, names)) if one]
    found = [one for one in found if best in one.amounts and len(one.amounts) > 1]
    return max(found, key=lambda one: len(one.amounts), default=None)  # the first of several


def _timed(names: Sequence[str], timings: GroupTimings) -> TrainingCosts:
    taken, timing = timings.run_times, timings.timing

    def bounds(one: str, other: str) -> tuple[float, float]:
        assert timing is not None
        found = log_ratio("train", timing, timings.timed[one], timings.timed[other])
        if found is None:
            return 0.0, math.inf
        low, high = found.interval(LEVEL)
        return _exp(low), _exp(high)

    best, *_ = names
    known = [name for name in names if name in taken and taken[name].train.seconds > 0]
    if best in known:  # a ratio from a round or two has no interval: it shows nothing, and must not hide what operations show
        known = [name for name in known if name == best or _is_interval(bounds(best, name))]
    return TrainingCosts("timed_train_seconds", {name: taken[name].train.seconds for name in known}, bounds)


def _recorded(rows: Rows, names: Sequence[str], controls: Sequence[Control]) -> TrainingCosts | None:
    """By the train seconds of recorded runs; None where control runs do not show that the machine was equally fast."""
    best = rows.get(names[0], ())
    if not best or drift(controls, hardware=best[0].environment.hardware) is None:
        return None
    seconds = {
        name: [record.cost.train_seconds for record in rows[name] if record.cost is not None]
        for name in names
        if _alone(rows[name]) and not why_no_time(rows[name], best, controls)
    }
    seconds = {name: own for name, own in seconds.items() if len(own) > 1 and min(own) > 0}

    def bounds(one: str, other: str) -> tuple[float, float]:
        found = ratio_of_runs(np.array(seconds[other]), np.array(seconds[one]), paired=False, level=LEVEL)
        return found.low, found.high

    return TrainingCosts("train_seconds", {name: float(np.mean(own)) for name, own in seconds.items()}, bounds)


def _alone(records: Sequence[Record]) -> bool:
    """Whether no other run of the experiment had the machine at the same time."""
    return all(record.environment.jobs == 1 for record in records)


def _operations(rows: Rows, names: Sequence[str]) -> TrainingCosts:
    counted = {name: [record.cost.flops for record in rows[name] if record.cost and record.cost.flops] for name in names}
    amounts = {name: float(np.mean(own)) for name, own in counted.items() if own}

    def bounds(one: str, other: str) -> tuple[float, float]:
        ratio = amounts[one] / amounts[other]
        return ratio, ratio

    return TrainingCosts("flops", amounts, bounds)


def _is_interval(bounds: tuple[float, float]) -> bool:
    low, high = bounds
    return low > 0 and high < _exp(math.inf)


def _exp(log: float) -> float:
    return math.exp(min(log, 700.0))
