"""Scores of stored predictions, computed anew by another metric or on slices, as Markdown."""

from __future__ import annotations

from bakeoff.analysis.findings import Calibration, SliceScore
from bakeoff.analysis.rescoring import Rescored, Rescoring
from bakeoff.analysis.row_scores import SEED_FREE
from bakeoff.report.cells import BASELINE, score_cell
from bakeoff.text.markdown import Column, as_markdown, grid, item, level, paragraph
from bakeoff.text.numbers import DASH, p_value, with_decimals


def write_rescored(found: Rescoring, *, slices: bool = False, calibration: bool = False) -> str:
    """The text: a section for each task and model, on request with tables of slices and calibration; then what could not be
    scored, and why."""
    lines: list[str] = []
    for group in found.groups:
        lines += [
            *([""] if lines else []),
            f"## {as_markdown(group.title)}",
            "",
            *_scores(group),
            "",
        ]
        lines += paragraph(_legend(group))
        for note in group.notes:
            lines += item(as_markdown(note))
        if slices:
            lines += ["", *_slices(group)]
        if calibration:
            lines += ["", *_calibration(group)]
    lines += [""] if found.left_out else []
    for one in found.left_out:
        lines += item(as_markdown(f"left out: {one.sentence}"))
    return "\n".join(lines) + "\n"


def _scores(group: Rescored) -> list[str]:
    figures = group.figures
    return grid(
        [
            Column("strategy", [_name(row.strategy, group) for row in group.rows], "left"),
            Column(as_markdown(f"{group.split} {group.metric}"), level([score_cell(row.score, figures) for row in group.rows])),
            Column("95 % interval", [figures.range(row.score.low, row.score.high) or DASH for row in group.rows]),
            Column("n", [str(len(row.score.seeds)) for row in group.rows]),
            Column(as_markdown(f"to {group.against}"), [figures.signed(row.difference) for row in group.rows]),
            Column("95 % interval", [figures.signed_range(row.low, row.high) or DASH for row in group.rows]),
        ]
    )


def _name(strategy: str, group: Rescored) -> str:
    return f"{as_markdown(strategy)}{f' {BASELINE}' if strategy == group.baseline else ''}"


def _legend(group: Rescored) -> str:
    """How to read the table."""
    unit = group.figures.unit.words or "the metric's own unit"
    direction = "" if group.higher_is_better else " (less is better)"
    parts = [
        f"{group.metric}{direction} of the stored predictions on {group.split}, {group.examples:,} examples, "
        f"in {unit}: mean ± standard deviation over n seeds."
    ]
    covers = {row.score.method for row in group.rows}
    if "seeds and examples" in covers:
        parts.append("Intervals cover seeds and examples; those of differences are not adjusted for their number.")
    if "examples only (one run)" in covers:
        parts.append("With one run, the interval covers examples only, not training.")
    if SEED_FREE in covers:
        parts.append("Of what does not depend on the seed, it covers examples only: nothing else varies.")
    return as_markdown(" ".join(parts))


def _slices(group: Rescored) -> list[str]:
    rows: list[SliceScore] = group.slices
    if not rows:
        return paragraph("No column cuts this split into parts.")
    figures = group.figures
    table = grid(
        [
            Column("column", [as_markdown(row.column) for row in rows], "left"),
            Column("slice", [as_markdown(row.value) for row in rows], "left"),
            Column("examples", [f"{row.examples:,}" for row in rows]),
            Column("strategy", [_name(row.strategy, group) for row in rows], "left"),
            Column("score", [figures.number(row.score) for row in rows]),
            Column(as_markdown(f"to {group.against}"), [figures.signed(row.difference) for row in rows]),
            Column("95 % interval", [figures.signed_range(row.low, row.high) or DASH for row in rows]),
            Column("p (Holm)", [p_value(row.p_adjusted) for row in rows]),
        ]
    )
    legend = (
        f"p is adjusted over all slices and rows of a column. No test ({DASH}) below 20 examples or 2 runs, "
        "and of a metric that is no ratio of sums over examples."
    )
    return [*table, "", *paragraph(legend)]


def _calibration(group: Rescored) -> list[str]:
    rows: list[Calibration] = group.calibration
    if not rows:
        return paragraph("There are no probabilities to calibrate.")
    table = grid(
        [
            Column("strategy", [_name(row.strategy, group) for row in rows], "left"),
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
