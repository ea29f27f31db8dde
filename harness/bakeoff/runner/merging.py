"""Merges the folders of one experiment, whose runs were made apart, into one folder.

The folders must declare the same runs and judge them by the same rules (`runner.sharded.outline`). Of two records of one run
the rule of `records.publishing` decides, the first folder's first; a second successful record is archived beside the one that
counts, so that nothing which was measured is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.errors import DamageError, StoreError
from bakeoff.files import open_regular, read_regular
from bakeoff.machine.faults import raise_machine_error
from bakeoff.planning.verified import verified
from bakeoff.records.ownership import keep_spec
from bakeoff.records.provenance import HARDWARE, MADE_FROM, differing
from bakeoff.records.publishing import Rank
from bakeoff.records.record_files import MOST_BYTES, MOST_OF_A_TEXT, dump, read_inside
from bakeoff.records.run_names import RunNames
from bakeoff.records.schema import OUTPUT_FILE, RECORD_FILE, Chosen, Declared, Record
from bakeoff.records.store import Store
from bakeoff.runner.sharded import outline
from bakeoff.text.numbers import in_seconds, per_cent, with_decimals
from bakeoff.text.values import listed
from bakeoff.text.words import quoted, shown_path

CHUNK: Final = 2**20
BUSY: Final = "another command makes this run there at the moment: merge again when it has ended"
MOST_SHOWN: Final = 20
"""The most runs that were made twice whose differences are shown."""
LARGEST_SPEC: Final = 2**24


@dataclass
class Merged:
    """What a merge has done."""

    wanted: int
    """How many runs the experiment asks for, trials of searches included."""
    added: dict[Path, int] = field(default_factory=dict)
    """Folder -> how many of its records count now and did not before."""
    known: int = 0
    """Records that were there already."""
    attempts: int = 0
    """Records that were added and do not count: failed attempts, and successful runs made a second time."""
    moved: list[str] = field(default_factory=list)
    """A sentence for each run that succeeded in two folders: how its two records differ."""
    damaged: list[str] = field(default_factory=list)
    """A sentence for each record or file that was not copied, since it is damaged or of another schema."""
    foreign: int = 0
    """Records that no run of the plan has, which were not copied."""
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Names of runs that have no record yet."""


def merge(sources: Sequence[Store], into: Store) -> Merged:
    """Copies what the sources recorded into one folder, which may have records of the experiment already. The sources stay as
    they are.

    Raises StoreError, before anything is written, unless all declare one experiment, and MachineError if the disk fails. After
    an interruption the same call goes on.
    """
    try:
        return _merged(sources, into)
    except OSError as error:
        raise_machine_error(error, [into.folder, *(store.folder for store in sources)])
        raise StoreError(f"{shown_path(error.filename or into.folder)}: {error.strerror or error}") from None


def _merged(sources: Sequence[Store], into: Store) -> Merged:
    into.refuse_links()
    for source in sources:
        if source.records.resolve() in (into.folder.resolve(), *into.folder.resolve().parents):
            raise StoreError(f"{shown_path(into.folder)} is inside the records of {shown_path(source.folder)}: merge elsewhere")
    others = [store for store in sources if store.folder.resolve() != into.folder.resolve()]
    stores = [*_started(into), *others] or [into]
    declared, notes = joined(stores)
    if into not in stores or into.declared() != declared:
        with into.alone_with_plan():
            stores = [*_started(into), *others]  # another command may have written it meanwhile
            declared, notes = joined(stores)
            into.tree.write(into.plan_file, dump(declared))
    notes += _copy_spec(declared, stores, into)
    names = RunNames.declared(declared)
    found = Merged(len(names.by_id), notes=notes)
    into.recover()
    into.sweep()
    seals = _seals(into)
    for source in others:
        _copy_runs(source, into, declared, names, found, seals)
        _copy_attempts(source, into, names, found, seals)
        _copy_measurements(source, into, found)
    found.missing = [
        names.name_of(run_id) for run_id in names.by_id if (own := _published(into, run_id)) is None or own.was_interrupted
    ]
    for name, search in declared.searches.items():
        if not search.chosen:
            found.notes.append(
                f"the search of {quoted(name)} has not chosen yet, so its runs are not counted: `bakeoff run` chooses"
            )
    return found


# --- one declaration -----------------------------------------------------------------------------------------------------


def _started(into: Store) -> list[Store]:
    """The store, if it has a plan already."""
    return [into] if into.plan_file.is_file() else []


def joined(stores: Sequence[Store]) -> tuple[Declared, list[str]]:
    """One declaration for all folders, with the history of each and with what searches have chosen in any; and a note for each
    choice that the folders disagree on, of which the first counts. Raises StoreError unless all declare one experiment."""
    declared = [store.declared() for store in stores]
    first, notes = declared[0], list[str]()
    for store, other in zip(stores[1:], declared[1:], strict=True):
        if outline(other) != outline(first):
            raise StoreError(
                f"{shown_path(stores[0].folder)} and {shown_path(store.folder)} do not declare one experiment: "
                f"{unlike(first, other)}. Nothing was merged; `bakeoff report DIR DIR` shows both beside each other"
            )
    runs = {(run.task, run.model, run.strategy, run.seed): run for one in reversed(declared) for run in one.runs}
    order = dict.fromkeys(place for one in sorted(declared, key=lambda one: -len(one.runs)) for place in _places(one))
    searches = {}
    for name, search in first.searches.items():
        chosen = dict[tuple[str, str, int], Chosen]()
        for store, one in zip(stores, declared, strict=True):
            for choice in one.searches[name].chosen:
                kept = chosen.setdefault((choice.task, choice.model, choice.search), choice)
                if kept != choice:
                    notes.append(
                        f"{shown_path(store.folder)} chose another configuration for {quoted(name)} on {choice.task}: the "
                        "first folder's counts"
                    )
        searches[name] = search.model_copy(update={"chosen": [*chosen.values()]})
    history = [
        earlier for number, one in enumerate(declared) for earlier in one.history if earlier not in _before(declared, number)
    ]
    update = {
        "searches": searches,
        "runs": [runs[place] for place in order],
        "history": sorted(history, key=lambda earlier: earlier.when),
        "hub_datasets": {task: dataset for one in reversed(declared) for task, dataset in one.hub_datasets.items()},
        "licences": {label: licence for one in reversed(declared) for label, licence in one.licences.items()},
    }
    return first.model_copy(update=update), notes


def _places(declared: Declared) -> list[tuple[str, str, str, int]]:
    return [(run.task, run.model, run.strategy, run.seed) for run in declared.runs]


def _before(declared: Sequence[Declared], number: int) -> list[object]:
    return [earlier for one in declared[:number] for earlier in one.history]


def unlike(first: Declared, second: Declared) -> str:
    """The first difference of two declarations, in words."""
    here, there = map(_ids_by_name, (first, second))
    for ours, theirs, which in ((here, there, "first"), (there, here, "second")):
        if alone := [name for name in ours if name not in theirs]:
            return f"the {which} alone has {listed(alone, most=5)}"
    if other := [name for name in here if here[name] != there[name]]:
        return f"the recipe, task, model or a plugin's version differs in {listed(other, most=5)}"
    one, two = outline(first)[0], outline(second)[0]
    key = next((key for key in type(one).model_fields if getattr(one, key) != getattr(two, key)), "runs")
    return f"'{key}' differs: {quoted(getattr(one, key))} and {quoted(getattr(two, key))}"


def _ids_by_name(declared: Declared) -> dict[str, str | None]:
    """Name -> id of the runs that no search chooses."""
    names = RunNames.declared(declared)
    return {names.name(run): run.id for run in names.runs if run.strategy not in declared.searches}


def _copy_spec(declared: Declared, stores: Sequence[Store], into: Store) -> list[str]:
    """Copies the experiment file of the first folder that has one. Returns what is to be told of it."""
    for store in stores:
        path = store.folder / Path(declared.spec_file).name
        if path.is_file() and not path.is_symlink():
            note = keep_spec(into, path, read_regular(path, at_most=LARGEST_SPEC))
            return [note] if note else []
    return [f"no folder has the experiment file {quoted(declared.spec_file)}, so it was not copied"]


# --- records -------------------------------------------------------------------------------------------------------------


def _copy_runs(source: Store, into: Store, declared: Declared, names: RunNames, found: Merged, seals: set[str]) -> None:
    """seals: the checksums of what `into` has already; those of what is added are added."""
    places = {run_id: place for place, run_id in enumerate(names.by_id)}
    for run_id in sorted(source.recorded_ids(), key=lambda one: places.get(one, len(places))):
        if run_id not in names.by_id:
            found.foreign += 1
            continue
        try:
            record = verified(source, run_id, declared)
            there = _published(into, run_id)
            if record.seal in seals or (record.was_interrupted and there is not None):
                found.known += 1
                continue
            with into.claims.alone(run_id, BUSY):
                if (there := _published(into, run_id)) is not None and record.seal in _seals(into, run_id):
                    found.known += 1  # another command has merged it meanwhile
                    continue
                counts = into.publish(_copied(source.records / run_id, record, into), run_id, keep=True)
        except StoreError as error:
            raise_machine_error(error, [source.folder, into.folder])
            found.damaged.append(f"{names.name_of(run_id)} ({run_id}): {error}")
            continue
        seals.add(record.seal)
        if counts:
            found.added[source.folder] = found.added.get(source.folder, 0) + 1
        else:
            found.attempts += 1
        if there is not None and there.status == record.status == "ok":
            found.moved.append(f"{names.name_of(run_id)}: {difference(into, there, source, record, declared.report_on)}")


def _published(store: Store, run_id: str) -> Record | None:
    """The run's record, also an interrupted one; None if it has none, or one that can't be read."""
    try:
        return store.read(run_id) if store.has(run_id) else None
    except StoreError:
        return None


def _seals(store: Store, run_id: str | None = None) -> set[str]:
    """The checksums of all records that are whole, also of those that do not count; run_id: of this run alone."""
    recorded = store.recorded_ids() if run_id is None else [run_id]
    archived = [folder for archived, folder in store.archived() if run_id in (None, archived)]
    found = set()
    for folder in (*(store.records / one for one in recorded), *archived):
        with suppress(StoreError):
            if store.rank(folder) is not Rank.DAMAGED:
                found.add(store.read_in(folder).seal)
    return found


def _copied(folder: Path, record: Record, into: Store) -> Path:
    """A copy of a record's folder, not published yet. Raises DamageError if the record was changed meanwhile."""
    place = into.begin(record.id)
    try:
        for name in record.files:
            into.tree.make((place / name).parent)
            with open_regular(folder / name) as stream, into.tree.writing(place / name, synced=False) as copy:
                while chunk := stream.read(CHUNK):
                    copy.write(chunk)
        with suppress(DamageError):  # it may be missing, and no result depends on it
            into.tree.write(place / OUTPUT_FILE, read_inside(folder, OUTPUT_FILE, at_most=MOST_OF_A_TEXT), synced=False)
        into.tree.write(place / RECORD_FILE, read_regular(folder / RECORD_FILE, at_most=MOST_BYTES), synced=False)
        if into.rank(place) is Rank.DAMAGED or into.read_in(place).seal != record.seal:
            raise DamageError(f"{shown_path(folder)} was changed while it was copied: merge again")
    except BaseException as error:
        into.tree.remove_folder(place)
        if isinstance(error, OSError):
            raise_machine_error(error, [folder, into.folder])
            raise DamageError(f"{shown_path(error.filename or folder)} cannot be copied: {error.strerror}") from None
        raise
    return place


def _copy_attempts(source: Store, into: Store, names: RunNames, found: Merged, seals: set[str]) -> None:
    """Copies archived records: failed attempts, whose cost tables tell, and whatever else was replaced. seals: as for
    `_copy_runs`."""
    for run_id, folder in source.archived():
        if run_id not in names.by_id:
            continue
        try:
            if source.rank(folder) is Rank.DAMAGED:  # archived because of that
                continue
            record = source.read_in(folder)
            if record.seal not in seals:
                into.archive(_copied(folder, record, into), run_id)
                seals.add(record.seal)
                found.attempts += 1
        except StoreError as error:
            raise_machine_error(error, [source.folder, into.folder])
            found.damaged.append(f"an archived record of {names.name_of(run_id)}: {error}")


def _copy_measurements(source: Store, into: Store, found: Merged) -> None:
    """Copies control runs, and the timings of comparison groups that `into` has none of."""
    controls, damaged = source.controls()
    there = [(control.session, control.moment) for control in into.controls()[0]]
    for control in controls:
        if (control.session, control.moment) not in there:
            into.add_control(control)
    try:
        timed = [(one.task, one.model) for one in into.timings()]
        for timing in source.timings():
            if (timing.task, timing.model) not in timed:
                into.add_timing(timing)
    except StoreError as error:
        damaged.append(str(error))
    found.damaged += damaged


# --- words ---------------------------------------------------------------------------------------------------------------


def difference(first: Store, one: Record, second: Store, other: Record, split: str) -> str:
    """How two successful records of one run differ: scores on `split`, answers there, weights, seconds and hardware."""
    told = []
    assert one.data is not None  # as in every successful record
    if unlike_data := differing([one], [other], MADE_FROM):
        told.append(f"not made from the same: {listed(dict.fromkeys(each.what for each in unlike_data))}")
    metric = one.data.primary
    scores = [record.scores.get(split, {}).get(metric.name) for record in (one, other)]
    if None not in scores:
        told.append(f"{metric.name} on {split} {' and '.join(_shown(score, unit_of(metric).scale) for score in scores)}")
    answers = [_answers(store, record, split) for store, record in ((first, one), (second, other))]
    if not unlike_data and answers[0] is not None and answers[1] is not None:
        told.append(f"{per_cent(float(np.mean(answers[0] == answers[1])))} of the answers there are equal")
    if one.weights is not None and other.weights is not None:
        told.append("equal weights" if one.weights.final_sha256 == other.weights.final_sha256 else "other weights")
    seconds = [record.train_seconds for record in (one, other)]
    if seconds[0] is not None and seconds[1] is not None:
        told.append(f"{in_seconds(seconds[0])} and {in_seconds(seconds[1])} of training")
    told += [f"{each.what} {each.here} and {each.there}" for each in differing([one], [other], HARDWARE)]
    return "; ".join(told)


def _shown(score: float | None, scale: float) -> str:
    return "none" if score is None else with_decimals(score * scale, 2)


def _answers(store: Store, record: Record, split: str) -> np.ndarray | None:
    try:
        own = store.predictions(record).get(split)
    except StoreError:
        return None
    return None if own is None else np.asarray(own.kind.answers(own.logits))


def in_words(merged: Merged, sources: Sequence[Store], into: Store) -> list[str]:
    """What the merge did, a line each."""
    added = [f"{number} from {shown_path(folder)}" for folder, number in merged.added.items()]
    known = f", {merged.known} were there already" if merged.known else ""
    lines = [f"{shown_path(into.folder)}: {sum(merged.added.values())} records added ({listed(added)}){known}"]
    if not added:
        lines = [f"{shown_path(into.folder)}: no record added{known}"]
    if merged.attempts:
        lines.append(f"kept beside them: {merged.attempts} records that do not count, in records/.replaced-*")
    lines += [f"made twice: {line}" for line in merged.moved[:MOST_SHOWN]]
    if (more := len(merged.moved) - MOST_SHOWN) > 0:
        lines.append(f"made twice: {more} more")
    if merged.foreign:
        lines.append(f"left out: {merged.foreign} records that the plan does not name")
    lines += [f"not copied: {line}" for line in merged.damaged]
    lines += [f"note: {note}" for note in merged.notes]
    if merged.missing:
        lines.append(f"not recorded yet: {len(merged.missing)} of {merged.wanted} runs: {listed(merged.missing, most=5)}")
    return lines
