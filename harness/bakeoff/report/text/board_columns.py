"""What a board adds to a table in Markdown: ranks, intervals, differences to the baseline with verdicts, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bakeoff.analysis.findings import Board, Comparison, NamedWarning, Pair, Standing
from bakeoff.contracts.unit import OWN_UNIT, Figures
from bakeoff.report.units import probability
from bakeoff.text.markdown import DASH, Column, escaped, grid, item, prose

DAGGER = "†"


class Standings:
    """The board of one table; empty where nothing could be compared."""

    def __init__(self, board: Board | None, warnings: Sequence[NamedWarning]) -> None:
        self.board, self.warnings = board, warnings
        self.rows: Mapping[str, Standing] = {row.strategy: row for row in board.rows} if board else {}
        self.pairs: Mapping[str, Pair] = {pair.first: pair for pair in board.to_baseline} if board else {}
        self.figures = board.figures if board else Figures(unit=OWN_UNIT)

    def interval(self, strategy: str, split: str, metric: str, figures: Figures) -> str:
        """Of a row's score."""
        row = self.rows.get(strategy)
        score = row.scores.get(split, {}).get(metric) if row else None
        return (figures.range(score.low, score.high) if score else "") or DASH

    def rank(self, strategy: str) -> str:
        """`1 to 3`: what the verdicts over all pairs leave open."""
        row = self.rows.get(strategy)
        if row is None or row.rank is None:
            return DASH
        low, high = row.rank
        return f"{low}" if low == high else f"{low} to {high}"

    def mark(self, strategy: str) -> str:
        """A dagger at a row that is confounded with the baseline."""
        pair = self.pairs.get(strategy)
        return f" {DAGGER}" if pair is not None and pair.confounders else ""

    def codes(self, strategy: str) -> list[str]:
        row = self.rows.get(strategy)
        return list(row.warnings) if row else []

    def differences(self) -> list[str]:
        """The table of differences to the baseline; nothing where there are none."""
        if self.board is None or not self.pairs:
            return []
        figures, pairs, board = self.figures, list(self.pairs.values()), self.board
        title = f"{board.split} {board.metric} − {board.baseline}"
        columns = [
            Column("strategy", [f"{escaped(pair.first)}{self.mark(pair.first)}" for pair in pairs], "left"),
            Column(escaped(title), [figures.signed(pair.difference) for pair in pairs]),
            Column(
                "95 % interval",
                [(pair.finding != "identical" and figures.signed_range(pair.low, pair.high)) or DASH for pair in pairs],
            ),
            Column("p (Holm)", [probability(pair.p_adjusted) for pair in pairs]),
            Column("verdict", [pair.verdict for pair in pairs], "left"),
            Column("would be seen", [figures.number(pair.detectable or None) for pair in pairs]),
        ]
        return grid(columns)

    def sentences(self) -> list[str]:
        """The verdicts in words, what would settle the open ones, then warnings, each with its next step."""
        if self.board is None:
            return []
        found = [
            f"{pair.sentence}{f' What it would take: {pair.advice}.' if pair.advice else ''}" for pair in self.pairs.values()
        ]
        found += [
            f"not ranked with the others: {_names(self.board, number)}: {reason}."
            for number, reason in enumerate(self.board.groups)
            if reason
        ]
        found += self.board.notes
        found += [f"{warning.name}: {warning.what} {warning.what_to_do}" for warning in self.warnings]
        return [line for sentence in found for line in item(prose(sentence))]

    def published(self) -> list[str]:
        """Figures from elsewhere, told as a list: they are no rows, for nothing here may be held against them."""
        if self.board is None:
            return []
        told = [
            f"published elsewhere, not tested: {row.name} ({row.source}), {row.seeds} run{'s' if row.seeds > 1 else ''}: "
            + ", ".join(
                [f"{row.split} {metric} {self.board.written(metric, score)}" for metric, score in row.scores.items()]
                + [f"{row.split} {metric} is withheld, since it can't be" for metric in row.impossible]
            )
            for row in self.board.imported
        ]
        return [line for sentence in told for line in item(escaped(sentence))]


def _names(board: Board, group: int) -> str:
    return ", ".join(row.strategy for row in board.rows if row.group == group)


def standings_of(comparison: Comparison, task: str, model: str) -> Standings:
    """The board of a table's task and model, with the warnings that concern it."""
    board = next((board for board in comparison.boards if (board.task, board.model) == (task, model)), None)
    warnings = [warning for warning in comparison.warnings if board is not None and warning.board == board.title]
    return Standings(board, warnings)
