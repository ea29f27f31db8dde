"""Where runs were made, and whether the machine was the same, and equally fast, for runs whose times are compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from bakeoff.records.provenance import (
    HARDWARE,
    MACHINE,
    commonest,
    counted,
    differences,
    differing,
    facts_of_environment,
    same_hardware,
)
from bakeoff.records.schema import Control, Environment, Record
from bakeoff.text.numbers import per_cent
from bakeoff.text.values import grouped

DRIFT = 0.10
"""Relative difference in duration of control runs, a fixed benchmark, up to which the machine counts as equally fast."""

COUNT = re.compile(r"^\d+ x |, \d+ threads?$")
"""The parts of a hardware class's name that say how much of the machine a run had: number of devices, number of threads."""


def drift(controls: Sequence[Control], *, hardware: str) -> float | None:
    """By how much the slowest control run on that hardware took longer than the fastest, as a share of the fastest; None where
    there are fewer than two.

    A run of several processes may have more devices or threads than the control runs had: then control runs with fewer of
    them, on the same machine, are compared instead, each hardware class for itself.
    """
    times = grouped((control.hardware, control.milliseconds) for control in controls)
    same = [hardware] if hardware in times else [name for name in times if COUNT.sub("", name) == COUNT.sub("", hardware)]
    moved = [max(times[name]) / min(times[name]) - 1 for name in same if len(times[name]) > 1 and min(times[name]) > 0]
    return max(moved, default=None)


def why_no_hardware(first: Sequence[Record], second: Sequence[Record]) -> str:
    """Why the costs of two rows' runs cannot be compared: the class of hardware, or its instruction set, differs. Empty where
    all runs have the same."""
    everything = [*first, *second]
    for one in differing(everything, everything, HARDWARE):
        return f"{one.what} differs: {one.here} against {one.there}"
    return ""


def why_no_time(
    first: Sequence[Record], second: Sequence[Record], controls: Sequence[Control], *, of: str = "train_seconds"
) -> str:
    """Why the seconds of two rows' runs cannot be compared, as a clause; empty where the machine was the same and equally
    fast, as far as control runs tell, and all runs have such seconds.

    of: which seconds are compared: `train_seconds`, `evaluate_seconds` or `total_seconds`.
    """
    if not first or not second:
        return "nothing is recorded"
    if any(record.timed == "nothing" for record in (*first, *second)):
        return "the seconds of runs that were made elsewhere tell nothing"
    if of != "total_seconds" and any(record.timed == "process" for record in (*first, *second)):
        return "the seconds of a run that is timed as a whole are not those of training alone"
    if unlike := why_no_hardware(first, second):
        return unlike
    return why_moved(controls, hardware=first[0].environment.hardware)


def unlike_times(rows: Mapping[str, Sequence[Record]], baseline: str, controls: Sequence[Control]) -> dict[str, str]:
    """Row -> why the seconds of its runs are not comparable with the baseline's; rows whose seconds are comparable are left
    out."""
    there = rows.get(baseline, ())
    found = {name: why_no_time(records, there, controls) for name, records in rows.items() if records and name != baseline}
    return {name: reason for name, reason in found.items() if reason}


def why_moved(controls: Sequence[Control], *, hardware: str) -> str:
    """That the machine's speed changed between control runs, as a clause; empty where it was equally fast, as far as they
    tell."""
    moved = drift(controls, hardware=hardware)
    if moved is not None and moved > DRIFT:
        return f"the control run moved by {per_cent(moved)} (at most {per_cent(DRIFT)} is tolerated)"
    return ""


def usual_environment(records: Sequence[Record]) -> Environment | None:
    """The environment of most runs of a table; where two are equally frequent, that of the first run. None without runs."""
    if not records:
        return None
    most = {key: word for key, (word,) in commonest(records, MACHINE | {"bakeoff"}).items()}
    model = next(record.environment for record in records if same_hardware(record, most["hardware", ""] or ""))
    names = dict.fromkeys(chain.from_iterable(record.environment.software for record in records))
    software = {name: most.get(("software", name)) or most["bakeoff", ""] for name in names}
    instructions = most.get(("instruction set", ""), model.instructions)
    return model.model_copy(update={"software": software, "instructions": instructions})


def made_elsewhere(records: Sequence[Record], usual: Environment | None) -> list[str]:
    """How the environment of some of these runs differs from the usual one, in words; a distribution that only some components
    use is no difference, and neither is Bakeoff's own version."""
    found: Counter[str] = Counter()
    table = facts_of_environment(usual) if usual else {}
    for facts, count in counted(records, MACHINE):
        for one in differences(facts, table, MACHINE):
            name = "" if one.subject == "hardware" else f"{one.name or one.subject} "
            found[f"{name}{one.here} instead of {one.there}"] += count
    return [f"{words} in {count} of {len(records)} runs" for words, count in found.items()]
