"""The leaderboard as the page shows it: rank intervals, the primary metric drawn, other metrics, costs, failures, warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.analysis.findings import Board, ImportedRow, Score, Standing
from bakeoff.analysis.summary.rows import Row
from bakeoff.report.board_view import Joined
from bakeoff.report.page.drawing import Axis, axis_over, interval, scale_line
from bakeoff.report.text.table_md import FLOOR, MEBIBYTE, time_cell
from bakeoff.text.markdown import DASH

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """A number with what it sorts by; None sorts last."""

    text: str
    sort: float | None = None
    small: str = ""


@dataclass(frozen=True)
class _Columns:
    """What all rows of a leaderboard share."""

    axis: Axis
    others: list[tuple[str, str]]
    """(split, metric)."""
    device: bool
    """Whether there is memory of a device to be shown."""
    reference: float | None
    """The baseline's mean."""

    @property
    def no_costs(self) -> list[Cell]:
        return [Cell(DASH)] * (3 if self.device else 2)


@dataclass(frozen=True)
class Line:
    """A row of the leaderboard."""

    kind: str
    """`row`, `floor` or `imported`."""
    name: str
    rank: Cell
    badge: str
    """Of the tie group: A, B, ..."""
    baseline: bool
    confounded: bool
    experiment: str
    drawing: Markup | str
    score: Cell
    others: list[Cell]
    costs: list[Cell]
    costs_note: str
    runs: str
    failed: int
    warnings: list[tuple[str, str, str]]
    """(code, id of its place among the warnings, sentence)."""
    note: str


@dataclass(frozen=True)
class Leaderboard:
    """All rows, in bodies that are ranked apart."""

    axis: Markup
    primary: str
    others: list[tuple[str, str]]
    """(split, metric) of the other columns."""
    costs: list[str]
    experiments: bool
    """Whether rows come from several experiments."""
    bodies: list[tuple[str, list[Line]]]
    """(why it is apart, rows)."""


def leaderboard(joined: Joined) -> Leaderboard:
    board = joined.board
    others = _other_scores(joined)
    axis = _axis(joined)
    several = len({standing.experiment for standing in joined.standings}) > 1
    device = any(row.peak_device_memory_bytes for row in joined.rows.values())
    bodies: list[tuple[str, list[Line]]] = []
    columns = _Columns(axis, others, device, _baseline_mean(joined))
    groups = sorted({standing.group for standing in joined.standings})
    for group in groups:
        lines = [_line(joined, standing, columns) for standing in joined.standings if standing.group == group]
        if group == groups[0]:
            lines += _floor(joined, columns)
        reason = board.groups[group] if group < len(board.groups) else ""
        bodies.append(
            ("" if group == 0 else f"Not ranked with the rows above: {reason or 'made under other conditions'}", lines)
        )
    if board.imported:
        lines = [_imported(joined, row, columns) for row in board.imported]
        bodies.append(("Published elsewhere: shown, never tested", lines))
    return Leaderboard(
        axis=scale_line(axis, board.unit.scale),
        primary=f"{board.split} {board.metric}",
        others=others,
        costs=["train s", "peak MiB", *(["device MiB"] if device else [])],
        experiments=several,
        bodies=[(reason, lines) for reason, lines in bodies if lines],
    )


def _other_scores(joined: Joined) -> list[tuple[str, str]]:
    board = joined.board
    found = dict.fromkeys((split, metric) for row in board.rows for split, scores in row.scores.items() for metric in scores)
    ordered = sorted(found, key=lambda place: (place[0] != board.split, place[0], place[1] != board.metric))
    return [place for place in ordered if place != (board.split, board.metric)]


def _axis(joined: Joined) -> Axis:
    """Over all intervals; the floor is taken in where that does not more than double the width."""
    board = joined.board
    scores = [score for row in board.rows if (score := row.scores.get(board.split, {}).get(board.metric))]
    values = [value for score in scores for value in (score.mean, score.low, score.high)]
    ends = (board.unit.low, board.unit.high)
    axis = axis_over(values, ends=ends)
    if board.floor is None:
        return axis
    wide = axis_over([board.floor, *values], ends=ends)
    return wide if wide.high - wide.low <= 2 * (axis.high - axis.low) or not scores else axis


def _line(joined: Joined, standing: Standing, columns: _Columns) -> Line:
    board = joined.board
    score = standing.scores.get(board.split, {}).get(board.metric)
    row = joined.rows.get(standing.strategy)
    pair = joined.pairs.get(standing.strategy)
    aside = joined.times_differ(standing.strategy)
    ran = len(row.scored) if row else len(score.seeds) if score else 0
    asked = len(row.seeds) if row else ran
    return Line(
        kind="row",
        name=standing.strategy,
        rank=_rank(standing.rank),
        badge=_badge(standing, joined.board),
        baseline=standing.baseline,
        confounded=pair is not None and bool(pair.confounders),
        experiment=standing.experiment,
        drawing=interval(columns.axis, score.mean, score.low, score.high, reference=columns.reference) if score else "",
        score=_score(score, joined),
        others=[_other(standing.scores.get(split, {}).get(metric), joined, metric) for split, metric in columns.others],
        costs=_costs(row, columns, comparable=not aside),
        costs_note=aside,
        runs=f"{ran} of {asked}" if ran != asked else str(ran),
        failed=len(row.failed) if row else 0,
        warnings=[(code, *joined.warning(code, standing.strategy)) for code in standing.warnings],
        note=_degenerate(standing, joined.figures.number(standing.mean_without_degenerate)),
    )


def _baseline_mean(joined: Joined) -> float | None:
    board = joined.board
    scores = [row.scores.get(board.split, {}).get(board.metric) for row in board.rows if row.strategy == board.baseline]
    return next((score.mean for score in scores if score), None)


def _rank(rank: tuple[int, int] | None) -> Cell:
    if rank is None:
        return Cell(DASH)
    low, high = rank
    return Cell(str(low) if low == high else f"{low}–{high}", low + high / 1000)


def _badge(standing: Standing, board: Board) -> str:
    """A letter for rows that share their rank interval: in one group, and more than one of them."""
    shared = [row.tie_group for row in board.rows if row.group == standing.group and row.tie_group is not None]
    ties = [tie for tie in sorted(set(shared)) if shared.count(tie) > 1]
    if standing.tie_group not in ties:
        return ""
    place = ties.index(standing.tie_group)
    return chr(65 + place) if place < 26 else str(place + 1)


def _score(score: Score | None, joined: Joined) -> Cell:
    if score is None:
        return Cell(DASH)
    return Cell(joined.figures.number(score.mean), score.mean, joined.figures.range(score.low, score.high))


def _other(score: Score | None, joined: Joined, metric: str) -> Cell:
    return Cell(DASH) if score is None else Cell(joined.board.written(metric, score.mean), score.mean)


def _costs(row: Row | None, columns: _Columns, *, comparable: bool) -> list[Cell]:
    if row is None:
        return columns.no_costs
    seconds = row.train_seconds
    cells = [Cell("".join(time_cell(seconds, comparable=comparable)), seconds.mean if seconds else None)]
    sizes = [row.peak_memory_bytes, *([row.peak_device_memory_bytes] if columns.device else [])]
    return cells + [Cell(DASH) if size is None else Cell(f"{size / MEBIBYTE:,.0f}", size) for size in sizes]


def _degenerate(standing: Standing, without: str) -> str:
    if not standing.degenerate:
        return ""
    seeds = ", ".join(map(str, standing.degenerate))
    many = len(standing.degenerate) > 1
    told = f"seed{'s' if many else ''} {seeds} {'are' if many else 'is'} degenerate"
    return f"{told}; {without} without" if standing.mean_without_degenerate is not None else told


def _floor(joined: Joined, columns: _Columns) -> list[Line]:
    board, data = joined.board, joined.table.data if joined.table else None
    if board.floor is None:
        return []

    def other(split: str, metric: str) -> Cell:
        value = data.majority_baseline.get(split, {}).get(metric) if data else None
        return Cell(joined.board.written(metric, value), value)

    drawing = interval(columns.axis, board.floor, None, None, kind="floor")
    score = Cell(joined.figures.number(board.floor), board.floor)
    cells = [other(split, metric) for split, metric in columns.others]
    return [_unranked("floor", FLOOR, drawing, score, cells, columns, note="always gives the most frequent answer")]


def _imported(joined: Joined, row: ImportedRow, columns: _Columns) -> Line:
    board = joined.board
    value = row.scores.get(board.metric) if row.split == board.split else None
    drawing = "" if value is None else interval(columns.axis, value, None, None, kind="imported")
    cells = []
    for split, metric in columns.others:
        found = row.scores.get(metric) if split == row.split else None
        cells.append(Cell(joined.board.written(metric, found), found))
    known = {(board.split, board.metric), *columns.others}
    left = [
        f"{row.split} {metric} {joined.board.written(metric, found)}"
        for metric, found in row.scores.items()
        if (row.split, metric) not in known
    ]
    left += [f"{row.split} {metric} is withheld, since it can't be" for metric in row.impossible]
    note = "; ".join([row.source, *left])
    score = Cell(joined.figures.number(value), value)
    return _unranked("imported", row.name, drawing, score, cells, columns, note=note, seeds=str(row.seeds))


def _unranked(
    kind: str,
    name: str,
    drawing: Markup | str,
    score: Cell,
    others: list[Cell],
    columns: _Columns,
    *,
    note: str,
    seeds: str = DASH,
) -> Line:
    return Line(
        kind=kind,
        name=name,
        rank=Cell(DASH),
        badge="",
        baseline=False,
        confounded=False,
        experiment="",
        drawing=drawing,
        score=score,
        others=others,
        costs=columns.no_costs,
        costs_note="",
        runs=seeds,
        failed=0,
        warnings=[],
        note=note,
    )
