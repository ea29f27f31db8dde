"""The differences to the baseline as a forest plot in a table, all pairs as a matrix, and differences on slices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.analysis.findings import Board, Pair, SliceScore
from bakeoff.analysis.row import Row
from bakeoff.contracts.unit import Figures, Unit
from bakeoff.report.page.drawing import Ends, axis_over, interval, scale_line
from bakeoff.text.numbers import DASH, p_value, with_decimals

if TYPE_CHECKING:
    from markupsafe import Markup

SIGNS = {"identical": "=", "better": "▲", "worse": "▼", "equivalent": "≈", "inconclusive": "?", "confounded": "†"}
"""One for each verdict, beside its word and colour."""

MOST_DRAWN = 150
"""Rows in what follows the leaderboard, which alone has them all."""

MOST_IN_MATRIX, MOST_PAIRS, MOST_SLICES = 24, 300, 300


def drawn_rows(board: Board) -> list[Row]:
    """The first rows, and the baseline."""
    rows = board.ranked
    return [*rows[:MOST_DRAWN], *(row for row in rows[MOST_DRAWN:] if row.baseline)]


@dataclass(frozen=True)
class Difference:
    """A row minus another, in words."""

    first: str
    second: str
    drawing: Markup
    difference: str
    range: str
    p: str
    verdict: str
    sign: str
    detectable: str
    advice: str
    sentence: str
    confounders: list[str]
    checks: list[str]
    """What other tests say: one cell for each of `CHECKS`."""


CHECKS = (
    "method",
    "seeds",
    "simultaneous interval",
    "p of equivalence",
    "sign-flip p (floor)",
    "bootstrap interval",
    "bootstrap p",
    "paired t p",
    "McNemar p",
    "correlation of seeds",
    "probability of improvement",
)


@dataclass(frozen=True)
class Forest:
    """Differences on one axis."""

    axis: Markup
    rows: list[Difference]
    comparisons: int
    margin: str
    confounded: bool


def forest(board: Board) -> Forest | None:
    """Every row minus the baseline; None where there is nothing to compare."""
    figures, by_row = board.figures, board.pairs
    pairs = [by_row[row.strategy] for row in drawn_rows(board) if row.strategy in by_row]
    if not pairs:
        return None
    bounds = [value for pair in pairs for value in (pair.difference, pair.low, pair.high)]
    band = min(1.15 * (board.margin or 0.0), board.unit.span or math.inf)
    axis = axis_over([0.0, -band, band, *bounds], pad=0.04, width=320, ends=_ends(board.unit))
    rows = []
    for pair in pairs:
        drawing = interval(axis, pair.difference, pair.low, pair.high, kind=pair.verdict, band=board.margin, reference=0.0)
        rows.append(_difference(pair, figures, drawing))
    return Forest(
        axis=scale_line(axis, board.unit.scale, signed=True),
        rows=rows,
        comparisons=pairs[0].comparisons,
        margin="" if board.margin is None else figures.exactly(board.margin).alone(board.margin),
        confounded=any(row.confounders for row in rows),
    )


def _ends(unit: Unit) -> Ends:
    """Between which the differences of two scores lie."""
    return (None, None) if unit.span is None else (-unit.span, unit.span)


def _difference(pair: Pair, figures: Figures, drawing: Markup) -> Difference:
    detectable = DASH if pair.verdict == "identical" else figures.number(pair.detectable)
    limit = figures.number(pair.detectable_with_all_seeds)
    if DASH not in (detectable, limit):
        detectable += f" (at best {limit})"
    return Difference(
        first=pair.first,
        second=pair.second,
        drawing=drawing,
        difference=figures.signed(pair.difference),
        range=figures.signed_range(pair.low, pair.high),
        p=p_value(pair.p_adjusted),
        verdict=pair.verdict,
        sign=SIGNS[pair.verdict],
        detectable=detectable,
        advice=pair.advice,
        sentence=pair.sentence,
        confounders=[fact.sentence() for fact in pair.confounders],
        checks=_checks(pair, figures),
    )


def _checks(pair: Pair, figures: Figures) -> list[str]:
    checks = pair.checks
    flip = p_value(checks.sign_flip_p)
    if checks.sign_flip_floor is not None:
        flip += f" ({p_value(checks.sign_flip_floor)})"
    first, second = pair.seeds
    return [
        pair.method,
        f"{first}, paired" if pair.paired else f"{first} and {second}",
        figures.signed_range(pair.wide_low, pair.wide_high) or DASH,
        p_value(pair.equivalence_p),
        flip,
        figures.signed_range(checks.bootstrap_low, checks.bootstrap_high) or DASH,
        p_value(checks.bootstrap_p),
        p_value(checks.paired_t_p),
        p_value(checks.mcnemar_p),
        with_decimals(checks.seed_correlation, 2),
        with_decimals(checks.probability_of_improvement, 2),
    ]


# --- all pairs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meeting:
    """A cell of the matrix: the row minus the column."""

    verdict: str
    sign: str
    difference: str


@dataclass(frozen=True)
class Matrix:
    """All pairs of a board; empty `names` where there are too many rows for a matrix."""

    names: list[str]
    cells: list[list[Meeting | None]]
    pairs: list[Difference]
    left_out: int
    comparisons: int


_MIRRORED = {"better": "worse", "worse": "better"}


def matrix(board: Board) -> Matrix | None:
    """None where the forest already shows every pair."""
    figures = board.figures
    if len(board.all_pairs) <= 1:
        return None
    met = {(pair.first, pair.second): pair for pair in board.all_pairs}
    involved = {name for pair in met for name in pair}
    names = [row.strategy for row in board.ranked if row.strategy in involved]
    names = names if len(names) <= MOST_IN_MATRIX else []
    settled = sorted(board.all_pairs, key=lambda pair: pair.verdict not in _MIRRORED)
    differences = [value for pair in board.all_pairs for value in (0.0, pair.difference, pair.low, pair.high)]
    axis = axis_over(differences, ends=_ends(board.unit))
    drawn = [
        _difference(pair, figures, interval(axis, pair.difference, pair.low, pair.high, kind=pair.verdict, reference=0.0))
        for pair in settled[:MOST_PAIRS]
    ]
    return Matrix(
        names=names,
        cells=[[_meeting(met, row, column, figures) for column in names] for row in names],
        pairs=drawn,
        left_out=len(board.all_pairs) - len(drawn),
        comparisons=board.all_pairs[0].comparisons,
    )


def _meeting(met: dict[tuple[str, str], Pair], row: str, column: str, figures: Figures) -> Meeting | None:
    if pair := met.get((row, column)):
        return Meeting(pair.verdict, SIGNS[pair.verdict], figures.signed(pair.difference))
    if pair := met.get((column, row)):
        verdict = _MIRRORED.get(pair.verdict, pair.verdict)
        return Meeting(verdict, SIGNS[verdict], figures.signed(-pair.difference))
    return None


# --- slices --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SliceLine:
    """One row on one part of the split."""

    value: str
    examples: int
    strategy: str
    score: str
    drawing: Markup | str
    difference: str
    range: str
    p: str
    opens: bool
    """Whether a new part begins here."""
    closes: bool
    """Whether the part ends here."""


@dataclass(frozen=True)
class Slices:
    """All parts of the split by one column."""

    column: str
    axis: Markup
    lines: list[SliceLine]
    left_out: int


def slices(board: Board) -> list[Slices]:
    """One table for each column, in the order in which they come."""
    figures, scale = board.figures, board.unit.scale
    columns: dict[str, list[SliceScore]] = {}
    for found in board.slices:
        columns.setdefault(found.column, []).append(found)
    tables = []
    for column, parts in columns.items():
        shown = parts[:MOST_SLICES]
        differences = [value for part in shown for value in (part.difference, part.low, part.high)]
        axis = axis_over([0.0, *differences], ends=_ends(board.unit))
        lines = []
        for number, part in enumerate(shown):
            sound = part.p_adjusted is not None and part.p_adjusted < 0.05 and part.difference is not None
            kind = "inconclusive" if not sound else "better" if _gains(part, board) else "worse"
            drawing = (
                ""
                if part.difference is None
                else interval(axis, part.difference, part.low, part.high, kind=kind, reference=0.0)
            )
            lines.append(
                SliceLine(
                    value=part.value,
                    examples=part.examples,
                    strategy=part.strategy,
                    score=figures.number(part.score),
                    drawing=drawing,
                    difference=figures.signed(part.difference),
                    range=figures.signed_range(part.low, part.high),
                    p=p_value(part.p_adjusted),
                    opens=number == 0 or shown[number - 1].value != part.value,
                    closes=number == len(shown) - 1 or shown[number + 1].value != part.value,
                )
            )
        tables.append(Slices(column, scale_line(axis, scale, signed=True), lines, len(parts) - len(shown)))
    return tables


def _gains(part: SliceScore, board: Board) -> bool:
    return part.difference is not None and (part.difference > 0) == board.higher_is_better
