"""The other parts of the page: costs, curves, seeds, recipes side by side, calibration, records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bakeoff.analysis.findings import Board, Comparison, Ratio
from bakeoff.analysis.row import Row, Spread
from bakeoff.analysis.summary.compute import legend, work_cells
from bakeoff.analysis.summary.searches import cost_sentence, search_cells, search_titles
from bakeoff.contracts.unit import Unit
from bakeoff.records.schema import Record
from bakeoff.report.page.charts import (
    Curve,
    Dots,
    Place,
    curve,
    every_seed,
    learning_curves,
    loss_axis,
    quality_against_cost,
)
from bakeoff.report.page.differences import drawn_rows
from bakeoff.report.page.drawing import axis_over, chart
from bakeoff.report.units import seconds as in_seconds
from bakeoff.report.units import time_cell
from bakeoff.statistics.intervals import Estimate, score_interval
from bakeoff.text.numbers import DASH, mebibytes, per_cent, ratio, with_decimals

if TYPE_CHECKING:
    from markupsafe import Markup

Steps = tuple[NDArray[Any], NDArray[Any]]
"""Step numbers and training losses of one run, of equal length."""

MOST_CURVES, MOST_POINTS, ALL_POINTS = 12, 48, 30_000
"""Strategies with curves on a board; points of a line; points of all lines of a page."""

SECONDS = Unit(name="s", low=0.0)

STRIPS = 40
"""Rows in one chart of seeds: as many as fit a sheet of paper."""

WIDE, NARROW = 700, 330
"""Widths of charts, for pages and for telephones."""


# --- cost ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CostLine:
    """What a row took."""

    name: str
    baseline: bool
    cells: list[str]


@dataclass(frozen=True)
class Costs:
    """Quality against cost."""

    drawings: list[tuple[str, Markup]]
    """(class, drawing)."""
    titles: list[str]
    lines: list[CostLine]
    reasons: list[str]
    """Why times are not comparable."""
    work_titles: list[str]
    work_lines: list[CostLine]
    """What the training computed; nothing where no run's operations were counted."""
    work_legend: str


def costs(board: Board, slug: str) -> Costs | None:
    """None where no row has a cost."""
    scale, aside = board.unit.scale, board.times_differ
    timed = [row for row in drawn_rows(board) if row.train_seconds]
    if not timed:
        return None
    places = []
    for row in timed:
        seconds, score = row.train_seconds, board.score(row)
        if seconds is None or score is None or row.group != 0 or aside[row.strategy]:
            continue
        low, high = _mean_interval(seconds)
        y = [None if value is None else value * scale for value in (score.low, score.high)]
        places.append(
            Place(row.strategy, seconds.mean, low, high, score.mean * scale, y[0], y[1], not row.dominated_by, row.baseline)
        )
    titles = {
        "x_title": "train seconds",
        "y_title": board.axis_title,
    }
    drawings = []
    if len(places) > 1:
        for kind, width, height in (("wide", WIDE, 340), ("narrow", NARROW, 300)):
            spec = quality_against_cost(places, **titles, ends=board.score_ends, width=width, height=height)
            drawings.append((kind, chart(spec, f"{slug}-cost-{kind}")))
    ratios = board.ratios
    lines = [_cost_line(row, ratios, comparable=not aside[row.strategy]) for row in timed]
    reasons = dict.fromkeys(cost.reason for cost in board.costs if cost.reason)
    headings = [
        "train s",
        "to baseline",
        "evaluate s",
        "to baseline",
        "peak MiB",
        "to baseline",
        "on the front",
        "dominated by",
    ]
    work = {row.strategy: row.work for row in timed}
    work_titles, cells = work_cells(work, [name for name in work if aside[name]])
    work_lines = [CostLine(row.strategy, row.baseline, cells[row.strategy]) for row in timed if work_titles]
    return Costs(drawings, headings, lines, list(reasons), work_titles, work_lines, legend(work))


def _cost_line(row: Row, ratios: Mapping[tuple[str, str], Ratio], *, comparable: bool) -> CostLine:
    cells = [
        "".join(time_cell(row.train_seconds, comparable=comparable)),
        _to_baseline(ratios.get((row.strategy, "train_seconds"))),
        "".join(time_cell(row.evaluate_seconds, comparable=comparable)),
        _to_baseline(ratios.get((row.strategy, "evaluate_seconds"))),
        mebibytes(row.peak_memory_bytes),
        _to_baseline(ratios.get((row.strategy, "peak_memory"))),
        per_cent(row.front_probability),
        ", ".join(row.dominated_by) or DASH,
    ]
    return CostLine(row.strategy, row.baseline, cells)


def _to_baseline(found: Ratio | None) -> str:
    if found is None or found.ratio is None:
        return DASH
    shown = ratio(found.ratio, found.low, found.high)
    return shown if found.comparable else f"({shown})"


def _mean_interval(seconds: Spread) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of the mean over seeds, by Student's t on the log: seconds are above 0."""
    if seconds.sd is None:
        return None, None
    return score_interval(Estimate(seconds.mean, seconds.sd**2 / seconds.n, seconds.n - 1), SECONDS, seconds.n)


# --- learning curves -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """One row's learning curves."""

    name: str
    baseline: bool
    drawing: Markup
    seeds: list[tuple[int, list[str]]]
    """(seed, losses at the start, in the middle, at the end)."""


@dataclass(frozen=True)
class Curves:
    """All panels of a board."""

    panels: list[Panel]
    left_out: int
    behind: str
    """Whose curves stand in grey behind the others; `` where there are none."""


def curves(
    board: Board, slug: str, runs: Mapping[str, Sequence[Record]], steps: Callable[[str], Steps | None], points: int
) -> Curves | None:
    """None where no run has steps; `points` is how many each line may have, `runs` are each strategy's, by seed."""
    names = [row.strategy for row in board.ranked]
    first = sorted(names, key=lambda name: name != board.baseline)[:MOST_CURVES]
    found: dict[str, list[Curve]] = {}
    for name in (name for name in names if name in first):
        lines = []
        for record in runs.get(name, ()):
            taken = steps(record.id)
            line = curve(record.requested.seed, *taken, points) if taken is not None else None
            if line is not None:
                lines.append(line)
        if lines:
            found[name] = lines
    if not found:
        return None
    everything = [line for lines in found.values() for line in lines]
    axis, last = loss_axis(everything), max(float(line.steps[-1]) for line in everything)
    behind = found.get(board.baseline, [])[:1]
    panels = []
    for number, (name, lines) in enumerate(found.items()):
        under = [] if name == board.baseline else behind
        spec = learning_curves(lines, under, axis, last=last, width=215, height=120)
        drawing = chart(spec, f"{slug}-curve-{number}")
        told = [(line.seed, _losses(line)) for line in lines]
        panels.append(Panel(name, name == board.baseline, drawing, told))
    return Curves(panels, len(names) - len(first), board.baseline if behind and len(found) > 1 else "")


def _losses(line: Curve) -> list[str]:
    """At the beginning, half-way and at the end."""
    return [with_decimals(line.losses[place], 4) for place in (0, len(line.losses) // 2, -1)]


# --- every seed ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seeds:
    """Every run's score."""

    drawings: list[list[tuple[str, Markup]]]
    seeds: list[int]
    lines: list[tuple[str, list[str]]]
    """(row, score at each seed, then the expected best of each number in `tries`)."""
    degenerate: bool
    tries: list[int]
    optimism: str
    """What reporting the best seed would add, in a sentence; empty where no row has seeds enough."""


def seeds(board: Board, slug: str) -> Seeds | None:
    figures = board.figures
    scored = [(row, score) for row in drawn_rows(board) if (score := board.score(row))]
    if not scored:
        return None
    dots = []
    for row, score in scored:
        values = [value * board.unit.scale for value in score.values]
        low, high = (None if bound is None else bound * board.unit.scale for bound in (score.low, score.high))
        odd = [seed in row.degenerate for seed in score.seeds]
        dots.append(Dots(row.strategy, values, odd, score.mean * board.unit.scale, low, high, row.baseline))
    axis = axis_over([value for dot in dots for value in (*dot.values, dot.low, dot.high)], ends=board.score_ends)
    reference = next((dot.mean for dot in dots if dot.baseline), None)
    title = board.axis_title
    drawings = []
    for begin in range(0, len(dots), STRIPS):
        strip = dots[begin : begin + STRIPS]
        longest = max(len(dot.name) for dot in strip)
        sized = []
        for kind, width in (("wide", WIDE), ("narrow", NARROW)):
            names = min(longest * 6.4 + 16, width * (0.32 if kind == "wide" else 0.36))
            spec = every_seed(strip, axis, title=title, reference=reference, width=int(width - names), names=int(names))
            sized.append((kind, chart(spec, f"{slug}-seeds-{begin}-{kind}")))
        drawings.append(sized)
    columns = sorted({seed for _, score in scored for seed in score.seeds})
    tries = [number for number in (3, 5) if any(_best_of(row, number) is not None for row, _ in scored)]
    lines = []
    for row, score in scored:
        by_seed = dict(zip(score.seeds, score.values, strict=True))
        best = [figures.number(_best_of(row, number)) for number in tries]
        lines.append((row.strategy, [figures.number(by_seed.get(seed)) for seed in columns] + best))
    odd_ones = any(row.degenerate for row, _ in scored)
    return Seeds(drawings, columns, lines, odd_ones, tries, _optimism(board, tries[-1]) if tries else "")


def _best_of(row: Row, tries: int) -> float | None:
    return row.expected_best[tries - 1] if len(row.expected_best) >= tries else None


def _optimism(board: Board, tries: int) -> str:
    """What reporting the best of so many seeds in place of the mean would do, from the least such row to the most."""
    figures = board.figures
    gains = sorted(abs(best - row.expected_best[0]) for row in drawn_rows(board) if (best := _best_of(row, tries)) is not None)
    least, most = figures.number(gains[0]), figures.number(gains[-1])
    amount = f"{least if least == most else f'{least} to {most}'} {board.unit.name}".strip()
    way = "add" if board.higher_is_better else "take off"
    return f"Reporting the best of {tries} seeds in place of the mean would {way} {amount}, by choice and not by training."


# --- what differed -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Searches:
    """How configurations were chosen."""

    titles: tuple[str, ...]
    lines: list[tuple[str, list[str]]]
    """(strategy, cells) of each configuration."""
    sentence: str


def searches(board: Board) -> Searches | None:
    """None where nothing was searched."""
    if not board.searches or not board.metric:
        return None
    untuned = [row.strategy for row in board.rows if row.strategy not in board.searches]
    lines = search_cells(board.searches, board.figures)
    return Searches(search_titles(board.searches, board.metric), lines, cost_sentence(board.searches, untuned))


@dataclass(frozen=True)
class Recipes:
    """Effective recipes side by side: what differs as columns, what is equal apart."""

    subjects: list[str]
    lines: list[tuple[str, bool, list[tuple[str, str]]]]
    """(row, whether the baseline, [(value, mark)]); the mark is `same`, `other` or `confounder`."""
    equal: list[tuple[str, str]]
    confounded: list[tuple[str, list[str]]]
    """(row, sentences)."""


def recipes(board: Board) -> Recipes | None:
    rows, pairs = [row for row in drawn_rows(board) if row.recipe], board.pairs
    if not rows:
        return None
    subjects = list(dict.fromkeys(subject for row in rows for subject in row.recipe))
    values = {subject: {row.recipe.get(subject, DASH) for row in rows} for subject in subjects}
    differing = [subject for subject in subjects if len(values[subject]) > 1]
    base = next((row.recipe for row in rows if row.baseline), rows[0].recipe)
    lines = []
    for row in sorted(rows, key=lambda row: not row.baseline):
        pair = pairs.get(row.strategy)
        undeclared = {fact.subject for fact in pair.confounders} if pair else set()
        cells = []
        for subject in differing:
            value = row.recipe.get(subject, DASH)
            mark = "same" if value == base.get(subject, DASH) else "confounder" if subject in undeclared else "other"
            cells.append((value, mark))
        lines.append((row.strategy, row.baseline, cells))
    equal = [(subject, next(iter(values[subject]))) for subject in subjects if subject not in differing]
    confounded = [
        (row.strategy, [fact.sentence() for fact in pair.confounders])
        for row in rows
        if (pair := pairs.get(row.strategy)) and pair.confounders
    ]
    return Recipes(differing, lines, equal, confounded)


# --- records -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RecordLine:
    """One record."""

    id: str
    board: str
    strategy: str
    seed: int
    status: str
    message: str
    scores: list[tuple[str, float | None]]
    seconds: tuple[str, float | None]


@dataclass(frozen=True)
class Records:
    """Every record of the page."""

    columns: list[str]
    lines: list[RecordLine]
    boards: bool
    """Whether they are of several tasks or models."""


def every_record(comparison: Comparison, records: Sequence[Record]) -> Records:
    """Scores of each board's reported split; runs have the names under which they are declared."""
    known: Mapping[str, Record] = {record.id: record for record in records}
    columns = list(dict.fromkeys((board.split, board.metric) for board in comparison.boards))
    units = {(board.split, board.metric): board.figures for board in comparison.boards}
    lines = []
    for run in comparison.declared.runs:
        record = known.get(run.id)
        if record is None:
            continue
        scores = [(place, record.scores.get(place[0], {}).get(place[1])) for place in columns]
        took = record.cost.train_seconds if record.cost else None
        failure = record.failure
        lines.append(
            RecordLine(
                id=run.id,
                board=f"{run.task} · {run.model}",
                strategy=run.strategy,
                seed=run.seed,
                status=failure.reason if failure else record.status,
                message=failure.message if failure else "",
                scores=[(units[place].number(value), value) for place, value in scores],
                seconds=(in_seconds(took), took),
            )
        )
    return Records([f"{split} {metric}" for split, metric in columns], lines, len({line.board for line in lines}) > 1)
