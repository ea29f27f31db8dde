"""THE MAIN LINE of a comparison: experiment -> boards: scores, differences, verdicts, ranks and warnings. Read `compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from bakeoff.analysis.across import across_tasks
from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.comparability import shown
from bakeoff.analysis.findings import Board, Calibration, Comparison, ImportedRow, NamedWarning, Pair
from bakeoff.analysis.flags.detectors import find_warnings, in_order, names_of
from bakeoff.analysis.flags.seeds import without_board
from bakeoff.analysis.outputs import Outputs, why_uncut
from bakeoff.analysis.pareto import Place, cost_ratios, front_of
from bakeoff.analysis.prepared_board import Bench, prepared
from bakeoff.analysis.row import Row, Score
from bakeoff.analysis.row_scores import Degenerate, degenerate_seeds
from bakeoff.analysis.slices import slice_scores
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.analysis.verdicts import LEAST_SEEDS, judge
from bakeoff.contracts.metric import called, known_as
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.records.experiment import Experiment
from bakeoff.records.provenance import BAKEOFF
from bakeoff.statistics.best_of_n import expected_bests
from bakeoff.statistics.calibration import agreement
from bakeoff.statistics.multiplicity import rank_intervals, tie_groups
from bakeoff.text.values import command, listed, spelt


def compare(experiment: Experiment) -> Comparison:
    """Every board of the experiment, judged; warnings of all boards, most important first."""
    boards, unscored, warnings = list[Board](), list[Board](), list[NamedWarning]()
    for layout in layouts(experiment):
        board = describe(experiment, layout)
        bench = prepared(experiment, layout, board)
        if bench is None:
            unscored.append(board)
            warnings += filter(None, [without_board(layout, experiment)])
            continue
        ground = judged(bench)
        raised = find_warnings(ground)
        boards.append(_with_warnings(ground.board, raised))
        warnings += raised
    declared = experiment.declared
    return Comparison(
        declared=declared,
        answer=answer_of(boards),
        boards=boards,
        unscored=unscored,
        warnings=in_order(warnings),
        across=across_tasks(boards),
        damaged=list(experiment.damaged),
        foreign=experiment.foreign,
        facts={
            "folders": list(experiment.folders),
            "commands": _commands(experiment),
            "runs_declared": len(declared.runs),
            "runs_recorded": len(experiment.records),
            "under_test": declared.under_test,
        },
    )


def judged(bench: Bench) -> Ground:
    """The board, with what it was made from."""
    layout, terms, baseline = bench.layout, bench.terms, bench.layout.baseline
    judged = bench.sides if bench.judges else {}
    rivals = [name for name in judged if baseline in judged and bench.together(name, baseline)]
    to_baseline = judge(
        bench.contests((name, baseline) for name in rivals if name != baseline), terms, replicates=bench.replicates
    )
    names = [] if bench.crowded else list(judged)
    matches = bench.contests(
        (one, two) for number, one in enumerate(names) for two in names[number + 1 :] if bench.together(one, two)
    )
    all_pairs = judge(matches, terms, thorough=False)
    metric = bench.metrics.get(terms.metric)
    split = bench.outputs.splits.get(bench.split)
    board = bench.board.model_copy(
        update={
            "examples": bench.data.splits[bench.split].examples,
            "floor": bench.board.floor_of(bench.split, terms.metric) if bench.judges else None,
            "margin": terms.margin,
            "groups": bench.groups[1],
            "rows": _judged_rows(
                bench, all_pairs, front_of(bench.ended, bench.groups[0], matches, terms, bench.experiment.controls)
            ),
            "to_baseline": to_baseline,
            "all_pairs": all_pairs,
            "costs": cost_ratios(bench.ended, baseline, bench.experiment.controls),
            "slices": slice_scores(split, metric, baseline=baseline, strategies=rivals, label_names=bench.data.labels)
            if split and metric and bench.judges
            else [],
            "calibration": calibration_of(bench.outputs),
            "imported": _imported(bench),
            "notes": _notes(bench),
        }
    )
    board = board.model_copy(update={"answer": answer_on(board)})
    return Ground(experiment=bench.experiment, records=layout.rows, outputs=bench.outputs, board=board)


def _commands(experiment: Experiment) -> list[str]:
    """What makes it all again."""
    folders = [PurePath(folder) for folder in experiment.folders]
    if not folders:
        return []
    into = ["--into", "FOLDER"] if len(folders) > 1 else []
    return [*(command("run", path) for path in experiment.spec_paths), command("report", *folders, *into)]


# --- the parts of a board ------------------------------------------------------------------------------------------------


def _judged_rows(bench: Bench, all_pairs: Sequence[Pair], places: Mapping[str, Place]) -> list[Row]:
    """The rows with what the comparison adds: intervals, groups, ranks, collapsed seeds, the front of quality and cost."""
    groups, _ = bench.groups
    ranks = {} if bench.crowded or not bench.judges else _ranks(bench, all_pairs)
    floor = bench.board.floor_of(bench.split, bench.terms.metric)
    fallen = degenerate_seeds(bench.sides, floor if bench.judges else None, bench.terms)
    found = []
    for row in bench.board.rows:
        name, scores = row.strategy, bench.scores(row)
        rank, tie_group = ranks.get(name, (None, None))
        collapsed, place = fallen.get(name, Degenerate()), places.get(name)
        added = {
            "scores": scores,
            "group": groups.get(name, 0),
            "key": shown(bench.keys[name]) if name in bench.keys else {},
            "rank": rank,
            "tie_group": tie_group,
            "degenerate": collapsed.seeds,
            "mean_without_degenerate": collapsed.mean_without,
            "front_probability": place.probability if place else None,
            "dominated_by": list(place.dominated_by) if place else [],
            "expected_best": _expected_best(scores, bench),
            "recipe": bench.recipes.get(name, {}),
        }
        found.append(row.model_copy(update=added))
    return found


def _expected_best(scores: Mapping[str, Mapping[str, Score]], bench: Bench) -> list[float]:
    score = scores.get(bench.split, {}).get(bench.terms.metric)
    return expected_bests(score.values, higher_is_better=bench.terms.higher_is_better) if score else []


def _ranks(bench: Bench, all_pairs: Sequence[Pair]) -> dict[str, tuple[tuple[int, int], int]]:
    """Row -> (rank interval, tie group) within its group; rows of too few seeds have none."""
    (groups, _), sides = bench.groups, bench.sides
    found = {}
    for group in sorted(set(groups.values())):
        names = [name for name, side in sides.items() if groups[name] == group and len(side.seeds) >= LEAST_SEEDS]
        if len(names) < 2:
            continue
        place = {name: number for number, name in enumerate(names)}
        better = np.zeros((len(names), len(names)), dtype=bool)
        for pair in all_pairs:
            if pair.first in place and pair.second in place and pair.verdict in ("better", "worse"):
                winner, loser = (pair.first, pair.second) if pair.verdict == "better" else (pair.second, pair.first)
                better[place[winner], place[loser]] = True
        intervals = rank_intervals(better)
        for name, interval, tie in zip(names, intervals, tie_groups(intervals), strict=True):
            found[name] = (interval, tie)
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


def _imported(bench: Bench) -> list[ImportedRow]:
    """Under the names of the task's metrics (`f1` is `f1 (spam)`); what lies beyond a metric's range is set apart."""
    units = {facts.name: unit_of(facts) for facts in bench.data.metrics}

    def named(scores: Mapping[str, float], *, possible: bool) -> dict[str, float]:
        found = {known_as(metric, bench.data.metrics): score for metric, score in scores.items()}
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
        for row in bench.experiment.declared.imported
        if row.task in (None, bench.layout.task)
    ]


def _notes(bench: Bench) -> list[str]:
    found = [
        f"{metric} says nothing on {split}: {reason}. It is shown without figures there."
        for split, reasons in bench.board.silent.items()
        for metric, reason in reasons.items()
    ]
    if bench.split in bench.outputs.splits:
        found += why_uncut(bench.outputs.splits[bench.split], bench.split)
    found += _no_margin(bench)
    versions: dict[str, list[str]] = {}
    for name, records in bench.ended.items():
        for version in dict.fromkeys(record.environment.software.get(BAKEOFF, "unknown") for record in records):
            versions.setdefault(version, []).append(name)
    if len(versions) > 1:
        told = listed([f"{version} ({listed(rows)})" for version, rows in versions.items()])
        found.append(f"made by more than one version of Bakeoff: {told}; its components' versions are the same.")
    if bare := [name for name, records in bench.ended.items() if records and name not in bench.sides]:
        found.append(f"shown and not compared, for want of predictions: {listed(bare)}.")
    if bench.crowded:
        found.append(f"{len(bench.sides)} rows: only the differences to the baseline are tested, and no ranks are given.")
    for name, split in bench.data.splits.items():
        if not split.labelled:
            found.append(f"{name}: {split.examples:,} examples without labels, predicted and kept, not scored.")
    return found


def _no_margin(bench: Bench) -> list[str]:
    """Why nothing can be equivalent, where rows are judged without a margin."""
    terms, declared = bench.terms, bench.experiment.declared.margin
    if terms.margin is not None or not bench.judges or len(bench.sides) < 2:
        return []
    told = ", ".join(f"{spelt(margin)} {unit}" for unit, margin in declared.items())
    why = f"the declared margin ({told}) is not in its unit" if declared else "none is declared"
    word = next(called(facts) for facts in bench.data.metrics if facts.name == terms.metric)
    example = f"`margin: {{{word}: 0.05}}`"
    return [
        f"no margin holds for {terms.metric}: {why}, so that nothing is called equivalent. A new "
        f"experiment needs one like {example}, declared before its runs."
    ]


def _with_warnings(board: Board, warnings: Sequence[NamedWarning]) -> Board:
    rows = [row.model_copy(update={"warnings": names_of(row.strategy, warnings)}) for row in board.rows]
    return board.model_copy(update={"rows": rows})


# --- words ---------------------------------------------------------------------------------------------------------------

VERDICTS = ("better", "worse", "equivalent", "identical", "confounded", "inconclusive")
"""In the order in which an answer tells them."""


def answer_of(boards: Sequence[Board]) -> str:
    """The whole comparison in a sentence a board."""
    if not boards:
        return "Nothing is recorded that could be compared."
    return " ".join(f"{board.title}: {board.answer}" if len(boards) > 1 else board.answer for board in boards)


def answer_on(board: Board) -> str:
    """The board in one sentence: the pair's own where there is one, else who stands where against the baseline."""
    pairs = board.to_baseline
    if len(pairs) == 1:
        return pairs[0].sentence
    if not pairs:
        return _nothing_held(board)
    within = f" within {board.figures.as_declared(board.margin)}" if board.margin is not None else ""
    told = [
        f"{verdict}{within if verdict == 'equivalent' else ''}: {listed(names)}"
        for verdict in VERDICTS
        if (names := [pair.first for pair in pairs if pair.verdict == verdict])
    ]
    return f"Against {board.baseline}, by {board.metric} on {board.split} of {board.task}: {'; '.join(told)}."


def _nothing_held(board: Board) -> str:
    """Why no row stands against the baseline."""
    if reason := board.silent.get(board.split, {}).get(board.metric):
        return (
            f"{board.metric} says nothing on {board.split} of {board.task}: {reason}. No row can be better or worse by it "
            "there; report on another split in a new experiment, or look at another metric with `bakeoff rescore`."
        )
    others = [row.strategy for row in board.rows if row.scores and not row.baseline]
    if not others:
        return f"Only {board.baseline} can be shown: there is nothing to hold against it."
    if not any(row.scores for row in board.rows if row.baseline):
        return f"{board.baseline}, the baseline, has no run that ended well: there is nothing to hold {listed(others)} against."
    return (
        f"Nothing can be held against {board.baseline}: what the other rows were made with differs from it, "
        "or predictions are not recorded."
    )
