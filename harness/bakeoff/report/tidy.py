"""A report for programs, in full precision: JSON, and CSV with a row for each task, model and strategy and each floor.

The CSV's columns, in this order (a cell that does not apply or is not known is empty):

- `task, model, strategy, baseline, trainer, method`
- `seeds_declared, seeds_scored, failures, missing`; `seeds_scored` is the n of every mean and sd
- `<split>_<metric>_mean, <split>_<metric>_sd` for every predicted split (the one reported on first) and metric (the primary one
  first); not multiplied
- `train_seconds, evaluate_seconds, train_samples_per_second, evaluate_samples_per_second, energy_joules`, each as
  `<name>_mean, <name>_sd`
- `times_comparable, peak_memory_bytes_max, peak_device_memory_bytes_max`
- `parameters, trainable, steps, replicate, select`
- `recipe_<key>` for every key of the recipe; lists are JSON
- `flags`, separated by `; `

The floor's strategy is `majority floor`.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from bakeoff.report.facts import RECIPE
from bakeoff.report.flags import flags_of, sentences
from bakeoff.report.page import FLOOR
from bakeoff.report.table import Report, Row, Table

COSTS = (
    "train_seconds",
    "evaluate_seconds",
    "train_samples_per_second",
    "evaluate_samples_per_second",
    "energy_joules",
)
FACTS = ("parameters", "trainable", "steps", "replicate", "select")


def write_csv(report: Report) -> str:
    """The whole `table.csv`."""
    scores = dict.fromkeys(
        f"{split}_{metric.name}_{number}"
        for table in report.tables
        for split in table.splits
        for metric in table.metrics
        for number in ("mean", "sd")
    )
    recipe = dict.fromkeys(
        key.replace(RECIPE, "recipe_", 1)
        for table in report.tables
        for row in table.rows
        for key in row.facts
        if key.startswith(RECIPE)
    )
    columns = [
        *("task", "model", "strategy", "baseline", "trainer", "method"),
        *("seeds_declared", "seeds_scored", "failures", "missing"),
        *scores,
        *(f"{cost}_{number}" for cost in COSTS for number in ("mean", "sd")),
        *("times_comparable", "peak_memory_bytes_max", "peak_device_memory_bytes_max"),
        *FACTS,
        *recipe,
        "flags",
    ]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for table in report.tables:
        writer.writerows(_strategy(row, table) for row in table.rows)
        if table.data is not None:
            writer.writerow(_floor(table))
    return stream.getvalue()


def write_json(report: Report) -> str:
    """The report's own keys, with `flags` in every row and the `notes` that explain them in every table; ASCII only."""
    plain = report.model_dump(mode="json", exclude={"declared": {"runs"}})
    for table, entry in zip(report.tables, plain["tables"], strict=True):
        entry["notes"] = sentences(table, report.declared)
        for row, cells in zip(table.rows, entry["rows"], strict=True):
            cells["flags"] = flags_of(row, table)
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"


def _strategy(row: Row, table: Table) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "task": table.task,
        "model": table.model,
        "strategy": row.strategy,
        "baseline": _plain(row.baseline),
        "trainer": row.trainer,
        "method": row.method,
        "seeds_declared": len(row.seeds),
        "seeds_scored": len(row.scored),
        "failures": len(row.failed),
        "missing": len(row.missing),
        "times_comparable": _plain(not row.elsewhere),
        "peak_memory_bytes_max": row.peak_memory_bytes,
        "peak_device_memory_bytes_max": row.peak_device_memory_bytes,
        "flags": "; ".join(flags_of(row, table)),
    }
    for split, scores in row.scores.items():
        for metric, score in scores.items():
            cells |= {f"{split}_{metric}_mean": score.mean, f"{split}_{metric}_sd": score.sd}
    for cost in COSTS:
        if (number := getattr(row, cost)) is not None:
            cells |= {f"{cost}_mean": number.mean, f"{cost}_sd": number.sd}
    for name, value in row.facts.items():
        cells[name.replace(RECIPE, "recipe_", 1)] = _plain(value)
    return cells


def _floor(table: Table) -> dict[str, Any]:
    assert table.data is not None
    cells: dict[str, Any] = {"task": table.task, "model": table.model, "strategy": FLOOR, "baseline": _plain(False)}
    for split in table.splits:
        for metric, score in table.data.floor.get(split, {}).items():
            cells[f"{split}_{metric}_mean"] = score
    return cells


def _plain(value: Any) -> Any:
    """Truth values as JSON and most languages spell them; lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, bool | list | tuple | dict) else value
