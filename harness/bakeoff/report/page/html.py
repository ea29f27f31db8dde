"""A comparison as one HTML page: it opens from disk, asks no network for anything, and can be read without JavaScript.

Every text that a template writes passes `visible` and is then escaped; only drawings, made from numbers, go as they are. The
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
from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.summary.rows import Report
from bakeoff.errors import BakeoffError
from bakeoff.records.schema import Record
from bakeoff.report.board_view import Joined, join
from bakeoff.report.page.differences import CHECKS, SIGNS, Forest, Matrix, Slices, forest, matrix, slices
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
from bakeoff.report.text.across import TITLES, across
from bakeoff.report.text.table_md import caption
from bakeoff.text.markdown import visible
from bakeoff.text.values import portable, seeds_spelt, spelt

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_RECORDS = 1000
"""Beyond so many the page carries rows only: no record, dot or curve."""

TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True)
class Section:
    """A board, as the template writes it."""

    joined: Joined
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
    failures: list[tuple[str, int, str, str]]
    """(strategy, seed, reason, message)."""
    unkept: list[tuple[str, int, str]]
    """(strategy, seed, why the run's model is not kept)."""
    remarked: list[tuple[str, int, str]]
    """(strategy, seed, what is to be said of the run's process)."""
    missing: list[tuple[str, str]]
    """(strategy, seeds that are declared and not recorded)."""


def write_html(comparison: Comparison, report: Report, records: Sequence[Record], steps: Callable[[str], Steps | None]) -> str:
    """The whole `report.html`; `steps` gives a run's step numbers and losses, None where there are none.

    Raises BakeoffError where the extra `report` is not installed.
    """
    jinja = _environment()
    rows_only = len(records) > MOST_RECORDS
    boards = join(comparison, report, {record.id: record for record in records})
    lines = sum(len(joined.records.get(row.strategy, ())) for joined in boards for row in joined.standings[:MOST_CURVES])
    points = max(10, min(MOST_POINTS, ALL_POINTS // max(lines, 1)))
    sections = [_section(joined, report, steps, points, rows_only=rows_only) for joined in boards]
    style, script = (_squeezed((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    page = jinja.get_template("report.html.j2").render(
        comparison=comparison,
        declared=report.declared,
        report=report,
        sections=sections,
        strip=_strip(boards, report, records),
        records=None if rows_only else every_record(report, records, boards),
        count=len(records),
        rows_only=rows_only,
        made=_foot(comparison.facts),
        commands=comparison.facts.get("commands", []),
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
        return value if isinstance(value, Markup) else visible(portable(value))

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
        parts = re.split(r"`([^`]+)`", visible(text))
        return Markup("").join(
            Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
        )

    jinja.filters["code"] = code
    # Of our own files, and the policy's hashes cover them to the byte.
    jinja.filters["verbatim"] = Markup
    return jinja


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _section(joined: Joined, report: Report, steps: Callable[[str], Steps | None], points: int, *, rows_only: bool) -> Section:
    table = joined.table
    shown = [
        (standing.strategy, joined.rows[standing.strategy]) for standing in joined.standings if standing.strategy in joined.rows
    ]
    return Section(
        joined=joined,
        leaderboard=leaderboard(joined),
        forest=forest(joined),
        matrix=matrix(joined),
        costs=costs(joined),
        curves=None if rows_only else curves(joined, steps, points),
        seeds=None if rows_only else seeds(joined),
        slices=slices(joined),
        recipes=recipes(joined),
        searches=searches(joined),
        caption=[(label, ", ".join(parts)) for label, parts in caption(table, report.declared)] if table else [],
        failures=[(name, failed.seed, failed.reason, failed.message) for name, row in shown for failed in row.failed],
        unkept=[(name, unkept.seed, unkept.reason) for name, row in shown for unkept in row.unkept],
        remarked=[(name, remarked.seed, remarked.remark) for name, row in shown for remarked in row.remarked],
        missing=[(name, seeds_spelt(row.missing)) for name, row in shown if row.missing],
    )


def _strip(boards: Sequence[Joined], report: Report, records: Sequence[Record]) -> list[tuple[str, str]]:
    """What the page is made of, in a few numbers."""
    declared = report.declared
    ended = sum(record.status == "ok" for record in records)
    failed = len(records) - ended
    runs = f"{ended:,}" if ended == len(declared.runs) else f"{ended:,} of {len(declared.runs):,}"
    found = [("runs", f"{runs}{f', {failed:,} failed' if failed else ''}")]
    found.append(("strategies", f"{len({run.strategy for run in declared.runs}):,}"))
    found.append(("seeds", seeds_spelt([run.seed for run in declared.runs]) or "none"))
    if len(boards) == 1:
        board = boards[0].board
        found.append((f"examples in {board.split}", f"{board.examples:,}"))
        found.append(("margin", "none" if board.margin is None else f"± {board.figures.as_declared(board.margin)}"))
    hardware = dict.fromkeys(table.surroundings.hardware for table in report.tables if table.surroundings)
    if hardware:
        found.append(("hardware", "; ".join(hardware)))
    return found


def _foot(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Commands, and what could not be read, have places of their own."""
    aside = ("commands", "damaged", "foreign")
    return [(name.replace("_", " "), spelt(value)) for name, value in facts.items() if name not in aside and value != []]
