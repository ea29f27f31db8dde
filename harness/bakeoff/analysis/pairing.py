"""Whether two rows are paired by seed: only where recorded facts prove that runs of one seed share their random streams.

How the scores look decides nothing: a test that is chosen by its data errs more often than it says. Rows are paired if they
differ only in trainer, precision or padding, and if their runs, seed by seed, had the same data order and the same new
parameters and drew dropout from the same stream. All other rows share nothing but the examples, whatever their seeds are
called.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from bakeoff.analysis.recipes import NEUTRAL, RECIPE
from bakeoff.records.schema import ComponentOrigin, Record

MAY_DIFFER = {"precision", "padding"}
"""Recipe keys in which paired rows may differ, besides the trainer."""


@dataclass(frozen=True)
class Streams:
    """What a record tells of a run's random streams."""

    replicate: int
    requested: Mapping[str, Any]
    """All that was requested but the seed and what paired rows may differ in."""
    order: str
    """Hash of the data order; empty where it was not observed."""
    start: str
    """Hash of the values from which the new parameters started, with their names; empty where it was not observed."""
    dropout: str
    """Whose stream dropout draws from: `the harness`, or the trainer's; empty where nobody noted it."""
    device: str


def streams_of(record: Record) -> Streams:
    requested, weights, observed = record.requested, record.weights, record.observed
    trainer = _named(requested.trainer)
    recipe = {**NEUTRAL, **requested.recipe}
    asked: dict[str, Any] = {
        "task": _named(requested.task),
        "model": _named(requested.model),
        "method": _named(requested.method),
        "selection": requested.select,
    }
    own = record.randomness == "trainer" or "randomness" in record.trainer_owns
    return Streams(
        replicate=requested.replicate,
        requested=asked | {f"{RECIPE}{key}": value for key, value in recipe.items() if key not in MAY_DIFFER},
        order=observed.data_order_sha256 if observed else "",
        start=f"{weights.head_init_sha256} of {', '.join(weights.newly_initialised)}" if weights else "",
        dropout=trainer if own or record.randomness is None else "the harness",
        device=record.environment.device,
    )


def shared_by(streams: Mapping[int, Streams]) -> Hashable | None:
    """A key that is equal for rows that are paired by seed, and for no others; None where the records do not prove enough for
    any pairing. streams: seed -> random streams of the row's run."""
    if not all(one.order and one.start for one in streams.values()):
        return None
    return tuple(
        (seed, one.replicate, repr(sorted(one.requested.items())), one.order, one.start, one.dropout, one.device)
        for seed, one in sorted(streams.items())
    )


def _named(origin: ComponentOrigin | None) -> str:
    if origin is None:
        return "none"
    options = {name: value for name, value in sorted(origin.options.items()) if value is not None}
    return f"{origin.name} {origin.version} {options or ''}".rstrip()


def why_not_paired(first: Mapping[int, Streams], second: Mapping[int, Streams]) -> str:
    """Why two rows are not paired by seed, as the end of "not paired: ..."; empty where they are. first, second: seed ->
    random streams of the row's run."""
    if first.keys() != second.keys():
        return "not the same seeds"
    pairs = [(first[seed], second[seed]) for seed in first]
    for one, other in pairs:
        keys = [*one.requested, *(key for key in other.requested if key not in one.requested)]
        if apart := [key for key in keys if one.requested.get(key) != other.requested.get(key)]:
            return f"another {apart[0].removeprefix(RECIPE).replace('_', ' ')}"
    if any(one.replicate != other.replicate for one, other in pairs):
        return "other replicates"
    if any(one.device != other.device for one, other in pairs):
        return "another device"
    for what in ("order", "start"):
        told = {"order": "data order", "start": "start of the new parameters"}[what]
        hashes = [(getattr(one, what), getattr(other, what)) for one, other in pairs]
        if not all(map(all, hashes)):
            return f"the {told} is not recorded"
        if any(one != other for one, other in hashes):
            return f"another {told}"
    if any(one.dropout != other.dropout for one, other in pairs):
        return "a dropout stream that is not known to be shared"
    return ""
