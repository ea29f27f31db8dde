"""Warnings about what may be concluded: few-examples, multiple-comparisons, negligible-difference, inconclusive.

An undecided difference inside the margin is reported by inconclusive, one beyond it by few-examples: never by both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from bakeoff.analysis.flags.wording import Found, Judged, clauses, named
from bakeoff.analysis.results import Pair
from bakeoff.contracts.metric import is_below
from bakeoff.statistics.exact import seeds_for_permutation, seeds_for_sign_flip
from bakeoff.statistics.intervals import ALPHA, ROUNDING
from bakeoff.statistics.power import mde_examples
from bakeoff.statistics.sample_size import PLANNED_DISCORDANCE
from bakeoff.text.numbers import count, p_equals, p_value, per_cent, with_decimals
from bakeoff.text.values import grouped


def negligible_differences(judged: Judged) -> Iterator[Found]:
    """negligible-difference: a difference that is significant, and too small to matter."""
    group, margin = judged.group, judged.group.margin or 0.0
    sure = {
        pair.first: f"{pair.first} ({group.figures.with_unit(abs(pair.difference))}, adjusted {p_equals(pair.p_adjusted)})"
        for pair in group.to_baseline
        if pair.p_adjusted is not None and pair.p_adjusted < ALPHA and 0 < abs(pair.difference) < margin
    }
    if sure:
        yield Found(
            sure,
            f"Significant, and inside the margin of {group.figures.as_declared(margin)}: {named(sure.values())} against "
            f"{group.against}. A difference that is there need not matter.",
            "Judge by the interval and the margin, not by p; choose by cost.",
        )


def small_margins(judged: Judged) -> Iterator[Found]:
    """small-margin: a margin below what one example is worth."""
    group = judged.group
    if group.margin is not None and is_below(group.margin, group.one_example):
        example = group.figures.with_unit(group.one_example or 0.0)
        yield Found(
            [row.strategy for row in group.rows if not row.baseline],
            f"The margin, {group.figures.as_declared(group.margin)}, is less than one of {group.examples:,} examples is worth "
            f"({example}): only equal scores lie within it.",
            f"Declare a margin of at least {example}, or report a larger split, {judged.in_new_folder}.",
        )


def inconclusive(judged: Judged) -> Iterator[Found]:
    """inconclusive: a small difference that is not significant, which does not show equality either.

    Not raised where the reason is one that few-seeds or confounded warns of.
    """
    group = judged.group
    margin = math.inf if group.margin is None else group.margin  # where none is named, every difference is reported here
    open_pairs = {
        pair.first: _reach(judged, pair)
        for pair in group.to_baseline
        if pair.verdict == "inconclusive"
        and abs(pair.difference) < margin
        and (pair.over_examples_alone or min(pair.seeds) >= (seeds_for_sign_flip() if pair.paired else seeds_for_permutation()))
    }
    if open_pairs:
        yield Found(
            open_pairs,
            f"Not shown to differ from {group.against}, and not shown to be equal: {clauses(open_pairs.values())}.",
            f"{judged.resolve_margin} says what it takes.",
        )


def _reach(judged: Judged, pair: Pair) -> str:
    apart = f"{pair.first} is {judged.group.figures.with_unit(abs(pair.difference))} apart"
    if pair.detectable is None:
        return f"{apart}, which so few runs cannot test"
    figures = judged.group.figures
    spread = f", {' to '.join(map(figures.alone, pair.detectable_range))}" if pair.detectable_range else ""
    return f"{apart}, where about {figures.with_unit(pair.detectable)} or more would likely be found (80 % power{spread})"


def multiple_comparisons(judged: Judged) -> Iterator[Found]:
    """multiple-comparisons: a p-value below 5 % that is above it once it is adjusted for its family of comparisons."""
    lost = {
        pair.first: f"{pair.first} ({p_equals(pair.p)}, adjusted {p_value(pair.p_adjusted)})"
        for pair in judged.group.to_baseline
        if pair.p is not None and pair.p_adjusted is not None and pair.p < ALPHA <= pair.p_adjusted
    }
    if lost:
        yield Found(
            lost,
            f"Significant only when taken alone: {named(lost.values())}. Among "
            f"{count(judged.group.to_baseline[0].comparisons, 'comparison')} a p below 0.05 may well come by chance; "
            "adjusted by Holm, none of these is below it.",
            f"Declare fewer strategies, or as many new seeds as {judged.resolve_margin} says it takes, and run them "
            f"{judged.in_new_folder}.",
        )


def few_examples(judged: Judged) -> Iterator[Found]:
    """few-examples: a difference beyond the margin that so few examples cannot tell from none.

    Of several runs a side, the limit is the difference that an unlimited number of seeds would find on these examples; of
    single runs, the one that McNemar's test finds, given the share of examples that just one of the two has right.
    """
    group, unseen = judged.group, dict[str, str]()
    for pair in group.to_baseline:
        n, apart = pair.examples, abs(pair.difference)
        settled = pair.finding in ("identical", "equivalent")
        if n < 1 or group.margin is None or apart < group.margin or settled or not _right_or_wrong(judged):
            continue
        discordance = _discordance(judged, pair)
        least, what = pair.detectable_with_all_seeds, "even seeds without end can show only {} or more"
        if min(pair.seeds) < 2:
            least, what = mde_examples(discordance, n), f"two runs can show only {{}} or more{_where(discordance)}"
        if (least is not None and pair.finding == "inconclusive" and apart < least) or apart + ROUNDING < 1 / n:
            limit = f", where {what.format(group.figures.with_unit(least))}" if least is not None else ""
            unseen[pair.first] = f"{pair.first} is {group.figures.with_unit(apart)} away ({_in_examples(apart, n)}){limit}"
    if unseen:
        yield Found(
            unseen,
            f"Below what {count(group.to_baseline[0].examples, 'example')} can show against {group.against}: "
            f"{clauses(unseen.values())}. No gain follows from that, and no loss.",
            f"{judged.resolve_margin} says what it takes.",
        )


def _right_or_wrong(judged: Judged) -> bool:
    """Whether answers on the reported split are labels."""
    there = judged.outputs.splits.get(judged.group.split)
    return there is None or all(np.issubdtype(answers.dtype, np.integer) for answers in there.answers.values())


def _discordance(judged: Judged, pair: Pair) -> float:
    """Share of examples that just one of two runs has right, in the mean over all pairs of their runs."""
    split = judged.outputs.splits[judged.group.split]
    one, other = ((split.answers[name] == split.labels).mean(axis=0) for name in (pair.first, pair.second))  # (N,)
    return float((one * (1 - other) + other * (1 - one)).mean()) or PLANNED_DISCORDANCE


def _in_examples(apart: float, n: int) -> str:
    return "less than one example" if apart * n < 1 - ROUNDING else f"{with_decimals(apart * n, 1).removesuffix('.0')} examples"


def _where(discordance: float) -> str:
    return f" (one alone right on {per_cent(discordance, 1)} of the examples)"


def published_differences(judged: Judged, *, inside: bool) -> Iterator[Found]:
    """Two published figures of one source: negligible-difference where they differ by less than the margin, few-examples where
    by more. inside: whether the former is looked for."""
    group = judged.group
    n, margin = group.examples, group.margin or 0.0
    sources = grouped(
        (row.source, row)
        for row in group.imported
        if row.split == group.split and group.metric in row.scores and n and _right_or_wrong(judged)
    )
    for source, rows in sources.items():
        least = mde_examples(PLANNED_DISCORDANCE, n)
        apart = {
            (first.name, second.name): abs(first.scores[group.metric] - second.scores[group.metric])
            for first, second in combinations(rows, 2)
        }
        small = {pair: gap for pair, gap in apart.items() if (0 < gap < margin if inside else margin <= gap < least and gap)}
        if not small:
            continue
        gaps = (
            f"{' and '.join(pair)} are {group.figures.with_unit(gap)} apart ({_in_examples(gap, n)})"
            for pair, gap in small.items()
        )
        limit = (
            f"the margin of {group.figures.as_declared(margin)}"
            if inside
            else f"{count(n, 'example')} can show of two runs: {group.figures.with_unit(least)}{_where(PLANNED_DISCORDANCE)}"
        )
        runs = count(min(row.seeds for row in rows), "run")
        yield Found(
            dict.fromkeys(name for pair in small for name in pair),
            f"{source}: {clauses(gaps)}, less than {limit}; {runs} a figure. No ranking follows from that.",
            f"Run both here with seeds enough: {judged.resolve_margin}.",
        )
