"""A report without the figures of metrics that say nothing, as every output shows it."""

from __future__ import annotations

from typing import TypeVar

from bakeoff.compare.findings import Comparison
from bakeoff.report.table import Report, Table


def without_silent(report: Report, comparison: Comparison) -> Report:
    """Scores and floors are left out where a board found that their metric says nothing on their split."""
    silent = {(board.task, board.model): board.silent for board in comparison.boards if board.silent}
    if not silent:
        return report
    tables = [_spoken(table, silent.get((table.task, table.model), {})) for table in report.tables]
    return report.model_copy(update={"tables": tables})


def _spoken(table: Table, silent: dict[str, dict[str, str]]) -> Table:
    if not silent:
        return table
    rows = [row.model_copy(update={"scores": _kept(row.scores, silent)}) for row in table.rows]
    data = table.data and table.data.model_copy(update={"floor": _kept(table.data.floor, silent)})
    return table.model_copy(update={"rows": rows, "data": data})


T = TypeVar("T")


def _kept(scores: dict[str, dict[str, T]], silent: dict[str, dict[str, str]]) -> dict[str, dict[str, T]]:
    return {
        split: {metric: score for metric, score in found.items() if metric not in silent.get(split, {})}
        for split, found in scores.items()
    }
