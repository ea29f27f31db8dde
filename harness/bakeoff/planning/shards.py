"""`--shard I/N`: deals the runs of a plan out to N workers, which share a folder and nothing else.

Which shard a run belongs to follows from its id and N alone: shards never overlap and leave no gap, and stay as they are when
seeds or strategies are added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bakeoff.planning.runs import Plan, Run, Selection

MOST_SHARDS: Final = 100_000


@dataclass(frozen=True)
class Shard:
    """The runs of one of several workers."""

    number: int
    """From 1."""
    of: int

    def has(self, run_id: str) -> bool:
        return int(hashlib.sha256(run_id.encode()).hexdigest(), 16) % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_named(text: str) -> Shard:
    """The shard that `I/N` names. Raises ValueError, whose message is the end of a sentence, for any other text."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if found is None:
        raise ValueError("must be I/N, such as 2/5 for the second of five shards")
    number, of = map(int, found.groups())
    if not 1 <= of <= MOST_SHARDS:
        raise ValueError(f"asks for {of:,} shards: 1 to {MOST_SHARDS:,} are possible")
    if not 1 <= number <= of:
        raise ValueError(f"is no shard of {of}: they are 1/{of} to {of}/{of}")
    return Shard(number, of)


def only_of(plan: Plan, runs: Iterable[Run], shard: Shard) -> Plan:
    """The plan with just those of these runs to make that are of the shard."""
    own = [run for run in runs if shard.has(run.id)]
    places = frozenset((run.task.label, run.model_label, run.strategy.name, run.seed) for run in own if not run.is_trial)
    trials = frozenset(run.id for run in own if run.is_trial)
    return replace(plan, only=Selection((f"--shard {shard}",), places, trials))
