"""Lists what an experiment's folder and the cache hold on disk, and removes what is no longer needed: nothing that a plan or a
list of attempts names, nothing of a run in progress, and nothing behind a symbolic link."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import Tree, temporary_name
from bakeoff.machine.processes import maker_of
from bakeoff.records.publishing import attempt_of
from bakeoff.records.run_names import RunNames
from bakeoff.records.schema import MODEL_FOLDER, RUN_ID
from bakeoff.records.store import Store
from bakeoff.text.words import shown_path

CHECKPOINTS: Final = ".checkpoints-"
CACHED: Final = re.compile(r"[0-9a-f]{16,64}\.(arrow|json|parquet)")
"""The pattern of cached files' names, which are hashes; any other file in the folders of the cache is left alone."""


@dataclass(frozen=True)
class DiskItem:
    """Something that takes space on disk: a folder of records, a kept model, a cached file."""

    path: Path
    what: str
    """What kind of thing it is, in the plural, as tables show it: `kept models`."""
    size: int
    """In bytes, without the parts that are items of their own: a record's size is without its kept model."""
    run_id: str = ""
    """The id of the run that it belongs to; empty if it belongs to none."""
    prunable: bool = False


def held_by(store: Store) -> list[DiskItem]:
    """Lists everything in an experiment's folder. Raises StoreError if the folder has no experiment, or has a symbolic link in
    place of a folder."""
    store.refuse_links()
    named = RunNames.declared(store.declared()).by_id
    found = list[DiskItem]()
    for run_id in store.recorded_ids():
        path = store.records / run_id
        model = size_of(path / MODEL_FOLDER)
        known = run_id in named
        what = "records of the plan" if known else "records that the plan does not name"
        prunable = not known and RUN_ID.fullmatch(run_id) is not None
        if known and model:
            found.append(DiskItem(path / MODEL_FOLDER, "kept models", model, run_id))
        found.append(DiskItem(path, what, size_of(path) - (model if known else 0), run_id, prunable))
    for run_id, path in store.archived():
        is_attempt = run_id in named and _is_attempt(store, path)
        what = "failed attempts at runs of the plan" if is_attempt else "replaced records"
        found.append(DiskItem(path, what, size_of(path), run_id, not is_attempt))
    for path in sorted(store.records.glob(f"{CHECKPOINTS}*")):
        run_id = path.name.removeprefix(CHECKPOINTS)
        needed = run_id in named and not _succeeded(store, run_id)  # a failed one may be continued
        what = "checkpoints of runs that go on" if needed else "checkpoints that no run needs"
        found.append(DiskItem(path, what, size_of(path), run_id, not needed and RUN_ID.fullmatch(run_id) is not None))
    for path in sorted(store.records.glob(".tmp-*")):
        maker = maker_of(path.name)
        left = maker is not None and not maker.alive and RUN_ID.fullmatch(maker.stem) is not None
        left = left and path.is_dir() and not path.is_symlink() and not store.is_good(path)
        what = "unfinished, left by commands that were killed" if left else "unfinished"
        found.append(DiskItem(path, what, size_of(path), maker.stem if maker else "", left))
    counted = sum(item.size for item in found)
    rest = size_of(store.folder) - counted
    return [*found, DiskItem(store.folder, "tables, pages, plan and other files", max(0, rest))]


def cached(cache: Path) -> list[DiskItem]:
    """Lists the cached files of all experiments. All of them can be rebuilt."""
    found = []
    for folder in _entries(cache):
        if not folder.is_dir(follow_symlinks=False) or folder.name.startswith("."):
            continue
        for entry in _entries(Path(folder.path)):
            if CACHED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                found.append(DiskItem(Path(entry.path), f"cached {folder.name}", size, prunable=True))
    return found


def prune_records(store: Store, wanted: list[DiskItem]) -> tuple[list[DiskItem], list[str]]:
    """Removes the `wanted` items that are still prunable. Returns (removed items, a sentence for each item that stays)."""
    still = {item.path for item in held_by(store) if item.prunable}
    removed, left = list[DiskItem](), list[str]()
    for item in wanted:
        if item.path not in still:
            left.append(f"{shown_path(item.path)} stays: it no longer exists, or is needed again")
        elif item.path.is_symlink() or not item.path.is_dir():
            left.append(f"{shown_path(item.path)} stays: it is not a folder that Bakeoff made")
        elif why := _remove(store, item):
            left.append(f"{shown_path(item.path)} stays: {why}")
        else:
            removed.append(item)
    return removed, left


def _remove(store: Store, item: DiskItem) -> str:
    """Removes an item's folder, with a claim on its run so that no other command can work on the run meanwhile. Returns why the
    folder stays; empty if it was removed."""
    try:
        if not store.claims.take(item.run_id):
            return "another command is working on its run"
        try:
            if item.path.name == item.run_id and item.run_id in RunNames.declared(store.declared()).by_id:
                return "the plan names its run again"
            beside = store.records / temporary_name(item.run_id)
            store.tree.move(item.path, beside)
            store.tree.remove_folder(beside)
        finally:
            store.claims.release(item.run_id)
    except (OSError, StoreError) as error:
        return str(error)
    return "not all of it could be removed" if beside.exists() else ""


def prune_cache(cache: Path, wanted: list[DiskItem]) -> tuple[list[DiskItem], list[str]]:
    """Like `prune_records`, for cached files. A run that has a removed file open can still read it; other runs rebuild it."""
    tree, removed, left = Tree(cache), list[DiskItem](), list[str]()
    for item in wanted:
        try:
            tree.remove(item.path)
            removed.append(item)
        except (OSError, StoreError) as error:
            left.append(f"{shown_path(item.path)} stays: {error}")
    return removed, left


def size_of(path: Path) -> int:
    """The size in bytes of a file, or of all files in a folder. A symbolic link counts with its own size, not its target's;
    what can't be read counts as 0."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += (Path(folder) / name).lstat().st_size
    return total


def _is_attempt(store: Store, folder: Path) -> bool:
    """Whether an archived record is a failed attempt, which tables count. A record in the format of another version of Bakeoff
    counts as one, to be safe."""
    try:
        return attempt_of(store.read_in(folder)) is not None
    except DamageError:
        return False
    except StoreError:
        return True


def _succeeded(store: Store, run_id: str) -> bool:
    with suppress(StoreError):
        return store.has(run_id) and store.read(run_id).status == "ok"
    return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
