"""A comparison as LaTeX tables in the booktabs style, one for each board. All text is untrusted: it can only be text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bakeoff.analysis.findings import Board, Comparison, Pair
from bakeoff.analysis.row import Row
from bakeoff.report.units import seconds
from bakeoff.text.values import listed, seeds_spelt

HEAD = "% Made by `bakeoff report`. Needs \\usepackage{booktabs}."
COLUMNS = 6
ACCENTS = {"\u0300", "\u0301", "\u0302", "\u0303", "\u0308", "\u030a", "\u030c", "\u0327"}
LAST_LATIN = "\u017f"
"""Letters up to here with these marks pdflatex knows without a package; others stand by their numbers, so that it compiles."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": "{`}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"\textperiodcentered{}",
    "–": r"\textendash{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}
"""Brackets and stars in braces, because after a row's end they would be arguments; a backquote because it joins a `?`."""


def as_latex(text: object) -> str:
    """Foreign text as LaTeX that shows it, on one line: control and other invisible characters by their numbers."""
    shown = "".join(map(_shown, " ".join(str(text).split())))
    return re.sub(r"-(?=-)", "-{}", shown)  # two hyphens would join to a dash


def _shown(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isascii() and character.isprintable():
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS and character <= LAST_LATIN:
        return character
    return f"{{\\ttfamily U+{ord(character):04X}}}"


def write_tex(comparison: Comparison) -> str:
    """A `table` environment for each board; a comment where there is none."""
    tables = [_table(board) for board in comparison.boards]
    return "\n\n".join([HEAD, *(tables or ["% Nothing is recorded that could be compared."])]) + "\n"


def _table(board: Board) -> str:
    titles = ["strategy", f"{board.split} {board.metric}", "95 % interval", f"− {board.baseline}", "verdict", "train s"]
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{_caption(board)}}}",
        f"\\label{{tab:{_slug(board.task, board.model)}}}",
        f"\\begin{{tabular}}{{l{'r' * 3}lr}}",
        r"\toprule",
        _row(map(as_latex, titles)),
        r"\midrule",
    ]
    group = 0
    pairs, aside = board.pairs, board.times_differ
    for row in board.ranked:
        if row.group != group:
            group = row.group
            lines += [r"\midrule", _across(f"not ranked with the others: {board.groups[group]}")]
        lines.append(_row(_cells(row, board, pairs.get(row.strategy), aside[row.strategy])))
    if board.floor is not None:
        lines += [r"\midrule", _row(["majority baseline", as_latex(board.figures.number(board.floor)), *[""] * (COLUMNS - 2)])]
    if board.imported:
        lines += [r"\midrule", _across("published elsewhere, not tested:")]
    for other in board.imported:
        score = other.scores.get(board.metric) if other.split == board.split else None
        lines.append(
            _row([as_latex(f"{other.name} ({other.source})"), as_latex(board.figures.number(score)), *[""] * (COLUMNS - 2)])
        )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _across(text: str) -> str:
    return f"\\multicolumn{{{COLUMNS}}}{{l}}{{{as_latex(text)}}} \\\\"


def _cells(row: Row, board: Board, pair: Pair | None, aside: str) -> list[str]:
    """`aside`: why its seconds cannot be compared with the baseline's."""
    figures, score = board.figures, board.score(row)
    name = as_latex(row.strategy) + (" (baseline)" if row.baseline else "")
    took = seconds(row.train_seconds.mean if row.train_seconds else None)
    return [
        name + (r"$^\dagger$" if pair is not None and pair.confounders else ""),
        as_latex(figures.number(score.mean if score else None)),
        as_latex(figures.range(score.low, score.high) if score else ""),
        _difference(pair, board),
        as_latex(pair.verdict if pair else ""),
        f"({took})" if aside and row.train_seconds else as_latex(took),
    ]


def _difference(pair: Pair | None, board: Board) -> str:
    if pair is None:
        return ""
    if pair.finding == "identical":
        return as_latex(board.figures.signed(0.0))
    return as_latex(f"{board.figures.signed(pair.difference)} {board.figures.signed_range(pair.low, pair.high)}".strip())


def _caption(board: Board) -> str:
    """Task, model, N, seeds, what the intervals cover, and what confounds."""
    scores = [score for row in board.rows if (score := board.score(row)) is not None]
    parts = [
        f"{board.metric} on {board.split} of {board.task} with {board.model}, {board.examples:,} examples, "
        f"seeds {seeds_spelt([seed for score in scores for seed in score.seeds]) or 'none'}"
        f"{f', in {board.unit.words}' if board.unit.words else ''}."
    ]
    if methods := list(dict.fromkeys(score.method for score in scores if score.method)):
        parts.append(f"The 95 % intervals cover {listed(methods)}.")
    tested = [pair for pair in board.to_baseline if pair.p_adjusted is not None]
    if tested:
        parts.append(
            f"Verdicts on the difference to {board.baseline} are by Holm over {tested[0].comparisons} "
            f"comparison{'s' if tested[0].comparisons > 1 else ''}"
            + ("." if board.margin is None else f"; equivalent is within {board.figures.as_declared(board.margin)}.")
        )
    text = as_latex(" ".join(parts))
    confounded = [
        f"{pair.first} by {listed([fact.sentence() for fact in pair.confounders])}"
        for pair in board.to_baseline
        if pair.confounders
    ]
    return text + (f" $^\\dagger$ {as_latex(f'Confounded: {listed(confounded)}.')}" if confounded else "")


def _slug(*words: str) -> str:
    """A label's characters need no escapes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
