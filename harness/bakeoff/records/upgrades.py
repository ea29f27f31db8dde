"""Converts plain data of older schema versions to the current one, step by step. Only `bakeoff migrate` uses this module.

To change the schema of records, plans or control runs: change the models in `records/schema`, raise `SCHEMA_VERSION`, and
declare here what the new version adds: new keys in `ADDED`, anything else as a function in `CHANGED`. Keys are added and
renamed by `_with`, so that a file which only claims to be old is refused. Add a file of the old version to
`tests/core/records/test_migrate.py`, and run `bakeoff migrate` over `results/*`. What a step can't know from the file alone,
`records/migrate.py` determines from the files beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from bakeoff.contracts.fields import Part
from bakeoff.contracts.unit import POINTS
from bakeoff.kinds import KINDS
from bakeoff.records.schema import MOST_NEW, SCHEMA_VERSION, UNSEALED, Control, Costs, Declared, Record

Plain = dict[str, Any]

ADDED: Final[Mapping[tuple[type[Part], int], Mapping[str, Plain]]] = {
    (Record, 1): {
        "": {"selection": None, "evaluation_difference": None},
        "data": {"overlap": None},
        "data.metrics.*": {"version": "1"},
    },
    (Record, 2): {
        "weights": {"trained_bytes": None},
        "cost": {"flops": None, "flops_note": "not counted (schema version 2)"},
        "observed.groups.*": {"lr_scale": None},
    },
    (Record, 3): {"": {"attempts": [], "resumed_at": [], "seal": UNSEALED}, "environment": {"jobs": None}},
    (Declared, 1): {"": {"gate": {}, "imported": [], "trials": {}, "history": []}},
    (Declared, 2): {"": {"searches": {}}},
    (Declared, 4): {"": {"seal": UNSEALED}},
    (Control, 2): {"": {"peak_flops": {}}},
    (Control, 4): {"": {"seal": UNSEALED}},
}
"""(Kind of file, schema version) -> path in it (`*`: each item of a list) -> keys that the next version adds there, with
values."""

FIRST_VERSION: Final[Mapping[type[Part], int]] = {Record: 1, Declared: 1, Control: 2, Costs: 6}
SEALED_SINCE: Final[Mapping[type[Part], int]] = {Record: 4, Declared: 5, Control: 5, Costs: 6}
"""The first schema version in which a kind of file has a checksum of itself."""


def _at(value: Any, path: str, change: Callable[[Any], Any]) -> Any:
    """The value with `change` applied to the part at this path. If the path does not exist, the value is unchanged, and its
    model then reports what is wrong."""
    first, _, rest = path.partition(".")
    if not first:
        return change(value)
    if isinstance(value, list):
        return [_at(item, rest, change) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _at(item, rest, change) if first in (key, "*") else item for key, item in value.items()}


def _with(part: Any, new: Mapping[str, Any] | None = None, renamed: Mapping[str, str] | None = None) -> Any:
    """The part with keys added and renamed. Raises ValueError if it already has such a key: a file that claims to be older
    would escape its checksum."""
    new, renamed = new or {}, renamed or {}
    if not isinstance(part, dict):
        return part
    if there := sorted({*new, *renamed.values()} & part.keys()):
        raise ValueError(f"{there[0]}: files of its schema version do not have this key")
    return {**{renamed.get(key, key): value for key, value in part.items()}, **new}


def _fewer_names(parameters: Any) -> Any:
    """Shortens a record's list of newly initialised parameters: older records name up to 20, newer ones `MOST_NEW`."""
    if not isinstance(parameters, list) or len(parameters) <= MOST_NEW:
        return parameters
    unnamed = re.fullmatch(r"and ([0-9]+) more", str(parameters[-1]))
    more = len(parameters) - MOST_NEW + (int(unnamed[1]) - 1 if unnamed else 0)
    return [*parameters[:MOST_NEW], f"and {more} more"]


def _record_of_4(old: Plain) -> Plain:
    """Converts a record of version 4. Until then, F1, precision and recall were about the second label; from version 5 on
    their names say which label."""
    old = _at(old, "weights.newly_initialised", _fewer_names)
    data = old.get("data")
    labels, kind = (data.get("labels"), KINDS.get(str(data.get("kind")))) if isinstance(data, dict) else (None, None)
    if not kind or kind.several_labels or not isinstance(labels, list) or len(labels) < 2:
        return old
    names = {name: f"{name} ({labels[1]})" for name in ("f1", "precision", "recall")}

    def of_label(metric: Any) -> Any:
        named = isinstance(metric, dict) and metric.get("name") in names
        return {**metric, "name": names[metric["name"]], "label": 1} if named else metric

    def by_name(scores: Any) -> Any:
        return {names.get(name, name): score for name, score in scores.items()} if isinstance(scores, dict) else scores

    old = _at(_at(old, "scores.*", by_name), "data.floor.*", by_name)
    old = _at(old, "data.primary_metric", lambda name: names.get(str(name), name))
    return {**_at(old, "data.metrics.*", of_label)}


def _record_of_5(old: Plain) -> Plain:
    new: Plain = _with(old, renamed={"asked": "requested", "remarks": "process_notes"})
    if isinstance(data := new.get("data"), dict):
        new["data"] = data = _with(data, renamed={"sources": "source_versions", "floor": "majority_baseline"})
        if data.get("silent") is None:
            data["silent"] = _without_score(data, new.get("scores"))
    return new


def _without_score(data: Plain, scores: Any) -> dict[str, dict[str, str]]:
    """Split -> metric without a score there -> a sentence that says so. Version 4 did not record why; `records/migrate.py`
    finds out more."""
    metrics = data.get("metrics")
    if not isinstance(metrics, list) or not isinstance(scores, dict):
        return {}
    names = [str(facts["name"]) for facts in metrics if isinstance(facts, dict) and "name" in facts]
    missing = {
        split: [name for name in names if name not in found] for split, found in scores.items() if isinstance(found, dict)
    }
    return {split: dict.fromkeys(lacking, "no score was recorded") for split, lacking in missing.items() if lacking}


def _declared_of_4(old: Plain) -> Plain:
    """Converts a plan of version 4, in which the margin was one number, for all metrics shown in points."""
    margin = old.get("margin")
    return {**old, "margin": margin if isinstance(margin, dict) else {POINTS: margin}}


CHANGED: Final[Mapping[tuple[type[Part], int], Callable[[Plain], Plain]]] = {
    (Record, 4): _record_of_4,
    (Record, 5): _record_of_5,
    (Declared, 4): _declared_of_4,
}
"""(Kind of file, schema version) -> a function that makes the other changes of the next version."""


def upgraded(kind: type[Part], plain: Plain) -> Plain:
    """Converts the content of a file of an older schema version to the current one. Raises ValueError if a file of
    that version cannot have such content."""
    version = plain["schema_version"]
    if version >= SEALED_SINCE[kind] and not plain.get("seal"):
        raise ValueError("seal: it lacks its own checksum")
    if version < FIRST_VERSION[kind]:
        raise ValueError(f"schema_version: there is no version {version} of such files")
    for step in [(kind, number) for number in range(version, SCHEMA_VERSION)]:
        for path, facts in ADDED.get(step, {}).items():
            plain = _at(plain, path, partial(_with, new=facts))
        plain = CHANGED[step](plain) if step in CHANGED else plain
    return {**plain, "schema_version": SCHEMA_VERSION}
