"""The leaderboard as the page shows it: rank intervals, the primary metric drawn, other metrics, costs, failures, warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.analysis.findings import Board, ImportedRow, NamedWarning
from bakeoff.analysis.row import Row, Score
from bakeoff.report.page.drawing import Axis, axis_over, interval, scale_line
from bakeoff.report.units import FLOOR, time_cell
from bakeoff.report.units import rank as rank_in_words
from bakeoff.text.numbers import DASH, mebibytes

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
    confounded: set[str]
    aside: Mapping[str, str]
    """Strategy -> why its times are not comparable with the baseline's."""
    warnings: Mapping[str, NamedWarning]
    """Id of its place on the page -> warning."""

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


def leaderboard(board: Board, warnings: Mapping[str, NamedWarning]) -> Leaderboard:
    """`warnings`: id of its place on the page -> warning, of those that concern the board."""
    rows = board.ranked
    others = _other_scores(board)
    axis = _axis(board)
    device = any(row.peak_device_memory_bytes for row in rows)
    columns = _Columns(axis, others, device, _baseline_mean(board), board.confounded, board.times_differ, warnings)
    bodies: list[tuple[str, list[Line]]] = []
    groups = sorted({row.group for row in rows})
    for group in groups:
        lines = [_line(board, row, columns) for row in rows if row.group == group]
        if group == groups[0]:
            lines += _floor(board, columns)
        reason = board.groups[group] if group < len(board.groups) else ""
        bodies.append(
            ("" if group == 0 else f"Not ranked with the rows above: {reason or 'made under other conditions'}", lines)
        )
    if board.imported:
        lines = [_imported(board, row, columns) for row in board.imported]
        bodies.append(("Published elsewhere: shown, never tested", lines))
    return Leaderboard(
        axis=scale_line(axis, board.unit.scale),
        primary=f"{board.split} {board.metric}",
        others=others,
        costs=["train s", "peak MiB", *(["device MiB"] if device else [])],
        experiments=len({row.experiment for row in rows}) > 1,
        bodies=[(reason, lines) for reason, lines in bodies if lines],
    )


def _other_scores(board: Board) -> list[tuple[str, str]]:
    found = dict.fromkeys((split, metric) for row in board.rows for split, scores in row.scores.items() for metric in scores)
    ordered = sorted(found, key=lambda place: (place[0] != board.split, place[0], place[1] != board.metric))
    return [place for place in ordered if place != (board.split, board.metric)]


def _axis(board: Board) -> Axis:
    """Over all intervals; the floor is taken in where that does not more than double the width."""
    scores = [score for row in board.rows if (score := board.score(row))]
    values = [value for score in scores for value in (score.mean, score.low, score.high)]
    ends = (board.unit.low, board.unit.high)
    axis = axis_over(values, ends=ends)
    if board.floor is None:
        return axis
    wide = axis_over([board.floor, *values], ends=ends)
    return wide if wide.high - wide.low <= 2 * (axis.high - axis.low) or not scores else axis


def _line(board: Board, row: Row, columns: _Columns) -> Line:
    score, aside, ran = board.score(row), columns.aside[row.strategy], len(row.scored)
    return Line(
        kind="row",
        name=row.strategy,
        rank=_rank(row.rank),
        badge=_badge(row, board),
        baseline=row.baseline,
        confounded=row.strategy in columns.confounded,
        experiment=row.experiment,
        drawing=interval(columns.axis, score.mean, score.low, score.high, reference=columns.reference) if score else "",
        score=_score(score, board),
        others=[_other(row.score(split, metric), board, metric) for split, metric in columns.others],
        costs=_costs(row, columns, comparable=not aside),
        costs_note=aside,
        runs=f"{ran} of {len(row.seeds)}" if ran != len(row.seeds) else str(ran),
        failed=len(row.failed),
        warnings=[(name, *_warning(name, row.strategy, columns.warnings)) for name in row.warnings],
        note=_degenerate(row, board.figures.number(row.mean_without_degenerate)),
    )


def _warning(name: str, strategy: str, warnings: Mapping[str, NamedWarning]) -> tuple[str, str]:
    """(id, what was found) of the warning of this name: one that names the row, else any; empty for none."""
    same = [(place, warning) for place, warning in warnings.items() if warning.name == name]
    own = [(place, warning) for place, warning in same if strategy in warning.rows]
    return next(((place, warning.what) for place, warning in [*own, *same]), ("", ""))


def _baseline_mean(board: Board) -> float | None:
    return next((score.mean for row in board.rows if row.baseline and (score := board.score(row))), None)


def _rank(rank: tuple[int, int] | None) -> Cell:
    if rank is None:
        return Cell(DASH)
    return Cell(rank_in_words(rank), rank[0] + rank[1] / 1000)


def _badge(found: Row, board: Board) -> str:
    """A letter for rows that share their rank interval: in one group, and more than one of them."""
    shared = [row.tie_group for row in board.rows if row.group == found.group and row.tie_group is not None]
    ties = [tie for tie in sorted(set(shared)) if shared.count(tie) > 1]
    if found.tie_group not in ties:
        return ""
    place = ties.index(found.tie_group)
    return chr(65 + place) if place < 26 else str(place + 1)


def _score(score: Score | None, board: Board) -> Cell:
    if score is None:
        return Cell(DASH)
    return Cell(board.figures.number(score.mean), score.mean, board.figures.range(score.low, score.high))


def _other(score: Score | None, board: Board, metric: str) -> Cell:
    return Cell(DASH) if score is None else Cell(board.written(metric, score.mean), score.mean)


def _costs(row: Row, columns: _Columns, *, comparable: bool) -> list[Cell]:
    seconds = row.train_seconds
    cells = [Cell("".join(time_cell(seconds, comparable=comparable)), seconds.mean if seconds else None)]
    sizes = [row.peak_memory_bytes, *([row.peak_device_memory_bytes] if columns.device else [])]
    return cells + [Cell(mebibytes(size), size) for size in sizes]


def _degenerate(row: Row, without: str) -> str:
    if not row.degenerate:
        return ""
    seeds = ", ".join(map(str, row.degenerate))
    many = len(row.degenerate) > 1
    told = f"seed{'s' if many else ''} {seeds} {'are' if many else 'is'} degenerate"
    return f"{told}; {without} without" if row.mean_without_degenerate is not None else told


def _floor(board: Board, columns: _Columns) -> list[Line]:
    if board.floor is None:
        return []

    def other(split: str, metric: str) -> Cell:
        value = board.floor_of(split, metric)
        return Cell(board.written(metric, value), value)

    drawing = interval(columns.axis, board.floor, None, None, kind="floor")
    score = Cell(board.figures.number(board.floor), board.floor)
    cells = [other(split, metric) for split, metric in columns.others]
    return [_unranked("floor", FLOOR, drawing, score, cells, columns, note="always gives the most frequent answer")]


def _imported(board: Board, row: ImportedRow, columns: _Columns) -> Line:
    value = row.scores.get(board.metric) if row.split == board.split else None
    drawing = "" if value is None else interval(columns.axis, value, None, None, kind="imported")
    cells = []
    for split, metric in columns.others:
        found = row.scores.get(metric) if split == row.split else None
        cells.append(Cell(board.written(metric, found), found))
    known = {(board.split, board.metric), *columns.others}
    left = [
        f"{row.split} {metric} {board.written(metric, found)}"
        for metric, found in row.scores.items()
        if (row.split, metric) not in known
    ]
    left += [f"{row.split} {metric} is withheld, since it can't be" for metric in row.impossible]
    note = "; ".join([row.source, *left])
    score = Cell(board.figures.number(value), value)
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
