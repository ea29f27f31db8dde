"""A record as a few texts: the parts that most runs of an experiment have in common, and the rest.

Of ten thousand records nearly all have the same environment, data and fingerprints, and those of one strategy the same request.
Records that share these parts take less memory, and are made from their texts in less time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from bakeoff.records.schema import (
    Attempt,
    Cost,
    Data,
    Environment,
    Failure,
    KeptModel,
    LossScale,
    MadeFrom,
    Observed,
    ObservedGroup,
    Record,
    Requested,
    Selection,
    Weights,
)

OWN: Final = "own"
"""The name of the text with all that a record does not share."""
SHARED: Final[Mapping[str, TypeAdapter[Any]]] = {
    "requested": TypeAdapter(Requested),
    "environment": TypeAdapter(Environment),
    "data": TypeAdapter(Data | None),
    "made_from": TypeAdapter(MadeFrom),
    "groups": TypeAdapter(list[ObservedGroup] | None),
}
"""The parts that are shared: `requested` with seed 0 in place of the run's own, and `groups`, those that `observed` has."""

_WITHOUT_SHARED: Final[dict[str, Any]] = {
    "requested": {name: True for name in Requested.model_fields if name != "seed"},
    "environment": True,
    "data": True,
    "made_from": True,
    "observed": {"groups": True},
}
_SMALL: Final[Mapping[str, TypeAdapter[Any]]] = {
    "failure": TypeAdapter(Failure | None),
    "selection": TypeAdapter(Selection | None),
    "kept": TypeAdapter(KeptModel | None),
    "attempts": TypeAdapter(list[Attempt]),
}
"""Parts of the own text that most records lack."""
_FIELDS: Final = {kind: set(kind.model_fields) for kind in (Record, Requested, Weights, Observed, Cost)}


def texts_of(record: Record) -> dict[str, str]:
    """Name of a part, or `own` -> its JSON; `SharedParts.record` makes an equal record of them."""
    parts = _parts_of(record)
    texts = {name: kind.dump_json(parts[name]).decode() for name, kind in SHARED.items()}
    return {**texts, OWN: record.model_dump_json(exclude=_WITHOUT_SHARED)}


def _parts_of(record: Record) -> dict[str, Any]:
    return {
        "requested": record.requested.model_copy(update={"seed": 0}),
        "environment": record.environment,
        "data": record.data,
        "made_from": record.made_from,
        "groups": record.observed.groups if record.observed else None,
    }


class SharedParts:
    """The shared parts of many records, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}
        """(name, text) -> the part."""

    def part(self, name: str, text: str) -> Any:
        """The part with this text. Raises ValueError for a text that is none."""
        if (name, text) not in self._known:
            self._known[name, text] = SHARED[name].validate_json(text)
        return self._known[name, text]

    def shared(self, record: Record, texts: Mapping[str, str]) -> Record:
        """The same record, with the parts that it has in common with earlier ones in place of its own. texts: of the record."""
        own = _parts_of(record)
        parts = {name: self._known.setdefault((name, texts[name]), part) for name, part in own.items()}
        observed = record.observed and record.observed.model_copy(update={"groups": parts["groups"]})
        return record.model_copy(update={**_fields_of(parts, record.requested.seed), "observed": observed})

    def record(self, parts: Mapping[str, Any], own: str) -> Record:
        """The record with these shared parts. own: its own text, which `texts_of` wrote: it is not validated again."""
        plain = json.loads(own)
        for name, kind in _SMALL.items():
            if plain[name]:
                plain[name] = kind.validate_python(plain[name])
        if (weights := plain["weights"]) is not None:
            plain["weights"] = Weights.model_construct(_FIELDS[Weights], **weights)
        if (cost := plain["cost"]) is not None:
            plain["cost"] = Cost.model_construct(_FIELDS[Cost], **cost)
        if (observed := plain["observed"]) is not None:
            if observed["loss_scale"] is not None:
                observed["loss_scale"] = LossScale.model_validate(observed["loss_scale"])
            plain["observed"] = Observed.model_construct(_FIELDS[Observed], **observed, groups=parts["groups"])
        plain |= _fields_of(parts, plain["requested"]["seed"])
        return Record.model_construct(_FIELDS[Record], **plain)


def _fields_of(parts: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The record's fields that are made of shared parts, but for `observed`."""
    return {
        "requested": Requested.model_construct(_FIELDS[Requested], **{**dict(parts["requested"]), "seed": seed}),
        "environment": parts["environment"],
        "data": parts["data"],
        "made_from": parts["made_from"],
    }
