"""A comparison as one HTML page that opens from disk, needs no network, and can be read without JavaScript.

Every text that a template writes passes `one_line` and is then escaped; drawings are inserted as they are. The page's
Content-Security-Policy allows nothing but its own style and script, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bakeoff import __version__
from bakeoff.analysis.findings import Comparison, ComparisonGroup
from bakeoff.analysis.recipes import COMPONENTS
from bakeoff.analysis.results import Row
from bakeoff.analysis.summary.compute import legend, work_cells
from bakeoff.analysis.summary.searches import search_cells, search_titles
from bakeoff.records.run_names import run_name
from bakeoff.records.schema import Declared, Record
from bakeoff.report import TEMPLATES, cells
from bakeoff.report.caption import SIZES, caption, tuning_cost
from bakeoff.report.looks import TITLES as LOOK_TITLES
from bakeoff.report.looks import level_cell, look_cell, look_rows, look_sentences
from bakeoff.report.notes import sentences
from bakeoff.report.page import differences, drawing, views
from bakeoff.report.page import leaderboard as ranks
from bakeoff.report.page.curves import curve_view
from bakeoff.report.page.mistakes import labels_of
from bakeoff.report.text.across import TITLES, across
from bakeoff.report.verdict_words import figures_in_words, verdict_words, why_not_subtract, why_stricter
from bakeoff.text import numbers
from bakeoff.text.numbers import portable
from bakeoff.text.values import command, grouped, seeds_spelt, shortened, spelt
from bakeoff.text.words import one_line

MOST_RECORDS = 1000
"""With more records than this, the page shows strategies only, and of single runs no record, dot or curve."""


WRITERS: tuple[Callable[..., Any], ...] = (
    *(numbers.mebibytes, numbers.p_value, numbers.per_cent, numbers.significant, numbers.with_decimals),
    *(
        cells.all_runs,
        cells.amount_cell,
        cells.rank,
        cells.ratio_cell,
        cells.seconds,
        cells.time_cell,
        cells.timed_cells,
        cells.cost_titles,
    ),
    *(drawing.interval, drawing.scale_line, level_cell, look_cell),
    *(differences.detectable, differences.other_tests, ranks.unlearned_note, ranks.warning_of, views.best_of),
    *(search_cells, search_titles, tuning_cost),
)
"""Functions that templates call."""


Texts = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Task -> id of an example -> column -> text."""


def write_html(
    comparison: Comparison,
    records: Sequence[Record],
    steps: Callable[[str], views.Steps | None],
    *,
    texts: Texts | None = None,
) -> str:
    """The text of `report.html`. steps: run id -> step numbers and losses, None where there are none. texts: the texts of the
    examples that are listed; None for a page without texts."""
    jinja = _environment()
    rows_only = len(records) > MOST_RECORDS
    successful = _successful(comparison.declared, records)
    lines = sum(
        len(successful.get((group.task, group.model, row.strategy), ()))
        for group in comparison.groups
        for row in group.ranked[: views.MOST_CURVES]
    )
    points = max(10, min(views.MOST_POINTS, views.ALL_POINTS // max(lines, 1)))
    sections = [
        _section(comparison, group, f"group-{number}", None if rows_only else successful, steps, points)
        | {"texts": (texts or {}).get(group.task, {})}
        for number, group in enumerate(comparison.groups, 1)
    ]
    by_id = {record.id: record for record in records}
    style, script = _part("style.css"), _part("script.js")
    if any(group.curve for group in comparison.groups):
        style += _part("curve.css")
    page = jinja.get_template("report.html.j2").render(
        comparison=comparison,
        sections=sections,
        strip=_strip(comparison, records),
        records=[] if rows_only else [(run, by_id[run.id]) for run in comparison.declared.runs if run.id in by_id],
        columns={(group.split, group.metric): group.figures for group in comparison.groups},
        count=len(records),
        rows_only=rows_only,
        made=_foot(comparison.facts),
        commands=comparison.commands,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        version=__version__,
        signs=differences.SIGNS,
        across=across(comparison),
        across_titles=TITLES,
        look_titles=LOOK_TITLES,
    )
    return _squeezed(page)


def _part(name: str) -> str:
    """The text of a file beside the templates, such as the style sheet."""
    return _squeezed((TEMPLATES / name).read_text(encoding="utf-8"))


def _squeezed(text: str) -> str:
    """The text without indentation and empty lines, which are a tenth of the page; no text on it contains a line end."""
    return re.sub(r"\s*\n\s*", "\n", text)


def _environment() -> Environment:
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
        """The text, escaped, with the parts in backticks as code."""
        parts = re.split(r"`([^`]+)`", one_line(text))
        return Markup("").join(
            Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
        )

    jinja.filters["code"] = code
    jinja.globals.update({function.__name__: function for function in WRITERS})
    # Of our own files, and the policy's hashes cover them to the byte.
    jinja.filters["verbatim"] = Markup
    return jinja


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _successful(declared: Declared, records: Sequence[Record]) -> dict[tuple[str, str, str], list[Record]]:
    """(task, model, strategy) -> the records of its runs that succeeded, in the order of seeds."""
    by_id = {record.id: record for record in records if record.status == "ok"}
    return {
        (*place, strategy): [by_id[run.id] for run in sorted(own, key=lambda run: run.seed) if run.id in by_id]
        for place, runs in declared.groups.items()
        for strategy, own in grouped((run.strategy, run) for run in runs).items()
    }


def _section(
    comparison: Comparison,
    group: ComparisonGroup,
    slug: str,
    successful: Mapping[tuple[str, str, str], Sequence[Record]] | None,
    steps: Callable[[str], views.Steps | None],
    points: int,
) -> dict[str, Any]:
    """The variables of the template `group.j2`, for one comparison group. Parts that are None are not shown.

    slug: prefix of all ids in the group's section. successful: by `_successful`; with None no single run is shown. steps: as
    in `write_html`; points: most points of a learning curve.
    """
    runs = {row.strategy: (successful or {}).get((group.task, group.model, row.strategy), ()) for row in group.rows}
    drawn, aside = differences.drawn_rows(group), group.times_differ
    timed = [row for row in drawn if row.train_seconds]
    work = {row.strategy: row.work for row in timed}
    warnings = {
        f"warning-{number}": warning
        for number, warning in enumerate(comparison.warnings, 1)
        if warning.group in ("", group.title)
    }
    return {
        "group": group,
        "slug": slug,
        "warnings": warnings,
        "mind": {place: warning for place, warning in warnings.items() if warning.severity != "note"},
        "drawn": drawn,
        "drawn_names": {row.strategy for row in drawn},
        "leaderboard": ranks.leaderboard(group),
        "forest": differences.forest(group),
        "by_value": curve_view(group),
        "matrix": differences.matrix(group),
        "timed": timed,
        "costs": views.cost_drawings(group),
        "work": work_cells(work, [name for name in work if aside[name]]),
        "work_legend": legend(work),
        "curves": None if successful is None else views.curves(group, runs, steps, points),
        "seeds": None if successful is None else views.seeds(group),
        "epochs": views.epochs(group),
        "labels": labels_of(group),
        "words": verdict_words([group]),
        "columns_mean": figures_in_words(group, cells.shown_cost(group, comparison.recommended(group))),
        "described": {row.strategy: _described(row, group) for row in drawn},
        "kept": _kept(comparison, group),
        "stricter": why_stricter(group, comparison.recommended(group)),
        "not_subtract": why_not_subtract(group),
        "cost": cells.shown_cost(group, comparison.recommended(group)),
        "slices": differences.slices(group),
        "recipes": views.recipes(group),
        "caption": [(label, ", ".join(parts)) for label, parts in caption(group)],
        "looks": look_rows(group.looks) if group.looks else [],
        "notes": [
            *group.notes,
            *look_sentences(group, comparison.commands),
            *sentences(group, comparison.commands),
        ],
    }


@dataclass(frozen=True)
class Kept:
    """The kept models of a comparison group."""

    runs: list[tuple[str, str]]
    """(run, as commands take its name, and the folder of its model)."""
    commands: list[str]
    """Command lines that use these models."""


def _kept(comparison: Comparison, group: ComparisonGroup) -> Kept | None:
    """The group's kept models; None where no model was kept."""
    alone = len(comparison.every_group) == 1
    runs = [
        (run_name(row.strategy, one.seed) if alone else PurePosixPath(one.folder).parent.name, one.folder)
        for row in group.ranked
        for one in row.kept
    ]
    folders = comparison.facts.get("folders", [])
    if not runs or len(folders) != 1:
        return Kept(runs, []) if runs else None
    folder = PurePath(folders[0])
    return Kept(runs, [command("best", folder), command("predict", runs[0][0], "rows.csv", folder)])


MOST_FACTS = 4


def _described(row: Row, group: ComparisonGroup) -> str:
    """What sets a strategy apart from others, in a few words: trainer and method, then keys of the recipe."""
    apart = [subject for subject in group.differing if subject in row.recipe and subject not in SIZES]
    told = [row.recipe[subject] if subject in COMPONENTS else f"{subject} {row.recipe[subject]}" for subject in apart]
    return ", ".join(shortened(told, MOST_FACTS))


def _strip(comparison: Comparison, records: Sequence[Record]) -> list[tuple[str, str]]:
    """The experiment in a few numbers, each as (label, text): runs, strategies, seeds, examples, margin, hardware."""
    declared, groups = comparison.declared, comparison.groups
    successful = sum(record.status == "ok" for record in records)
    failed = len(records) - successful
    runs = f"{successful:,}" if successful == len(declared.runs) else f"{successful:,} of {len(declared.runs):,}"
    saved = sum(group.looks.saved for group in comparison.every_group if group.looks)
    told = [runs, f"{failed:,} failed" if failed else "", f"{saved:,} not needed" if saved else ""]
    found = [("runs", ", ".join(filter(None, told)))]
    found.append(("strategies", f"{len({run.strategy for run in declared.runs}):,}"))
    found.append(("seeds", seeds_spelt([run.seed for run in declared.runs]) or "none"))
    if len(groups) == 1:
        (group,) = groups
        found.append((f"examples in {group.split}", f"{group.examples:,}"))
        note = f" ({group.margin_note})" if group.margin_note else ""
        found.append(("margin", "none" if group.margin is None else f"± {group.figures.as_declared(group.margin)}{note}"))
    hardware = dict.fromkeys(group.surroundings.hardware for group in comparison.every_group if group.surroundings)
    if hardware:
        found.append(("hardware", "; ".join(hardware)))
    return found


def _foot(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the comparison was made, as (label, text) at the foot of the page; its commands have a place of their own."""
    return [(name.replace("_", " "), spelt(value)) for name, value in facts.items() if name != "commands" and value != []]
