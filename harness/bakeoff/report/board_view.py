"""A comparison's boards with the report's tables and the declared runs, joined by task, model and the strategy's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.analysis.findings import Board, Comparison, NamedWarning, Pair, Ratio, Standing
from bakeoff.analysis.summary.rows import Report, Row, Table
from bakeoff.contracts.unit import Figures
from bakeoff.records.schema import Record

MOST_DRAWN = 150
"""Rows in what follows the leaderboard, which alone has them all."""


@dataclass(frozen=True)
class Joined:
    """A board, and what belongs to its rows."""

    board: Board
    slug: str
    """Begins the ids of all that is in its section."""
    standings: tuple[Standing, ...]
    """By group, the best first."""
    table: Table | None
    """None where the report has none of this task and model."""
    rows: Mapping[str, Row]
    records: Mapping[str, tuple[Record, ...]]
    """strategy -> records that ended well, by seed."""
    warnings: tuple[tuple[str, NamedWarning], ...]
    """(id, warning): the board's own, and those of the whole report."""
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    """strategy -> its difference to the baseline."""
    ratios: Mapping[tuple[str, str], Ratio] = field(default_factory=dict)
    """(strategy, quantity) -> against the baseline."""

    @property
    def drawn(self) -> tuple[Standing, ...]:
        """The first rows, and the baseline."""
        rest = (standing for standing in self.standings[MOST_DRAWN:] if standing.baseline)
        return (*self.standings[:MOST_DRAWN], *rest)

    @property
    def figures(self) -> Figures:
        """Of the primary metric."""
        return self.board.figures

    def warning(self, name: str, strategy: str) -> tuple[str, str]:
        """(id, sentence) of the warning that the name at a row stands for: one that names the row, else any; empty for none."""
        same = [(place, warning) for place, warning in self.warnings if warning.name == name]
        named = [(place, warning) for place, warning in same if strategy in warning.rows]
        return next(((place, warning.what) for place, warning in [*named, *same]), ("", ""))

    def times_differ(self, strategy: str) -> str:
        """Why the row's times are not comparable with the baseline's; `` where they are."""
        row, ratio = self.rows.get(strategy), self.ratios.get((strategy, "train_seconds"))
        if ratio is not None and not ratio.comparable:
            return ratio.reason
        return "; ".join(row.elsewhere) if row is not None else ""


def join(comparison: Comparison, report: Report, records: Mapping[str, Record]) -> list[Joined]:
    """Every board with what belongs to it; records are by run id."""
    warnings = [(f"warning-{number}", warning) for number, warning in enumerate(comparison.warnings, 1)]
    ended: dict[tuple[str, str, str], list[Record]] = {}
    for run in sorted(report.declared.runs, key=lambda run: run.seed):
        record = records.get(run.id)
        if record is not None and record.status == "ok":
            ended.setdefault((run.task, run.model, run.strategy), []).append(record)
    return [_joined(board, f"board-{number}", warnings, report, ended) for number, board in enumerate(comparison.boards, 1)]


def _joined(
    board: Board,
    slug: str,
    warnings: list[tuple[str, NamedWarning]],
    report: Report,
    ended: Mapping[tuple[str, str, str], list[Record]],
) -> Joined:
    title = f"{board.task} · {board.model}"
    tables = sorted(
        (table for table in report.tables if table.task == board.task), key=lambda table: table.model != board.model
    )
    rows: dict[str, Row] = {}
    runs: dict[str, tuple[Record, ...]] = {}
    for table in tables:
        for row in table.rows:
            # A board over several models tells its rows apart by the model.
            for name in (row.strategy, f"{row.strategy} · {table.model}"):
                if name not in rows:
                    rows[name] = row
                    runs[name] = tuple(ended.get((table.task, table.model, row.strategy), ()))
    names = {standing.strategy for standing in board.rows}
    return Joined(
        board=board,
        slug=slug,
        standings=tuple(sorted(board.rows, key=lambda row: (row.group, *_order(row, board)))),
        table=tables[0] if tables else None,
        rows={name: row for name, row in rows.items() if name in names},
        records={name: found for name, found in runs.items() if name in names},
        warnings=tuple((place, warning) for place, warning in warnings if warning.board in ("", title, board.title)),
        pairs={pair.first: pair for pair in board.to_baseline},
        ratios={(ratio.first, ratio.quantity): ratio for ratio in board.costs},
    )


def _order(row: Standing, board: Board) -> tuple[bool, float]:
    score = row.scores.get(board.split, {}).get(board.metric)
    if score is None:
        return True, 0.0
    return False, -score.mean if board.higher_is_better else score.mean
