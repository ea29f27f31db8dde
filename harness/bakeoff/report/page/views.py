"""The other parts of the page: costs, curves, seeds, recipes side by side, calibration, records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bakeoff.analysis.findings import Ratio, Standing
from bakeoff.analysis.summary.compute import legend, work_cells
from bakeoff.analysis.summary.rows import Report, Spread
from bakeoff.analysis.summary.searches import cost_sentence, search_cells, search_titles
from bakeoff.contracts.unit import Unit
from bakeoff.records.schema import Record
from bakeoff.report.board_view import Joined
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
from bakeoff.report.page.drawing import axis_over, chart
from bakeoff.report.text.table_md import MEBIBYTE, time_cell
from bakeoff.report.units import ratio
from bakeoff.statistics.intervals import Estimate, score_interval
from bakeoff.text.markdown import DASH

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


def costs(joined: Joined) -> Costs | None:
    """None where no row has a cost."""
    board, scale = joined.board, joined.board.unit.scale
    timed = [standing for standing in joined.drawn if (row := joined.rows.get(standing.strategy)) and row.train_seconds]
    if not timed:
        return None
    places = []
    for standing in timed:
        row, score = joined.rows[standing.strategy], standing.scores.get(board.split, {}).get(board.metric)
        seconds = row.train_seconds
        if seconds is None or score is None or standing.group != 0 or joined.times_differ(standing.strategy):
            continue
        low, high = _mean_interval(seconds)
        y = [None if value is None else value * scale for value in (score.low, score.high)]
        front = not standing.dominated_by
        places.append(
            Place(standing.strategy, seconds.mean, low, high, score.mean * scale, y[0], y[1], front, standing.baseline)
        )
    titles = {
        "x_title": "train seconds",
        "y_title": board.axis_title,
    }
    drawings = []
    if len(places) > 1:
        for kind, width, height in (("wide", WIDE, 340), ("narrow", NARROW, 300)):
            spec = quality_against_cost(places, **titles, ends=board.score_ends, width=width, height=height)
            drawings.append((kind, chart(spec, f"{joined.slug}-cost-{kind}")))
    lines = [_cost_line(joined, standing) for standing in timed]
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
    work = {standing.strategy: joined.rows[standing.strategy].work for standing in timed}
    work_titles, cells = work_cells(work, [name for name in work if joined.times_differ(name)])
    work_lines = [CostLine(standing.strategy, standing.baseline, cells[standing.strategy]) for standing in timed if work_titles]
    return Costs(drawings, headings, lines, list(reasons), work_titles, work_lines, legend(work))


def _cost_line(joined: Joined, standing: Standing) -> CostLine:
    strategy = standing.strategy
    row, comparable = joined.rows[strategy], not joined.times_differ(strategy)
    peak = row.peak_memory_bytes
    cells = [
        "".join(time_cell(row.train_seconds, comparable=comparable)),
        _to_baseline(joined.ratios.get((strategy, "train_seconds"))),
        "".join(time_cell(row.evaluate_seconds, comparable=comparable)),
        _to_baseline(joined.ratios.get((strategy, "evaluate_seconds"))),
        DASH if peak is None else f"{peak / MEBIBYTE:,.0f}",
        _to_baseline(joined.ratios.get((strategy, "peak_memory"))),
        DASH if standing.front_probability is None else f"{standing.front_probability:.0%}",
        ", ".join(standing.dominated_by) or DASH,
    ]
    return CostLine(strategy, standing.baseline, cells)


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
    seeds: list[tuple[int, str, str, str]]
    """(seed, loss at the start, in the middle, at the end)."""


@dataclass(frozen=True)
class Curves:
    """All panels of a board."""

    panels: list[Panel]
    left_out: int
    behind: str
    """Whose curves stand in grey behind the others; `` where there are none."""


def curves(joined: Joined, steps: Callable[[str], Steps | None], points: int) -> Curves | None:
    """None where no run has steps; `points` is how many each line may have."""
    names = [standing.strategy for standing in joined.standings]
    first = sorted(names, key=lambda name: name != joined.board.baseline)[:MOST_CURVES]
    found: dict[str, list[Curve]] = {}
    for name in (name for name in names if name in first):
        lines = []
        for record in joined.records.get(name, ()):
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
    behind = found.get(joined.board.baseline, [])[:1]
    panels = []
    for number, (name, lines) in enumerate(found.items()):
        under = [] if name == joined.board.baseline else behind
        spec = learning_curves(lines, under, axis, last=last, width=215, height=120)
        drawing = chart(spec, f"{joined.slug}-curve-{number}")
        told = [(line.seed, _loss(line, 0), _loss(line, len(line.losses) // 2), _loss(line, -1)) for line in lines]
        panels.append(Panel(name, name == joined.board.baseline, drawing, told))
    return Curves(panels, len(names) - len(first), joined.board.baseline if behind and len(found) > 1 else "")


def _loss(line: Curve, place: int) -> str:
    return f"{line.losses[place]:.4f}"


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


def seeds(joined: Joined) -> Seeds | None:
    board, figures = joined.board, joined.figures
    scored = [
        (standing, score) for standing in joined.drawn if (score := standing.scores.get(board.split, {}).get(board.metric))
    ]
    if not scored:
        return None
    rows = []
    for standing, score in scored:
        values = [value * board.unit.scale for value in score.values]
        low, high = (None if bound is None else bound * board.unit.scale for bound in (score.low, score.high))
        odd = [seed in standing.degenerate for seed in score.seeds]
        rows.append(Dots(standing.strategy, values, odd, score.mean * board.unit.scale, low, high, standing.baseline))
    axis = axis_over([value for row in rows for value in (*row.values, row.low, row.high)], ends=board.score_ends)
    reference = next((row.mean for row in rows if row.baseline), None)
    title = board.axis_title
    drawings = []
    for begin in range(0, len(rows), STRIPS):
        strip = rows[begin : begin + STRIPS]
        longest = max(len(row.name) for row in strip)
        sized = []
        for kind, width in (("wide", WIDE), ("narrow", NARROW)):
            names = min(longest * 6.4 + 16, width * (0.32 if kind == "wide" else 0.36))
            spec = every_seed(strip, axis, title=title, reference=reference, width=int(width - names), names=int(names))
            sized.append((kind, chart(spec, f"{joined.slug}-seeds-{begin}-{kind}")))
        drawings.append(sized)
    columns = sorted({seed for _, score in scored for seed in score.seeds})
    tries = [number for number in (3, 5) if any(_best_of(standing, number) is not None for standing, _ in scored)]
    lines = []
    for standing, score in scored:
        by_seed = dict(zip(score.seeds, score.values, strict=True))
        best = [figures.number(_best_of(standing, number)) for number in tries]
        lines.append((standing.strategy, [figures.number(by_seed.get(seed)) for seed in columns] + best))
    odd_ones = any(standing.degenerate for standing, _ in scored)
    return Seeds(drawings, columns, lines, odd_ones, tries, _optimism(joined, tries[-1]) if tries else "")


def _best_of(standing: Standing, tries: int) -> float | None:
    return standing.expected_best[tries - 1] if len(standing.expected_best) >= tries else None


def _optimism(joined: Joined, tries: int) -> str:
    """What reporting the best of so many seeds in place of the mean would do, from the least such row to the most."""
    board, figures = joined.board, joined.figures
    gains = sorted(abs(best - row.expected_best[0]) for row in joined.drawn if (best := _best_of(row, tries)) is not None)
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


def searches(joined: Joined) -> Searches | None:
    """None where nothing was searched."""
    table = joined.table
    if table is None or not table.searches or table.primary is None:
        return None
    untuned = [row.strategy for row in table.rows if row.strategy not in table.searches]
    lines = search_cells(table.searches, joined.figures)
    return Searches(search_titles(table.searches, table.primary), lines, cost_sentence(table.searches, untuned))


@dataclass(frozen=True)
class Recipes:
    """Effective recipes side by side: what differs as columns, what is equal apart."""

    subjects: list[str]
    lines: list[tuple[str, bool, list[tuple[str, str]]]]
    """(row, whether the baseline, [(value, mark)]); the mark is `same`, `other` or `confounder`."""
    equal: list[tuple[str, str]]
    confounded: list[tuple[str, list[str]]]
    """(row, sentences)."""


def recipes(joined: Joined) -> Recipes | None:
    standings = [standing for standing in joined.drawn if standing.recipe]
    if not standings:
        return None
    subjects = list(dict.fromkeys(subject for standing in standings for subject in standing.recipe))
    values = {subject: {standing.recipe.get(subject, DASH) for standing in standings} for subject in subjects}
    differing = [subject for subject in subjects if len(values[subject]) > 1]
    base = next((standing.recipe for standing in standings if standing.baseline), standings[0].recipe)
    lines = []
    for standing in sorted(standings, key=lambda standing: not standing.baseline):
        pair = joined.pairs.get(standing.strategy)
        undeclared = {fact.subject for fact in pair.confounders} if pair else set()
        cells = []
        for subject in differing:
            value = standing.recipe.get(subject, DASH)
            mark = "same" if value == base.get(subject, DASH) else "confounder" if subject in undeclared else "other"
            cells.append((value, mark))
        lines.append((standing.strategy, standing.baseline, cells))
    equal = [(subject, next(iter(values[subject]))) for subject in subjects if subject not in differing]
    confounded = [
        (standing.strategy, [fact.sentence() for fact in pair.confounders])
        for standing in standings
        if (pair := joined.pairs.get(standing.strategy)) and pair.confounders
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


def every_record(report: Report, records: Sequence[Record], boards: Sequence[Joined]) -> Records:
    """Scores of each board's reported split; runs have the names under which they are declared."""
    known: Mapping[str, Record] = {record.id: record for record in records}
    columns = list(dict.fromkeys((joined.board.split, joined.board.metric) for joined in boards))
    units = {(joined.board.split, joined.board.metric): joined.figures for joined in boards}
    lines = []
    for run in report.declared.runs:
        record = known.get(run.id)
        if record is None:
            continue
        scores = [(place, record.scores.get(place[0], {}).get(place[1])) for place in columns]
        seconds = record.cost.train_seconds if record.cost else None
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
                seconds=(DASH if seconds is None else f"{seconds:,.1f}", seconds),
            )
        )
    return Records([f"{split} {metric}" for split, metric in columns], lines, len({line.board for line in lines}) > 1)
