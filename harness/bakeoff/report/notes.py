"""Notes below a table, beside the warnings of a comparison: failures, missing runs, trainers' notes, equal weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.results import Row
from bakeoff.records.run_names import runs_in_words
from bakeoff.text.numbers import in_seconds
from bakeoff.text.values import grouped, listed
from bakeoff.text.words import quoted


def owned(row: Row) -> list[str]:
    """`owns ...`: what the row's trainer decides by itself, as a mark in the row; empty where it follows the recipe in all."""
    return [f"owns {', '.join(row.owns)}"] if row.owns else []


def urgent(group: ComparisonGroup, commands: Sequence[str]) -> Iterator[str]:
    """Sentences on runs that failed, models that were not kept, and runs that are missing. commands: those that reproduce the
    experiment."""
    rows = group.rows
    if failures := "; ".join(_failures(row) for row in rows if row.failed):
        yield f"why runs failed: {failures}."
    if unkept := "; ".join(_unkept(row) for row in rows if row.unkept):
        yield f"model not kept: {unkept}. The scores stand; {_run(commands, ' --retry unkept')} reruns these runs."
    if not group.compared and any(row.missing for row in rows):  # else a warning says so
        missing, declared = sum(len(row.missing) for row in rows), sum(len(row.needed) for row in rows)
        which = "; ".join(runs_in_words(row.strategy, row.missing) for row in rows if row.missing)
        verb = "is" if missing == 1 else "are"
        yield f"unfinished: {missing} of {declared} runs {verb} not recorded ({which}); {_run(commands)} goes on."


def sentences(group: ComparisonGroup, commands: Sequence[str]) -> Iterator[str]:
    """All sentences below a table: the `urgent` ones, then repeated attempts, missing scores, notes on runs, times from other
    machines, what trainers decide by themselves, classifier heads, trainers' notes, and equal weights. commands: as there."""
    rows = group.rows
    yield from urgent(group, commands)
    if attempts := "; ".join(_attempts(row) for row in rows if row.attempts):
        failed = any(attempt.reason != "interrupted" for row in rows for attempt in row.attempts)
        ended = "the share of runs that failed counts how each ended, so repeating them until they succeed hides it"
        yield f"rerun: {attempts}. No cost above holds it{f'; {ended}' if failed else ''}."
    yield from (
        f"{unscored.metric} gave {runs_in_words(row.strategy, unscored.seeds)} no score on {unscored.split}, so that no "
        "mean is shown; the answers there are all one, or otherwise such that the metric has no value."
        for row in rows
        for unscored in row.unscored
    )
    for row in rows:
        for remark, seeds in grouped((found.note, found.seed) for found in row.process_notes).items():
            yield f"{runs_in_words(row.strategy, seeds)}: {remark}"
    if elsewhere := "; ".join(f"{row.strategy}: {', '.join(row.elsewhere)}" for row in rows if row.elsewhere):
        yield f"environment: {elsewhere}. Times in parentheses are not comparable with the others."
    for mark, names in grouped((mark, row.strategy) for row in rows for mark in owned(row)).items():
        yield f"{mark}: decided by the trainer of {listed(names)} in its own way, and not shared with the other rows."
    yield from _heads(rows)
    for note, names in grouped((note, row.strategy) for row in rows for note in row.notes).items():
        yield f"{', '.join(names)}: {note}"
    yield from _same_weights(rows)


HEADS = {
    "by name": "the checkpoint's own, its labels matched with the task's by name",
    "by position": "the checkpoint's own, its outputs taken for the task's labels in their order, since nothing names them",
    "replaced": "new, in the place of the checkpoint's, whose labels are others",
    "new": "new, since the checkpoint has none",
}


def _heads(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence on where the head's first weights came from; none if all heads are new because checkpoints have none."""
    found = grouped((origin, row.strategy) for origin in HEADS for row in rows if origin in row.heads)
    if list(found) not in ([], ["new"]):
        parts = [f"{HEADS[origin]} ({listed(names)})" if len(found) > 1 else HEADS[origin] for origin, names in found.items()]
        yield f"head: {'; '.join(parts)}."


def _failures(row: Row) -> str:
    by_reason = grouped((failed.reason, failed) for failed in row.failed)
    return "; ".join(
        f"{runs_in_words(row.strategy, [failed.seed for failed in same])}, {reason}: {quoted(same[0].message)}"
        for reason, same in by_reason.items()
    )


def _unkept(row: Row) -> str:
    which = runs_in_words(row.strategy, [unkept.seed for unkept in row.unkept])
    return f"{which}, {len(row.unkept)} of {len(row.needed)}: {quoted(row.unkept[0].note)}"


def _run(commands: Sequence[str], option: str = "") -> str:
    """Those of the commands that run the experiment, as text, each with an extra option."""
    return listed([f"`{line}{option}`" for line in commands if line.startswith("bakeoff run ")]) or f"`bakeoff run`{option}"


def _attempts(row: Row) -> str:
    reasons = Counter(attempt.reason for attempt in row.attempts)
    counted = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
    seconds = sum(attempt.total_seconds for attempt in row.attempts)
    many = "attempts" if len(row.attempts) > 1 else "attempt"
    return f"{row.strategy} after {len(row.attempts)} failed {many} ({counted}) that took {in_seconds(seconds)}"


def _same_weights(rows: Sequence[Row]) -> Iterator[str]:
    """Sentences on strategies that ended with the same weights as another one, to the bit and at all their seeds."""
    whole = [row for row in rows if row.scored and set(row.final_sha256) == set(row.scored)]
    for same in grouped((tuple(sorted(row.final_sha256.items())), row) for row in whole).values():
        if len(same) > 1:
            ended = "" if all(row.scored == row.needed for row in same) else " that ended with scores"
            yield (
                f"{listed([row.strategy for row in same])} ended with identical weights at every seed{ended} "
                f"({len(same[0].scored)} of {len(same[0].needed)}), by sha256."
            )
