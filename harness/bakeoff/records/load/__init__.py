"""Folders of records -> one `Experiment` to compare: read, and where there are several, merged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.records.experiment import Experiment
from bakeoff.records.load.boards import with_boards
from bakeoff.records.load.folders import RunFiles, read_folder
from bakeoff.records.load.merging import merged
from bakeoff.records.load.metrics import metrics_of
from bakeoff.records.store import Store


def load_experiment(folders: Sequence[Path | Store]) -> Experiment:
    """What these folders, or the stores of folders, hold, as one experiment.

    Of several, the first says baseline, split, and the margin of each unit that it has; strategies of one name get the
    experiment's name behind theirs, unless they are the same runs; tasks whose data differ stand apart. So do runs of one
    experiment that were made from other data or another model than its other runs. Where the model is under test, rows are
    strategy and model. Raises StoreError where a folder holds no experiment.
    """
    stores = {store.folder: store for store in (one if isinstance(one, Store) else Store(one) for one in folders)}
    files = RunFiles()
    read = [read_folder(store, files) for store in stores.values()]
    if not read:
        raise StoreError("name at least one experiment's folder")
    if len(read) > 1:
        return with_boards(merged(read, files))
    (only,) = read
    for record in only.records:
        files.add(record.id, only.store, record)
    return with_boards(
        Experiment(
            declared=only.declared,
            records=only.records,
            predictions=files.predictions,
            steps=files.steps,
            unusable=files.damaged,
            metrics=metrics_of(only.declared.runs, only.records),
            folders=(str(only.path),),
            specs=(only.declared.spec_file,),
            damaged=only.damaged,
            foreign=only.foreign,
            controls=only.controls,
            trials={record.id: record for record in only.trials},
            source=dict.fromkeys((run.strategy for run in only.declared.runs), only.declared.name),
        )
    )
