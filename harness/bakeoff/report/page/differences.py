"""The differences to the baseline as a forest plot in a table, all pairs as a matrix, and differences on slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bakeoff.analysis.findings import ComparisonGroup, SliceScore
from bakeoff.analysis.results import Pair, Row
from bakeoff.contracts.unit import Figures
from bakeoff.report.cells import detectable_cell
from bakeoff.report.page.drawing import Axis, axis_over, interval
from bakeoff.text.numbers import DASH, p_value, with_decimals

SIGNS = {
    "identical": "=",
    "better": "▲",
    "worse": "▼",
    "equivalent": "≈",
    "inconclusive": "?",
    "futile": "∅",
    "open": "…",
    "confounded": "†",
    "withheld": "⊘",
}
"""A sign for each verdict, beside its name and colour."""

MOST_DRAWN = 50
"""How many rows the page shows, and the baseline; the table of all figures has all, to be searched."""

MOST_IN_MATRIX, MOST_PAIRS, MOST_SLICES = 24, 300, 300


def drawn_rows(group: ComparisonGroup) -> list[Row]:
    """The rows that the page shows: the `MOST_DRAWN` best, and the baseline."""
    rows = group.ranked
    return [*rows[:MOST_DRAWN], *(row for row in rows[MOST_DRAWN:] if row.baseline)]


@dataclass(frozen=True)
class Forest:
    """A forest plot: every row's difference to the baseline with its interval, drawn on one axis."""

    axis: Axis
    pairs: list[tuple[Pair, Markup]]
    """Each difference to the baseline with its drawing."""
    margin: str
    """The margin of equivalence as text; empty without one."""


def forest(group: ComparisonGroup) -> Forest | None:
    """The forest plot of the rows that are drawn; None where none is compared with the baseline."""
    by_row = group.pairs
    pairs = [by_row[row.strategy] for row in drawn_rows(group) if row.strategy in by_row]
    if not pairs:
        return None
    band = min(1.15 * (group.margin or 0.0), group.unit.span or math.inf)
    axis = _axis(group, [0.0, -band, band], pairs, pad=0.04, width=320)
    drawn = [
        (pair, interval(axis, pair.difference, pair.low, pair.high, kind=pair.verdict, band=group.margin, reference=0.0))
        for pair in pairs
    ]
    return Forest(axis, drawn, "" if group.margin is None else group.figures.exactly(group.margin).alone(group.margin))


def _axis(
    group: ComparisonGroup, values: list[float], drawn: Sequence[Pair | SliceScore], *, pad: float = 0.06, width: int = 200
) -> Axis:
    """An axis over these values and all drawn intervals, cut at the largest possible difference."""
    span = group.unit.span
    bounds = [value for one in drawn for value in (one.difference, one.low, one.high)]
    return axis_over([*values, *bounds], pad=pad, width=width, ends=(None, None) if span is None else (-span, span))


def detectable(pair: Pair, figures: Figures) -> str:
    """The minimum detectable difference with its range, and that of unlimited seeds: `2.07 (1.60 to 3.24); at best 1.2`."""
    if pair.verdict == "identical" or pair.detectable is None:
        return DASH
    limit = pair.detectable_with_all_seeds
    return detectable_cell(pair, figures) + ("" if limit is None else f"; at best {figures.number(limit)}")


def _seeds(pair: Pair) -> str:
    """How many seeds each side has: `5, paired`, `5 and 3`, `5 of full; tfidf depends on none`."""
    first, second = pair.seeds
    if pair.over_examples_alone:
        return "neither side depends on the seed"
    if pair.seed_free:
        free = pair.seed_free[0]
        return f"{first} of {pair.first if free == pair.second else pair.second}; {free} depends on none"
    return f"{first}, paired" if pair.paired else f"{first} and {second}"


def other_tests(pair: Pair, figures: Figures) -> dict[str, str]:
    """How a pair was tested, and the results of tests beside the primary one: title of a column -> cell."""
    checks = pair.checks
    smallest = "" if checks.randomisation_smallest_p is None else f" ({p_value(checks.randomisation_smallest_p)})"
    return {
        "method": pair.method,
        "seeds": _seeds(pair),
        "why not paired": pair.why_not_paired or DASH,
        "simultaneous interval": figures.signed_range(pair.wide_low, pair.wide_high) or DASH,
        "p of equivalence": p_value(pair.equivalence_p),
        "randomisation p (smallest)": p_value(checks.randomisation_p) + smallest,
        "bootstrap interval": figures.signed_range(checks.bootstrap_low, checks.bootstrap_high) or DASH,
        "bootstrap p": p_value(checks.bootstrap_p),
        "p of t over seeds": p_value(checks.seeds_t_p),
        "McNemar p": p_value(checks.mcnemar_p),
        "correlation of seeds": with_decimals(checks.seed_correlation, 2),
        "probability of improvement": with_decimals(checks.probability_of_improvement, 2),
    }


@dataclass(frozen=True)
class Matrix:
    """The differences of all pairs of strategies in a comparison group."""

    names: list[str]
    """Those of the matrix's rows and columns, the best first; empty where there are too many for a matrix."""
    verdicts: dict[tuple[str, str], tuple[str, float]]
    """(row, column) -> verdict on the row and its difference to the column."""
    pairs: list[tuple[Pair, Markup]]
    """Each pair with its drawing; better and worse ones first."""


_MIRRORED = {"better": "worse", "worse": "better"}


def matrix(group: ComparisonGroup) -> Matrix | None:
    """The differences of all pairs; None where the forest plot already shows them all."""
    pairs = group.all_pairs
    if len(pairs) <= 1:
        return None
    verdicts: dict[tuple[str, str], tuple[str, float]] = {}
    for pair in pairs:
        verdicts[pair.first, pair.second] = pair.verdict, pair.difference
        verdicts[pair.second, pair.first] = _MIRRORED.get(pair.verdict, pair.verdict), -pair.difference
    involved = {first for first, _ in verdicts}
    names = [row.strategy for row in group.ranked if row.strategy in involved]
    axis = _axis(group, [0.0], pairs)
    drawn = [
        (pair, interval(axis, pair.difference, pair.low, pair.high, kind=pair.verdict, reference=0.0))
        for pair in sorted(pairs, key=lambda pair: pair.verdict not in _MIRRORED)[:MOST_PAIRS]
    ]
    return Matrix(names if len(names) <= MOST_IN_MATRIX else [], verdicts, drawn)


@dataclass(frozen=True)
class Slices:
    """Scores on the slices of one column: the parts of the split that have the same value there."""

    column: str
    axis: Axis
    lines: list[tuple[SliceScore, Markup | str]]
    """A strategy's score on a slice, with a drawing of its difference to the baseline; empty where there is no difference."""
    left_out: int
    """How many such scores are not shown, since there are too many."""


def slices(group: ComparisonGroup) -> list[Slices]:
    """The tables of scores on slices, one for each column that cuts the split into parts."""
    tables = []
    for column in dict.fromkeys(part.column for part in group.slices):
        parts = [part for part in group.slices if part.column == column]
        axis = _axis(group, [0.0], parts[:MOST_SLICES])
        lines: list[tuple[SliceScore, Markup | str]] = []
        for part in parts[:MOST_SLICES]:
            drawing: Markup | str = ""
            if part.difference is not None:
                gains = "better" if (part.difference > 0) == group.higher_is_better else "worse"
                kind = gains if part.p_adjusted is not None and part.p_adjusted < 0.05 else "inconclusive"
                drawing = interval(axis, part.difference, part.low, part.high, kind=kind, reference=0.0)
            lines.append((part, drawing))
        tables.append(Slices(column, axis, lines, len(parts) - len(lines)))
    return tables
