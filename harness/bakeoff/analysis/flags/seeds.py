"""Warnings about seeds and runs: few-seeds, collapsed-runs, hardly-learned, changed-after-looking; missing, failed and
undeclared runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from statistics import fmean

from bakeoff.analysis.findings import ComparisonGroup, NamedWarning
from bakeoff.analysis.flags.catalogue import CATALOGUE
from bakeoff.analysis.flags.wording import Found, Judged, clauses, grouped_by, named
from bakeoff.analysis.hardly_learned import hardly_learned
from bakeoff.analysis.results import Row
from bakeoff.analysis.summary.rows import Layout
from bakeoff.analysis.verdicts import LEAST_SEEDS
from bakeoff.records import history
from bakeoff.records.experiment import Experiment
from bakeoff.records.run_names import RunNames, runs_in_words
from bakeoff.records.schema import TRACEBACK_FILE, Record
from bakeoff.statistics.exact import seeds_for_permutation, seeds_for_sign_flip, smallest_permutation_p, smallest_sign_flip_p
from bakeoff.statistics.intervals import ALPHA
from bakeoff.text.numbers import count, p_equals, per_cent, significant
from bakeoff.text.values import command, grouped, seeds_spelt


def few_seeds(judged: Judged) -> Iterator[Found]:
    """few-seeds: rows of fewer than three seeds, an anecdote; or of fewer than four, six where they are paired, with which the
    exact test over seeds cannot reach 5 %."""
    group, pairs = judged.group, judged.group.to_baseline
    drawn = [row for row in group.rows if not row.seed_free]
    counts = {row.strategy: len(set(score.seeds)) for row in drawn if (score := group.score(row)) and score.seeds}
    tested = {row for pair in pairs if pair.finding != "identical" for row in (pair.first, pair.second)}
    settled = {
        row for pair in pairs for row in (pair.first, pair.second)
    } - tested  # every prediction is equal: nothing to test
    paired = bool(tested) and all(pair.paired for pair in pairs if pair.finding != "identical")
    needed = seeds_for_sign_flip if paired else seeds_for_permutation
    enough, comparisons = needed(), max((pair.comparisons for pair in pairs), default=1)
    in_family = needed(comparisons=max(comparisons, 1))
    first = max((seed for seeds in judged.experiment.declared.seeds.values() for seed in seeds), default=-1) + 1
    more = (
        f"{judged.resolve_margin} says how many {'the margin' if group.margin is not None else 'such a difference'} takes. "
        f"Declare that many new seeds, or {in_family} ({seeds_spelt(range(first, first + in_family))}), or looks, which stop "
        f"once they decide (`seeds: {{looks: [3, 5, 8, 12, 20], first: {first}}}`), and run them {judged.in_new_folder}."
    )
    anecdotes = grouped_by({row: n for row, n in counts.items() if n < LEAST_SEEDS})
    if anecdotes:
        which = named(f"{count(n, 'seed')} behind {named(rows)}" for n, rows in anecdotes.items())
        yield Found(
            chain.from_iterable(anecdotes.values()),
            f"An anecdote: {which}. How much the score depends on the seed is not known; no rank is given.",
            more,
        )
    looks = judged.experiment.declared.looks  # they stop where few seeds decide, by tests of their own
    few = grouped_by({row: n for row, n in counts.items() if LEAST_SEEDS <= n < enough and row not in settled and not looks})
    if few:
        smallest = named(
            f"with {n} seeds ({named(rows)}) not below "
            f"{significant(smallest_sign_flip_p(n) if paired else smallest_permutation_p(n, n), 3)}"
            for n, rows in few.items()
        )
        holm = f", {in_family} with Holm over the {comparisons} comparisons" if in_family > enough else ""
        yield Found(
            chain.from_iterable(few.values()),
            f"So few seeds hardly tell skill from luck: the exact test over them cannot reach p < 0.05, {smallest}. {enough} "
            f"seeds are the fewest that can{holm}.",
            more,
        )


def skewed_seeds(judged: Judged) -> Iterator[Found]:
    """skewed-seeds: rows whose scores over seeds are skewed, near the end of the metric's range."""
    group, rows = judged.group, {row.strategy: row for row in judged.group.rows}
    names = dict.fromkeys(name for pair in (*group.to_baseline, *group.all_pairs) for name in pair.skewed)
    scores = {name: score for name in names if (score := group.score(rows[name])) is not None}
    if not scores:
        return
    lost = [
        f"{pair.first} against {pair.second}"
        for pair in group.to_baseline
        if pair.skewed and pair.verdict in ("inconclusive", "open", "futile") and (pair.low or 0.0) * (pair.high or 0.0) > 0
    ]
    figures = group.figures
    each = [f"{name} {figures.number(score.mean)} ± {figures.number(score.sd)}" for name, score in scores.items()]
    no_verdict = f" No verdict for it, although the interval excludes 0: {named(lost)}." if lost else ""
    yield Found(
        scores,
        f"Seeds are skewed near the end of the range of {group.metric}: {named(each)}. Few of them seldom show the runs that "
        f"are far from it, so that a row looks better and steadier than it is.{no_verdict}",
        f"Ten new seeds of each or more, or examples that are harder, make it clearer; run them {judged.in_new_folder}.",
    )


def collapsed(judged: Judged) -> Iterator[Found]:
    """collapsed-runs: runs whose answers are a constant plus noise, counted and not averaged away."""
    found = {
        row.strategy: f"{row.strategy} {share.words}, {'seed' if share.collapsed == 1 else 'seeds'} "
        f"{seeds_spelt([run.seed for run in row.collapsed])}{f', and {share.failed} that failed' if share.failed else ''}"
        f" ({_means(judged, row)})"
        for row in judged.group.rows
        if row.collapsed and (share := row.unlearned)
    }
    if found:
        yield Found(
            found,
            f"Runs that give nearly every example the same answer: {clauses(found.values())}. Scores, verdicts and ranks are "
            "of the runs that learned; a row of which none did enters no test.",
            "Report how often it happens beside the mean. A warm-up or a lower learning rate ('recipe.warmup', "
            f"'recipe.learning_rate'), for all rows alike, often prevents it; run that {judged.in_new_folder}.",
        )


def _means(judged: Judged, row: Row) -> str:
    """A row's mean without its collapsed runs and with them: `mean accuracy 78.94 without, 76.93 with them`; where no run
    learned, `none learned; mean accuracy 66.50 with them`."""
    group, score = judged.group, judged.group.score(row)
    fallen = [run.score for run in row.collapsed if run.score is not None]
    learned = score.values if score and row.learned else []
    together = group.figures.number(fmean([*learned, *fallen])) if len(fallen) == len(row.collapsed) else "none"
    if not learned:
        return f"none learned; mean {group.metric} {together} with them"
    return f"mean {group.metric} {group.figures.number(fmean(learned))} without, {together} with them"


def not_above_majority(judged: Judged) -> Iterator[Found]:
    """not-above-majority: rows that learned something, and whose score is not shown to be better than answering always the
    same: by a one-sided test on the same examples, else by the row's interval."""
    group, found = judged.group, _not_above_majority(judged.group)
    if found:
        yield Found(
            found,
            f"Not shown above the majority baseline, {group.figures.number(group.majority_baseline)} {group.metric} on "
            f"{group.split}: {named(found.values())}. These rows may be no better than answering always the same.",
            "Report the majority baseline beside them. Longer training or another learning rate ('recipe.epochs', "
            f"'recipe.learning_rate') may be what they lack; run that, for all rows alike, {judged.in_new_folder}.",
        )


def _not_above_majority(group: ComparisonGroup) -> dict[str, str]:
    """Row -> its score in words, of the rows that `not_above_majority` is about."""
    baseline, found = group.majority_baseline, dict[str, str]()
    for row in group.rows:
        score = group.score(row)
        if score is None or baseline is None or not row.learned:
            continue
        end = score.low if group.higher_is_better else score.high
        worst, p = score.mean if end is None else end, row.above_majority_p
        above = worst > baseline if group.higher_is_better else worst < baseline
        if not (above if p is None else p < ALPHA):
            found[row.strategy] = f"{row.strategy} {group.figures.number(score.mean)}{'' if p is None else f' ({p_equals(p)})'}"
    return found


def little_learned(judged: Judged) -> Iterator[Found]:
    """hardly-learned: rows that are far nearer to the majority baseline than to the best, by a recipe that was not searched.
    Not those of which not-above-majority says more."""
    told = _not_above_majority(judged.group)
    found = {
        row: f"{row} has come {per_cent(max(little.way, 0.0))} of the way from the majority baseline to {little.best}, in "
        f"{count(little.steps, 'step')}"
        for row, little in hardly_learned(judged.group, judged.succeeded, judged.experiment.declared.trials).items()
        if row not in told
    }
    if found:
        yield Found(
            found,
            f"Hardly learned: {clauses(found.values())}. What is shown of such a row is shown of its learning rate and its "
            "number of steps, and not of its method.",
            "Let every strategy search its learning rate ('search'), or train longer ('recipe.epochs'), before you judge its "
            f"method; run that {judged.in_new_folder}.",
        )


def seeds_changed(judged: Judged) -> Iterator[Found]:
    """changed-after-looking: seeds that were added or left, or strategies that left, when results had been recorded
    already."""
    declared, changes = judged.experiment.declared, list[str]()
    if not declared.history:
        return
    states = [*(look.seeds for look in declared.history), declared.seeds]
    for number, look in enumerate(declared.history):
        after = {row: next((later[row] for later in states[number + 1 :] if row in later), []) for row in look.seeds}
        noted = any(change.what.startswith("strategies") for change in look.changes)  # `terms_changed` tells which left
        kinds = grouped_by(
            {
                row: change
                for row, before in look.seeds.items()
                if (after[row] or not noted) and (change := _change(before, after[row]))
            }
        )
        when = f"on {look.when[:10]}, when {count(look.recorded, 'run')} had been recorded"
        changes += [f"{named(rows)} {change} {when}" for change, rows in kinds.items()]
    if changes:
        free = max((seed for state in states for seeds in state.values() for seed in seeds), default=-1) + 1
        withheld = "p-values and verdicts are withheld" if history.reseeded(declared) else "the p-values are optimistic"
        yield Found(
            sorted({row for state in states for row, seeds in state.items() if seeds != states[-1].get(row)}),
            f"Changed after looking: {clauses(changes)}. Who may stop when the results please finds too many "
            f"differences: {withheld}.",
            "What is recorded here can only be a pilot. Declare new seeds that none of these runs has, before their first run, "
            f"like `seeds: {{looks: [3, 5, 8, 12, 20], first: {free}}}`, and run them {judged.in_new_folder}.",
            everywhere=True,
        )


def terms_changed(judged: Judged) -> Iterator[Found]:
    """changed-after-looking: the terms of the comparison (margin, metric, ...) changed when results had been recorded
    already."""
    declared = judged.experiment.declared
    if changes := [clause for look in declared.history for clause in history.in_clauses(look)]:
        withheld = " P-values and verdicts are withheld." if history.reseeded(declared) else ""
        yield Found(
            (),
            f"Changed after looking: {clauses(changes)}. What is chosen when the results are known can be chosen for what they "
            f"say.{withheld}",
            f"Report the change beside the result; or settle the terms first, and run new seeds {judged.in_new_folder}.",
            everywhere=True,
        )


def _change(before: list[int], after: list[int]) -> str:
    """How the seeds of a row changed, in words; empty where they did not."""
    old, new = set(before), set(after)
    if old == new:
        return ""
    if not new:
        return "left the experiment"
    if old < new:
        return f"went from {len(old)} to {count(len(new), 'seed')}"
    if new < old:
        return f"lost {'seed' if len(old - new) == 1 else 'seeds'} {seeds_spelt(sorted(old - new))} of {len(old)}"
    return f"changed seeds from {seeds_spelt(before)} to {seeds_spelt(after)}"


def missing_runs(judged: Judged) -> Iterator[Found]:
    """missing-runs: declared runs without a record."""
    missing = {row.strategy: row.missing for row in judged.group.rows if row.missing}
    needed = sum(len(row.needed) for row in judged.group.rows)
    if missing:
        n = sum(map(len, missing.values()))
        yield Found(
            missing,
            f"{n:,} of {count(needed, 'declared run')} {'has' if n == 1 else 'have'} no record that can be used: "
            f"{named(runs_in_words(row, seeds) for row, seeds in missing.items())}. Means over what happens to be there "
            "mislead.",
            f"{judged.run_again()} goes on with them: it makes the runs that are missing.",
        )


def failed_runs(judged: Judged) -> Iterator[Found]:
    """failed-runs: runs that failed and so count in no mean."""
    failed = {
        row: [(one.failure.reason, one.requested.seed) for one in own if one.failure] for row, own in judged.records.items()
    }
    reasons = {row: grouped(own) for row, own in failed.items() if own}
    if reasons:
        which = clauses(
            f"{row} {sum(map(len, why.values()))} of {len(judged.records[row])}, "
            f"{named(f'{reason} (seed {seeds_spelt(seeds)})' for reason, seeds in why.items())}"
            for row, why in reasons.items()
        )
        shares = [
            f"{row.strategy} {row.unlearned.words}" for row in judged.group.rows if row.unlearned and row.unlearned.failed
        ]
        told = f" Runs that failed or collapsed: {clauses(shares)}." if shares else ""
        yield Found(
            reasons,
            f"Failed runs count in no mean: {which}. A row that fails where it does badly looks better than it is.{told}",
            next_after_failures(list(chain.from_iterable(judged.records.values())), judged.experiment),
        )


def nothing_scored(layout: Layout, experiment: Experiment) -> list[NamedWarning]:
    """The warning about a task and model of which runs are recorded and none has a score on the reported split, so that
    nothing is compared: failed-runs where all failed, different-data where some succeeded and were not scored on that split.
    Empty where no run is recorded."""
    records, succeeded = (list(chain.from_iterable(rows.values())) for rows in (layout.rows, layout.succeeded))
    if not records:
        return []
    name, why = "different-data", f"have no split '{experiment.declared.report_on}'"
    afresh = experiment.commands("run", "--into", "FOLDER")
    what_to_do = f"Name a split that is predicted as 'report_on', and run it in a new folder: {afresh}."
    if not succeeded:
        name, what_to_do = "failed-runs", next_after_failures(records, experiment)
        why = f"failed ({named(dict.fromkeys(record.failure.reason for record in records if record.failure))})"
    n, titles = count(len(succeeded or records), "recorded run"), experiment.declared.titles
    return [
        NamedWarning(
            name=name,
            severity=CATALOGUE[name].severity,
            group="",
            rows=[],
            what=f"{titles.group(layout.task, [layout.model])} is not shown: all of {n} {why}.",
            what_to_do=what_to_do,
        )
    ]


def next_after_failures(records: Sequence[Record], experiment: Experiment) -> str:
    """What to do about failed runs: the command that shows why they failed, if anything tells it, and the command that makes
    them again."""
    failed = [record for record in records if record.failure]
    interrupted = all(record.was_interrupted for record in failed)
    again = f"{experiment.commands('run', *([] if interrupted else ['--retry', 'failed']))} makes them again."
    if interrupted:
        return again
    told = next((record for record in failed if TRACEBACK_FILE in record.files), None)
    if told is not None:
        return f"`{_log_of(told, experiment)}` shows where the error was raised; {again}"
    return f"`{_log_of(failed[0], experiment)}` shows what the run printed last; {again}"


def _log_of(record: Record, experiment: Experiment) -> str:
    """The command that shows what a run printed."""
    place = experiment.record_folder(record.id)
    several = len(experiment.folders) > 1  # then strategies may have other names than in their own folder
    return command(
        "log", place.name if several else RunNames.declared(experiment.declared).name_of(record.id), place.parents[1]
    )


def undeclared_records(judged: Judged) -> Iterator[Found]:
    """undeclared-runs: records of runs that the experiment does not declare."""
    declared, foreign = judged.experiment.declared, judged.experiment.foreign
    if foreign:
        yield Found(
            (),
            f"{count(foreign, 'record')} in the folder {'is' if foreign == 1 else 'are'} of runs that "
            f"{declared.name} does not "
            "declare; they are left out, and may be runs whose results did not please.",
            "Move them away, and report it; or declare their strategies and seeds in the experiment file, and run all "
            f"{judged.in_new_folder}.",
            everywhere=True,
        )


def damaged_records(judged: Judged) -> Iterator[Found]:
    """missing-runs: records that are damaged, and so are left out."""
    if damaged := judged.experiment.damaged:
        yield Found(
            (),
            f"{count(len(damaged), 'record')} cannot be used: {clauses(damaged)}.",
            f"{judged.run_again()} sets damaged records aside and makes these runs again.",
            everywhere=True,
        )
