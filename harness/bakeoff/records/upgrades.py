"""Plain data of older schema versions, brought to the current one step by step. Only `bakeoff migrate` uses this module.

To change the schema of records, plans or control runs: change the models in `records/schema`, raise `SCHEMA_VERSION`, and add
one function here for each kind of file that changed, from the version before to the new one, with its entry in `STEPS` (`_same`
for a kind that did not change). A step gets plain data as JSON has it. It adds keys by `_with_new` and renames them by
`_renamed`, so that a file which only claims to be old is refused, and passes on what is damaged: the model then says where.
Add a file of the old version to `tests/core/records/test_migrate.py`, and run `bakeoff migrate` over `results/*`. What a step
cannot know from the file alone, `records/migrate.py` finds out from the files beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from bakeoff.contracts.fields import Part
from bakeoff.contracts.unit import POINTS
from bakeoff.kinds import KINDS
from bakeoff.records.schema import MOST_NEW, SCHEMA_VERSION, UNSEALED, Control, Declared, Record

Plain = dict[str, Any]


def _with_new(old: Plain, **facts: Any) -> Plain:
    """The part of an older version with what a later one added. Raises ValueError where it has that already: whoever calls a
    file older than it is would be rid of its checksum."""
    if there := sorted(facts.keys() & old.keys()):
        raise ValueError(f"{there[0]}: no file of its schema version has that")
    return {**old, **facts}


def _renamed(old: Plain, **names: str) -> Plain:
    """The part with other names for its keys. Raises ValueError as `_with_new` does."""
    if there := sorted(set(names.values()) & old.keys()):
        raise ValueError(f"{there[0]}: no file of its schema version has that")
    return {names.get(key, key): value for key, value in old.items()}


def _record_of_1(old: Plain) -> Plain:
    data = old.get("data")
    if isinstance(data, dict) and isinstance(data.get("metrics"), list):
        metrics = [_with_new(metric, version="1") if isinstance(metric, dict) else metric for metric in data["metrics"]]
        data = _with_new({**data, "metrics": metrics}, overlap=None)
    return _with_new({**old, "data": data}, selection=None, evaluation_difference=None)


def _declared_of_1(old: Plain) -> Plain:
    return _with_new(old, gate={}, imported=[], trials={}, history=[])


def _record_of_2(old: Plain) -> Plain:
    new = dict(old)
    if isinstance(weights := old.get("weights"), dict):
        new["weights"] = _with_new(weights, trained_bytes=None)
    if isinstance(cost := old.get("cost"), dict):
        new["cost"] = _with_new(cost, flops=None, flops_note="not counted (schema version 2)")
    observed = old.get("observed")
    if isinstance(observed, dict) and isinstance(observed.get("groups"), list):
        groups = [_with_new(group, lr_scale=None) if isinstance(group, dict) else group for group in observed["groups"]]
        new["observed"] = {**observed, "groups": groups}
    return new


def _record_of_3(old: Plain) -> Plain:
    new = _with_new(old, attempts=[], resumed_at=[], seal=UNSEALED)
    if isinstance(environment := old.get("environment"), dict):
        new["environment"] = _with_new(environment, jobs=None)
    return new


def _record_of_4(old: Plain) -> Plain:
    """F1, precision and recall were of the second label, whatever it was called: from now on they say so. Of newly initialised
    parameters 20 had names, where fewer have now."""
    weights = old.get("weights")
    names = weights.get("newly_initialised") if isinstance(weights, dict) else None
    if isinstance(weights, dict) and isinstance(names, list) and len(names) > MOST_NEW:
        unnamed = re.fullmatch(r"and ([0-9]+) more", str(names[-1]))
        more = len(names) - MOST_NEW + (int(unnamed[1]) - 1 if unnamed else 0)
        old = {**old, "weights": {**weights, "newly_initialised": [*names[:MOST_NEW], f"and {more} more"]}}
    data = old.get("data")
    labels = data.get("labels") if isinstance(data, dict) else None
    kind = KINDS.get(str(data.get("kind"))) if isinstance(data, dict) else None
    if not (isinstance(data, dict) and kind and not kind.several_labels and isinstance(labels, list) and len(labels) > 1):
        return old
    names = {name: f"{name} ({labels[1]})" for name in ("f1", "precision", "recall")}

    def renamed(scores: Any) -> Any:
        return {names.get(name, name): score for name, score in scores.items()} if isinstance(scores, dict) else scores

    def by_split(splits: Any) -> Any:
        return {split: renamed(scores) for split, scores in splits.items()} if isinstance(splits, dict) else splits

    metrics, primary = data.get("metrics"), data.get("primary_metric")
    if isinstance(metrics, list):
        metrics = [
            {**facts, "name": names[facts["name"]], "label": 1}
            if isinstance(facts, dict) and facts.get("name") in names
            else facts
            for facts in metrics
        ]
    primary = names.get(primary, primary) if isinstance(primary, str) else primary
    data = {**data, "metrics": metrics, "primary_metric": primary, "floor": by_split(data.get("floor"))}
    return {**old, "data": data, "scores": by_split(old.get("scores"))}


def _record_of_5(old: Plain) -> Plain:
    new = _renamed(old, asked="requested", remarks="process_notes")
    if isinstance(data := new.get("data"), dict):
        new["data"] = _renamed(data, sources="source_versions", floor="majority_baseline")
        if data.get("silent") is None:
            new["data"]["silent"] = _without_score(data, new.get("scores"))
    return new


def _without_score(data: Plain, scores: Any) -> dict[str, dict[str, str]]:
    """Split -> metric that has no score there -> that. Version 4 did not say why; `records/migrate.py` finds out more."""
    metrics = data.get("metrics")
    if not isinstance(metrics, list) or not isinstance(scores, dict):
        return {}
    names = [facts["name"] for facts in metrics if isinstance(facts, dict) and isinstance(facts.get("name"), str)]
    missing = {
        split: [name for name in names if name not in found] for split, found in scores.items() if isinstance(found, dict)
    }
    return {split: dict.fromkeys(lacking, "no score was recorded") for split, lacking in missing.items() if lacking}


def _declared_of_2(old: Plain) -> Plain:
    return _with_new(old, searches={})


def _control_of_2(old: Plain) -> Plain:
    return _with_new(old, peak_flops={})


def _same(old: Plain) -> Plain:
    return old


def _control_of_4(old: Plain) -> Plain:
    return _with_new(old, seal=UNSEALED)


def _declared_of_4(old: Plain) -> Plain:
    """A margin was a number, of all metrics that are shown in points."""
    margin = old.get("margin")
    return _with_new({**old, "margin": margin if isinstance(margin, dict) else {POINTS: margin}}, seal=UNSEALED)


STEPS: Final[Mapping[tuple[type[Part], int], Callable[[Plain], Plain]]] = {
    (Record, 1): _record_of_1,
    (Record, 2): _record_of_2,
    (Record, 3): _record_of_3,
    (Record, 4): _record_of_4,
    (Record, 5): _record_of_5,
    (Declared, 1): _declared_of_1,
    (Declared, 2): _declared_of_2,
    (Declared, 3): _same,
    (Declared, 4): _declared_of_4,
    (Declared, 5): _same,
    (Control, 2): _control_of_2,
    (Control, 3): _same,
    (Control, 4): _control_of_4,
    (Control, 5): _same,
}
"""(Kind of file, schema version) -> the step to the next version."""

SEALED_SINCE: Final[Mapping[type[Part], int]] = {Record: 4, Declared: 5, Control: 5}
"""The first schema version of a file whose own checksum stands in it."""


def upgraded(kind: type[Part], plain: Plain) -> Plain:
    """The content of a file of an older schema version as the current one has it. Raises ValueError where a file of its version
    cannot be so."""
    version = plain["schema_version"]
    if version >= SEALED_SINCE[kind] and not plain.get("seal"):
        raise ValueError("seal: its own checksum is gone")
    if (kind, version) not in STEPS:
        raise ValueError(f"schema_version: no such file has version {version}")
    while version < SCHEMA_VERSION:
        plain, version = STEPS[kind, version](plain), version + 1
    return {**plain, "schema_version": SCHEMA_VERSION}
