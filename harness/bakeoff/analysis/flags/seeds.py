"""Warnings about seeds and runs: few-seeds, collapsed-runs, changed-after-looking; missing, failed and undeclared runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.findings import NamedWarning
from bakeoff.analysis.flags.catalogue import CATALOGUE
from bakeoff.analysis.flags.wording import (
    Found,
    and_seeds,
    grouped_by,
    in_new_folder,
    listed,
    resolve_margin,
    run_again,
    told,
)
from bakeoff.analysis.summary.rows import Layout
from bakeoff.records import history
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import OUTPUT_FILE, TRACEBACK_FILE, DeclaredRun, Record
from bakeoff.statistics.exact import seeds_for_sign_flip, sign_flip_floor
from bakeoff.statistics.intervals import share_interval
from bakeoff.text.numbers import count, per_cent, significant, with_decimals
from bakeoff.text.values import seeds_spelt

ANECDOTE = 3
"""With fewer seeds, nothing is known of the spread."""


def few_seeds(ground: Ground) -> Iterator[Found]:
    """few-seeds: an anecdote below three seeds; below six, no p of the exact sign-flip test can reach 5 %."""
    board = ground.board
    scores = {row.strategy: row.scores.get(board.split, {}).get(board.metric) for row in board.rows}
    counts = {row: len(set(score.seeds)) for row, score in scores.items() if score is not None and score.seeds}
    level = {row for pair in board.to_baseline for row in (pair.first, pair.second)} - {
        row for pair in board.to_baseline if pair.finding != "identical" for row in (pair.first, pair.second)
    }  # nothing is left to test between rows whose every prediction is equal
    enough, comparisons = seeds_for_sign_flip(), max((pair.comparisons for pair in board.to_baseline), default=1)
    in_family = seeds_for_sign_flip(comparisons=max(comparisons, 1))
    first = max((seed for seeds in ground.experiment.declared.seeds.values() for seed in seeds), default=-1) + 1
    more = (
        f"{resolve_margin(ground)} says how many {'the margin' if board.margin is not None else 'such a difference'} takes. "
        f"Declare that many new seeds, or {in_family} ({seeds_spelt(range(first, first + in_family))}), and run them "
        f"{in_new_folder(ground)}."
    )
    anecdotes = {row: count(n, "seed") for row, n in counts.items() if n < ANECDOTE}
    if anecdotes:
        which = listed(f"{count} behind {listed(rows)}" for count, rows in grouped_by(anecdotes).items())
        yield Found(
            tuple(anecdotes), f"An anecdote: {which}. How far the score hangs on the seed is not known; no rank is given.", more
        )
    few = {row: str(n) for row, n in counts.items() if ANECDOTE <= n < enough and row not in level}
    if few:
        floors = listed(
            f"with {n} seeds ({listed(rows)}) not below {significant(sign_flip_floor(int(n)), 3)}"
            for n, rows in grouped_by(few).items()
        )
        holm = f", {in_family} with Holm over the {comparisons} comparisons" if in_family > enough else ""
        yield Found(
            tuple(few),
            f"The exact sign-flip test cannot reach p < 0.05: {floors}. {enough} seeds are the fewest that can{holm}.",
            more,
        )


def collapsed(ground: Ground) -> Iterator[Found]:
    """collapsed-runs: runs that learned nothing, counted and not averaged away."""
    board, clauses = ground.board, dict[str, str]()
    for row in board.rows:
        score = row.scores.get(board.split, {}).get(board.metric)
        if not row.degenerate or score is None:
            continue
        bad, n = len(set(row.degenerate)), len(set(score.seeds) | set(row.degenerate))
        low, high = share_interval(bad / n, n)
        mean, rest = board.figures.number(score.mean), row.mean_without_degenerate
        without = "none" if rest is None else board.figures.number(rest)
        clauses[row.strategy] = (
            f"{bad} of {count(n, 'run')} of {row.strategy} ({'seed' if bad == 1 else 'seeds'} {seeds_spelt(row.degenerate)}; "
            f"95 % interval of the share {with_decimals(low * 100, 0)} to {per_cent(high)}; mean {board.metric} "
            f"{mean} with them, {without} without)"
        )
    if clauses:
        yield Found(
            tuple(clauses),
            f"No better than the majority baseline: {told(clauses.values())}.",
            "Report how often it happens beside the mean. A warm-up or a lower learning rate ('recipe.warmup', "
            f"'recipe.learning_rate'), for all rows alike, often prevents it; run that {in_new_folder(ground)}.",
        )


def seeds_changed(ground: Ground) -> Iterator[Found]:
    """changed-after-looking: seeds that came or went, or strategies that went, when something had been recorded already."""
    declared = ground.experiment.declared
    current, changes = declared.seeds, []
    for number, look in enumerate(declared.history):
        kinds: dict[str, list[str]] = {}
        for strategy, before in look.seeds.items():
            after = next((later.seeds[strategy] for later in declared.history[number + 1 :] if strategy in later.seeds), None)
            after = current.get(strategy, []) if after is None else after
            if (change := _change(before, after)) is not None:
                kinds.setdefault(change, []).append(strategy)
        when = f"on {look.when[:10]}, when {count(look.recorded, 'run')} had been recorded"
        changes += [f"{listed(rows)} {change} {when}" for change, rows in kinds.items()]
    if changes:
        changed = {row for look in declared.history for row, seeds in look.seeds.items() if seeds != current.get(row)}
        yield Found(
            tuple(sorted(changed)),
            f"Changed after looking: {told(changes)}. Who may stop when it pleases finds too much: the p-values are "
            "optimistic.",
            f"Report it beside the result; or settle the number first ({resolve_margin(ground)}), and run new seeds "
            f"{in_new_folder(ground)}.",
            everywhere=True,
        )


def terms_changed(ground: Ground) -> Iterator[Found]:
    """changed-after-looking: the terms of the comparison changed when something had been recorded already."""
    if changes := [clause for look in ground.experiment.declared.history for clause in history.in_clauses(look)]:
        yield Found(
            (),
            f"Changed after looking: {told(changes)}. What is chosen when the results are known can be chosen for what they "
            "say.",
            f"Report it beside the result; or settle it first, and run new seeds {in_new_folder(ground)}.",
            everywhere=True,
        )


def _change(before: list[int], after: list[int]) -> str | None:
    old, new = set(before), set(after)
    if old == new:
        return None
    if not new:
        return "left the experiment"
    if old < new:
        return f"went from {len(old)} to {count(len(new), 'seed')}"
    if new < old:
        return f"lost {'seed' if len(old - new) == 1 else 'seeds'} {seeds_spelt(sorted(old - new))} of {len(old)}"
    return f"changed seeds from {seeds_spelt(before)} to {seeds_spelt(after)}"


def missing_runs(ground: Ground) -> Iterator[Found]:
    """missing-runs: declared runs without a record."""
    board, declared = ground.board, ground.experiment.declared
    there = {record.id for record in ground.experiment.records}
    asked: dict[str, list[DeclaredRun]] = {}
    for run in declared.runs:
        if (run.task, run.model) == (board.task, board.model):
            asked.setdefault(run.strategy, []).append(run)
    missing = {row: seeds for row, runs in asked.items() if (seeds := [run.seed for run in runs if run.id not in there])}
    if missing:
        n = sum(map(len, missing.values()))
        yield Found(
            tuple(missing),
            f"{n:,} of {count(sum(map(len, asked.values())), 'declared run')} {'has' if n == 1 else 'have'} no record "
            "that can be used: "
            f"{listed(and_seeds(row, seeds) for row, seeds in missing.items())}. Means over what happens to be there mislead.",
            f"{run_again(ground)} goes on with them.",
        )


def failed_runs(ground: Ground) -> Iterator[Found]:
    """failed-runs: runs that failed and so count in no mean."""
    reasons: dict[str, Mapping[str, list[int]]] = {}
    for row, records in ground.records.items():
        by_reason: dict[str, list[int]] = {}
        for record in records:
            if record.status == "failed":
                by_reason.setdefault(record.failure.reason if record.failure else "error", []).append(record.requested.seed)
        if by_reason:
            reasons[row] = by_reason
    if reasons:
        which = told(
            f"{row} {sum(map(len, why.values()))} of {len(ground.records[row])}, "
            f"{listed(and_seeds(reason, seeds) for reason, seeds in why.items())}"
            for row, why in reasons.items()
        )
        yield Found(
            tuple(reasons),
            f"Failed runs count in no mean: {which}. A row that fails where it does badly looks better than it is.",
            next_after_failures([record for records in ground.records.values() for record in records], ground.experiment),
        )


def without_board(layout: Layout, experiment: Experiment) -> NamedWarning | None:
    """A task with a model of which runs are recorded and none has a score on the reported split, so that it makes no board:
    failed-runs where they failed, different-data where they ended and were not scored on that split.
    """
    records = [record for own in layout.rows.values() for record in own]
    if not records:
        return None
    reasons = dict.fromkeys(record.failure.reason for record in records if record.failure)
    ended = [record for record in records if record.status == "ok"]
    why = f"have no split '{experiment.declared.report_on}'" if ended else f"failed ({listed(reasons)})"
    name = "different-data" if ended else "failed-runs"
    afresh = experiment.commands("run", "--into", "FOLDER")
    return NamedWarning(
        name=name,
        severity=CATALOGUE[name].severity,
        board="",
        rows=[],
        what=f"{layout.task} · {layout.model} is not shown: all of {count(len(ended or records), 'recorded run')} {why}.",
        what_to_do=f"Name a split that is predicted as 'report_on', and run it in a new folder: {afresh}."
        if ended
        else next_after_failures(records, experiment),
    )


def next_after_failures(records: Sequence[Record], experiment: Experiment) -> str:
    """Where failed runs say why, as far as there is something to read, and what makes them again."""
    failed = [record for record in records if record.failure]
    interrupted = all(record.was_interrupted for record in failed)
    again = f"{experiment.commands('run', *([] if interrupted else ['--retry', 'failed']))} makes them again."
    if any(TRACEBACK_FILE in record.files for record in failed):
        return f"'{TRACEBACK_FILE}' beside such a record says where the error was raised; {again}"
    if interrupted:
        return again
    return f"'{OUTPUT_FILE}' beside such a record, where there is one, holds what the run printed last; {again}"


def undeclared_records(ground: Ground) -> Iterator[Found]:
    """undeclared-runs: records that nobody asked for."""
    declared, foreign = ground.experiment.declared, ground.experiment.foreign
    if foreign:
        yield Found(
            (),
            f"{count(foreign, 'record')} in the folder {'is' if foreign == 1 else 'are'} of runs that "
            f"{declared.name} does not "
            "declare; they are left out, and may be runs that did not please.",
            f"Move them away, and report it; or declare what they are of, and run all {in_new_folder(ground)}.",
            everywhere=True,
        )


def damaged_records(ground: Ground) -> Iterator[Found]:
    """missing-runs: records that are damaged, and so are left out."""
    if damaged := ground.experiment.damaged:
        yield Found(
            (),
            f"{count(len(damaged), 'record')} cannot be used: {told(damaged)}.",
            f"{run_again(ground)} sets damaged records aside and makes these runs again.",
            everywhere=True,
        )
