"""Warnings about figures: selection-bias, different-data, different-metrics, published-figures, collapsed-runs (published)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np

from bakeoff.analysis.flags.wording import Found, Judged, clauses, grouped_by, named
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.metric import called, known_as
from bakeoff.contracts.metric_lookup import label_of, recorded_metric
from bakeoff.kinds import kind_named
from bakeoff.records.run_names import run_name
from bakeoff.records.schema import Selection
from bakeoff.statistics.best_of_n import grim
from bakeoff.statistics.power import best_epoch_optimism
from bakeoff.text.numbers import count, with_decimals
from bakeoff.text.values import spelt

FEWEST_DECIMALS = 3
"""A published figure with fewer decimals may equal a majority baseline by chance."""
OWN_DECIMALS = 9
"""To how many decimals recorded scores are compared: they are floats in full."""


def selection_bias(judged: Judged) -> Iterator[Found]:
    """selection-bias: the best of several states, picked on the very split that is reported."""
    group, gains = judged.group, dict[str, str]()
    for row, records in judged.succeeded.items():
        picked = [one for record in records if (one := record.selection) and one.split == group.split and one.evaluations > 1]
        if picked:
            gain = _luck(judged, picked)
            adds = "something, nobody computed how much," if gain is None else group.figures.with_unit(gain)
            gains[row] = f"the best of {max(one.evaluations for one in picked)} evaluations, which by luck alone adds {adds}"
    if gains:
        which = clauses(f"{named(rows)}: {gain}" for gain, rows in grouped_by(gains).items())
        others = sorted(split for split in group.splits if split != group.split)
        instead = f"'report_on: {others[0]}', or " if others else ""
        yield Found(
            gains,
            f"Picked on {group.split}, the split that is reported: {which} where skill stands still.",
            f"{instead}'select: last-epoch' in {judged.experiment.spec}, and run it {judged.in_new_folder}.",
        )


def used_for_choosing(judged: Judged) -> Iterator[Found]:
    """selection-bias: trainers that own their model asked for the labels of the split that is reported."""
    group = judged.group
    rows = [
        row
        for row, records in judged.succeeded.items()
        if any(one.used_dev and one.data and selection_split(one.data.splits) == group.split for one in records)
    ]
    if rows:
        others = sorted(split for split in group.splits if split != group.split)
        yield Found(
            rows,
            f"Given the labels of {group.split}, the split that is reported, to choose or to stop by: {named(rows)}. How much "
            "of their scores is luck is not known.",
            f"'report_on: {others[0] if others else 'test'}' in {judged.experiment.spec}, and run it {judged.in_new_folder}.",
        )


def searched_split(judged: Judged) -> Iterator[Found]:
    """selection-bias: the configuration was chosen by its scores on the split that is reported."""
    group = judged.group
    found = {
        name: len(one.configurations)
        for name, one in group.searches.items()
        if one.split == group.split and len(one.configurations) > 1
    }
    if found:
        which = clauses(f"{named(rows)}: the best of {many}" for many, rows in grouped_by(found).items())
        others = sorted(split for split in group.splits if split != group.split)
        instead = f"'report_on: {others[0]}'" if others else "a split of its own for the search, or 'search: none'"
        yield Found(
            found,
            f"Their configurations were chosen on {group.split}, the split that is reported: {which}. The choice fits the luck "
            "of these examples, whatever the seeds.",
            f"{instead} in {judged.experiment.spec}, and run it {judged.in_new_folder}.",
        )


def _luck(judged: Judged, picked: Sequence[Selection]) -> float | None:
    """How much picking the best of several states adds to the score by chance: mean over runs, in the metric's unit; None
    where it is not known.

    Records hold it as resampling gave it. Of older ones the formula for a share of right answers stands in, for two labels
    alone: with more, two states may differ in their answers and both be wrong.
    """
    own = [one for one in picked if one.metric in (None, judged.group.metric)]  # else in the unit of another metric
    known = [one.optimism for one in own if one.optimism is not None]
    if len(known) == len(picked):
        return fmean(known)
    discordances = [one.discordance for one in own if one.discordance is not None]
    if judged.group.metric != "accuracy" or len(judged.data.labels) != 2 or len(discordances) < len(picked):
        return None
    return best_epoch_optimism(max(one.evaluations for one in picked), fmean(discordances), max(judged.group.examples, 1))


def mixed_splits(judged: Judged) -> Iterator[Found]:
    """different-data: figures that were not measured on the same examples."""
    group = judged.group
    elsewhere = {
        row.strategy: " and ".join(sorted(row.scores)) for row in group.rows if row.scores and group.split not in row.scores
    }
    elsewhere |= {row.name: row.split for row in group.imported if row.split != group.split}
    splits = (
        f"{split} is what {named(rows)} were measured on, and {group.split} what is reported"
        for split, rows in grouped_by(elsewhere).items()
    )
    if elsewhere:
        yield Found(
            elsewhere,
            f"Mixed splits: {clauses(splits)}. Such figures cannot stand side by side.",
            f"Measure all on {group.split}, {judged.in_new_folder}; quote published figures only for that split.",
        )


def mixed_metrics(judged: Judged) -> Iterator[Found]:
    """different-metrics: figures under one name that are of more than one version."""
    versions = {
        row: named(
            dict.fromkeys(
                f"{facts.name} in version {facts.version}{'' if facts.higher_is_better else ' (lower is better)'}"
                for record in records
                for facts in (record.data.metrics if record.data else ())
                if facts.name == judged.group.metric
            )
        )
        for row, records in judged.succeeded.items()
    }
    rows_of = grouped_by({row: metric for row, metric in versions.items() if metric})
    if len(rows_of) > 1:
        yield Found(
            [row for rows in list(rows_of.values())[1:] for row in rows],
            f"Mixed metrics: {clauses(f'{metric} for {named(rows)}' for metric, rows in rows_of.items())}.",
            f"{judged.rescore_all} computes one version for all from the stored predictions; or run all "
            f"{judged.in_new_folder}.",
        )


def mistaken_figures(judged: Judged) -> Iterator[Found]:
    """different-metrics: figures that are not of the metric that they are called by."""
    wrong = dict(_mistaken_rows(judged))
    if wrong:
        yield Found(
            wrong,
            f"Not the metric it is called by: {clauses(wrong.values())}.",
            "Look up which metric was computed; a mean of accuracy and F1 is a third one.",
        )


def _mistaken_rows(judged: Judged) -> Iterator[tuple[str, str]]:
    """Rows with a score that belongs to another metric than its name says: published scores, and scores of runs that give one
    constant answer, if the built-in metric of that name gives those answers another score.

    Other runs are not judged: they may meet the majority baseline of another metric by chance (2/3 is one on every balanced
    split).
    """
    group, baselines = judged.group, _majority_baselines(judged)
    for result in group.rows:
        for split in judged.outputs.splits:
            for metric, seed, value in _constant_scores(judged, result.strategy, split):
                if meant := _gives_away(judged, value, metric, baselines.get(split, {}), OWN_DECIMALS):
                    shown = with_decimals(value, OWN_DECIMALS)
                    yield result.strategy, f"{run_name(result.strategy, seed)} has {metric} {shown}, {meant}"
                    break
    known = sorted(facts.name for facts in group.metrics)
    for row in group.imported:
        if strange := sorted({*row.scores, *row.impossible} - set(known)):
            yield row.name, f"{row.name} has {named(strange)}, which {group.task_title} has not (it has {named(known)})"
        for metric, value in row.impossible.items():
            yield (
                row.name,
                f"{row.name} has {metric} {spelt(value)}, which {_range_in_words(judged, metric)}, so it is not shown",
            )
        for metric, value in row.scores.items():
            digits = decimals(value)
            meant = _gives_away(judged, value, metric, baselines.get(row.split, {}), digits)
            if meant and digits >= FEWEST_DECIMALS:
                yield row.name, f"{row.name} has {metric} {spelt(value)}, {meant}"


def _constant_scores(judged: Judged, row: str, split: str) -> Iterator[tuple[str, int, float]]:
    """(metric, seed, recorded score) of the row's runs that always answer the same; not where the built-in metric of that name
    gives the same score."""
    own = judged.outputs.splits[split]
    if not own.labelled or row not in own.answers:
        return
    constant = dict(zip(own.seeds[row], np.ptp(own.answers[row], axis=1) == 0, strict=True))
    if not any(constant.values()):
        return
    scores = {record.requested.seed: record.scores.get(split, {}) for record in judged.succeeded[row]}
    for facts in judged.group.metrics:
        metric = recorded_metric(facts, kind_named(judged.data.kind))
        computed = own.measured(metric, row).scores if metric else None
        right = {} if computed is None else dict(zip(own.seeds[row], computed, strict=True))
        for seed in (seed for seed, alike in constant.items() if alike and facts.name in scores[seed]):
            if not abs(right.get(seed, math.nan) - scores[seed][facts.name]) <= 10.0**-OWN_DECIMALS:
                yield facts.name, seed, scores[seed][facts.name]


def _range_in_words(judged: Judged, metric: str) -> str:
    """The range of a metric, as the end of a sentence: `lies between 0 and 1 (84.07 points are 0.8407)`."""
    unit = judged.group.figures_by_metric[metric].unit
    if unit.low is None or unit.high is None:
        return f"is at least {spelt(unit.low)}" if unit.low is not None else f"is at most {spelt(unit.high)}"
    points = " (84.07 points are 0.8407)" if unit.scale == 100 else ""
    return f"lies between {spelt(unit.low)} and {spelt(unit.high)}{points}"


def _majority_baselines(judged: Judged) -> Mapping[str, Mapping[str, float]]:
    """split -> metric -> what answering with the majority's label scores; of accuracy and F1 also their mean."""
    f1, found = known_as("f1", judged.group.metrics), dict[str, dict[str, float]]()
    for split, scores in judged.data.majority_baseline.items():
        both = (
            {"the mean of accuracy and f1": (scores["accuracy"] + scores[f1]) / 2} if {"accuracy", f1} <= scores.keys() else {}
        )
        found[split] = {**scores, **both}
    return found


def _is(figure: float, score: float, digits: int) -> bool:
    """Whether a figure equals a score, when both are rounded to so many digits."""
    return abs(figure - score) <= 0.5 * 10.0**-digits + 1e-12


def _gives_away(judged: Judged, value: float, metric: str, baselines: Mapping[str, float], digits: int) -> str | None:
    """What the figure is instead of the metric that it is called by, in words: to its last printed digit, the score that
    another metric gives a model which learned nothing. None where it is nothing such.

    0 and the ends of a range give nothing away, since all metrics have them; and F1 of one class is F1 of whatever class.
    """
    known = judged.group.figures_by_metric.get(metric)
    if value == 0 or (known and value in (known.unit.low, known.unit.high)):
        return None
    bare = {facts.name: called(facts) for facts in judged.group.metrics}
    near = [name for name, score in baselines.items() if _is(value, score, digits)]
    others = sorted(name for name in near if bare.get(name, name) != bare.get(metric, metric))
    return f"the {others[0]} of always answering with the majority's label" if others and metric not in near else None


def decimals(value: float) -> int:
    """Decimals that a figure was printed with, as far as a float remembers them."""
    text = repr(float(value))
    return 0 if "e" in text or text.endswith(".0") else len(text.partition(".")[2])


def impossible_figures(judged: Judged) -> Iterator[Found]:
    """different-metrics: an accuracy and an F1 of one run that no confusion matrix of the split gives (GRIM)."""
    name, found = known_as("f1", judged.group.metrics), dict[str, str]()
    metric = judged.experiment.metrics.get(judged.group.task, {}).get(name)
    label = label_of(metric) if metric is not None else None
    for row in judged.group.imported:
        accuracy, f1, split = row.scores.get("accuracy"), row.scores.get(name), judged.outputs.splits.get(row.split)
        if accuracy is None or f1 is None or split is None or label is None or not split.labelled or row.seeds > 1:
            continue
        if not (0 <= accuracy <= 1 and 0 <= f1 <= 1 and set(np.unique(split.labels)) <= {0, 1}):
            continue
        positives, digits = int((split.labels == label).sum()), min(decimals(accuracy), decimals(f1))
        near = grim(accuracy, f1, positives=positives, negatives=len(split.labels) - positives, digits=digits)
        if not near.attainable:
            found[row.name] = (
                f"{row.name} has accuracy {spelt(accuracy)} with F1 {spelt(f1)}; the nearest that "
                f"{count(len(split.labels), 'example')} of {row.split} can give is {with_decimals(near.accuracy, digits)} with "
                f"{with_decimals(near.f1, digits)}"
            )
    if found:
        yield Found(
            found,
            f"Impossible figures: {clauses(found.values())}. They do not come from one evaluation of this split.",
            "Ask the source: two checkpoints, another split or a slip of the pen; do not quote them side by side.",
        )


def published_majority_baselines(judged: Judged) -> Iterator[Found]:
    """collapsed-runs: a published figure that is the majority baseline itself."""
    baselines = judged.data.majority_baseline
    stuck = {
        row.name: f"{metric} {spelt(value)} of {row.name}"
        for row in judged.group.imported
        for metric, value in row.scores.items()
        if (digits := decimals(value)) >= FEWEST_DECIMALS
        and _is(value, baselines.get(row.split, {}).get(metric, math.inf), digits)
    }
    if stuck:
        yield Found(
            stuck,
            f"{named(stuck.values())}: to the last digit what always answering with the majority's label gives. A "
            "collapsed run.",
            "Do not take it for a baseline; look for a figure of runs that learned.",
        )


def published_figures(judged: Judged) -> Iterator[Found]:
    """published-figures: figures of others, which enter no test."""
    rows = [row.name for row in judged.group.imported]
    if rows:
        yield Found(
            rows,
            f"{count(len(rows), 'row')} of figures {'was' if len(rows) == 1 else 'were'} copied, not run here: "
            f"{named(rows)}. Other code, data or machines may stand behind them; they enter no test.",
            f"Run their recipe here, as a strategy in {judged.experiment.spec}.",
        )
