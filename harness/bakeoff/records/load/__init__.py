"""Reads folders of records as one `Experiment`; several are merged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.folders import RunFiles, read_folder
from bakeoff.records.load.merging import merged
from bakeoff.records.load.separation import with_groups
from bakeoff.records.store import Store


def load_experiment(folders: Sequence[Path | Store], *, without: Collection[str] = (), pool: bool = False) -> Experiment:
    """Reads these folders, or stores, as one experiment.

    With several, the first gives the baseline, the reported split, and the margin of each unit that it declares. Equal strategy
    names get the experiment's name added, unless they are the same runs. Tasks with different data are kept apart; so are,
    within one experiment, runs made from other data or another model than the rest. Where models are under test, a row is a
    strategy with a model. Records of the runs `without` are not read, because they are about to be replaced.

    pool: strategies of one name that were trained alike in several experiments become one, with the runs of all of them; see
    `Experiment.pooled`. Raises StoreError if a folder has no experiment.
    """
    stores = {store.folder: store for store in (one if isinstance(one, Store) else Store(one) for one in folders)}
    files = RunFiles()
    read = [(store, read_folder(store, files, without=without)) for store in stores.values()]
    for store in stores.values():
        store.keep_index()
    if not read:
        raise StoreError("name at least one experiment's folder")
    if len(read) > 1:
        return with_groups(merged(read, files, pool=pool))
    ((store, only),) = read
    for record in only.records:
        files.add(record.id, store, record)
    return with_groups(only)
