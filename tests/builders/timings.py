"""Times as `bakeoff time` would have measured them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bakeoff.records.provenance import as_plain, facts_of_sources
from bakeoff.records.schema import Record, Timed, Timing, timed_digest


def make_timed(records: Sequence[Record], strategy: str, rounds: Sequence[float | None], **changes: Any) -> Timed:
    """The turns of a strategy as its runs were: `rounds` are the seconds of a step, and ten times those of a batch."""
    record = next(record for record in records if record.requested.strategy == strategy)
    facts = {
        "strategies": [strategy],
        "digest": timed_digest(record.requested),
        "sources": as_plain(facts_of_sources(record)),
        "whole": False,
        "steps": 1377,
        "step_seconds": list(rounds),
        "batches": 60,
        "batch_seconds": [None if seconds is None else 10 * seconds for seconds in rounds],
        "fixed_seconds": {"import": 1.0, "load": 2.0, "build": 3.0, "warm-up": 0.5, "save": 1.5},
        "peak_memory_bytes": 2**30,
    }
    return Timed(**facts | changes)


def make_timing(
    records: Sequence[Record], seconds: Mapping[str, float], *, noise: float = 0.01, rounds: int = 20, **changes: Any
) -> Timing:
    """Strategy -> seconds of a step, the baseline first; ratios vary by `noise`, and what is common to a round by a half."""
    generator, first = np.random.default_rng(4), records[0]
    common = np.exp(generator.normal(0, 0.5, rounds))
    timed = [
        make_timed(records, name, (each * common * np.exp(generator.normal(0, noise, rounds))).tolist())
        for name, each in seconds.items()
    ]
    facts = {
        "task": first.requested.task_label,
        "model": first.requested.model_label,
        "baseline": next(iter(seconds)),
        "measured": "2026-11-24T08:00:00+00:00",
        "seconds": 300.0,
        "load": 2.5,
        "environment": first.environment,
        "timed": timed,
    }
    return Timing(**facts | changes)
