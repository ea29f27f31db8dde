"""Rescored predictions as Markdown."""

from __future__ import annotations

from bakeoff.analysis.findings import Calibration, SliceScore
from bakeoff.analysis.rescoring import Rescored, Rescoring
from bakeoff.report.cells import BASELINE, score_cell
from bakeoff.text.markdown import Column, as_markdown, grid, item, level, paragraph
from bakeoff.text.numbers import DASH, p_value, with_decimals


def write_rescored(found: Rescoring, *, slices: bool = False, calibration: bool = False) -> str:
    """A section for each task and model, on request with slices and calibration; then what could not be scored."""
    lines: list[str] = []
    for board in found.groups:
        lines += [
            *([""] if lines else []),
            f"## {as_markdown(board.task)} · {as_markdown(board.model)}",
            "",
            *_scores(board),
            "",
        ]
        lines += paragraph(_legend(board))
        for note in board.notes:
            lines += item(as_markdown(note))
        if slices:
            lines += ["", *_slices(board)]
        if calibration:
            lines += ["", *_calibration(board)]
    lines += [""] if found.left_out else []
    for one in found.left_out:
        lines += item(as_markdown(f"left out: {one.sentence}"))
    return "\n".join(lines) + "\n"


def _scores(board: Rescored) -> list[str]:
    figures = board.figures
    return grid(
        [
            Column("strategy", [_name(row.strategy, board) for row in board.rows], "left"),
            Column(as_markdown(f"{board.split} {board.metric}"), level([score_cell(row.score, figures) for row in board.rows])),
            Column("95 % interval", [figures.range(row.score.low, row.score.high) or DASH for row in board.rows]),
            Column("n", [str(len(row.score.seeds)) for row in board.rows]),
            Column(as_markdown(f"to {board.baseline}"), [figures.signed(row.difference) for row in board.rows]),
            Column("95 % interval", [figures.signed_range(row.low, row.high) or DASH for row in board.rows]),
        ]
    )


def _name(strategy: str, board: Rescored) -> str:
    return f"{as_markdown(strategy)}{f' {BASELINE}' if strategy == board.baseline else ''}"


def _legend(board: Rescored) -> str:
    """How to read the table."""
    unit = board.figures.unit.words or "the metric's own unit"
    direction = "" if board.higher_is_better else " (less is better)"
    parts = [
        f"{board.metric}{direction} of the stored predictions on {board.split}, {board.examples:,} examples, "
        f"in {unit}: mean ± standard deviation over n seeds."
    ]
    covers = {row.score.method for row in board.rows}
    if "seeds and examples" in covers:
        parts.append("Intervals cover seeds and examples; those of differences are not adjusted for their number.")
    if "examples only (one run)" in covers:
        parts.append("With one run, the interval covers examples only, not training.")
    return as_markdown(" ".join(parts))


def _slices(board: Rescored) -> list[str]:
    rows: list[SliceScore] = board.slices
    if not rows:
        return paragraph("No column cuts this split into parts.")
    figures = board.figures
    table = grid(
        [
            Column("column", [as_markdown(row.column) for row in rows], "left"),
            Column("slice", [as_markdown(row.value) for row in rows], "left"),
            Column("examples", [f"{row.examples:,}" for row in rows]),
            Column("strategy", [_name(row.strategy, board) for row in rows], "left"),
            Column("score", [figures.number(row.score) for row in rows]),
            Column(as_markdown(f"to {board.baseline}"), [figures.signed(row.difference) for row in rows]),
            Column("95 % interval", [figures.signed_range(row.low, row.high) or DASH for row in rows]),
            Column("p (Holm)", [p_value(row.p_adjusted) for row in rows]),
        ]
    )
    legend = (
        f"p is adjusted over all slices and rows of a column. No test ({DASH}) below 20 examples or 2 runs, "
        "and of a metric that is no ratio of sums over examples."
    )
    return [*table, "", *paragraph(legend)]


def _calibration(board: Rescored) -> list[str]:
    rows: list[Calibration] = board.calibration
    if not rows:
        return paragraph("There are no probabilities to calibrate.")
    table = grid(
        [
            Column("strategy", [_name(row.strategy, board) for row in rows], "left"),
            Column("ECE", [with_decimals(row.ece, 4) for row in rows]),
            Column("Brier", [with_decimals(row.brier, 4) for row in rows]),
            Column("agreement", [with_decimals(row.agreement, 4) for row in rows]),
        ]
    )
    legend = (
        "ECE: mean distance of confidence and accuracy over 15 bins of equal mass, 0 is best. Brier: squared error of the "
        "probabilities, 0 to 2. Agreement: share of examples on which two seeds answer alike."
    )
    return [*table, "", *paragraph(legend)]
