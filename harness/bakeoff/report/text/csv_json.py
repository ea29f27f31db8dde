"""A report for programs: JSON, and CSV with a row for each task, model and strategy and each floor. Numbers keep ten
significant digits: more are not the same on every machine (`spelling.portable`).

The CSV's columns, in this order (a cell that does not apply or is not known is empty):

- `task, model, strategy, baseline, trainer, method`
- `seeds_declared, seeds_scored, failures, missing`; `seeds_scored` is the n of every mean and sd
- `<split>_<metric>_mean, <split>_<metric>_sd, <split>_<metric>_low, <split>_<metric>_high` for every predicted split (the one
  reported on first) and metric (the primary one first); low and high are the 95 % interval; not multiplied
- `rank_low, rank_high`: what the verdicts over all pairs leave open
- `difference, difference_low, difference_high, p, p_adjusted, verdict, confounded_by, detectable`: of the primary metric on the
  split that is reported on, the row minus the baseline; `p_adjusted` by Holm
- `train_seconds, evaluate_seconds, train_samples_per_second, evaluate_samples_per_second, energy_joules`, each as
  `<name>_mean, <name>_sd`
- `times_comparable, peak_memory_bytes_max, peak_device_memory_bytes_max`
- `parameters, trainable, steps, replicate, select`
- `recipe_<key>` for every key of the recipe; lists are JSON
- `warnings`, separated by `; `

The floor's strategy is `majority floor`.

A text that a spreadsheet could take for a formula, or in which something can't be seen, is marked: an apostrophe stands before
it, and it has Python's escapes (two backslashes for one). Numbers and all other texts stand as they are; `text_of` reads both.
In another program: of a cell that begins with an apostrophe take that away, and read the escapes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any, Final

from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.summary.facts import RECIPE
from bakeoff.analysis.summary.rows import Report, Row, Table
from bakeoff.report.row_notes import owned, sentences
from bakeoff.report.text.board_columns import Standings, standings_of
from bakeoff.report.text.table_md import FLOOR
from bakeoff.text.values import portable
from bakeoff.text.words import escaped, is_shown

COSTS = (
    "train_seconds",
    "evaluate_seconds",
    "train_samples_per_second",
    "evaluate_samples_per_second",
    "energy_joules",
)
VERDICT = (
    *("rank_low", "rank_high"),
    *("difference", "difference_low", "difference_high", "p", "p_adjusted", "verdict", "confounded_by", "detectable"),
)
FACTS = ("parameters", "trainable", "steps", "replicate", "select")


def write_csv(report: Report, comparison: Comparison) -> str:
    """The whole `table.csv`."""
    scores = dict.fromkeys(
        f"{split}_{metric.name}_{number}"
        for table in report.tables
        for split in table.splits
        for metric in table.metrics
        for number in ("mean", "sd", "low", "high")
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
        *VERDICT,
        *(f"{cost}_{number}" for cost in COSTS for number in ("mean", "sd")),
        *("times_comparable", "peak_memory_bytes_max", "peak_device_memory_bytes_max"),
        *FACTS,
        *recipe,
        "warnings",
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(cell_of, columns))
    for table in report.tables:
        standings = standings_of(comparison, table.task, table.model)
        rows = [_strategy(row, standings, table) for row in table.rows]
        rows += [_floor(table)] if table.data is not None else []
        writer.writerows([cell_of(portable(row.get(column))) for column in columns] for row in rows)
    return stream.getvalue()


FORMULA: Final = "[-=+@\uff0d\uff1d\uff0b\uff20]"
"""How a formula begins, in full width too."""
COMPUTED: Final = re.compile(rf"\s*{FORMULA}(?!(?<=[-+])\d+(\.\d+)?([eE][-+]?\d+)?$)|'")
SECOND: Final = re.compile(rf"(?<=;)([\s\"']*)({FORMULA})")
"""What would begin a cell where semicolons stand between cells."""


def cell_of(value: Any) -> Any:
    """A value as it stands in a cell: a text that could be more than text, or hides something, is marked."""
    if not isinstance(value, str) or (is_shown(value) and not COMPUTED.match(value) and not SECOND.search(value)):
        return value
    shown = escaped(value.replace("\\", "\\\\"))
    return "'" + SECOND.sub(lambda found: f"{found[1]}{_numbered(found[2])}", shown)


def text_of(cell: str) -> str:
    """The text that stands in a cell."""
    return cell[1:].encode("latin-1", "backslashreplace").decode("unicode_escape") if cell.startswith("'") else cell


def _numbered(character: str) -> str:
    return f"\\u{ord(character):04x}"


def write_json(report: Report, comparison: Comparison) -> str:
    """The tables' own keys and, under `comparison`, all that was found; ASCII only."""
    plain = report.model_dump(mode="json", exclude={"declared": {"runs"}})
    for table, entry in zip(report.tables, plain["tables"], strict=True):
        standings = standings_of(comparison, table.task, table.model)
        entry["notes"] = sentences(table, comparison.facts.get("commands", []))
        for row, cells in zip(table.rows, entry["rows"], strict=True):
            cells["warnings"] = [*standings.codes(row.strategy), *owned(row)]
    whole = portable(plain | {"comparison": comparison.model_dump(mode="json")})
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _strategy(row: Row, standings: Standings, table: Table) -> dict[str, Any]:
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
        "warnings": "; ".join([*standings.codes(row.strategy), *owned(row)]),
    }
    for split, scores in row.scores.items():
        for metric, score in scores.items():
            cells |= {f"{split}_{metric}_mean": score.mean, f"{split}_{metric}_sd": score.sd}
    cells |= _verdict(row, standings)
    for cost in COSTS:
        if (number := getattr(row, cost)) is not None:
            cells |= {f"{cost}_mean": number.mean, f"{cost}_sd": number.sd}
    for name, value in row.facts.items():
        cells[name.replace(RECIPE, "recipe_", 1)] = _plain(value)
    return cells


def _verdict(row: Row, standings: Standings) -> dict[str, Any]:
    """Intervals, rank, and the difference to the baseline."""
    standing, pair = standings.rows.get(row.strategy), standings.pairs.get(row.strategy)
    if standing is None:
        return {}
    cells: dict[str, Any] = {
        f"{split}_{metric}_{bound}": getattr(score, bound)
        for split, scores in standing.scores.items()
        for metric, score in scores.items()
        for bound in ("low", "high")
    }
    if standing.rank is not None:
        cells |= {"rank_low": standing.rank[0], "rank_high": standing.rank[1]}
    if pair is not None:
        cells |= {
            "difference": pair.difference,
            "difference_low": pair.low,
            "difference_high": pair.high,
            "p": pair.p,
            "p_adjusted": pair.p_adjusted,
            "verdict": pair.verdict,
            "confounded_by": ", ".join(fact.subject for fact in pair.confounders),
            "detectable": pair.detectable,
        }
    return cells


def _floor(table: Table) -> dict[str, Any]:
    assert table.data is not None
    cells: dict[str, Any] = {"task": table.task, "model": table.model, "strategy": FLOOR, "baseline": _plain(False)}
    for split in table.splits:
        for metric, score in table.data.majority_baseline.get(split, {}).items():
            cells[f"{split}_{metric}_mean"] = score
    return cells


def _plain(value: Any) -> Any:
    """Truth values as JSON and most languages spell them; lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, bool | list | tuple | dict) else value
