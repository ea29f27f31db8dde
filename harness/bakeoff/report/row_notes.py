"""What is to be said of a table's rows beside the warnings of a comparison: failures, gaps, what a trainer owns and notes,
equal weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.analysis.findings import Board
from bakeoff.analysis.row import Failed, Row, Unscored
from bakeoff.text.numbers import in_seconds
from bakeoff.text.values import listed, seeds_spelt
from bakeoff.text.words import quoted


def owned(row: Row) -> list[str]:
    """What the row's trainer does its own way, as a mark in the row."""
    return [f"owns {', '.join(row.owns)}"] if row.owns else []


def sentences(board: Board, commands: Sequence[str]) -> list[str]:
    """A sentence for failed runs, for models that are not kept, for what is remarked of runs, for missing runs, for times from
    elsewhere, for what trainers own, and for equal weights. `commands` are those that make it all again."""
    found = []
    if any(row.failed for row in board.rows):
        found.append(f"why runs failed: {'; '.join(_failures(row) for row in board.rows if row.failed)}.")
    if any(row.attempts for row in board.rows):
        found.append(f"made again: {'; '.join(_attempts(row) for row in board.rows if row.attempts)}. No cost above holds it.")
    for row in board.rows:
        found += [_unscored(row, unscored) for unscored in row.unscored]
    if any(row.unkept for row in board.rows):
        unkept = "; ".join(_unkept(row) for row in board.rows if row.unkept)
        found.append(f"model not kept: {unkept}. The scores stand; {_run(commands, ' --retry unkept')} makes these runs again.")
    for row in board.rows:
        found += _remarks(row)
    if not board.compared and any(row.missing for row in board.rows):  # else a warning says so
        found.append(_unfinished(board.rows, commands))
    if any(row.elsewhere for row in board.rows):
        elsewhere = "; ".join(f"{row.strategy}: {', '.join(row.elsewhere)}" for row in board.rows if row.elsewhere)
        found.append(f"environment: {elsewhere}. Times in parentheses are not comparable with the others.")
    for row in board.rows:
        if row.owns:
            found.append(
                f"owns {', '.join(row.owns)}: {row.strategy}'s trainer does this its own way; "
                "it does not share it with the other rows."
            )
    return found + heads(board) + _noted(board.rows) + twins(board.rows)


HEADS = {
    "by name": "the checkpoint's own, its labels matched with the task's by name",
    "by position": "the checkpoint's own, its outputs taken for the task's labels in their order, since nothing names them",
    "replaced": "new, in the place of the checkpoint's, whose labels are others",
    "new": "new, since the checkpoint has none",
}


def heads(board: Board) -> list[str]:
    """Where the layer that gives the logits came from; nothing where the checkpoint had none, as is usual."""
    found = {origin: [row.strategy for row in board.rows if origin in row.heads] for origin in HEADS}
    origins = [origin for origin, rows in found.items() if rows]
    if origins in ([], ["new"]):
        return []
    if len(origins) == 1:
        return [f"head: {HEADS[origins[0]]}."]
    return [f"head: {'; '.join(f'{HEADS[origin]} ({listed(found[origin])})' for origin in origins)}."]


def _noted(rows: Sequence[Row]) -> list[str]:
    """What trainers have to say of their recipes, each sentence once."""
    of: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            of.setdefault(note, []).append(row.strategy)
    return [f"{', '.join(names)}: {note}" for note, names in of.items()]


def _failures(row: Row) -> str:
    by_reason: dict[str, list[Failed]] = {}
    for failed in row.failed:
        by_reason.setdefault(failed.reason, []).append(failed)
    told = [
        f"{row.strategy} seed {seeds_spelt([failed.seed for failed in same])}, {reason}: {quoted(same[0].message)}"
        for reason, same in by_reason.items()
    ]
    return "; ".join(told)


def _unscored(row: Row, unscored: Unscored) -> str:
    return (
        f"{unscored.metric} gave {row.strategy} no score on {unscored.split} (seed {seeds_spelt(unscored.seeds)}), so that no "
        "mean is shown; the answers there are all one, or otherwise such that the metric has no value."
    )


def _unkept(row: Row) -> str:
    seeds = seeds_spelt([unkept.seed for unkept in row.unkept])
    return f"{row.strategy} {len(row.unkept)} of {len(row.seeds)} (seed {seeds}: {quoted(row.unkept[0].reason)})"


def _remarks(row: Row) -> list[str]:
    """What is to be said of its runs' processes, each sentence once."""
    seeds: dict[str, list[int]] = {}
    for remarked in row.remarked:
        seeds.setdefault(remarked.remark, []).append(remarked.seed)
    return [f"{row.strategy}, seed {seeds_spelt(of)}: {remark}" for remark, of in seeds.items()]


def _run(commands: Sequence[str], option: str = "") -> str:
    """Those of the commands that run an experiment, with an option more."""
    return listed([f"`{line}{option}`" for line in commands if line.startswith("bakeoff run ")]) or f"`bakeoff run`{option}"


def _attempts(row: Row) -> str:
    reasons = Counter(attempt.reason for attempt in row.attempts)
    told = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
    seconds = sum(attempt.total_seconds for attempt in row.attempts)
    many = "attempts" if len(row.attempts) > 1 else "attempt"
    return f"{row.strategy} after {len(row.attempts)} failed {many} ({told}) that took {in_seconds(seconds)}"


def _unfinished(rows: Sequence[Row], commands: Sequence[str]) -> str:
    missing, seeds = sum(len(row.missing) for row in rows), sum(len(row.seeds) for row in rows)
    which = "; ".join(f"{row.strategy} seed {seeds_spelt(row.missing)}" for row in rows if row.missing)
    again = _run(commands)
    return f"unfinished: {missing} of {seeds} runs {'is' if missing == 1 else 'are'} not recorded ({which}); {again} goes on."


def twins(rows: Sequence[Row]) -> list[str]:
    """Strategies whose trained weights are the same to the bit at every seed that they have."""
    groups: dict[tuple[tuple[int, str], ...], list[Row]] = {}
    for row in rows:
        if row.scored and set(row.final_sha256) == set(row.scored):
            groups.setdefault(tuple(sorted(row.final_sha256.items())), []).append(row)
    found = []
    for same in groups.values():
        if len(same) > 1:
            names = [row.strategy for row in same]
            n, whole = len(same[0].scored), all(row.scored == row.seeds for row in same)
            where = (
                f"at every seed ({n} of {n})"
                if whole
                else f"at every seed that ended with scores ({n} of {len(same[0].seeds)})"
            )
            found.append(f"{', '.join(names[:-1])} and {names[-1]} ended with identical weights {where}, by sha256.")
    return found
