"""Writes the rows of a task for whoever predicts them elsewhere, with any program: JSON lines, one file for each split.

{"split": "test", "id": "test-17", "text": "..."}
{"split": "train", "id": "train-3", "text": "...", "label": "spam"}

Rows of train have their labels, and so do those of the split to select on (dev), as a contestant gets them in a run. The latter
have none if no other split but train has labels, since the reported scores are then those on the split to select on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.kind import Said
from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.errors import StoreError
from bakeoff.files import Tree
from bakeoff.text.words import shown_path
from bakeoff.training.assembly import load
from bakeoff.training.data import LoadedTask


def labelled_elsewhere(info: TaskInfo) -> tuple[str, ...]:
    """The splits whose rows are written with their labels."""
    chosen_on = selection_split(info.scored_splits)
    others = [name for name in info.scored_splits if name != chosen_on]
    return ("train", chosen_on) if others and chosen_on in info.scored_splits else ("train",)


def write_rows(task: Configured, places: Paths, folder: Path) -> dict[Path, int]:
    """Writes the rows into a folder that is new or empty. Returns each file with its number of rows. Raises DataError where the
    data are not available, BakeoffError where the folder can't be used."""
    task.check_available(places)
    loaded = load(task.registered.component, task.options_at(places), places)
    tree = Tree(folder)
    tree.make_empty(folder)
    written = {}
    try:
        for split in loaded.info.splits:
            path = folder / f"{split}.jsonl"
            with tree.writing(path) as stream:
                stream.writelines(lines_of(loaded, split))
            written[path] = len(loaded.splits[split]["id"])
    except OSError as error:
        raise StoreError(f"{shown_path(error.filename or folder)} cannot be written: {error.strerror}") from None
    return written


def lines_of(task: LoadedTask, split: str) -> Iterator[bytes]:
    """Yields the rows of a split as lines of JSON in ASCII."""
    info, columns = task.info, task.splits[split]
    names = ("id", *info.text_columns)
    is_labelled = split in labelled_elsewhere(info)
    for number in range(len(columns["id"])):
        row: dict[str, Said] = {"split": split, **{name: str(columns[name][number]) for name in names}}
        if is_labelled:
            row["label"] = info.kind.named(columns["label"][number], info.labels)
        yield json.dumps(row).encode("ascii") + b"\n"
