"""What rows cost: the seconds that `bakeoff time` measured, where it did, memory, operations and parameters; their ratios to
the baseline's, and the one cost against which scores are drawn.

The seconds of recorded runs are shown and become no ratio: nobody knows what else their machine did meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from bakeoff.analysis.findings import CostAxis, Quantity, Ratio
from bakeoff.analysis.machines import why_no_hardware
from bakeoff.analysis.timings import LogRatio, RunTime, log_ratio, paired, run_time
from bakeoff.contracts.metric import Floats
from bakeoff.records.provenance import differences, facts_of_sources, from_plain
from bakeoff.records.schema import Cost, Record, Timed, Timing, timed_digest
from bakeoff.statistics.cost_ratios import log_ratio as ratio_of_runs
from bakeoff.text.numbers import with_decimals
from bakeoff.text.values import grouped, listed

Rows = Mapping[str, Sequence[Record]]
"""Row -> its runs that succeeded."""

TIMES: tuple[Quantity, ...] = ("train_seconds", "evaluate_seconds", "total_seconds")
TITLES: Mapping[Quantity, str] = {
    "train_seconds": "train seconds of a run, timed in turns",
    "flops": "training, TFLOP",
    "peak_memory": "peak memory, MiB",
    "trainable": "parameters that train",
}
"""Cost -> the title of its axis, of the costs against which scores may be drawn; the most telling first."""
SCALES: Mapping[Quantity, float] = {"train_seconds": 1.0, "flops": 1e12, "peak_memory": 2.0**20, "trainable": 1.0}


@dataclass(frozen=True)
class GroupTimings:
    """What `bakeoff time` measured of a comparison group's rows."""

    timing: Timing | None = None
    """The measurement that is used: the newest one of the baseline's configuration as it was run. None where there is none."""
    timed: Mapping[str, Timed] = field(default_factory=dict)
    """Row -> the turns that it took: short stretches of training and evaluation, rows alternating in rounds."""
    unused: Mapping[str, str] = field(default_factory=dict)
    """Row -> why what was timed under its name is not used."""
    partly: Mapping[str, str] = field(default_factory=dict)
    """Row -> how many of its runs have the configuration that was timed, where searches chose several."""

    @property
    def run_times(self) -> dict[str, RunTime]:
        assert self.timing is not None or not self.timed
        found = {name: run_time(self.timing, one) for name, one in self.timed.items() if self.timing is not None}
        return {name: taken for name, taken in found.items() if taken is not None}

    @property
    def told(self) -> str:
        """When and on which machine the times were measured, and its load then, in words; empty where they were not."""
        if self.timing is None:
            return ""
        load, machine = with_decimals(self.timing.load, 1), self.timing.environment.hardware
        return f"{self.timing.measured[:10]} on {machine}, load {load}"

    def notes(self, commands: str) -> list[str]:
        """Sentences on measured times that are not used, or only for some runs, and why. commands: those that measure
        again."""
        unused = grouped((reason, name) for name, reason in self.unused.items())
        return [
            *(f"{name} was timed with the configuration of {share} of its runs." for name, share in self.partly.items()),
            *(
                f"what `bakeoff time` measured of {listed(names)} is not used: {reason}. {commands} measures it again."
                for reason, names in unused.items()
            ),
        ]


def timings_of(timings: Sequence[Timing], rows: Rows, baseline: str) -> GroupTimings:
    """The newest measurement that has the baseline's configuration as it was run, with what it has of the other rows.

    Rows match by what was trained (recipe digest, data, model), not by name, so that a renamed row keeps its times.
    """
    unused: dict[str, str] = {}
    for timing in sorted(timings, key=lambda timing: timing.measured, reverse=True):
        found = {name: _match(timing, records) for name, records in rows.items() if records}
        timed = {name: one for name, one in found.items() if isinstance(one, Timed)}
        why = {name: one for name, one in found.items() if isinstance(one, str) and one}
        if baseline in timed:
            return GroupTimings(
                timing, timed, why, {name: share for name in timed if (share := _share(timed[name], rows[name]))}
            )
        if baseline in why:
            unused = {baseline: f"{why[baseline]}, and ratios are to the baseline", **unused}
    return GroupTimings(unused=unused)


def _match(timing: Timing, records: Sequence[Record]) -> Timed | str:
    """The turns of a row; else why what was measured under its name is of something else, empty where nothing was."""
    digests = {timed_digest(record.requested) for record in records}
    own = {name for record in records for name in (record.requested.strategy, _with_model(record))}
    one = next((one for one in timing.timed if one.digest in digests), None)
    if one is None:
        named = any(own & {*one.strategies} for one in timing.timed) and _of_group(timing, records[0])
        return "its recipe, or a component of it, has changed since" if named else ""
    sources = from_plain(one.sources)
    if unlike := next((found for record in records if (found := differences(facts_of_sources(record), sources))), None):
        return f"{unlike[0].what} differ from those of the runs"
    return one


def _share(one: Timed, records: Sequence[Record]) -> str:
    """How many of a row's runs have the configuration that was timed, `3 of 5`; empty where all have."""
    same = sum(timed_digest(record.requested) == one.digest for record in records)
    return "" if same == len(records) else f"{same} of {len(records)}"


def _with_model(record: Record) -> str:
    return f"{record.requested.strategy} · {record.requested.model_label}"


def _of_group(timing: Timing, record: Record) -> bool:
    return timing.task == record.requested.task_label and record.requested.model_label in timing.model.split(" / ")


# --- ratios --------------------------------------------------------------------------------------------------------------


def cost_ratios(rows: Rows, baseline: str, timings: GroupTimings) -> list[Ratio]:
    """The ratios of every row's costs to the baseline's."""
    there = _costs(rows.get(baseline, ()))
    found: list[Ratio] = []
    for name in rows:
        if name == baseline:
            continue
        found += _of_times(name, baseline, timings)
        here = _costs(rows[name])
        if here and there:
            reason = why_no_hardware(rows[name], rows[baseline])
            found.append(_of_runs(name, baseline, "peak_memory", memory(here, there), reason))
            operations = [[cost.flops for cost in side if cost.flops] for side in (here, there)]
            if all(operations):
                means = tuple(np.array([np.mean(side)]) for side in operations)
                found.append(_of_runs(name, baseline, "flops", (means[0], means[1])))
    return found


def _costs(records: Sequence[Record]) -> list[Cost]:
    """The costs of the runs that were made here; imported ones have none."""
    return [record.cost for record in records if record.cost is not None and record.timed != "nothing"]


def memory(a: Sequence[Cost], b: Sequence[Cost]) -> tuple[Floats, Floats]:
    """Peak bytes of two sides' runs."""
    of = memory_of([*a, *b])
    mine, theirs = (np.array([float(of(cost)) for cost in side]) for side in (a, b))
    return mine, theirs


def memory_of(costs: Sequence[Cost]) -> Callable[[Cost], int]:
    """What gives a run's peak bytes: the device's where all of these runs have measured it, else the process's."""
    on_device = all(cost.peak_device_memory_bytes for cost in costs)
    return attrgetter("peak_device_memory_bytes" if on_device else "peak_memory_bytes")


def _of_runs(name: str, baseline: str, quantity: Quantity, sides: tuple[Floats, Floats], reason: str = "") -> Ratio:
    mine, theirs = sides
    positive = bool((mine > 0).all() and (theirs > 0).all())
    whole = ratio_of_runs(theirs, mine, paired=False) if positive and min(len(mine), len(theirs)) >= 2 else None
    simple = math.exp(float(np.log(mine).mean() - np.log(theirs).mean())) if positive else None
    return Ratio(
        first=name,
        second=baseline,
        quantity=quantity,
        ratio=whole.ratio if whole else simple,
        low=whole.low if whole else None,
        high=whole.high if whole else None,
        rounds=0,
        comparable=positive and not reason,
        reason=reason if positive else f"a run's {quantity} is not a positive number",
    )


def _of_times(name: str, baseline: str, timings: GroupTimings) -> list[Ratio]:
    timing, taken = timings.timing, timings.run_times
    if timing is None or name not in taken or baseline not in taken:
        return []
    mine, theirs = timings.timed[name], timings.timed[baseline]
    found = []
    for quantity, what in (("train_seconds", "train"), ("evaluate_seconds", "evaluate"), ("total_seconds", "total")):
        one, other = getattr(taken[name], what), getattr(taken[baseline], what)
        if other.seconds <= 0 or one.seconds <= 0:
            continue
        direct, ends = paired("train", mine, theirs), (one.low, one.high)
        low, high = (1.0, 1.0) if mine is theirs else (None if end is None else end / other.seconds for end in ends)
        found.append(
            Ratio(
                first=name,
                second=baseline,
                quantity=quantity,
                ratio=one.seconds / other.seconds,
                low=low,
                high=high,
                rounds=direct.rounds if direct else 0,
                comparable=True,
                reason="",
            )
        )
    return found


# --- the cost that quality is set against --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComparedCost:
    """One kind of cost, for the rows that may be compared by it."""

    quantity: Quantity
    amounts: Mapping[str, tuple[float, float | None, float | None]]
    """Row -> amount, and its 95 % interval where it has one."""
    log_ratio: Callable[[str, str], LogRatio]
    """Of two rows, the log of the first's cost over the second's."""
    draws: Callable[[str, np.random.Generator, int], Floats]
    """(row, generator, n) -> n bootstrap draws of the row's amount."""

    @property
    def axis(self) -> CostAxis:
        scale = SCALES[self.quantity]
        shown = {
            name: (amount / scale, None if low is None else low / scale, None if high is None else high / scale)
            for name, (amount, low, high) in self.amounts.items()
        }
        return CostAxis(quantity=self.quantity, title=TITLES[self.quantity], amounts=shown)


def compared_cost(rows: Rows, baseline: str, timings: GroupTimings) -> ComparedCost | None:
    """The cost by which rows are compared: seconds that `bakeoff time` measured, where it did so of the baseline and another
    row; else the first of operations, memory and parameters that all rows have. None where there is none."""
    if len(timings.run_times) > 1 and baseline in timings.run_times:
        return _timed_cost(timings, baseline)
    there = {name: records for name, records in rows.items() if records}
    if len(there) < 2:
        return None
    for quantity, amounts in _exact_amounts(there).items():
        if len(amounts) == len(there):
            return _exact_cost(quantity, amounts)
    return None


def _timed_cost(timings: GroupTimings, baseline: str) -> ComparedCost:
    timing, taken = timings.timing, timings.run_times
    assert timing is not None

    def of_two(one: str, other: str) -> LogRatio:
        found = log_ratio("train", timing, timings.timed[one], timings.timed[other])
        return found or LogRatio(math.nan, lambda level: (-math.inf, math.inf))

    def draws(name: str, generator: np.random.Generator, number: int) -> Floats:
        """The row's train seconds by the median of its ratios to the baseline, over rounds drawn anew."""
        found = paired("train", timings.timed[name], timings.timed[baseline])
        if found is None or name == baseline:
            return np.full(number, taken[name].train.seconds)
        picked = found.logs[generator.integers(0, found.rounds, (number, found.rounds))]
        return taken[name].train.seconds * np.exp(np.median(picked, axis=1)) / found.ratio

    amounts = {name: (time.train.seconds, time.train.low, time.train.high) for name, time in taken.items()}
    return ComparedCost("train_seconds", amounts, of_two, draws)


def _exact_amounts(rows: Rows) -> dict[Quantity, dict[str, float]]:
    """Quantity -> row -> its mean over the row's runs, of memory the largest; rows without one are left out. Memory is
    compared on one kind of machine only."""
    flops: dict[str, float] = {}
    peaks: dict[str, float] = {}
    trainable: dict[str, float] = {}
    first = next(iter(rows.values()))
    memory_taken = memory_of([cost for records in rows.values() for cost in _costs(records)])
    for name, records in rows.items():
        operations = [cost.flops for cost in _costs(records) if cost.flops]
        flops[name] = float(np.mean(operations)) if operations else 0.0
        costs = [] if why_no_hardware(first, records) else _costs(records)
        peaks[name] = max((float(memory_taken(cost)) for cost in costs), default=0.0)
        parameters = [record.weights.parameters_trainable for record in records if record.weights]
        trainable[name] = float(np.mean(parameters)) if parameters else 0.0
    found: dict[Quantity, dict[str, float]] = {"flops": flops, "peak_memory": peaks, "trainable": trainable}
    return {quantity: {name: amount for name, amount in own.items() if amount > 0} for quantity, own in found.items()}


def _exact_cost(quantity: Quantity, amounts: Mapping[str, float]) -> ComparedCost:
    def of_two(one: str, other: str) -> LogRatio:
        log = math.log(amounts[one] / amounts[other])
        return LogRatio(log, lambda level: (log, log))

    return ComparedCost(
        quantity,
        {name: (amount, None, None) for name, amount in amounts.items()},
        of_two,
        lambda name, generator, number: np.full(number, amounts[name]),
    )
