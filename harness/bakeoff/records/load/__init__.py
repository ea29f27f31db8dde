"""Folders of records -> one `Experiment` to compare: read, and where there are several, merged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.folders import RunFiles, read_folder
from bakeoff.records.load.merging import merged
from bakeoff.records.load.separation import with_groups
from bakeoff.records.store import Store


def load_experiment(folders: Sequence[Path | Store], *, without: Collection[str] = ()) -> Experiment:
    """What these folders, or the stores of folders, hold, as one experiment.

    Of several, the first says baseline, split, and the margin of each unit that it has. Strategies of one name get the
    experiment's name behind theirs, unless they are the same runs. Tasks whose data differ are separate tasks; so are, within
    one experiment, runs that were made from other data or another model than its other runs. Where the model is under test,
    rows are strategy and model. Records of the runs `without` are not read: they are about to be replaced. Raises StoreError
    where a folder holds no experiment.
    """
    stores = {store.folder: store for store in (one if isinstance(one, Store) else Store(one) for one in folders)}
    files = RunFiles()
    read = [(store, read_folder(store, files, without=without)) for store in stores.values()]
    if not read:
        raise StoreError("name at least one experiment's folder")
    if len(read) > 1:
        return with_groups(merged(read, files))
    ((store, only),) = read
    for record in only.records:
        files.add(record.id, store, record)
    return with_groups(only)
