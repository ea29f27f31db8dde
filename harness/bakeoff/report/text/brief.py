"""A comparison on one screen of a terminal: what to take, one table, what to mind, and where the rest stands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len

from bakeoff.analysis.findings import Comparison, ComparisonGroup, NamedWarning
from bakeoff.analysis.results import Row
from bakeoff.report.cells import BASELINE, MAJORITY, all_runs, amount_cell, shown_cost
from bakeoff.report.curves import first_sentences
from bakeoff.report.notes import urgent
from bakeoff.report.text.terminal import wrapped
from bakeoff.report.verdict_words import figures_in_words, verdict_words, why_not_subtract, why_stricter
from bakeoff.text.markdown import Column, padded
from bakeoff.text.numbers import count
from bakeoff.text.values import grouped, listed
from bakeoff.text.words import escaped, one_line

MOST_LINES: Final = 40
"""How many lines the screen may have for up to five strategies; each further strategy allows one more."""
LONGEST_NAME: Final = 28
"""Names of strategies with more characters go on in the next line."""


class Strong(str):
    """A line that stands out on a terminal."""

    __slots__ = ()


@dataclass
class _Screen:
    """The lines so far, of a screen with `room` lines of `width` columns; optional lines are added only while there is
    room."""

    width: int
    room: int
    lines: list[str] = field(default_factory=list)

    def add(self, *blocks: Sequence[str]) -> None:
        """Adds the blocks of lines, even where there is no room."""
        for block in blocks:
            self.lines += block

    def fits(self, block: Sequence[str], *, reserve: int = 0) -> bool:
        """Adds the block if it leaves room for `reserve` further lines; returns whether it did."""
        if len(self.lines) + len(block) + reserve > self.room:
            return False
        self.lines += block
        return True

    def wrapped(self, text: str, indent: str = "") -> list[str]:
        return wrapped(escaped(text), self.width, indent=indent)


def write_brief(comparison: Comparison, width: int, *, more: Sequence[str] = ()) -> list[str]:
    """The comparison in lines of plain text, at most `width` columns wide unless a single word is wider; the lines that matter
    most are `Strong`.

    more: sentences for the end, such as which files were written.
    """
    strategies = {row.strategy for group in comparison.every_group for row in group.rows}
    screen = _Screen(width, MOST_LINES + max(0, len(strategies) - 5))
    closing = [line for text in more for line in screen.wrapped(text, "  ")]
    screen.add(screen.wrapped(comparison.title))
    if comparison.question:
        screen.add(screen.wrapped(comparison.question))
    if comparison.damaged:
        screen.add(["", *screen.wrapped(f"{count(len(comparison.damaged), 'record')} can't be read, and left out.")])
    several = len(comparison.every_group) > 1
    tables = [table_of(comparison, group, width) for group in comparison.every_group]
    blocks = [
        [*_head(screen, comparison, group), *lines] for group, (lines, _) in zip(comparison.every_group, tables, strict=True)
    ]
    words = _words(screen, comparison)
    if not several or sum(len(block) + 1 for block in blocks) + len(words) + len(closing) + 6 <= screen.room:
        for block in blocks:
            screen.add(["", *block])
        screen.add(words)
        columns = _column_words(screen, comparison, {title for _, titles in tables for title in titles})
        screen.fits(columns if words else ["", *columns], reserve=len(closing) + 7)
    else:
        _titles_only(screen, comparison, closing)
    if comparison.across:
        screen.fits(["", *screen.wrapped(comparison.across.sentence)], reserve=len(closing) + 2)
    _to_mind(screen, comparison, len(closing) + 1)
    if closing:
        screen.add(["", *closing])
    return screen.lines


def _head(screen: _Screen, comparison: Comparison, group: ComparisonGroup) -> list[str]:
    """The answer for a comparison group, and what the table below it shows, as lines."""
    title = screen.wrapped(f"{group.title}:") if len(comparison.every_group) > 1 else []
    recommended = comparison.recommended(group)
    better = "more" if group.higher_is_better else "less"
    unit = f", in {group.unit.name}" if group.unit.name else ""
    shown = f"{group.metric} on {group.split} ({group.examples:,} examples{unit}; {better} is better)"
    return [
        *title,
        *map(Strong, screen.wrapped(recommended.headline if recommended else group.answer)),
        *(screen.wrapped(recommended.rest) if recommended and recommended.rest else []),
        *(line for sentence in first_sentences(group.curve) for line in screen.wrapped(sentence)),
        *(["", *screen.wrapped(shown)] if group.compared else []),
    ]


def _titles_only(screen: _Screen, comparison: Comparison, closing: Sequence[str]) -> None:
    """Adds the answers for as many comparison groups as fit, without tables, where there are too many groups for the screen.

    closing: the lines at the end, which must still fit.
    """
    left = list(comparison.every_group)
    screen.add([""])
    while left and screen.fits(_head(screen, comparison, left[0]), reserve=len(closing) + 6):
        left.pop(0)
    if left:
        screen.add([f"and {count(len(left), 'comparison group')} more"])


# --- the table -----------------------------------------------------------------------------------------------------------


def table_of(comparison: Comparison, group: ComparisonGroup, width: int) -> tuple[list[str], list[str]]:
    """The table of a group's strategies as lines, the best first, and the titles of its columns: score, interval, difference
    to the baseline with its verdict, cost, runs. Columns that do not fit are left out, in the order of `DROPPED`."""
    figures, pairs = group.figures, group.pairs
    if not (rows := group.ranked):
        return [], []
    found, scores = [pairs.get(row.strategy) for row in rows], [group.score(row) for row in rows]
    cost = shown_cost(group, comparison.recommended(group))
    columns = {
        "name": Column("strategy", [f"{one_line(row.title)}{f' {BASELINE}' * row.baseline}" for row in rows], "left"),
        "score": Column(one_line(group.metric) or "score", [figures.number(score.mean if score else None) for score in scores]),
        "interval": Column("95 % interval", [figures.range(score.low, score.high) if score else "" for score in scores]),
        "difference": Column("difference", [figures.signed(pair.difference) if pair else "" for pair in found]),
        "verdict": Column(
            f"against {one_line(group.against)}", [_verdict(group, row) for row in rows] if pairs else [], "left"
        ),
        "cost": Column(cost.title if cost else "", [amount_cell(row.strategy, group, cost) for row in rows] if cost else []),
        "runs": Column("runs", [_runs(row) for row in rows]),
    }
    columns = {kind: column for kind, column in columns.items() if any(column.cells)}
    for name, score, word in _unranked(group):
        for kind, column in columns.items():
            column.cells.append({"name": name, "score": score, "verdict": word}.get(kind, ""))
    return _fitted(columns, width)


def _unranked(group: ComparisonGroup) -> Iterator[tuple[str, str, str]]:
    """(name, score, what it is) of the majority baseline and of figures published elsewhere on the same split."""
    if group.majority_baseline is not None:
        yield MAJORITY, group.figures.number(group.majority_baseline), "always one answer"
    for other in group.imported:
        if other.split == group.split and group.metric in other.scores:
            yield one_line(other.name), group.figures.number(other.scores[group.metric]), "published"


def _verdict(group: ComparisonGroup, row: Row) -> str:
    pair = group.pairs.get(row.strategy)
    if pair is None:
        return "the baseline" if row.baseline else "not compared" if group.score(row) else ""
    every = all_runs(pair)
    if not pair.tested:
        return f"{every}: no run learned"
    return pair.marked_verdict if every == pair.verdict else f"{pair.marked_verdict}; all runs: {every}"


def _runs(row: Row) -> str:
    """How many of a row's runs its score is over: `5`, or `4 of 5` where some failed, collapsed or are missing."""
    needed, averaged = len(row.needed), len(row.averaged) if row.scored else 0
    return str(averaged) if averaged == needed else f"{averaged} of {needed}"


DROPPED = ("interval", "runs", "difference", "cost")
"""Columns that are left out where the terminal is too narrow, in this order."""


def _fitted(columns: dict[str, Column], width: int) -> tuple[list[str], list[str]]:
    """The columns that fit as aligned lines, two blanks apart, with titles and long names in as many lines as they need; and
    the titles of these columns."""
    left = dict(columns)
    for kind in DROPPED:
        if sum(_size(column) + 2 for column in left.values()) - 2 > width:
            left.pop(kind, None)
    shown, sizes = list(left.values()), [_size(column) for column in left.values()]
    heads = [textwrap.wrap(column.title, size, break_on_hyphens=False) for column, size in zip(shown, sizes, strict=True)]
    highest = max(map(len, heads))
    lines = _lines([[*[""] * (highest - len(head)), *head] for head in heads], shown, sizes)
    for cells in zip(*(column.cells for column in shown), strict=True):
        lines += _lines([_broken(cell, size) for cell, size in zip(cells, sizes, strict=True)], shown, sizes)
    return lines, [column.title for column in shown]


def _size(column: Column) -> int:
    longest = max(map(cell_len, [*column.cells, *column.title.split()]))
    return min(longest, LONGEST_NAME) if column.title == "strategy" else longest


def _broken(cell: str, room: int) -> list[str]:
    """The cell in lines of at most `room` columns; a word that is longer than a line is broken anywhere."""
    lines = [""]
    for part in re.findall(r"\S+\s*|\s+", cell) or [""]:
        for letter in [part] if cell_len(part.rstrip()) <= room else part:
            if cell_len(lines[-1] + letter.rstrip()) > room:
                lines.append("")
            lines[-1] += letter
    return [line.rstrip() for line in lines]


def _lines(cells: Sequence[Sequence[str]], columns: Sequence[Column], sizes: Sequence[int]) -> list[str]:
    """The lines of one row of the table; each of its cells has one line or more."""
    lines = []
    for parts in zip_longest(*cells, fillvalue=""):
        placed = [padded(part, size, column.align) for part, size, column in zip(parts, sizes, columns, strict=True)]
        lines.append("  ".join(placed).rstrip())
    return lines


# --- what it means, and what to mind -------------------------------------------------------------------------------------


def _column_words(screen: _Screen, comparison: Comparison, shown: Collection[str]) -> list[str]:
    """Lines on what the columns with these titles show."""
    found: dict[str, str] = {}
    for group in comparison.groups:
        found = figures_in_words(group, shown_cost(group, comparison.recommended(group))) | found
    told = [f"{title}: {words}." for title, words in found.items() if title in shown]
    return [line for text in told for line in screen.wrapped(text, "  ")]


def _words(screen: _Screen, comparison: Comparison) -> list[str]:
    """Lines on what the verdicts mean; verdicts with the same meaning share a sentence."""
    meant = grouped((words, verdict) for verdict, words in verdict_words(comparison.groups).items())
    told = [f"{' or '.join(names)}: {words}." for words, names in meant.items()]
    told += dict.fromkeys(filter(None, map(why_not_subtract, comparison.groups)))
    told += dict.fromkeys(filter(None, (why_stricter(group, comparison.recommended(group)) for group in comparison.groups)))
    lines = [line for text in told for line in screen.wrapped(text, "  ")]
    return ["", *lines] if lines else []


def _to_mind(screen: _Screen, comparison: Comparison, reserve: int) -> None:
    """Adds the warnings, a paragraph for each name, the gravest first, and what failed; of paragraphs that do not fit, the
    names.

    reserve: how many lines must remain free.
    """
    several = len(comparison.every_group) > 1
    told = [sentence for group in comparison.every_group for sentence in urgent(group, comparison.commands)]
    by_name = grouped((warning.name, warning) for warning in comparison.warnings if warning.severity != "note")
    invalid = {name for name, found in by_name.items() if found[0].severity == "invalid"}
    paragraphs = [
        *((name, _in_words(by_name[name], several=several)) for name in by_name if name in invalid),
        *((sentence.partition(":")[0], sentence) for sentence in told),
        *((name, _in_words(by_name[name], several=several)) for name in by_name if name not in invalid),
    ]
    screen.add([""] if paragraphs else [])
    left = list[str]()
    for number, (name, text) in enumerate(paragraphs):
        last = number == len(paragraphs) - 1 and not left
        if not screen.fits(screen.wrapped(text, "  "), reserve=reserve + (0 if last else 2)):
            left.append(name)
    if left:
        screen.add(screen.wrapped(f"Mind also: {listed(left, most=6)}.", "  "))


def _in_words(found: Sequence[NamedWarning], *, several: bool) -> str:
    """A paragraph on the warnings of one name: the first in full, and where and how often there are more."""
    first, *others = found
    where = f"{first.group}: " if several and first.group else ""
    places = [one.group for one in others if one.group != first.group]
    likewise = f" Likewise in {listed(places, most=4)}." if places else ""
    again = len(others) - len(places)
    return f"{first.name} ({first.severity}): {where}{first.what}{likewise}{f' ({again} more of this kind)' if again else ''}"
