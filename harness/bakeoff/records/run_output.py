"""Reads what each attempt at a run printed, and the traceback of its failure, also while the run is in progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import DamageError, StoreError
from bakeoff.machine.processes import maker_of
from bakeoff.records.record_files import MOST_OF_A_TEXT, read_inside
from bakeoff.records.schema import OUTPUT_FILE, TRACEBACK_FILE, Record
from bakeoff.records.store import Store
from bakeoff.text.numbers import in_seconds

OF_A_RUN = {OUTPUT_FILE: "output", TRACEBACK_FILE: "traceback"}
"""File in a run's folder -> what it holds."""


@dataclass(frozen=True)
class RunAttempt:
    """One attempt at a run, of which the folder still exists."""

    folder: Path
    state: str
    """How it ended, in one line, or that it is still running."""
    texts: dict[str, list[str]]
    """`output` or `traceback` -> its lines, not escaped; one that is missing or empty is omitted."""


def attempts_at(store: Store, run_id: str) -> list[RunAttempt]:
    """All attempts at a run, the latest first: one that is running or was killed, the record, archived ones."""
    found = []
    for path in store.records.glob(f".tmp-{run_id}-*"):
        maker = maker_of(path.name)
        if maker is not None and maker.stem == run_id:
            state = "running" if maker.alive else "unfinished: the command that made it was killed"
            found.append(RunAttempt(path, state, _texts(path)))
    if store.occupied(run_id):
        found.append(_recorded(store, store.records / run_id, ""))
    archived = [folder for archived_id, folder in store.archived() if archived_id == run_id]
    earlier = [(_started(store, folder), _recorded(store, folder, "archived: ")) for folder in archived]
    return [*found, *(one for _, one in sorted(earlier, key=lambda pair: pair[0], reverse=True))]


def _recorded(store: Store, folder: Path, what: str) -> RunAttempt:
    try:
        record = store.read_in(folder)
    except StoreError as error:
        return RunAttempt(folder, f"{what}{error}", _texts(folder))
    return RunAttempt(folder, f"{what}{how_it_ended(record)}", _texts(folder))


def _started(store: Store, folder: Path) -> str:
    with suppress(StoreError):
        return store.read_in(folder).started
    return ""


def how_it_ended(record: Record) -> str:
    """How a run ended, in one line: whether it succeeded or why it failed, when it began, how long it took."""
    failure, seconds = record.failure, record.cost.total_seconds if record.cost else None
    took = "" if seconds is None else f", took {in_seconds(seconds)}"
    if failure is None:
        notes = [
            *record.process_notes,
            *([f"model not kept: {record.why_not_kept}"] if record.why_not_kept else []),
        ]
        return "; ".join([f"succeeded; began {record.started}{took}", *notes])
    return f"failed in phase {failure.phase}: {failure.reason}: {failure.message}; began {record.started}{took}"


def _texts(folder: Path) -> dict[str, list[str]]:
    return {what: lines for name, what in OF_A_RUN.items() if (lines := list(_lines(folder, name)))}


def _lines(folder: Path, name: str) -> Iterator[str]:
    """Yields the lines of a file. Of a line that was overwritten again and again, such as a progress bar, only the last state
    is given."""
    try:
        content = read_inside(folder, name, at_most=MOST_OF_A_TEXT)
    except DamageError as error:
        if (folder / name).is_symlink() or (folder / name).exists():
            yield f"({error})"
        return
    for line in content.decode("utf-8", errors="replace").removesuffix("\n").split("\n") if content else ():
        yield line.rstrip("\r").rpartition("\r")[2]
