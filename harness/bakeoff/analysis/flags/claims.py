"""Warnings about what may be concluded: few-examples, multiple-comparisons, negligible-difference, inconclusive.

An open difference inside the margin is reported by inconclusive, one beyond it by few-examples: never by both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.findings import ImportedRow, Pair
from bakeoff.analysis.flags.wording import Found, amount, in_new_folder, listed, margin_amount, resolve_margin, told
from bakeoff.statistics.exact import seeds_for_sign_flip
from bakeoff.statistics.intervals import ROUNDING
from bakeoff.statistics.power import mde_examples
from bakeoff.text.numbers import count, p_equals, p_value, per_cent, with_decimals

ALPHA = 0.05
PLANNED_DISCORDANCE = 0.08
"""The share of examples that just one of two fine-tuned models has right, where it cannot be counted."""


def weightless(ground: Ground) -> Iterator[Found]:
    """negligible-difference: a difference that is sure, and too small to matter."""
    board = ground.board
    if board.margin is None:
        return
    sure = {
        pair.first: f"{pair.first} ({amount(abs(pair.difference), board)}, adjusted {p_equals(pair.p_adjusted)})"
        for pair in board.to_baseline
        if pair.p_adjusted is not None and pair.p_adjusted < ALPHA and 0 < abs(pair.difference) < board.margin
    }
    if sure:
        yield Found(
            tuple(sure),
            f"Significant, and inside the margin of {margin_amount(board.margin, board)}: {listed(sure.values())} against "
            f"{board.baseline}. "
            "A difference that is there need not matter.",
            "Judge by the interval and the margin, not by p; choose by cost.",
        )


def no_equality(ground: Ground) -> Iterator[Found]:
    """inconclusive: a small difference that is not significant, which shows no equality.

    Where few-seeds or confounded gives the reason, that says it.
    """
    board = ground.board
    margin = math.inf if board.margin is None else board.margin  # where nobody named one, none is too large to be told here
    enough = seeds_for_sign_flip()
    open_pairs = [
        pair
        for pair in board.to_baseline
        if pair.verdict == "inconclusive" and abs(pair.difference) < margin and min(pair.seeds) >= enough
    ]
    if open_pairs:
        yield Found(
            tuple(pair.first for pair in open_pairs),
            f"Not shown to differ from {board.baseline}, and not shown to be equal: "
            f"{told(_reach(ground, pair) for pair in open_pairs)}.",
            f"{resolve_margin(ground)} says what it takes.",
        )


def _reach(ground: Ground, pair: Pair) -> str:
    apart = f"{pair.first} is {amount(abs(pair.difference), ground.board)} apart"
    if pair.detectable is None:
        return f"{apart}, which so few runs cannot test"
    return f"{apart}, where only {amount(pair.detectable, ground.board)} or more would likely be found (80 % power)"


def among_many(ground: Ground) -> Iterator[Found]:
    """multiple-comparisons: a p below 5 % that does not hold in its family."""
    board = ground.board
    lost = [
        pair
        for pair in board.to_baseline
        if pair.p is not None and pair.p_adjusted is not None and pair.p < ALPHA <= pair.p_adjusted
    ]
    if lost:
        which = listed(f"{pair.first} ({p_equals(pair.p)}, adjusted {p_value(pair.p_adjusted)})" for pair in lost)
        family = count(lost[0].comparisons, "comparison")
        yield Found(
            tuple(pair.first for pair in lost),
            f"Significant only when taken alone: {which}. Among {family} one such p is likely by chance; with Holm "
            "none of these holds.",
            f"Declare fewer strategies, or as many new seeds as {resolve_margin(ground)} says, and run them "
            f"{in_new_folder(ground)}.",
        )


def below_resolution(ground: Ground) -> Iterator[Found]:
    """few-examples: a difference beyond the margin that so few examples cannot tell from none.

    Of several runs a side, the limit is what seeds without end would find on these examples; of single runs, what McNemar's
    test finds given the share of examples that just one has right.
    """
    board, unseen = ground.board, list[Pair]()
    clauses = []
    for pair in board.to_baseline:
        n, apart = pair.examples, abs(pair.difference)
        settled = pair.finding in ("identical", "equivalent")
        if n < 1 or board.margin is None or apart < board.margin or settled or not _counts(ground, board.split):
            continue
        discordance = _discordance(ground, pair)
        least, what = pair.detectable_with_all_seeds, "even seeds without end can show only {} or more"
        if min(pair.seeds) < 2:
            least, what = mde_examples(discordance, n), f"two runs can show only {{}} or more{_where(discordance)}"
        below = least is not None and pair.finding == "inconclusive" and apart < least
        if below or apart + ROUNDING < 1 / n:
            unseen.append(pair)
            limit = f", where {what.format(amount(least, board))}" if least is not None else ""
            clauses.append(f"{pair.first} is {amount(apart, board)} away ({_in_examples(apart, n)}){limit}")
    if unseen:
        yield Found(
            tuple(pair.first for pair in unseen),
            f"Below what {count(unseen[0].examples, 'example')} can show against {board.baseline}: {told(clauses)}. "
            "No gain follows from that, and no loss.",
            f"{resolve_margin(ground)} says what it takes.",
        )


def _counts(ground: Ground, split: str) -> bool:
    """Whether answers on the split are labels, right or wrong."""
    there = ground.outputs.splits.get(split)
    return there is None or all(np.issubdtype(answers.dtype, np.integer) for answers in there.answers.values())


def _discordance(ground: Ground, pair: Pair) -> float:
    """Share of examples that just one of two runs has right, in the mean over all pairs of their runs."""
    split = ground.outputs.splits.get(ground.board.split)
    first, second = (None if split is None else split.answers.get(name) for name in (pair.first, pair.second))
    if split is None or first is None or second is None or not first.size:
        return PLANNED_DISCORDANCE
    one, other = (
        (first == split.labels).mean(axis=0),
        (second == split.labels).mean(axis=0),
    )  # (N,) shares of runs that are right
    found = float((one * (1 - other) + other * (1 - one)).mean())
    return found or PLANNED_DISCORDANCE


def _in_examples(apart: float, n: int) -> str:
    return "less than one example" if apart * n < 1 - ROUNDING else f"{with_decimals(apart * n, 1).removesuffix('.0')} examples"


def _where(discordance: float) -> str:
    return f" (one alone right on {per_cent(discordance, 1)} of the examples)"


def imported_claims(ground: Ground) -> Iterator[Found]:
    """negligible-difference: two figures of one source that differ by less than the margin."""
    yield from _claims(ground, inside=True)


def imported_below_resolution(ground: Ground) -> Iterator[Found]:
    """few-examples: the same beyond the margin."""
    yield from _claims(ground, inside=False)


def _claims(ground: Ground, *, inside: bool) -> Iterator[Found]:
    board = ground.board
    sources: dict[str, list[ImportedRow]] = {}
    for row in board.imported:
        if row.split == board.split and board.metric in row.scores and board.examples and _counts(ground, board.split):
            sources.setdefault(row.source, []).append(row)
    n = board.examples
    margin = board.margin or 0.0
    for source, rows in sources.items():
        runs = min(row.seeds for row in rows)
        least = mde_examples(PLANNED_DISCORDANCE, n)
        apart = {
            (first.name, second.name): gap
            for first, second in combinations(rows, 2)
            if (gap := abs(first.scores[board.metric] - second.scores[board.metric])) > 0
        }
        small = {pair: gap for pair, gap in apart.items() if (gap < margin if inside else margin <= gap < least)}
        if not small:
            continue
        which = told(
            f"{' and '.join(pair)} are {amount(gap, board)} apart ({_in_examples(gap, n)})" for pair, gap in small.items()
        )
        limit = (
            f"less than the margin of {margin_amount(margin, board)}"
            if inside
            else f"less than {count(n, 'example')} can show of two runs: {amount(least, board)}{_where(PLANNED_DISCORDANCE)}"
        )
        yield Found(
            tuple(dict.fromkeys(name for pair in small for name in pair)),
            f"{source}: {which}, {limit}; {count(runs, 'run')} a figure. No ranking follows from that.",
            f"Run both here with seeds enough: {resolve_margin(ground)}.",
        )
