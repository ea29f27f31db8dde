"""steps.parquet: loss, learning rate, gradient norm and time of each step. All checks of it are made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from bakeoff.records.parquet import Expected, errors_as_damage, read_table, require, require_whole
from bakeoff.records.schema import Record

COLUMNS: Final = {"step": "int32", "loss": "float", "learning_rate": "double", "grad_norm": "float", "seconds": "float"}


def expected(record: Record) -> Expected:
    """The format that the run's steps must have."""
    return Expected(COLUMNS, rows=record.cost.steps if record.cost else 0)


def read_steps(content: bytes, record: Record, path: Path) -> Any:
    """Parses steps.parquet into a pyarrow table: step (0 to n - 1), loss (finite, unless the run diverged), learning_rate,
    grad_norm (null if it was not measured), seconds (since the first step began, never decreasing).

    Raises DamageError that names file, column and row for anything that the harness would not write.
    """
    with errors_as_damage(path):
        table = read_table(content, expected(record))
        require_whole(table, [name for name in COLUMNS if name != "grad_norm"])
        step, loss, rate, norm, seconds = (table[name].to_numpy() for name in COLUMNS)
        require(step == np.arange(len(step)), "step", step, "out of order: steps count from 0")
        if record.failure is None or record.failure.reason != "diverged":
            require(np.isfinite(loss), "loss", loss, "not finite")
        require(np.isfinite(rate), "learning_rate", rate, "not finite")
        require(~(norm < 0), "grad_norm", norm, "not the norm of a gradient")  # an overflow of fp16 is none that is finite
        require(
            np.isfinite(seconds) & (seconds >= 0),
            "seconds",
            seconds,
            "not a possible time: seconds since the first step began, never decreasing",
        )
        require(np.diff(seconds, prepend=0) >= 0, "seconds", seconds, "less than before")
        return table
