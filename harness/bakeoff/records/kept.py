"""A record whose model was to be kept, and is not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bakeoff.files import Tree
from bakeoff.records.record_files import dump
from bakeoff.records.schema import MODEL_FOLDER, RECORD_FILE, Kept, Record

UNFINISHED: Final = Kept(reason="the run's process ended while its model was being written", difference=None)
"""In a record until its model is there: it stays where the process doesn't live to say more."""


def without_model(record: Record, folder: Path, reason: str) -> Record:
    """The record of a run whose process ended over its model, in the folder that it left; its record is written anew."""
    if record.kept != UNFINISHED:
        return record
    tree = Tree(folder)
    tree.remove_folder(folder / MODEL_FOLDER)
    record = record.model_copy(update={"kept": Kept(reason=reason, difference=None)})
    tree.write(folder / RECORD_FILE, dump(record))
    return record
