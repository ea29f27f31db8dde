"""What an experiment's runs took in all, with those that are on no leaderboard: failed, repeated, tried by a search,
replaced."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bakeoff.contracts.fields import Part
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Attempt, Record

REPORTED, FAILED, ATTEMPTS = "runs that are reported", "runs that failed or were interrupted", "failed attempts, repeated since"
TRIALS, REPLACED = "trials of searches", "runs that were replaced"
KINDS = (REPORTED, FAILED, ATTEMPTS, TRIALS, REPLACED)


class Spent(Part):
    """The time of all runs of one kind on one class of hardware."""

    hardware: str
    what: str
    """Which runs: one of `KINDS`."""
    runs: int
    seconds: float
    """From the start of their processes to the end, summed."""
    unknown: int
    """How many of these runs have no recorded time; it is not in `seconds`."""


def spent(experiment: Experiment, replaced: Sequence[Record]) -> list[Spent]:
    """The time of all runs of the experiment, by hardware class and kind of run, in the order of `KINDS`.

    replaced: records that were archived when their runs were made again, without the failed attempts that the new records list.
    """
    found: dict[tuple[str, str], list[float | None]] = {}
    for hardware, what, seconds in _times(experiment, replaced):
        found.setdefault((hardware, what), []).append(seconds)
    return [
        Spent(
            hardware=name,
            what=what,
            runs=len(times),
            seconds=sum(time for time in times if time is not None),
            unknown=sum(time is None for time in times),
        )
        for name in dict.fromkeys(hardware for hardware, _ in found)
        for what in KINDS
        if (times := found.get((name, what)))
    ]


def _times(experiment: Experiment, replaced: Sequence[Record]) -> Iterator[tuple[str, str, float | None]]:
    """Yields (hardware class, kind of run, seconds or None) of every run, and of every attempt at one."""
    trials = list(experiment.trials.values())
    kinds = [(record, REPORTED if record.status == "ok" else FAILED) for record in experiment.records]
    kinds += [(record, TRIALS) for record in trials]
    kinds += [(record, REPLACED) for record in replaced]
    for record, what in kinds:
        yield record.environment.hardware, what, record.total_seconds
    for record in (*experiment.records, *trials):
        for attempt in record.attempts:
            yield record.environment.hardware, ATTEMPTS, _seconds(attempt)


def _seconds(attempt: Attempt) -> float | None:
    """The attempt's seconds; None where it ended before its cost could be measured, which is recorded as 0."""
    return attempt.total_seconds or None


def mean_seconds(records: Sequence[Record]) -> float | None:
    """The mean time of a run, from the start of its process to its end; None where none is recorded."""
    known = [record.total_seconds for record in records if record.total_seconds is not None]
    return statistics.fmean(known) if known else None
