"""The parts of the page below the differences: quality against cost, learning curves, every seed, recipes side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from numpy.typing import NDArray

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.pareto import COST_MARGIN
from bakeoff.analysis.results import Row, Score
from bakeoff.records.schema import Record
from bakeoff.report.page.charts import (
    Curve,
    Dots,
    EpochCurve,
    Kind,
    Place,
    Range,
    curve,
    epoch_curves,
    every_seed,
    learning_curves,
    quality_against_cost,
)
from bakeoff.report.page.differences import drawn_rows
from bakeoff.report.page.drawing import LETTER, axis_over
from bakeoff.text.numbers import DASH
from bakeoff.text.values import grouped

Steps = tuple[NDArray[Any], NDArray[Any]]
"""Step numbers and training losses of one run, of equal length."""
Drawings = list[tuple[str, Markup]]
"""(class, drawing): one for wide screens, one for narrow ones."""

MOST_CURVES, MOST_POINTS, ALL_POINTS = 12, 48, 30_000
"""At most so many strategies of a comparison group have learning curves, with so many points a line and so many a page."""

STRIPS = 40
"""How many strategies one chart of seeds shows: as many as fit on a sheet of paper."""

WIDE, NARROW = 700, 330
"""Widths of charts, for wide and narrow screens, in pixels."""


def cost_drawings(group: ComparisonGroup) -> Drawings:
    """Charts of quality against the group's cost, of the strategies of the baseline's ranking whose cost is known; empty below
    two of these, and where all cost the same."""
    if (axis := group.cost_axis) is None:
        return []
    places = []
    for row in drawn_rows(group):
        score, amount = group.score(row), axis.amounts.get(row.strategy)
        if amount is None or score is None or row.ranking != 0:
            continue
        kind: Kind = "baseline" if row.baseline else "behind" if row.dominated_by else "front"
        places.append(Place(row.strategy, _range(*amount), _shown(score, group), kind))
    costs = [place.x[1] for place in places]
    differ = len(places) > 1 and max(costs) > min(costs) * (1 + COST_MARGIN)
    titles = (axis.title, group.axis_title)
    sizes = (("wide", WIDE, 340), ("narrow", NARROW, 300)) if differ else ()
    return [
        (kind, quality_against_cost(places, titles=titles, ends=group.score_ends, width=width, height=height))
        for kind, width, height in sizes
    ]


def _range(middle: float, low: float | None, high: float | None, scale: int = 1) -> Range:
    return scale * (middle if low is None else low), scale * middle, scale * (middle if high is None else high)


def _shown(score: Score, group: ComparisonGroup) -> Range:
    return _range(score.mean, score.low, score.high, group.unit.scale)


@dataclass(frozen=True)
class Curves:
    """The learning curves of a comparison group."""

    panels: list[tuple[str, Markup, list[Curve]]]
    """(strategy, drawing, the lines in it)."""
    left_out: int
    """How many strategies have no panel, since there are too many."""
    behind: str
    """The strategy whose first seed is drawn in grey behind the others; empty where there is none."""


def curves(
    group: ComparisonGroup, runs: Mapping[str, Sequence[Record]], steps: Callable[[str], Steps | None], points: int
) -> Curves | None:
    """The learning curves of a comparison group; None where no run has recorded steps.

    runs: strategy -> its records in the order of seeds; steps: run id -> its steps; points: most points of a line.
    """
    names = [row.strategy for row in group.ranked]
    first = sorted(names, key=lambda name: name != group.baseline)[:MOST_CURVES]
    found = grouped(
        (name, line)
        for name in names
        for record in (runs.get(name, ()) if name in first else ())
        if (taken := steps(record.id)) is not None and (line := curve(record.requested.seed, *taken, points)) is not None
    )
    if not found:
        return None
    everything = [line for lines in found.values() for line in lines]
    behind = found.get(group.baseline, [])[:1]
    panels = [
        (name, learning_curves(lines, [] if name == group.baseline else behind, everything), lines)
        for name, lines in found.items()
    ]
    return Curves(panels, len(names) - len(first), group.baseline if behind and len(found) > 1 else "")


@dataclass(frozen=True)
class Epochs:
    """The scores of runs while they trained."""

    split: str
    panels: list[tuple[str, Markup, list[EpochCurve]]]
    """(strategy, drawing, the lines in it)."""
    evaluations: list[int]
    """The numbers of the evaluations, from 1, which are the columns of the table."""
    left_out: int
    """How many strategies have no panel, since there are too many."""
    by: str
    """What was evaluated after: each `epoch`; or, where a row says `evaluate_every`, each `evaluation`."""


def epochs(group: ComparisonGroup) -> Epochs | None:
    """The scores of a group's runs while they trained; None where no run was evaluated more than once."""
    scale, rows = group.unit.scale, [row for row in group.ranked if row.by_epoch]
    found = {
        row.strategy: [
            EpochCurve(one.seed, one.first, [scale * score for score in one.scores], one.chosen) for one in row.by_epoch
        ]
        for row in rows[:MOST_CURVES]
    }
    if not found:
        return None
    everything = [line for lines in found.values() for line in lines]
    places = sorted({place for line in everything for place in line.places})
    return Epochs(
        rows[0].by_epoch[0].split,
        [(name, epoch_curves(lines, everything, ends=group.score_ends), lines) for name, lines in found.items()],
        places,
        len(rows) - len(found),
        "evaluation" if any("evaluate_every" in row.recipe for row in rows) else "epoch",
    )


@dataclass(frozen=True)
class Seeds:
    """Every run's score by the primary metric, as charts and as a table."""

    drawings: list[Drawings]
    seeds: list[int]
    """The columns of the table."""
    rows: list[tuple[Row, dict[int, float]]]
    """(row, seed -> score), runs that collapsed included."""
    tries: list[int]
    """The numbers n for which the expected best of n seeds is shown."""
    optimism: str
    """A sentence on the bias of reporting the best seed; empty where no row has enough seeds."""


def seeds(group: ComparisonGroup) -> Seeds | None:
    """Every run's score of a comparison group; None without scores."""
    scored = [(row, score) for row in drawn_rows(group) if (score := group.score(row))]
    if not scored:
        return None
    scale, rows = group.unit.scale, [(row, _every_run(row, score)) for row, score in scored]
    dots = [
        Dots(
            row.strategy,
            [value * scale for value in values.values()],
            [seed in {run.seed for run in row.collapsed} for seed in values],
            _shown(score, group),
            row.baseline,
        )
        for (row, values), (_, score) in zip(rows, scored, strict=True)
    ]
    tries = [number for number in (3, 5) if any(best_of(row, number) is not None for row, _ in rows)]
    return Seeds(
        [_strips(group, dots, dots[begin : begin + STRIPS]) for begin in range(0, len(dots), STRIPS)],
        sorted({seed for _, values in rows for seed in values}),
        rows,
        tries,
        _optimism(group, tries[-1]) if tries else "",
    )


def _every_run(row: Row, score: Score) -> dict[int, float]:
    """Seed -> score, of runs that learned and of those that collapsed."""
    collapsed = {run.seed: run.score for run in row.collapsed if run.score is not None}
    return dict(sorted((dict(zip(score.seeds, score.values, strict=True)) | collapsed).items()))


def _strips(group: ComparisonGroup, dots: Sequence[Dots], strip: Sequence[Dots]) -> Drawings:
    """A chart of the strategies in `strip`, drawn wide and narrow.

    Its axis covers the scores of all strategies of the group, `dots`, so that the group's charts can be compared.
    """
    longest = max(len(dot.name) for dot in strip) * LETTER + 16
    values = [value for dot in dots for value in (*dot.values, *dot.mean)]
    reference = next((dot.mean[1] for dot in dots if dot.baseline), None)
    drawings = []
    for kind, width, share in (("wide", WIDE, 0.32), ("narrow", NARROW, 0.36)):
        names = int(min(longest, width * share))
        axis = axis_over(values, ends=group.score_ends, width=width - names, inset=0)
        drawings.append((kind, every_seed(strip, axis, title=group.axis_title, reference=reference, names=names)))
    return drawings


def best_of(row: Row, tries: int) -> float | None:
    """The expected best score of so many of the row's seeds; None where it has fewer seeds."""
    return row.expected_best[tries - 1] if len(row.expected_best) >= tries else None


def _optimism(group: ComparisonGroup, tries: int) -> str:
    """A sentence on how much better than the mean the expected best of so many seeds is: the smallest and the largest gain
    among strategies."""
    figures = group.figures
    gains = sorted(abs(best - row.expected_best[0]) for row in drawn_rows(group) if (best := best_of(row, tries)) is not None)
    least, most = figures.number(gains[0]), figures.number(gains[-1])
    amount = f"{least if least == most else f'{least} to {most}'} {group.unit.name}".strip()
    way = "add" if group.higher_is_better else "take off"
    return f"Reporting the best of {tries} seeds in place of the mean would {way} {amount}, by choice and not by training."


@dataclass(frozen=True)
class Recipes:
    """Effective recipes (what was observed, else requested) side by side: columns for what differs; what is equal apart."""

    subjects: list[str]
    """The columns: in what recipes differ."""
    lines: list[tuple[Row, list[tuple[str, str]]]]
    """(row, [(value, mark)]); the mark compares it with the first row's: `same`, `other`, or `confounder`, if it differs and
    is not under test."""
    equal: list[tuple[str, str]]
    """(subject, value) that all share."""


def recipes(group: ComparisonGroup) -> Recipes | None:
    """The recipes of a group's strategies side by side, the baseline's first; None where no recipe is known."""
    rows = sorted((row for row in drawn_rows(group) if row.recipe), key=lambda row: not row.baseline)
    if not rows:
        return None
    subjects = dict.fromkeys(subject for row in rows for subject in row.recipe)
    values = {subject: {row.recipe.get(subject, DASH) for row in rows} for subject in subjects}
    differing = [subject for subject in subjects if len(values[subject]) > 1]
    undeclared = {pair.first: {fact.subject for fact in pair.confounders} for pair in group.to_baseline}
    lines = []
    for row in rows:
        cells = []
        for subject in differing:
            value = row.recipe.get(subject, DASH)
            same = value == rows[0].recipe.get(subject, DASH)
            confounder = subject in undeclared.get(row.strategy, ())
            cells.append((value, "same" if same else "confounder" if confounder else "other"))
        lines.append((row, cells))
    return Recipes(differing, lines, [(subject, min(values[subject])) for subject in subjects if subject not in differing])
