"""THE MAIN LINE of a comparison: experiment -> comparison groups with scores, differences, verdicts, ranks and warnings.

Read `compare`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import PurePath
from typing import Any

import numpy as np

from bakeoff.analysis import choice
from bakeoff.analysis.across import across_tasks
from bakeoff.analysis.comparability import shown
from bakeoff.analysis.costs import compared_cost, cost_ratios
from bakeoff.analysis.curves import curve_of
from bakeoff.analysis.findings import Calibration, Comparison, ComparisonGroup, ImportedRow, NamedWarning
from bakeoff.analysis.flags.detectors import find_warnings, in_order, names_of
from bakeoff.analysis.flags.seeds import nothing_scored
from bakeoff.analysis.flags.wording import Judged
from bakeoff.analysis.looks import course_of, pairs_of, summary_of
from bakeoff.analysis.machines import unlike_times
from bakeoff.analysis.mistakes import by_label, hard_examples, label_names
from bakeoff.analysis.outputs import Outputs, why_uncut
from bakeoff.analysis.pareto import front_of
from bakeoff.analysis.prepared_group import MOST_ROWS, PreparedGroup, prepare
from bakeoff.analysis.recommendation import Recommendation, across_groups
from bakeoff.analysis.results import Collapsed, Pair, Row
from bakeoff.analysis.slices import slice_scores
from bakeoff.analysis.summary.rows import describe, layouts, unscored_of
from bakeoff.analysis.timings import RunTime
from bakeoff.analysis.verdicts import LEAST_SEEDS
from bakeoff.analysis.withholding import mark_of, slices_with_history, with_history, without_p
from bakeoff.contracts.metric import called, known_as
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import outputs_of
from bakeoff.records.provenance import BAKEOFF
from bakeoff.statistics.agreement import agreement
from bakeoff.statistics.best_of_n import expected_bests
from bakeoff.statistics.multiplicity import rank_intervals, tie_groups
from bakeoff.text.values import command, grouped, listed, spelt


def compare(experiment: Experiment) -> Comparison:
    """Every comparison group of the experiment, judged; warnings of all groups, most important first."""
    groups, unscored, warnings = list[ComparisonGroup](), list[ComparisonGroup](), list[NamedWarning]()
    recommendations, without = list[Recommendation](), list[Recommendation]()
    for layout in layouts(experiment):
        group = describe(experiment, layout)
        prepared = prepare(experiment, layout, group)
        if prepared is None:
            unscored.append(group)
            without.append(choice.unscored(group))
            warnings += nothing_scored(layout, experiment)
            continue
        judged = judge_group(prepared)
        raised = find_warnings(judged)
        rows = [row.model_copy(update={"warnings": names_of(row.strategy, raised)}) for row in judged.group.rows]
        groups.append(judged.group.model_copy(update={"rows": rows}))
        recommendations.append(choice.recommend(prepared, groups[-1]))
        warnings += raised
    declared, made = experiment.declared, [*recommendations, *without]
    return Comparison(
        recommendation=across_groups(made, [group.title for group in (*groups, *unscored)]),
        recommendations=made,
        declared=declared,
        answer=answer_of(groups),
        groups=groups,
        unscored=unscored,
        warnings=in_order(warnings),
        across=None if without_p(experiment) else across_tasks(groups),
        damaged=list(experiment.damaged),
        foreign=experiment.foreign,
        facts={
            "folders": list(experiment.folders),
            "commands": _commands(experiment),
            "runs_declared": len(declared.runs),
            "runs_recorded": len(experiment.records),
            "under_test": list(dict.fromkeys([*declared.under_test, *(part for one in groups for part in one.under_test)])),
        },
    )


def judge_group(prepared: PreparedGroup) -> Judged:
    """The group with all that the comparison of its rows adds, and what it was made from."""
    layout, terms, baseline, controls = prepared.layout, prepared.terms, prepared.layout.baseline, prepared.experiment.controls
    sides = prepared.sides if prepared.judges else {}
    ranked = [name for name in sides if prepared.ranked_with_baseline(name)]
    learned = [name for name in ranked if prepared.has_learned(name) and prepared.rankings[0][name] == 0]
    course = course_of(prepared) if prepared.experiment.declared.looks else None
    every = combinations([] if prepared.crowded else sides, 2)
    families = prepared.families(pair for pair in every if prepared.ranked_together(*pair))
    by_family = [prepared.compared(family) for family in families]
    compared = [one for family in by_family for one in family]
    tested = [pair for pair in compared if all(prepared.has_learned(side.name) for side in (pair.first, pair.second))]
    experiment = prepared.experiment
    words = experiment.declared.titles.task(layout.task), terms.metric, terms.figures
    timings = prepared.timings
    cost = compared_cost(layout.succeeded, baseline, timings)
    if course is None:
        with_baseline = prepared.families((name, layout.baseline_of[name]) for name in ranked if name not in layout.baselines)
        to_baseline = [one for family in with_baseline for one in prepared.judged(prepared.compared(family), thorough=True)]
        all_pairs = [one for family in by_family for one in prepared.judged(family, thorough=False)]
    else:
        to_baseline = [one for family in course.to_baseline for one in pairs_of(family, prepared)]
        all_pairs = [one for family in course.all_pairs for one in pairs_of(family, prepared, thorough=False)]
    front = front_of(prepared.rankings[0], tested, terms, cost, looked_at=course.judged if course else None)
    to_baseline, all_pairs = (with_history(pairs, experiment, *words) for pairs in (to_baseline, all_pairs))
    split = prepared.learned.splits.get(prepared.split)
    shown = [row.strategy for row in prepared.group.rows if prepared.has_learned(row.strategy)][:MOST_ROWS]
    names = label_names(prepared.data.labels, outputs_of(prepared.data))
    group = prepared.group.model_copy(
        update={
            "examples": prepared.data.splits[prepared.split].examples,
            "majority_baseline": prepared.majority_baseline,
            "margin": terms.margin,
            "margin_note": prepared.margin_note,
            "one_example": prepared.one_example,
            "rankings": prepared.rankings[1],
            "rows": _judged_rows(prepared, all_pairs, front, timings.run_times),
            "to_baseline": to_baseline,
            "all_pairs": all_pairs,
            "looks": summary_of(course, prepared, to_baseline, all_pairs) if course else None,
            "costs": cost_ratios(layout.succeeded, baseline, timings),
            "cost_axis": cost.axis if cost else None,
            "timed_on": timings.told,
            "unlike_times": unlike_times(layout.succeeded, baseline, controls),
            "slices": slices_with_history(
                slice_scores(split, prepared.metric, baseline=baseline, strategies=learned, label_names=prepared.data.labels),
                experiment,
                baseline,
            )
            if split and prepared.metric and prepared.has_learned(baseline)
            else [],
            "calibration": calibration_of(prepared.learned),
            "by_label": by_label(split, shown, names) if split else None,
            "hard_examples": hard_examples(split, prepared.split, shown, names) if split else None,
            "imported": _imported(prepared),
            "notes": [*_notes(prepared), *timings.notes(prepared.experiment.commands("time"))],
        }
    )
    group = group.model_copy(update={"answer": answer_on(group), "curve": curve_of(prepared, group)})
    return Judged(prepared.experiment, layout.rows, prepared.data, prepared.outputs, group)


def _commands(experiment: Experiment) -> list[str]:
    """The commands that reproduce the whole comparison."""
    folders = [PurePath(folder) for folder in experiment.folders]
    if not folders:
        return []
    into = ["--into", "FOLDER"] if len(folders) > 1 else []
    return [*(command("run", path) for path in experiment.spec_paths), command("report", *folders, *into)]


# --- the parts of a group ------------------------------------------------------------------------------------------------


def _judged_rows(
    prepared: PreparedGroup,
    all_pairs: Sequence[Pair],
    front: Mapping[str, tuple[float, list[str]]],
    run_times: Mapping[str, RunTime],
) -> list[Row]:
    """The leaderboard's rows with what follows from comparing them: intervals, ranks, runs that collapsed, and whether another
    row is both better and cheaper (`front`)."""
    ranks = {} if prepared.crowded or not prepared.judges or _unranked(prepared, all_pairs) else _ranks(prepared, all_pairs)
    metric, split = prepared.terms.metric, prepared.split
    found = []
    for row in prepared.group.rows:
        name, scores = row.strategy, prepared.scores(row)
        added: dict[str, Any] = {
            "scores": scores,
            "timed": run_times.get(name),
            "unscored": unscored_of(prepared.averaged(name)),
            "ranking": prepared.rankings[0].get(name, 0),
            "collapsed": [
                Collapsed(seed=record.requested.seed, score=record.scores.get(split, {}).get(metric))
                for record in prepared.layout.succeeded[name]
                if record.requested.seed in prepared.collapsed.get(name, ())
            ],
            "unlearned": prepared.unlearned.get(name),
            "above_majority_p": prepared.above_majority_p(name),
        }
        if name in prepared.keys:
            added["key"] = shown(prepared.keys[name])
        if name in ranks:
            added["rank"], added["tie_group"] = ranks[name]
        if name in front:
            added["front_probability"], added["dominated_by"] = front[name]
        if (score := scores.get(split, {}).get(metric)) and prepared.has_learned(name):
            added["expected_best"] = expected_bests(score.values, higher_is_better=prepared.terms.higher_is_better)
        found.append(row.model_copy(update=added))
    return found


def _unranked(prepared: PreparedGroup, all_pairs: Sequence[Pair]) -> bool:
    """Whether declared looks judge no pairs but those with the baseline, or none yet."""
    return bool(prepared.experiment.declared.looks) and all(pair.look is None for pair in all_pairs)


def _ranks(prepared: PreparedGroup, all_pairs: Sequence[Pair]) -> dict[str, tuple[tuple[int, int], int]]:
    """Row -> (rank interval, tie group) within its ranking; rows of too few runs that learned, or for which no p-value holds,
    have none."""
    found: dict[str, tuple[tuple[int, int], int]] = {}
    withheld = without_p(prepared.experiment)
    settled = [pair for pair in all_pairs if pair.verdict in ("better", "worse")]
    beats = {(pair.first, pair.second) if pair.verdict == "better" else (pair.second, pair.first) for pair in settled}
    rankings, _ = prepared.rankings
    for ranking in set(rankings.values()):
        sides = {name: side for name, side in prepared.sides.items() if prepared.has_learned(name)}
        enough = [name for name, side in sides.items() if len(side.seeds) >= LEAST_SEEDS or side.seed_free]
        names = [name for name in enough if rankings[name] == ranking and name not in withheld]
        if len(names) > 1:
            intervals = rank_intervals(np.array([[(one, other) in beats for other in names] for one in names]))
            found |= zip(names, zip(intervals, tie_groups(intervals), strict=True), strict=True)
    return found


def calibration_of(outputs: Outputs) -> list[Calibration]:
    return [
        Calibration(
            strategy=strategy,
            split=split,
            ece=float(values[:, 0].mean()),
            brier=float(values[:, 1].mean()),
            agreement=agreement(own.answers[strategy]),
        )
        for split, own in outputs.splits.items()
        for strategy, values in own.calibration.items()
    ]


def _imported(prepared: PreparedGroup) -> list[ImportedRow]:
    """The published figures for this task, under the names of its metrics (`f1` is `f1 (spam)`); those outside a metric's
    range are set apart."""
    units = {facts.name: unit_of(facts) for facts in prepared.data.metrics}

    def named(scores: Mapping[str, float], *, possible: bool) -> dict[str, float]:
        found = {known_as(metric, prepared.data.metrics): score for metric, score in scores.items()}
        return {
            metric: score for metric, score in found.items() if (metric not in units or units[metric].holds(score)) == possible
        }

    return [
        ImportedRow(
            name=row.name,
            source=row.source,
            split=row.split,
            scores=named(row.scores, possible=True),
            seeds=row.seeds,
            impossible=named(row.scores, possible=False),
        )
        for row in prepared.experiment.declared.imported
        if row.task in (None, prepared.layout.task)
    ]


def _notes(prepared: PreparedGroup) -> list[str]:
    found = [
        f"{metric} says nothing on {split}: {reason}. It is shown without figures there."
        for split, reasons in prepared.group.silent.items()
        for metric, reason in reasons.items()
    ]
    if prepared.split in prepared.outputs.splits:
        found += why_uncut(prepared.outputs.splits[prepared.split], prepared.split)
    found += _no_margin(prepared)
    found += [
        f"{row.strategy} does not depend on the seed, so that it has one run: it counts at every seed of the others, its "
        "variance over seeds is 0, and its own interval is for new examples only."
        for row in prepared.group.rows
        if row.seed_free and row.scored
    ]
    if once := sorted(prepared.terms.chosen_once):
        found.append(
            f"one search chose the configuration of {listed(once)}: another search may choose another, so verdicts are about "
            "these configurations and not about the strategies tuned anew; `search: {..., repeat: T}` judges those."
        )
    versions = grouped(
        (version, name)
        for name, records in prepared.layout.succeeded.items()
        for version in dict.fromkeys(record.environment.software.get(BAKEOFF, "unknown") for record in records)
    )
    if len(versions) > 1:
        told = listed([f"{version} ({listed(rows)})" for version, rows in versions.items()])
        found.append(f"made by more than one version of Bakeoff: {told}; its components' versions are the same.")
    if bare := [name for name, records in prepared.layout.succeeded.items() if records and name not in prepared.sides]:
        found.append(f"shown and not compared, for want of predictions: {listed(bare)}.")
    if prepared.crowded:
        found.append(
            f"{len(prepared.sides)} rows: only the differences to the baseline are tested, without a "
            "bootstrap beside the test where it needs none, and no ranks are given."
        )
    for name, split in prepared.data.splits.items():
        if not split.labelled:
            found.append(f"{name}: {split.examples:,} examples without labels, predicted and kept, not scored.")
    return found


def _no_margin(prepared: PreparedGroup) -> list[str]:
    """Why nothing can be equivalent, where rows are judged without a margin."""
    terms, declared = prepared.terms, prepared.experiment.declared.margin
    if terms.margin is not None or not prepared.judges or len(prepared.sides) < 2:
        return []
    told = ", ".join(f"{spelt(margin)} {unit}" for unit, margin in declared.items())
    why = f"the declared margin ({told}) is not in its unit" if declared else "none is declared"
    word = next(called(facts) for facts in prepared.data.metrics if facts.name == terms.metric)
    example = f"`margin: {{{word}: 0.05}}`"
    return [
        f"no margin holds for {terms.metric}: {why}, so that nothing is called equivalent. A new "
        f"experiment needs one like {example}, declared before its runs."
    ]


# --- words ---------------------------------------------------------------------------------------------------------------

VERDICTS = ("better", "worse", "equivalent", "identical", "confounded", "inconclusive", "futile", "open", "withheld")
"""All verdicts, in the order in which an answer tells them."""

NONE_LEARNED = "no run learned"
"""In place of a verdict, in an answer on the runs that learned."""


def answer_of(groups: Sequence[ComparisonGroup]) -> str:
    """The whole comparison, in one sentence for each group."""
    if not groups:
        return "Nothing is recorded that could be compared."
    return " ".join(f"{group.title}: {group.answer}" if len(groups) > 1 else group.answer for group in groups)


def answer_on(group: ComparisonGroup) -> str:
    """The group's result in one sentence: that of its pair where there is only one, else which verdict each row has against
    the baseline."""
    if group.vary:
        return _at_each_value(group)
    pairs = group.to_baseline
    if len(pairs) == 1:
        return pairs[0].told
    if not pairs:
        return _nothing_held(group)
    within = f" within {group.figures.as_declared(group.margin)}" if group.margin is not None else ""
    told = _in_order([(pair.verdict if pair.tested else NONE_LEARNED, pair.first) for pair in pairs], within)
    every = _in_order([(pair.all_runs.finding, pair.first) for pair in pairs if pair.all_runs])
    learned = ", of the runs that learned" if every else ""
    all_runs = f" Of all runs, those that collapsed or failed too: {every}." if every else ""
    changed = [what for pair in pairs[:1] for what in pair.question_changed]
    mark = f" {mark_of(changed)}" if changed else ""
    once = " This is about the configurations that a single search chose for each." if _searched_once(group) else ""
    place = f"by {group.metric} on {group.split} of {group.task_title}"
    return f"Against {group.baseline}, {place}{learned}: {told}.{all_runs}{once}{mark}"


def _at_each_value(group: ComparisonGroup) -> str:
    """The group's result where a recipe key varies: which verdict each row has against the baseline, value by value."""
    assert group.vary is not None
    strategy_of, place_of = group.vary.strategy_of, group.vary.place_of
    within = f" within {group.figures.as_declared(group.margin)}" if group.margin is not None else ""
    told = []
    for place, pairs in sorted(grouped((place_of.get(pair.first, -1), pair) for pair in group.to_baseline).items()):
        verdicts = [(pair.verdict if pair.tested else NONE_LEARNED, strategy_of.get(pair.first, pair.first)) for pair in pairs]
        told.append(f"with {group.vary.word(place)}, {_in_order(verdicts, within)}")
    if not told:
        return _nothing_held(group)
    every = " Runs that collapsed or failed are left out." if any(pair.all_runs for pair in group.to_baseline) else ""
    once = " This is about the configurations that a single search chose for each." if _searched_once(group) else ""
    return (
        f"Against {group.against}, by {group.metric} on {group.split} of {group.task_title}: {'; '.join(told)}. Each value is "
        f"judged by itself.{every}{once}"
    )


def _searched_once(group: ComparisonGroup) -> list[str]:
    """Compared rows whose configuration a single search chose."""
    compared = dict.fromkeys(name for pair in group.to_baseline for name in (pair.second, pair.first))
    return [name for name in compared if (found := group.searches.get(name)) is not None and found.repeat == 1]


def _in_order(verdicts: Sequence[tuple[str, str]], within: str = "") -> str:
    """Verdicts as a clause, `worse: lora; equivalent within 1.0 points: full and again`. verdicts: (verdict, row)."""
    return "; ".join(
        f"{verdict}{within if verdict == 'equivalent' else ''}: {listed(names)}"
        for verdict in (*VERDICTS, NONE_LEARNED)
        if (names := [row for given, row in verdicts if given == verdict])
    )


def _nothing_held(group: ComparisonGroup) -> str:
    """Why no row is compared with the baseline, as a sentence."""
    if reason := group.silent.get(group.split, {}).get(group.metric):
        return (
            f"{group.metric} says nothing on {group.split} of {group.task_title}: {reason}. No row can be better or worse by "
            "it there; report on another split in a new experiment, or look at another metric with `bakeoff rescore`."
        )
    others = [row.strategy for row in group.rows if row.scores and not row.baseline]
    if not others:
        return f"Only {group.baseline} can be shown: there is no other row to compare with it."
    if not any(row.scores for row in group.rows if row.baseline):
        return f"{group.baseline}, the baseline, has no run that succeeded: {listed(others)} can be compared with nothing."
    return (
        f"No row can be compared with {group.baseline}: the other rows were made under other conditions, or their predictions "
        "are not recorded."
    )
