"""What `bakeoff time` measured: ratios of two strategies' times, and the seconds of a run that follow from them.

Strategies take turns, of a few steps each, in rounds. All ratios are of turns in the same round, so that what else the machine
did meanwhile was the same for both. Seconds of a run are the baseline's times the strategy's ratio to the baseline: they are
consistent also where the strategies took part in different rounds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bakeoff.contracts.fields import Part
from bakeoff.records.schema import Timed, Timing
from bakeoff.statistics.median_ratio import MedianRatio, median_ratio

What = Literal["train", "evaluate"]
LEAST_COMMON = 6
"""Rounds that two strategies must share to be compared directly: fewer give no 95 % interval."""


class Turns(Protocol):
    """The turns of a strategy: as `Timed` has them recorded, or while they are being taken. Seconds are by round, None where
    it took no turn."""

    @property
    def steps(self) -> int: ...
    @property
    def batches(self) -> int: ...
    @property
    def step_seconds(self) -> Sequence[float | None]: ...
    @property
    def batch_seconds(self) -> Sequence[float | None]: ...


def paired(what: What, one: Turns, other: Turns) -> MedianRatio | None:
    """The ratio of the first's time for a whole run to the second's: the median over the rounds that they share. None where
    they share none, or one has no steps (batches)."""

    def by_round(side: Turns) -> Sequence[float | None]:
        return side.step_seconds if what == "train" else side.batch_seconds

    amounts = [side.steps if what == "train" else side.batches for side in (one, other)]
    if min(amounts) == 0:
        return None
    scale = amounts[0] / amounts[1]
    rounds = zip(by_round(one), by_round(other), strict=False)
    return median_ratio([scale * mine / theirs for mine, theirs in rounds if mine is not None and theirs is not None])


@dataclass(frozen=True)
class LogRatio:
    """The logarithm of a ratio of two times."""

    middle: float
    interval: Callable[[float], tuple[float, float]]
    """Confidence level -> lower and upper bound, infinite where there are too few rounds."""


def log_ratio(what: What, timing: Timing, one: Timed, other: Timed) -> LogRatio | None:
    """The log of the first's time over the second's: by the rounds that they share, where there are enough; else by each one's
    ratio to the baseline, whose intervals' widths then add up (Bonferroni). None where such a ratio is not known."""
    direct = paired(what, one, other)
    if direct is not None and direct.rounds >= LEAST_COMMON:
        return LogRatio(math.log(direct.ratio), direct.log_interval)
    baseline = baseline_of(timing)
    mine, theirs = paired(what, one, baseline), paired(what, other, baseline)
    if mine is None or theirs is None:
        return None

    def interval(level: float) -> tuple[float, float]:
        (low, high), (below, above) = (side.log_interval(1 - (1 - level) / 2) for side in (mine, theirs))
        return low - above, high - below

    return LogRatio(math.log(mine.ratio / theirs.ratio), interval)


def baseline_of(timing: Timing) -> Timed:
    return next(one for one in timing.timed if timing.baseline in one.strategies)


class Amount(Part):
    """Seconds of one run, or of a part of it, with the 95 % interval that follows from the ratio to the baseline. The bounds
    are None where it was timed in too few rounds; for the baseline itself both are `seconds`."""

    seconds: float
    low: float | None
    high: float | None


class RunTime(Part):
    """What one run of a strategy takes, by `bakeoff time`."""

    train: Amount
    """As `train s` of a recorded run: the trainer's own time, its preparation included."""
    evaluate: Amount
    total: Amount
    """The whole run: training and evaluation, and also starting, loading, encoding, building, saving."""
    rounds: int
    """In how many rounds it took a turn of training."""


def run_time(timing: Timing, one: Timed) -> RunTime | None:
    """The time that one run of a strategy takes; None where the strategy took no turn of training."""
    baseline = baseline_of(timing)
    fixed = one.fixed_seconds
    train = _amount("train", one, baseline, fixed.get("warm-up", 0.0))
    evaluate = _amount("evaluate", one, baseline, fixed.get("evaluate", 0.0))
    if train is None:
        return None
    evaluate = evaluate or Amount(seconds=0.0, low=0.0, high=0.0)
    rest = sum(seconds for phase, seconds in fixed.items() if phase not in {"warm-up", "evaluate"})
    bounds = [
        None if train_end is None or evaluate_end is None else train_end + evaluate_end + rest
        for train_end, evaluate_end in ((train.low, evaluate.low), (train.high, evaluate.high))
    ]
    return RunTime(
        train=train,
        evaluate=evaluate,
        total=Amount(seconds=train.seconds + evaluate.seconds + rest, low=bounds[0], high=bounds[1]),
        rounds=sum(seconds is not None for seconds in one.step_seconds),
    )


def _amount(what: What, one: Timed, baseline: Timed, fixed: float) -> Amount | None:
    rounds = baseline.step_seconds if what == "train" else baseline.batch_seconds
    known = [seconds for seconds in rounds if seconds is not None]
    found = paired(what, one, baseline)
    if found is None or not known:
        return None
    unit = statistics.median(known) * (baseline.steps if what == "train" else baseline.batches)
    bounds = (1.0, 1.0) if one is baseline else found.interval() or (None, None)
    low, high = (None if bound is None else unit * bound + fixed for bound in bounds)
    return Amount(seconds=unit * found.ratio + fixed, low=low, high=high)
