"""`bakeoff migrate`: converts the files of an experiment's folder to the current schema, in place.

Each file is replaced atomically by a rename, and the plan comes last, so that a folder whose migration was killed is still
recognised as an old one. `records/upgrades.py` has the steps from one schema version to the next; what they can't know from the
file alone is determined here, from the predictions and records beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bakeoff.contracts.fields import Part
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import DamageError, StoreError
from bakeoff.machine.json_reader import read_json
from bakeoff.machine.processes import left_by_the_dead
from bakeoff.records.load.metrics import metrics_of_run
from bakeoff.records.predictions import Predictions, PredictionsReader
from bakeoff.records.publishing import content_of
from bakeoff.records.record_files import MOST_BYTES, MOST_OF_A_PLAN, dump, read_inside, read_part
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE, SCHEMA_VERSION, Control, Costs, Data, Declared, Record
from bakeoff.records.silent_metrics import silent_metrics
from bakeoff.records.store import Store
from bakeoff.records.upgrades import upgraded
from bakeoff.text.words import shown_path

IN_USE: Final = "another command works on this run; repeat this command when that has ended"


@dataclass
class Migrated:
    """The result of migrating a folder."""

    records: int = 0
    """How many records were converted, archived ones included."""
    other_files: list[str] = field(default_factory=list)
    """Names of the plan, control runs and timings that were converted."""
    versions: set[int] = field(default_factory=set)
    """The schema versions that were converted."""
    left: list[str] = field(default_factory=list)
    """A sentence for each file that was left unchanged, because it is damaged or in use."""


@dataclass(frozen=True)
class OldRecord:
    """A record of an older schema, in its folder."""

    folder: Path
    run_id: str
    content: bytes
    """The bytes of the old file."""
    version: int
    record: Record
    """Converted to the current schema, as far as possible from the file alone."""
    silence_known: bool
    """Whether the old file already lists metrics that cannot tell predictions apart (`Data.silent`)."""


def migrate(folder: Path) -> Migrated:
    """Convert all records, control runs, timings and the plan of an experiment to the current schema.

    Ids, scores and all other files stay unchanged; each file's checksum of itself is new. A file whose old checksum does not
    fit, or that can't be read, is reported and left as it is. Raises StoreError if the folder has no records, and OSError where
    the system refuses.
    """
    store, found = Store(folder), Migrated()
    store.refuse_links()
    if not store.records.is_dir():
        raise StoreError(f"{shown_path(folder)} is not the folder of an experiment: it has no folder records/")
    silence: dict[str, dict[str, dict[str, str]]] = {}
    old = sorted(_old_records(store, found), key=lambda one: one.record.status != "ok")  # those with predictions come first
    blocked = [one for one in old if not _replace(store, one, _completed(one, silence))]
    done = [one for one in old if one not in blocked]
    found.left += [f"{shown_path(one.folder / RECORD_FILE)}: {IN_USE}" for one in blocked]
    found.records, found.versions = len(done), found.versions | {one.version for one in done}
    for path in sorted(store.records.glob("control-*.json")):
        _bring_other(store, path, Control, found)
    _bring_other(store, store.costs_file, Costs, found)
    if not blocked:
        _bring_other(store, store.plan_file, Declared, found)
    _remove_torn(store, store.records)
    return found


def _old_records(store: Store, found: Migrated) -> Iterator[OldRecord]:
    for run_id, folder in _folders(store):
        if (old := _old_file(Record, folder / RECORD_FILE, found)) is not None:
            record, content, plain = old
            silence_known = (plain.get("data") or {}).get("silent") is not None
            yield OldRecord(folder, run_id, content, plain["schema_version"], record, silence_known)


def _old_file(kind: type[Part], path: Path, found: Migrated) -> tuple[Any, bytes, dict[str, Any]] | None:
    """Reads a file of an older schema. Returns (its content converted to the current schema, its bytes, its content as plain
    data); None if the file is of the current schema or damaged. Damage is reported in `found`."""
    try:
        content = read_inside(path.parent, path.name, at_most=MOST_OF_A_PLAN if kind is Declared else MOST_BYTES)
        with suppress(ValueError, TypeError, KeyError):  # `read_part` says what is wrong with it
            if (plain := read_json(content))["schema_version"] == SCHEMA_VERSION:
                return None
        return read_part(kind, content, path, upgrade=upgraded), content, plain
    except StoreError as error:
        found.left.append(str(error))
        return None


def _folders(store: Store) -> Iterator[tuple[str, Path]]:
    """Yields (run id, folder) of each record: published, archived, or left complete by a command that was killed."""
    for run_id in store.recorded_ids():
        yield run_id, store.records / run_id
    yield from store.archived()
    for folder, run_id in left_by_the_dead(store.records):
        if (folder / RECORD_FILE).is_file():
            yield run_id, folder


def _replace(store: Store, old: OldRecord, record: Record) -> bool:
    """Writes the converted record over the old file. Returns False, with the old file in place, if another command works on the
    run or has changed the file meanwhile."""
    if not store.claims.take(old.run_id):
        return False
    try:
        if read_inside(old.folder, RECORD_FILE, at_most=MOST_BYTES) != old.content:
            return False
        store.tree.write(old.folder / RECORD_FILE, dump(record))
        _remove_torn(store, old.folder)
        return True
    except DamageError:  # it is gone
        return False
    finally:
        store.claims.release(old.run_id)


def _bring_other(store: Store, path: Path, kind: type[Control] | type[Costs] | type[Declared], found: Migrated) -> None:
    """Converts the plan, a control run, or the timings, in place, and notes that in `found`."""
    if not path.exists() or (old := _old_file(kind, path, found)) is None:
        return
    part, _, plain = old
    if isinstance(part, Declared) and not part.metrics:
        part = part.model_copy(update={"metrics": _primary_metrics(store, part)})
    store.tree.write(path, dump(part))
    found.other_files.append(path.name)
    found.versions.add(plain["schema_version"])


def _remove_torn(store: Store, folder: Path) -> None:
    """Removes the unfinished copies of single files that killed processes of this machine left in a folder."""
    for path, _ in left_by_the_dead(folder):
        if path.is_file():
            store.tree.remove(path)


# --- what a file alone does not say -----------------------------------------------------------------------------------------


def _primary_metrics(store: Store, declared: Declared) -> dict[str, str]:
    """Task -> the primary metric of its recorded runs."""
    task_of = {run.id: run.task for run in declared.runs}
    records, _ = store.read_all(task_of)
    return {task_of[record.id]: record.data.primary_metric for record in records if record.data is not None}


def _completed(old: OldRecord, silence: dict[str, dict[str, dict[str, str]]]) -> Record:
    """The converted record, with its largest logit and the metrics that cannot tell predictions apart, as far as predictions
    show them. Scores and majority baselines of such metrics are removed, since they mean nothing.

    silence: key by `_examples_of` -> such metrics, as found so far; a run without predictions gets those of a run on the same
    examples. New ones are added."""
    record, data = old.record, old.record.data
    if data is None:
        return record
    key = _examples_of(record, data)
    if splits := _predictions_of(old, data):
        if record.largest_logit is None:
            largest = max((float(np.abs(found.logits).max(initial=0.0)) for found in splits.values()), default=None)
            record = record.model_copy(update={"largest_logit": largest})
        if key not in silence and not old.silence_known:
            labels = {name: found.labels for name, found in splits.items() if found.labelled}
            silence[key] = silent_metrics(metrics_of_run(record, load_registry()).values(), labels, data.labels)
    if old.silence_known or not (silent := silence.get(key)):
        return record
    silent = {split: {**data.silent.get(split, {}), **silent.get(split, {})} for split in {**data.silent, **silent}}
    data = data.model_copy(update={"silent": silent, "majority_baseline": _speaking(data.majority_baseline, silent)})
    return record.model_copy(update={"data": data, "scores": _speaking(record.scores, silent)})


def _predictions_of(old: OldRecord, data: Data) -> Mapping[str, Predictions]:
    """Split -> predictions; empty if the run has none or they are damaged, which `bakeoff verify` reports."""
    if old.record.status != "ok" or PREDICTIONS_FILE not in old.record.files:
        return {}
    try:
        content = content_of(old.folder, old.record, PREDICTIONS_FILE)
        return PredictionsReader().read(content, data, old.folder / PREDICTIONS_FILE)
    except (StoreError, ValueError):
        return {}


def _examples_of(record: Record, data: Data) -> str:
    """A text that is equal for runs whose metrics are computed on the same examples."""
    rows = {name: split.fingerprint for name, split in data.splits.items()}
    metrics = [(facts.name, facts.version) for facts in data.metrics]
    return f"{record.requested.task.model_dump_json()} {metrics} {rows}"


def _speaking(scores: Mapping[str, dict[str, float]], silent: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, float]]:
    return {
        split: {metric: score for metric, score in found.items() if metric not in silent.get(split, {})}
        for split, found in scores.items()
    }
