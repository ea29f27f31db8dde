"""Records with all their files, made in a moment, and what may stand where a file should be."""

from __future__ import annotations

import hashlib
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from core.table_records import make_record

from bakeoff.kinds import CLASSIFICATION
from bakeoff.records.record_files import dump
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE, Cost, Declared, DeclaredRun, Record, Split
from bakeoff.training.record_writer import write_predictions

SIZES = {"train": 100, "dev": 30, "test": 20, "blind": 10}
ROWS = 60
STEPS = 12
Copied = tuple[Path, Path, Record]
"""An experiment's folder, the folder of one record in it, and that record."""


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", **options)
    return stream.getvalue()


def filled(folder: Path, strategy: str, seed: int) -> Record:
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
    (folder / STEPS_FILE).write_bytes(parquet(made_steps()))
    made = make_record(strategy, seed)
    assert made.data is not None
    assert made.cost is not None
    sizes = {
        name: Split(examples=size, labelled=name != "blind", fingerprint=hashlib.sha256(name.encode()).hexdigest())
        for name, size in SIZES.items()
    }
    cost: Cost = made.cost.model_copy(update={"steps": STEPS})
    return made.model_copy(update={"data": made.data.model_copy(update={"splits": sizes, "silent": {}}), "cost": cost})


def made_steps() -> pa.Table:
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


def seal(folder: Path, record: Record) -> None:
    """Checksums that fit whatever lies there."""
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (PREDICTIONS_FILE, STEPS_FILE)}
    (folder / RECORD_FILE).write_bytes(dump(record.model_copy(update={"files": files})))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has at most 107 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(60 * 2**30)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "FIFO": (fifo, "it is a named pipe (FIFO), not a plain file"),
    "socket": (listening, "it is a socket, not a plain file"),
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "sparse": (sparse, "it has 64,424,509,440 bytes where at most"),
    "device": (device, "is a symbolic link"),
    "link that leads nowhere": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
}


def declared(name: str, *ids: str) -> Declared:
    runs = [DeclaredRun(id=run_id, task="t", model="m", strategy="a", seed=seed) for seed, run_id in enumerate(ids)]
    return Declared(
        name=name,
        question="",
        spec_file="spec.yaml",
        baseline="a",
        report_on="test",
        margin={"points": 1.0},
        under_test=[],
        gate={},
        imported=[],
        trials={},
        searches={},
        history=[],
        runs=runs,
    )
