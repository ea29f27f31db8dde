"""A comparison as one HTML page: it opens from disk, asks no network for anything, and can be read without JavaScript.

Every text that a template writes passes `one_line` and is then escaped; only drawings, made from numbers, go as they are. The
page forbids itself everything but its own style and script (Content-Security-Policy, by their hashes).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff import __version__
from bakeoff.analysis.findings import Board, Comparison
from bakeoff.analysis.row import Row
from bakeoff.errors import BakeoffError
from bakeoff.records.schema import Declared, Record
from bakeoff.report.caption import caption
from bakeoff.report.page.differences import CHECKS, SIGNS, Forest, Matrix, Slices, drawn_rows, forest, matrix, slices
from bakeoff.report.page.drawing import NEEDS
from bakeoff.report.page.leaderboard import Leaderboard, leaderboard
from bakeoff.report.page.views import (
    ALL_POINTS,
    MOST_CURVES,
    MOST_POINTS,
    Costs,
    Curves,
    Recipes,
    Searches,
    Seeds,
    Steps,
    costs,
    curves,
    every_record,
    recipes,
    searches,
    seeds,
)
from bakeoff.report.row_notes import sentences
from bakeoff.report.text.across import TITLES, across
from bakeoff.text.numbers import portable
from bakeoff.text.values import seeds_spelt, spelt
from bakeoff.text.words import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_RECORDS = 1000
"""Beyond so many the page carries rows only: no record, dot or curve."""

TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True)
class Section:
    """A board, as the template writes it."""

    board: Board
    slug: str
    """Begins the ids of all that is in its section."""
    drawn: list[Row]
    """The rows in what follows the leaderboard."""
    leaderboard: Leaderboard
    forest: Forest | None
    matrix: Matrix | None
    costs: Costs | None
    curves: Curves | None
    seeds: Seeds | None
    slices: list[Slices]
    recipes: Recipes | None
    searches: Searches | None
    caption: list[tuple[str, str]]
    notes: list[str]


def write_html(comparison: Comparison, records: Sequence[Record], steps: Callable[[str], Steps | None]) -> str:
    """The whole `report.html`; `steps` gives a run's step numbers and losses, None where there are none.

    Raises BakeoffError where the extra `report` is not installed.
    """
    jinja = _environment()
    rows_only = len(records) > MOST_RECORDS
    ended = _ended(comparison.declared, records)
    lines = sum(
        len(ended.get((board.task, board.model, row.strategy), ()))
        for board in comparison.boards
        for row in board.ranked[:MOST_CURVES]
    )
    points = max(10, min(MOST_POINTS, ALL_POINTS // max(lines, 1)))
    sections = [
        _section(comparison, board, f"board-{number}", None if rows_only else ended, steps, points)
        for number, board in enumerate(comparison.boards, 1)
    ]
    style, script = (_squeezed((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    page = jinja.get_template("report.html.j2").render(
        comparison=comparison,
        sections=sections,
        strip=_strip(comparison, records),
        records=None if rows_only else every_record(comparison, records),
        count=len(records),
        rows_only=rows_only,
        made=_foot(comparison.facts),
        commands=comparison.commands,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        version=__version__,
        signs=SIGNS,
        checks=CHECKS,
        across=across(comparison),
        across_titles=TITLES,
    )
    return _squeezed(page)


def _squeezed(text: str) -> str:
    """Without indentation and empty lines: a tenth of the page. No text that it shows has a line end."""
    return re.sub(r"\s*\n\s*", "\n", text)


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError:
        raise BakeoffError(NEEDS) from None

    def shown(value: Any) -> Any:
        return value if isinstance(value, Markup) else one_line(portable(value))

    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )

    def code(text: str) -> Markup:
        """What stands in backticks, as code."""
        parts = re.split(r"`([^`]+)`", one_line(text))
        return Markup("").join(
            Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
        )

    jinja.filters["code"] = code
    # Of our own files, and the policy's hashes cover them to the byte.
    jinja.filters["verbatim"] = Markup
    return jinja


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _ended(declared: Declared, records: Sequence[Record]) -> dict[tuple[str, str, str], list[Record]]:
    """(task, model, strategy) -> its runs that ended well, by seed."""
    by_id = {record.id: record for record in records if record.status == "ok"}
    found: dict[tuple[str, str, str], list[Record]] = {}
    for run in sorted(declared.runs, key=lambda run: run.seed):
        if run.id in by_id:
            found.setdefault((run.task, run.model, run.strategy), []).append(by_id[run.id])
    return found


def _section(
    comparison: Comparison,
    board: Board,
    slug: str,
    ended: Mapping[tuple[str, str, str], Sequence[Record]] | None,
    steps: Callable[[str], Steps | None],
    points: int,
) -> Section:
    """Without runs (`ended`) it carries rows only."""
    places = enumerate(comparison.warnings, 1)
    warnings = {f"warning-{number}": warning for number, warning in places if warning.board in ("", board.title)}
    runs = {row.strategy: (ended or {}).get((board.task, board.model, row.strategy), ()) for row in board.rows}
    return Section(
        board=board,
        slug=slug,
        drawn=drawn_rows(board),
        leaderboard=leaderboard(board, warnings),
        forest=forest(board),
        matrix=matrix(board),
        costs=costs(board, slug),
        curves=None if ended is None else curves(board, slug, runs, steps, points),
        seeds=None if ended is None else seeds(board, slug),
        slices=slices(board),
        recipes=recipes(board),
        searches=searches(board),
        caption=[(label, ", ".join(parts)) for label, parts in caption(board, comparison.declared)],
        notes=[*board.notes, *sentences(board, comparison.commands)],
    )


def _strip(comparison: Comparison, records: Sequence[Record]) -> list[tuple[str, str]]:
    """What the page is made of, in a few numbers."""
    declared, boards = comparison.declared, comparison.boards
    ended = sum(record.status == "ok" for record in records)
    failed = len(records) - ended
    runs = f"{ended:,}" if ended == len(declared.runs) else f"{ended:,} of {len(declared.runs):,}"
    found = [("runs", f"{runs}{f', {failed:,} failed' if failed else ''}")]
    found.append(("strategies", f"{len({run.strategy for run in declared.runs}):,}"))
    found.append(("seeds", seeds_spelt([run.seed for run in declared.runs]) or "none"))
    if len(boards) == 1:
        (board,) = boards
        found.append((f"examples in {board.split}", f"{board.examples:,}"))
        found.append(("margin", "none" if board.margin is None else f"± {board.figures.as_declared(board.margin)}"))
    hardware = dict.fromkeys(board.surroundings.hardware for board in comparison.every_board if board.surroundings)
    if hardware:
        found.append(("hardware", "; ".join(hardware)))
    return found


def _foot(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The commands have a place of their own."""
    return [(name.replace("_", " "), spelt(value)) for name, value in facts.items() if name != "commands" and value != []]
