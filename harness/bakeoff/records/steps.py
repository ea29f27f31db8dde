"""steps.parquet: loss, learning rate, gradient norm and time of each step. They are checked here once, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from bakeoff.records.parquet import Expected, blamed_on, read_table, require, require_whole
from bakeoff.records.schema import Record

COLUMNS: Final = {"step": "int32", "loss": "float", "learning_rate": "double", "grad_norm": "float", "seconds": "float"}


def expected(record: Record) -> Expected:
    """The format of the run's steps."""
    return Expected(COLUMNS, rows=record.cost.steps if record.cost else 0)


def read_steps(content: bytes, record: Record, path: Path) -> Any:
    """A pyarrow table: step (0 to n - 1), loss (finite, unless the run diverged), learning_rate, grad_norm (null where it was
    not measured), seconds (since the first step began, never fewer than before).

    Raises DamageError that names the file, the column and the row, unless everything is as the harness writes it.
    """
    with blamed_on(path):
        table = read_table(content, expected(record))
        require_whole(table, [name for name in COLUMNS if name != "grad_norm"])
        step, loss, rate, norm, seconds = (table[name].to_numpy() for name in COLUMNS)
        require(step == np.arange(len(step)), "step", step, "out of order: steps count from 0")
        if record.failure is None or record.failure.reason != "diverged":
            require(np.isfinite(loss), "loss", loss, "not finite")
        require(np.isfinite(rate), "learning_rate", rate, "not finite")
        require(~(norm < 0), "grad_norm", norm, "no norm of a gradient")  # an overflow of fp16 is none that is finite
        require(np.isfinite(seconds) & (seconds >= 0), "seconds", seconds, "no time since the first step began")
        require(np.diff(seconds, prepend=0) >= 0, "seconds", seconds, "less than before")
        return table
