"""A report for programs: JSON, and CSV with a row for each task, model and strategy and each majority
baseline. Numbers keep ten significant digits: more are not the same on every machine (`numbers.portable`).

The CSV's columns, in this order (a cell that does not apply or is not known is empty):

- `task, model, strategy, baseline, trainer, method`
- `seed_free`, whether the row does not depend on the seed, where there is such a row;
- `seeds_declared, seeds_scored, collapsed, failures, missing`; every mean and sd is over the `seeds_scored` without the
  `collapsed`, or over all of them where all collapsed
- `unlearned_low, unlearned_high`: 95 % interval of the share of runs that collapsed or failed
- `<split>_<metric>_mean, <split>_<metric>_sd, <split>_<metric>_low, <split>_<metric>_high` for every predicted split (the one
  reported on first) and metric (the primary one first); low and high are the 95 % interval; in the metric's own unit, so that
  an accuracy is between 0 and 1
- `rank_low, rank_high`: the best and the worst rank that the verdicts over all pairs leave open
- `difference, difference_low, difference_high, p, p_adjusted, verdict, question_changed, confounded_by, detectable,
  detectable_low, detectable_high`: of the primary metric on the split that is reported on, the row minus the baseline, of the
  runs that learned; `p_adjusted` by Holm;
  `question_changed` names what of the question was changed when results were known
- `difference_level, look, looks`: the confidence of `difference_low` to `difference_high`, and with declared looks which of how
  many judged the row last; `p_adjusted` is then scaled so that 0.05 is what that look asks for
- `all_runs_difference, all_runs_low, all_runs_high, all_runs_p_adjusted, all_runs_verdict`: the same of all runs, those that
  collapsed or failed counted as the majority baseline; empty where there are none. The verdict is `better` or `worse` only
  where `verdict` says so too, or no run of a side learned
- `train_seconds, evaluate_seconds, train_samples_per_second, evaluate_samples_per_second, energy_joules`, each as
  `<name>_mean, <name>_sd`
- `times_comparable, peak_memory_bytes_max, peak_device_memory_bytes_max`
- `timed_run_seconds, timed_train_seconds, timed_evaluate_seconds`, each with `<name>_ratio, <name>_ratio_low,
  <name>_ratio_high` to the baseline's: of one run by `bakeoff time`; these columns are there where that has measured
- `curve_strategy, curve_place`: where a recipe key varies, the strategy as the experiment file names it, and the key's value
  as a number (of `all` training examples, how many they are); these columns are there where there are curves
- `parameters, trainable, steps, replicate, select`
- `recipe_<key>` for every key of the recipe; lists are JSON
- `warnings`, separated by `; `

The majority baseline's strategy is `majority baseline`.

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

from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.recipes import RECIPE
from bakeoff.analysis.results import Pair, Row
from bakeoff.report.cells import MAJORITY
from bakeoff.report.formats import TABLE_FORMAT
from bakeoff.report.notes import owned
from bakeoff.text.numbers import portable
from bakeoff.text.words import escaped, is_shown

COSTS = (
    "train_seconds",
    "evaluate_seconds",
    "train_samples_per_second",
    "evaluate_samples_per_second",
    "energy_joules",
)
TIMED = {
    "timed_run_seconds": ("total", "total_seconds"),
    "timed_train_seconds": ("train", "train_seconds"),
    "timed_evaluate_seconds": ("evaluate", "evaluate_seconds"),
}
"""Column -> part of a row's `RunTime`, and the quantity of its ratio."""
NUMBERS = ("mean", "sd", "low", "high")
VERDICT = (
    *("rank_low", "rank_high"),
    *("difference", "difference_low", "difference_high", "p", "p_adjusted", "verdict"),
    *("question_changed", "confounded_by", "detectable", "detectable_low", "detectable_high"),
    *("difference_level", "look", "looks"),
    *("all_runs_difference", "all_runs_low", "all_runs_high", "all_runs_p_adjusted", "all_runs_verdict"),
)
CURVE = ("curve_strategy", "curve_place")
FACTS = ("parameters", "trainable", "steps", "replicate", "select")


def write_csv(comparison: Comparison) -> str:
    """The text of `table.csv`."""
    scores = dict.fromkeys(
        f"{split}_{metric.name}_{number}"
        for group in comparison.every_group
        for split in group.splits
        for metric in group.metrics
        for number in NUMBERS
    )
    recipe = dict.fromkeys(
        key.replace(RECIPE, "recipe_", 1)
        for group in comparison.every_group
        for row in group.rows
        for key in row.facts
        if key.startswith(RECIPE)
    )
    any_timed = any(row.timed for group in comparison.every_group for row in group.rows)
    columns = [
        *("task", "model", "strategy", "baseline", "trainer", "method"),
        *(["seed_free"] if any(row.seed_free for group in comparison.every_group for row in group.rows) else ()),
        *("seeds_declared", "seeds_scored", "collapsed", "failures", "missing", "unlearned_low", "unlearned_high"),
        *scores,
        *VERDICT,
        *(f"{cost}_{number}" for cost in COSTS for number in ("mean", "sd")),
        *("times_comparable", "peak_memory_bytes_max", "peak_device_memory_bytes_max"),
        *(f"{name}{end}" for name in TIMED if any_timed for end in ("", "_ratio", "_ratio_low", "_ratio_high")),
        *(CURVE if any(group.curve for group in comparison.every_group) else ()),
        *FACTS,
        *recipe,
        "warnings",
    ]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(cell_of, columns))
    for group in comparison.every_group:
        pairs = group.pairs
        rows = [_strategy(row, pairs.get(row.strategy), group) for row in group.rows]
        rows += [_majority_baseline(group)] if group.data is not None else []
        writer.writerows([cell_of(portable(row.get(column))) for column in columns] for row in rows)
    return stream.getvalue()


FORMULA: Final = "[-=+@\uff0d\uff1d\uff0b\uff20]"
"""First characters of a formula, full-width forms included."""
COMPUTED: Final = re.compile(rf"\s*{FORMULA}(?!(?<=[-+])\d+(\.\d+)?([eE][-+]?\d+)?$)|'")
SECOND: Final = re.compile(rf"(?<=;)([\s\"']*)({FORMULA})")
"""A formula's first character after a semicolon, which begins a new cell in programs that separate cells by semicolons."""


def cell_of(value: Any) -> Any:
    """A value as a cell: text that a spreadsheet could run, or that hides characters, is marked and escaped."""
    if not isinstance(value, str) or (is_shown(value) and not COMPUTED.match(value) and not SECOND.search(value)):
        return value
    shown = escaped(value.replace("\\", "\\\\"))
    return "'" + SECOND.sub(lambda found: f"{found[1]}\\u{ord(found[2]):04x}", shown)


def text_of(cell: str) -> str:
    """The original text of a cell that `cell_of` made."""
    return cell[1:].encode("latin-1", "backslashreplace").decode("unicode_escape") if cell.startswith("'") else cell


def write_json(comparison: Comparison) -> str:
    """The whole comparison as JSON, in ASCII, with ten significant digits; every other output is rounded from these."""
    plain = {"format": TABLE_FORMAT, **comparison.model_dump(mode="json", exclude={"declared": {"runs"}})}
    return json.dumps(portable(plain), indent=1, allow_nan=False) + "\n"


def _strategy(row: Row, pair: Pair | None, group: ComparisonGroup) -> dict[str, Any]:
    """Column -> value of a strategy's row; columns that do not apply are left out."""
    scores = [(split, metric, score) for split, found in row.scores.items() for metric, score in found.items()]
    costs = {cost: number for cost in COSTS if (number := getattr(row, cost)) is not None}
    return {
        "task": group.task,
        "model": group.model,
        "strategy": row.strategy,
        "baseline": _plain(row.baseline),
        "trainer": row.trainer,
        "method": row.method,
        "seeds_declared": len(row.seeds),
        "seed_free": _plain(row.seed_free),
        "seeds_scored": len(row.scored),
        "collapsed": len(row.collapsed),
        "failures": len(row.failed),
        "missing": len(row.missing),
        "unlearned_low": row.unlearned.low if row.unlearned else None,
        "unlearned_high": row.unlearned.high if row.unlearned else None,
        **{f"{split}_{metric}_{number}": getattr(score, number) for split, metric, score in scores for number in NUMBERS},
        **dict(zip(("rank_low", "rank_high"), row.rank or (), strict=False)),
        **(_difference(pair) if pair else {}),
        **{f"{cost}_{number}": getattr(found, number) for cost, found in costs.items() for number in ("mean", "sd")},
        "times_comparable": _plain(not row.elsewhere),
        "peak_memory_bytes_max": row.peak_memory_bytes,
        "peak_device_memory_bytes_max": row.peak_device_memory_bytes,
        **_timed(row, group),
        **_place(row, group),
        **{name.replace(RECIPE, "recipe_", 1): _plain(value) for name, value in row.facts.items()},
        "warnings": "; ".join([*row.warnings, *owned(row)]),
    }


def _timed(row: Row, group: ComparisonGroup) -> dict[str, Any]:
    if row.timed is None:
        return {}
    found: dict[str, Any] = {}
    for name, (part, quantity) in TIMED.items():
        found[name] = getattr(row.timed, part).seconds
        if (ratio := group.ratios.get((row.strategy, quantity))) is not None:
            found |= {f"{name}_ratio": ratio.ratio, f"{name}_ratio_low": ratio.low, f"{name}_ratio_high": ratio.high}
    return found


def _place(row: Row, group: ComparisonGroup) -> dict[str, Any]:
    """The row's cells under `CURVE`: its strategy and its place on the strategy's curve; empty where it is on none."""
    for curve in group.curve.strategies if group.curve else ():
        for point in curve.points:
            if point.row == row.strategy:
                return dict(zip(CURVE, (curve.strategy, point.place), strict=True))
    return {}


def _difference(pair: Pair) -> dict[str, Any]:
    every = pair.all_runs
    return {
        "difference_level": None if pair.low is None else pair.level,
        **({"look": pair.look.number, "looks": pair.look.looks} if pair.look else {}),
        "difference": pair.difference,
        "difference_low": pair.low,
        "difference_high": pair.high,
        "p": pair.p,
        "p_adjusted": pair.p_adjusted,
        "verdict": pair.verdict,
        "question_changed": ", ".join(pair.question_changed),
        "confounded_by": ", ".join(fact.subject for fact in pair.confounders),
        "detectable": pair.detectable,
        "detectable_low": pair.detectable_range[0] if pair.detectable_range else None,
        "detectable_high": pair.detectable_range[1] if pair.detectable_range else None,
        **{f"all_runs_{name}": getattr(every, name, None) for name in ("difference", "low", "high", "p_adjusted")},
        "all_runs_verdict": every.finding if every else None,
    }


def _majority_baseline(group: ComparisonGroup) -> dict[str, Any]:
    scores = {
        f"{split}_{metric.name}_mean": group.majority_baseline_of(split, metric.name)
        for split in group.splits
        for metric in group.metrics
    }
    return {"task": group.task, "model": group.model, "strategy": MAJORITY, "baseline": _plain(False), **scores}


def _plain(value: Any) -> Any:
    """The value, with Booleans, lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, bool | list | tuple | dict) else value
