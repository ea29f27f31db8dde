"""Experiments on disk, as `bakeoff run` writes them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from bakeoff.kinds import CLASSIFICATION
from bakeoff.records.predictions import Predictions
from bakeoff.records.record_files import dump
from bakeoff.records.schema import (
    PREDICTIONS_FILE,
    RECORD_FILE,
    STEPS_FILE,
    Control,
    Cost,
    Declared,
    Record,
    Split,
)
from bakeoff.records.store import Store
from bakeoff.training.record_writer import write_predictions
from builders.declarations import make_declaration
from builders.experiments import apart
from builders.records import (
    make_record,
    sha256,
)
from builders.runs import (
    Runs,
)


def make_folder(
    folder: Path,
    answers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    undone: Iterable[Record] = (),
    split: str = "test",
    **keywords: Any,
) -> Path:
    """Writes `records/` as `bakeoff run` does: record.json, predictions.parquet, plan.json.

    Keywords are those of make_runs and the fields of Declared; the first strategy is the baseline. `undone` are declared and
    not recorded.
    """
    runs, declared = apart(answers, labels, split, keywords)
    return write_folder(folder, runs, make_declaration([*(record for record, _ in runs), *undone], **declared))


def make_folder_of(folder: Path, records: Iterable[Record], *, undone: Iterable[Record] = (), **declared: Any) -> Path:
    """A folder that holds these records, and declares them and those that are still to be done."""
    there = list(records)
    return write_folder(folder, [(record, {}) for record in there], make_declaration([*there, *undone], **declared))


def write_folder(folder: Path, runs: Runs, declared: Declared, controls: Iterable[Control] = ()) -> Path:
    """These runs, their declaration and the control runs around them."""
    store = Store(folder)
    store.records.mkdir(parents=True)
    for record, predictions in runs:
        write_run(store, record, predictions)
    store.plan_file.write_bytes(dump(declared))
    for control in controls:
        (store.records / f"control-{control.session}-{control.moment}.json").write_bytes(dump(control))
    return folder


def write_run(store: Store, record: Record, predictions: Mapping[str, Predictions]) -> None:
    """The run's folder: record.json and, where there are any, predictions.parquet."""
    fresh = store.begin(record.id)
    if predictions:
        record = record.model_copy(update={"files": fill(fresh, predictions)})
    (fresh / RECORD_FILE).write_bytes(dump(record))
    assert store.publish(fresh, record.id)


def fill(folder: Path, predictions: Mapping[str, Predictions]) -> dict[str, str]:
    """predictions.parquet by the harness's own writer; its checksum."""
    path = folder / PREDICTIONS_FILE
    write_predictions(
        path,
        {split: found.logits for split, found in predictions.items()},
        {split: {"id": found.ids, "label": found.labels.tolist(), **found.slices} for split, found in predictions.items()},
        {split: [{"input_ids": range(int(length))} for length in found.tokens] for split, found in predictions.items()},
        tuple(next(iter(predictions.values())).slices),
        next(iter(predictions.values())).kind,
    )
    return {path.name: sha256(path.read_bytes())}


SIZES = {"train": 100, "dev": 30, "test": 20, "blind": 10}
ROWS = 60
STEPS = 12
Copied = tuple[Path, Path, Record]
"""An experiment's folder, the folder of one record in it, and that record."""


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", **options)
    return stream.getvalue()


def make_whole_run(folder: Path, strategy: str, seed: int) -> Record:
    """A run's files, and a record that fits them: dev and test have labels, blind has none."""
    draw = np.random.default_rng([seed, len(strategy)])
    splits = {
        name: {
            "id": [f"{name}-{number}" for number in range(size)],
            "label": [None if name == "blind" else int(number % 2) for number in range(size)],
            "part": ["web" if number % 3 else "app" for number in range(size)],
        }
        for name, size in SIZES.items()
        if name != "train"
    }
    logits = {name: draw.normal(size=(SIZES[name], 2)).astype(np.float32) for name in splits}
    encoded = {name: [{"input_ids": range(number % 7 + 1)} for number in range(SIZES[name])] for name in splits}
    write_predictions(folder / PREDICTIONS_FILE, logits, splits, encoded, ("part",), CLASSIFICATION)
    (folder / STEPS_FILE).write_bytes(parquet(make_steps()))
    made = make_record(strategy, seed)
    assert made.data is not None
    assert made.cost is not None
    sizes = {name: Split(examples=size, labelled=name != "blind", fingerprint=sha256(name)) for name, size in SIZES.items()}
    cost: Cost = made.cost.model_copy(update={"steps": STEPS})
    return made.model_copy(update={"data": made.data.model_copy(update={"splits": sizes, "silent": {}}), "cost": cost})


def make_steps() -> pa.Table:
    numbers = np.arange(STEPS)
    return pa.table(
        {
            "step": pa.array(numbers, pa.int32()),
            "loss": pa.array(1 / (numbers + 1), pa.float32()),
            "learning_rate": pa.array(1e-5 * (STEPS - numbers), pa.float64()),
            "grad_norm": pa.array([1.0, None, *[2.0] * (STEPS - 2)], pa.float32()),
            "seconds": pa.array(numbers * 0.5, pa.float32()),
        }
    )


def seal_files(folder: Path, record: Record) -> None:
    """Checksums that fit whatever lies there."""
    files = {name: sha256((folder / name).read_bytes()) for name in (PREDICTIONS_FILE, STEPS_FILE)}
    (folder / RECORD_FILE).write_bytes(dump(record.model_copy(update={"files": files})))
