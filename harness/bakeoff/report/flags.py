"""What to mind about a row, in two or three words, and the sentence under the table that says what it means."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.errors import quoted
from bakeoff.record import Declared
from bakeoff.report.facts import seeds_spelt
from bakeoff.report.table import Failed, Row, Table

SEEDS_FOR_SIGNIFICANCE = 6
"""The exact sign-flip test over n seeds has no p below 2 / 2^n: six seeds are the fewest that can reach 0.05."""


def flags_of(row: Row, table: Table) -> list[str]:
    """The row's flags, the gravest first. Failed and missing runs have columns of their own."""
    flags = []
    n = len(row.scored)
    if row.elsewhere:
        flags.append("environment")
    if _at_floor(row, table):
        flags.append("at the floor")
    if row.owns:
        flags.append(f"owns {', '.join(row.owns)}")
    if 0 < n < SEEDS_FOR_SIGNIFICANCE:
        flags.append({1: "one seed", 2: "two seeds"}.get(n, "few seeds"))
    return flags


def _at_floor(row: Row, table: Table) -> bool:
    """Whether the row does no better, in the mean, than always answering with the majority's label."""
    if table.data is None or table.primary is None or not row.scored:
        return False
    split = table.splits[0]
    floor = table.data.floor.get(split, {}).get(table.primary)
    score = row.scores.get(split, {}).get(table.primary)
    if floor is None or score is None:
        return False
    return score.mean <= floor if table.metrics[0].higher_is_better else score.mean >= floor


def sentences(table: Table, declared: Declared) -> list[str]:
    """A sentence for failed runs, for missing ones and for each flag in the table, and what else is to be said of its rows."""
    flagged = {row.strategy: flags_of(row, table) for row in table.rows}
    used = [flag for flags in flagged.values() for flag in flags]
    found = []
    if any(row.failed for row in table.rows):
        found.append(f"failed: {'; '.join(_failures(row) for row in table.rows if row.failed)}. They count in no mean.")
    if any(row.missing for row in table.rows):
        found.append(_unfinished(table.rows, declared))
    if "environment" in used:
        elsewhere = "; ".join(f"{row.strategy}: {', '.join(row.elsewhere)}" for row in table.rows if row.elsewhere)
        found.append(f"environment: {elsewhere}. Times in parentheses are not comparable with the others.")
    if "at the floor" in used:
        found.append(f"at the floor: no better on {table.splits[0]} than always giving the majority's answer.")
    for row in table.rows:
        if row.owns:
            owned = ", ".join(row.owns)
            found.append(
                f"owns {owned}: {row.strategy}'s trainer does this its own way; it does not share it with the other rows."
            )
    if "one seed" in used:
        found.append("one seed: an anecdote; how much the score depends on the seed is not known.")
    if "two seeds" in used:
        found.append("two seeds: an anecdote; two seeds say next to nothing of the spread.")
    counts = sorted({len(row.scored) for row in table.rows if "few seeds" in flagged[row.strategy]})
    found += [
        f"few seeds: with {n} seeds the exact sign-flip test cannot give p below {2 / 2**n:.3g} (2/2^{n}); "
        f"{SEEDS_FOR_SIGNIFICANCE} seeds are the fewest that can reach p < 0.05."
        for n in counts
    ]
    return found + twins(table.rows)


def _failures(row: Row) -> str:
    by_reason: dict[str, list[Failed]] = {}
    for failed in row.failed:
        by_reason.setdefault(failed.reason, []).append(failed)
    told = [
        f"{len(same)} {reason} (seed {seeds_spelt([failed.seed for failed in same])}: {quoted(same[0].message)})"
        for reason, same in by_reason.items()
    ]
    return f"{row.strategy} {len(row.failed)} of {len(row.seeds)}: {', '.join(told)}"


def _unfinished(rows: Sequence[Row], declared: Declared) -> str:
    missing, seeds = sum(len(row.missing) for row in rows), sum(len(row.seeds) for row in rows)
    which = "; ".join(f"{row.strategy} seed {seeds_spelt(row.missing)}" for row in rows if row.missing)
    return (
        f"unfinished: {missing} of {seeds} runs {'is' if missing == 1 else 'are'} not recorded ({which}); "
        f"bakeoff run {declared.spec_file} goes on."
    )


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
