"""Markdown fitted to a terminal: lines are wrapped between words, tables that are too wide are split into several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from rich.cells import cell_len

from bakeoff.text.markdown import wrap

ROW_NAME = "strategy"
"""Every part of a split table repeats the columns up to this one."""


def fitted(page: str, width: int) -> str:
    """A page of Markdown in lines of at most `width` columns, unless a single word or cell is wider."""
    lines: list[str] = []
    for is_table, block in groupby(page.splitlines(), key=lambda line: line.startswith("| ")):
        rows = list(block)
        lines += _cut(rows, width) if is_table else [line for text in _paragraphs(rows) for line in wrapped(text, width)]
    return "\n".join(lines) + "\n"


def wrapped(text: str, width: int, *, indent: str | None = None) -> list[str]:
    """A paragraph in lines of at most `width` columns; those after the first begin with `indent`, by default so many blanks
    that a list item's text is aligned."""
    if indent is None:
        indent = "  " if text.startswith("- ") else ""
    return wrap(text, width, indent=indent)


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """The lines joined, so that each paragraph, list item and heading is one line; empty lines are kept."""
    return re.sub(r"(?<=[^\n])\n(?!- |#|\n|\Z) *", " ", "\n".join(lines)).split("\n")


def _cut(rows: Sequence[str], width: int) -> list[str]:
    """The lines of a table, split between columns where it is too wide, with an empty line between parts."""
    if max(map(cell_len, rows)) <= width:
        return list(rows)
    cells = [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in rows]  # a cell's own | has a \ before it
    sizes = [cell_len(cell) + 3 for cell in cells[0]]
    titles = [title.strip() for title in cells[0]]
    named = titles.index(ROW_NAME) + 1 if ROW_NAME in titles else 1
    parts: list[list[int]] = []
    room = 0
    for column in range(named, len(titles)):
        if not parts or sizes[column] > room:
            parts.append([])
            room = width - 1 - sum(sizes[:named])
        parts[-1].append(column)
        room -= sizes[column]
    lines: list[str] = []
    for part in parts:
        lines += [""] if lines else []
        lines += [f"| {' | '.join(row[column] for column in (*range(named), *part))} |" for row in cells]
    return lines
