"""Warnings about figures: selection-bias, different-data, different-metrics, published-figures, collapsed-runs (published)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.flags.wording import Found, amount, ended_well, grouped_by, in_new_folder, listed, rescore_all, spec, told
from bakeoff.contracts.metric import Metric, MetricFacts, called, known_as
from bakeoff.contracts.metric_lookup import label_of, recorded_metric
from bakeoff.kinds import kind_named
from bakeoff.records.schema import Selection
from bakeoff.statistics.best_of_n import grim
from bakeoff.statistics.power import best_epoch_optimism
from bakeoff.text.numbers import count, with_decimals
from bakeoff.text.values import spelt

FEWEST_DECIMALS = 3
"""An imported figure with fewer may meet a floor by chance."""
OWN_DECIMALS = 9
"""Recorded scores are floats in full."""


def picked_states(ground: Ground) -> Iterator[Found]:
    """selection-bias: the best of several states, picked on the very split that is reported."""
    board = ground.board
    gains: dict[str, str] = {}
    for row, records in ended_well(ground).items():
        picked = [
            r.selection for r in records if r.selection and r.selection.split == board.split and r.selection.evaluations > 1
        ]
        if picked:
            evaluations, gain = max(selection.evaluations for selection in picked), _luck(ground, picked)
            adds = "something, nobody computed how much," if gain is None else amount(gain, board)
            gains[row] = f"the best of {evaluations} evaluations, which by luck alone adds {adds}"
    if gains:
        which = told(f"{listed(rows)}: {gain}" for gain, rows in grouped_by(gains).items())
        others = sorted(
            {split for records in ended_well(ground).values() for r in records for split in r.scores} - {board.split}
        )
        instead = f"'report_on: {others[0]}', or " if others else ""
        yield Found(
            tuple(gains),
            f"Picked on {board.split}, the split that is reported: {which} where skill stands still.",
            f"{instead}'select: last-epoch' in {spec(ground)}, and run it {in_new_folder(ground)}.",
        )


def _luck(ground: Ground, picked: Sequence[Selection]) -> float | None:
    """What picking the best state adds by chance, in the mean over runs, in the metric's unit; None where nothing tells.

    Records hold it as resampling gave it. Of older ones the formula for a share of right answers stands in, and of two labels
    alone: with more, two states may differ in their answers and both be wrong.
    """
    recorded = [selection.optimism for selection in picked]
    known = [optimism for optimism in recorded if optimism is not None]
    if len(known) == len(recorded):
        return mean(known)
    discordances = [selection.discordance for selection in picked if selection.discordance is not None]
    labels = {len(record.data.labels) for records in ended_well(ground).values() for record in records if record.data}
    if ground.board.metric != "accuracy" or labels != {2} or len(discordances) < len(picked):
        return None
    evaluations = max(selection.evaluations for selection in picked)
    return best_epoch_optimism(evaluations, mean(discordances), max(ground.board.examples, 1))


def mixed_splits(ground: Ground) -> Iterator[Found]:
    """different-data: figures that were not measured on the same examples."""
    board = ground.board
    elsewhere = {
        row.strategy: " and ".join(sorted(row.scores)) for row in board.rows if row.scores and board.split not in row.scores
    }
    elsewhere |= {row.name: row.split for row in board.imported if row.split != board.split}
    told_of = [
        f"{split} is what {listed(rows)} were measured on, and {board.split} what the board reports"
        for split, rows in grouped_by(elsewhere).items()
    ]
    if told_of:
        yield Found(
            tuple(elsewhere),
            f"Mixed splits: {told(told_of)}. Such figures cannot stand side by side.",
            f"Measure all on {board.split}, {in_new_folder(ground)}; quote published figures only for that split.",
        )


def mixed_metrics(ground: Ground) -> Iterator[Found]:
    """different-metrics: figures under one name that are not of one metric."""
    board = ground.board
    named = {
        row: listed(
            dict.fromkeys(
                f"{facts.name} in version {facts.version}{'' if facts.higher_is_better else ' (lower is better)'}"
                for record in records
                for facts in (record.data.metrics if record.data else ())
                if facts.name == board.metric
            )
        )
        for row, records in ended_well(ground).items()
    }
    named = {row: metric for row, metric in named.items() if metric}
    if len(set(named.values())) > 1:
        usual = next(iter(named.values()))
        yield Found(
            tuple(row for row, metric in named.items() if metric != usual),
            f"Mixed metrics: {told(f'{metric} for {listed(rows)}' for metric, rows in grouped_by(named).items())}.",
            f"{rescore_all(ground)} computes one version for all from the stored predictions; or run all "
            f"{in_new_folder(ground)}.",
        )
    wrong = dict(_mistaken_rows(ground))
    if wrong:
        yield Found(
            tuple(wrong),
            f"Not the metric it is called by: {told(wrong.values())}.",
            "Look up which metric was computed; a mean of accuracy and F1 is a third one.",
        )


def _mistaken_rows(ground: Ground) -> Iterator[tuple[str, str]]:
    """Rows with a figure that gives another metric away: imported ones, and here those of runs that always answer the same,
    where it is not what the built-in metric of that name gives their answers.

    A run that learned may meet the floor of another metric by chance: 2/3 is one on every balanced split.
    """
    floors = _floors(ground)
    for standing in ground.board.rows:
        for split, metrics in standing.scores.items():
            constant = _constant_answers(ground, split, standing.strategy)
            for metric, score in metrics.items():
                ours = _built_in(ground, standing.strategy, metric) if constant else None
                for seed, value in zip(score.seeds, score.values, strict=True):
                    if seed not in constant or (ours and _gives(ours, *constant[seed], value)):
                        continue
                    if meant := _gives_away(ground, value, metric, floors.get(split, {}), OWN_DECIMALS):
                        yield (
                            standing.strategy,
                            f"{standing.strategy} has {metric} {with_decimals(value, OWN_DECIMALS)} at seed {seed}, {meant}",
                        )
                        break
    known = {facts.name for facts in _metrics(ground)}
    for row in ground.board.imported:
        strange = sorted({*row.scores, *row.impossible} - known)
        if strange and known:
            yield (
                row.name,
                f"{row.name} has {listed(strange)}, which {ground.board.task} has not (it has {listed(sorted(known))})",
            )
        for metric, value in row.impossible.items():
            yield row.name, f"{row.name} has {metric} {spelt(value)}, which {_range_told(ground, metric)}, so it is not shown"
        for metric, value in row.scores.items():
            if decimals(value) >= FEWEST_DECIMALS and (
                meant := _gives_away(ground, value, metric, floors.get(row.split, {}), decimals(value))
            ):
                yield row.name, f"{row.name} has {metric} {spelt(value)}, {meant}"


def _metrics(ground: Ground) -> list[MetricFacts]:
    """Of the board's task, as its records name them."""
    told = (facts for records in ground.records.values() for record in records if record.data for facts in record.data.metrics)
    return list({facts.name: facts for facts in told}.values())


def _range_told(ground: Ground, metric: str) -> str:
    """`lies between 0 and 1 (84.07 points are 0.8407)`."""
    unit = ground.board.figures_by_metric[metric].unit
    if unit.low is None or unit.high is None:
        return f"is at least {spelt(unit.low)}" if unit.low is not None else f"is at most {spelt(unit.high)}"
    points = " (84.07 points are 0.8407)" if unit.scale == 100 else ""
    return f"lies between {spelt(unit.low)} and {spelt(unit.high)}{points}"


def _constant_answers(ground: Ground, split: str, row: str) -> dict[int, tuple[NDArray[Any], NDArray[Any]]]:
    """Seed -> answers and right ones, (n,) each, of the row's runs that always answer the same."""
    there = ground.outputs.splits.get(split)
    if there is None or not there.labelled or row not in there.answers:
        return {}
    runs = zip(there.seeds[row], there.answers[row], strict=True)
    return {seed: (run, there.labels) for seed, run in runs if (run == run[:1]).all()}


def _built_in(ground: Ground, row: str, name: str) -> Metric | None:
    """The built-in metric that the row's records mean by the name; None where it is a plugin's or the hub's."""
    told = ((record.data.kind, facts) for record in ground.records[row] if record.data for facts in record.data.metrics)
    return next((recorded_metric(facts, kind_named(kind)) for kind, facts in told if facts.name == name), None)


def _gives(metric: Metric, answers: NDArray[Any], labels: NDArray[Any], value: float) -> bool:
    return abs(metric.score(answers, labels) - value) <= 10.0**-OWN_DECIMALS


def _floors(ground: Ground) -> Mapping[str, Mapping[str, float]]:
    """split -> metric -> what answering with the majority's label scores; of accuracy and F1 also their mean."""
    found: dict[str, dict[str, float]] = {}
    for records in ground.records.values():
        for record in records:
            for split, floor in (record.data.majority_baseline if record.data else {}).items():
                found.setdefault(split, dict(floor))
    for floor in found.values():
        f1 = known_as("f1", _metrics(ground))
        if {"accuracy", f1} <= floor.keys():
            floor["the mean of accuracy and f1"] = (floor["accuracy"] + floor[f1]) / 2
    return found


def _gives_away(ground: Ground, value: float, metric: str, floors: Mapping[str, float], digits: int) -> str | None:
    """What the figure is instead: to its last printed digit, what another metric gives a model that learned nothing.

    Nothing is told by 0 and the ends of a range, which all metrics have; and F1 of one class is F1 of whatever class.
    """
    known = ground.board.figures_by_metric.get(metric)
    if value == 0 or (known and value in (known.unit.low, known.unit.high)):
        return None
    bare = {facts.name: called(facts) for facts in _metrics(ground)}
    same = bare.get(metric, metric)
    floors = {name: floor for name, floor in floors.items() if name == metric or bare.get(name, name) != same}
    near = {name for name, floor in floors.items() if abs(value - floor) <= 0.5 * 10.0**-digits + 1e-12}
    other = sorted(near - {metric})
    return None if metric in near or not other else f"the {other[0]} of always answering with the majority's label"


def decimals(value: float) -> int:
    """Decimals that a figure was printed with, as far as a float remembers them."""
    text = repr(float(value))
    return 0 if "e" in text or text.endswith(".0") else len(text.partition(".")[2])


def impossible_figures(ground: Ground) -> Iterator[Found]:
    """different-metrics: an accuracy and an F1 that no confusion matrix of the split gives (GRIM)."""
    found: dict[str, str] = {}
    for row in ground.board.imported:
        name = known_as("f1", _metrics(ground))
        accuracy, f1 = row.scores.get("accuracy"), row.scores.get(name)
        split = ground.outputs.splits.get(row.split)
        if (
            accuracy is None
            or f1 is None
            or split is None
            or not split.labelled
            or row.seeds > 1
            or not (0 <= accuracy <= 1 and 0 <= f1 <= 1)
        ):
            continue
        if not set(np.unique(split.labels).tolist()) <= {0, 1}:
            continue
        metric = ground.experiment.metrics.get(ground.board.task, {}).get(name)
        number = label_of(metric) if metric is not None else None
        if number is None:
            continue
        positives = int((split.labels == number).sum())
        digits = min(decimals(accuracy), decimals(f1))
        near = grim(accuracy, f1, positives=positives, negatives=len(split.labels) - positives, digits=digits)
        if not near.attainable:
            found[row.name] = (
                f"{row.name} has accuracy {spelt(accuracy)} with F1 {spelt(f1)}; the nearest that "
                f"{count(len(split.labels), 'example')} of "
                f"{row.split} can give is {with_decimals(near.accuracy, digits)} with {with_decimals(near.f1, digits)}"
            )
    if found:
        yield Found(
            tuple(found),
            f"Impossible figures: {told(found.values())}. They do not come from one evaluation of this split.",
            "Ask the source: two checkpoints, another split or a slip of the pen; do not quote them side by side.",
        )


def imported_floors(ground: Ground) -> Iterator[Found]:
    """collapsed-runs: a published figure that is the majority's floor itself."""
    floors = _floors(ground)
    stuck = {
        row.name: f"{metric} {spelt(value)} of {row.name}"
        for row in ground.board.imported
        for metric, value in row.scores.items()
        if decimals(value) >= FEWEST_DECIMALS
        and abs(value - floors.get(row.split, {}).get(metric, np.inf)) <= 0.5 * 10.0 ** -decimals(value) + 1e-12
    }
    if stuck:
        yield Found(
            tuple(stuck),
            f"{listed(stuck.values())}: to the last digit what always answering with the majority's label gives. A "
            "collapsed run.",
            "Do not take it for a baseline; look for a figure of runs that learned.",
        )


def copied_figures(ground: Ground) -> Iterator[Found]:
    """published-figures: figures of others, which enter no test."""
    rows = ground.board.imported
    if rows:
        yield Found(
            tuple(row.name for row in rows),
            f"{count(len(rows), 'row')} of figures {'was' if len(rows) == 1 else 'were'} copied, not run here: "
            f"{listed(row.name for row in rows)}. Other code, data or machines may stand behind them; they enter no test.",
            f"Run their recipe here, as a strategy in {spec(ground)}.",
        )
