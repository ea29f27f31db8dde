"""A report written as Markdown: tables first, what to mind under them, then what is equal in all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.summary.compute import legend, work_cells
from bakeoff.analysis.summary.facts import RECIPE
from bakeoff.analysis.summary.rows import Report, Row, Spread, Table
from bakeoff.analysis.summary.searches import cost_sentence, search_cells, search_titles, tuning
from bakeoff.contracts.metrics import unit_of
from bakeoff.contracts.unit import Figures, Unit, figures_of
from bakeoff.records.schema import Declared
from bakeoff.report.row_notes import owned, sentences
from bakeoff.report.text.across import across_markdown
from bakeoff.report.text.board_columns import DAGGER, Standings, standings_of
from bakeoff.text.markdown import DASH, Column, escaped, grid, item, level, paragraph, prose
from bakeoff.text.values import listed, seeds_spelt, spelt

BASELINE, REPORTED = "◂", "★"
FLOOR = "majority floor"
MEBIBYTE = 2**20


def write_page(report: Report, comparison: Comparison) -> str:
    """The whole `table.md`."""
    declared = report.declared
    lines = [f"# {escaped(declared.name)}"]
    if declared.question:
        lines += ["", *paragraph(escaped(declared.question))]
    if comparison.boards:
        lines += ["", *paragraph(f"**{escaped(comparison.answer)}**")]
    for sentence in report.damaged:
        lines += ["", *paragraph(f"**damaged and left out: {escaped(sentence)}**")]
    for table in report.tables:
        standings = standings_of(comparison, table.task, table.model)
        blocks = [_scores(table, standings), standings.differences(), _costs(table), _work(table), _searches(table)]
        lines += ["", f"## {escaped(table.task)} · {escaped(table.model)}", ""]
        lines += [line for block in blocks if block for line in (*block, "")]
        lines += standings.sentences()
        for sentence in sentences(table, comparison.facts.get("commands", [])):
            lines += item(prose(sentence))
        lines += standings.published()
        lines += ["", *paragraph(_legend(table, standings)), ""]
        for label, parts in caption(table, declared):
            lines += item(f"**{label}**: {escaped(', '.join(parts))}")
    if section := across_markdown(comparison):
        lines += ["", *section]
    aside = [f"{warning.name}: {warning.what} {warning.what_to_do}" for warning in comparison.warnings if not warning.board]
    if aside:
        lines += ["", *(line for sentence in aside for line in item(prose(sentence)))]
    return "\n".join(lines) + "\n"


# --- the two tables ------------------------------------------------------------------------------------------------------


def _names(table: Table, standings: Standings, *, floor: bool) -> Column:
    names = [
        f"{escaped(row.strategy)}{f' {BASELINE}' if row.baseline else ''}{standings.mark(row.strategy)}" for row in table.rows
    ]
    return Column("strategy", [*names, FLOOR] if floor else names, "left")


def _scores(table: Table, standings: Standings) -> list[str]:
    columns = [_names(table, standings, floor=True)]
    for fact in table.differing:
        cells = [_fact(row, fact) for row in table.rows]
        columns.append(Column(escaped(fact.removeprefix(RECIPE)), [*cells, DASH], "left"))
    for split in table.splits:
        for metric in table.metrics:
            reported = split == table.splits[0] and metric.name == table.primary
            floor = table.data.majority_baseline.get(split, {}).get(metric.name) if table.data else None
            figures = figures_in(table, metric.name)
            scores = [score_cell(row.scores.get(split, {}).get(metric.name), figures) for row in table.rows]
            scores.append((figures.number(floor), ""))
            columns.append(Column(escaped(f"{split} {metric.name}") + (REPORTED if reported else ""), level(scores)))
            if reported and standings.rows:
                ranges = [standings.interval(row.strategy, split, metric.name, figures) for row in table.rows]
                columns.append(Column("95 % interval", [*ranges, DASH]))
                columns.append(Column("rank", [*(standings.rank(row.strategy) for row in table.rows), DASH]))
    if table.searches:
        columns.append(Column("tuning", [*(tuning(table.searches.get(row.strategy)) for row in table.rows), DASH], "left"))
    done = [f"{len(row.scored)} of {len(row.seeds)}" if row.missing else str(len(row.scored)) for row in table.rows]
    columns.append(Column("n", [*done, DASH]))
    columns.append(Column("failed", [*(str(len(row.failed)) for row in table.rows), DASH]))
    warnings = [escaped(", ".join([*standings.codes(row.strategy), *owned(row)])) for row in table.rows]
    if any(warnings):
        columns.append(Column("warnings", [*warnings, ""], "left"))
    return grid(columns)


def _fact(row: Row, fact: str) -> str:
    value = {"trainer": row.trainer, "method": row.method}.get(fact, row.facts.get(fact))
    known = value is not None or (fact.startswith(RECIPE) and fact in row.facts)
    return escaped(spelt(value)) if known else DASH


def figures_in(table: Table, metric: str) -> Figures:
    """How the table writes a metric's figures."""
    facts = next(facts for facts in table.metrics if facts.name == metric)
    found = [scores[metric] for row in table.rows for scores in row.scores.values() if metric in scores]
    return figures_of(unit_of(facts), [score.mean for score in found], [score.sd for score in found])


def score_cell(score: Spread | None, figures: Figures) -> tuple[str, str]:
    if score is None:
        return DASH, ""
    return figures.number(score.mean), "" if score.sd is None else f" ± {figures.number(score.sd)}"


def _costs(table: Table) -> list[str]:
    columns = [_names(table, Standings(None, ()), floor=False)]

    def add(title: str, number: Callable[[Row], Spread | None]) -> None:
        if any(number(row) for row in table.rows):
            columns.append(Column(title, level([time_cell(number(row), comparable=not row.elsewhere) for row in table.rows])))

    def add_memory(title: str, number: Callable[[Row], int | None]) -> None:
        cells = [DASH if (size := number(row)) is None else f"{size / MEBIBYTE:,.0f}" for row in table.rows]
        if set(cells) != {DASH}:
            columns.append(Column(title, cells))

    add("train s", lambda row: row.train_seconds)
    add("train samples/s", lambda row: row.train_samples_per_second)
    add("evaluate s", lambda row: row.evaluate_seconds)
    add("evaluate samples/s", lambda row: row.evaluate_samples_per_second)
    add("energy J", lambda row: row.energy_joules)
    add_memory("peak MiB", lambda row: row.peak_memory_bytes)
    add_memory("peak device MiB", lambda row: row.peak_device_memory_bytes)
    return grid(columns) if len(columns) > 1 else []


def _work(table: Table) -> list[str]:
    aside = [row.strategy for row in table.rows if row.elsewhere]
    titles, cells = work_cells({row.strategy: row.work for row in table.rows}, aside)
    columns = [Column(title, [cells[row.strategy][number] for row in table.rows]) for number, title in enumerate(titles)]
    return grid([_names(table, Standings(None, ()), floor=False), *columns]) if columns else []


def _searches(table: Table) -> list[str]:
    if not table.searches or table.primary is None:
        return []
    lines = search_cells(table.searches, figures_in(table, table.primary))
    columns = [Column("search of", [escaped(name) for name, _ in lines], "left")]
    for number, title in enumerate(search_titles(table.searches, table.primary)):
        told = [escaped(cells[number]) for _, cells in lines]
        columns.append(Column(escaped(title), told, "right" if number in (1, 2) else "left"))
    return grid(columns)


def time_cell(number: Spread | None, *, comparable: bool) -> tuple[str, str]:
    if number is None:
        return DASH, ""
    digits = 0 if number.mean >= 1000 else 1 if number.mean >= 10 else 2
    head, tail = f"{number.mean:,.{digits}f}", "" if number.sd is None else f" ± {number.sd:,.{digits}f}"
    return (head, tail) if comparable else (f"({head}", f"{tail})")


# --- the caption ---------------------------------------------------------------------------------------------------------


def _legend(table: Table, standings: Standings) -> str:
    """How to read the table."""
    parts = []
    if table.metrics:
        units = {metric.name: unit_of(metric) for metric in table.metrics}
        points = _points(units)
        direction = "" if table.metrics[0].higher_is_better else " (less is better)"
        parts.append(f"{points}: mean ± standard deviation over the n seeds that ended with scores.")
        parts.append(
            f"{REPORTED} is what this experiment reports on: {table.primary} on {table.splits[0]}{direction}."
            if table.splits
            else ""
        )
        if standings.rows:
            parts.append(
                "The interval is for new seeds and new examples (of a single run: for new examples only); a rank is the best "
                "and the worst that the verdicts over all pairs leave open."
            )
        if standings.pairs:
            parts.append(
                "Would be seen: the difference that this design finds in four of five experiments. docs/statistics.md has the "
                "methods."
            )
        if any(standings.mark(row) for row in standings.rows):
            parts.append(f"{DAGGER} differs from the baseline in something that is not under test.")
        regression = table.data is not None and table.data.kind == "regression"
        always = "the mean of the training split" if regression else "the label that is most frequent in training"
        parts.append(f"The majority floor always gives {always}.")
    if any(row.baseline for row in table.rows):
        parts.append(f"{BASELINE} is the baseline.")
    if any(row.train_seconds for row in table.rows):
        parts.append(
            "Train s is all of the trainer's own time, its preparation included; peak MiB is the largest over seeds, the "
            "processes of a run summed."
        )
    if any(row.work.flops is not None for row in table.rows):
        parts.append(legend({row.strategy: row.work for row in table.rows}))
    if table.searches:
        parts.append(cost_sentence(table.searches, [row.strategy for row in table.rows if row.strategy not in table.searches]))
    return " ".join(filter(None, (escaped(part) for part in parts)))


def _points(units: dict[str, Unit]) -> str:
    """In which units the table's scores are."""
    if {unit.scale for unit in units.values()} == {100}:
        return "Scores are points (× 100)"
    told: dict[str, list[str]] = {}
    for metric, unit in units.items():
        told.setdefault("points (× 100)" if unit.scale == 100 else unit.name or "as they are", []).append(metric)
    if list(told) == ["as they are"]:
        return "Scores are as they are"
    return "Scores of " + "; ".join(
        f"{listed(metrics)} are {'' if name == 'as they are' or name.startswith('points') else 'in '}{name}"
        for name, metrics in told.items()
    )


def caption(table: Table, declared: Declared) -> list[tuple[str, Sequence[str]]]:
    """What is equal in all rows: for each subject, its parts."""
    equal, surroundings, data = table.equal, table.surroundings, table.data
    found: list[tuple[str, Sequence[str]]] = []
    if data is not None:
        sizes = [
            f"{name} {split.examples:,} examples{'' if split.labelled else ' (no labels)'}"
            for name, split in data.splits.items()
        ]
        found.append(("data", sizes))
        found.append(("made from", [f"{name} {version}" for name, version in data.source_versions.items()]))
    found.append(("task", table.components.get("task", [])))
    parameters = [f"{spelt(equal['parameters'])} parameters"] if equal.get("parameters") is not None else []
    trainable = [f"{spelt(equal['trainable'])} trainable"] if equal.get("trainable") is not None else []
    found.append(("model", [*table.components.get("model", []), *parameters, *trainable]))
    found.append(("trainer", table.components["trainer"]))
    found.append(("method", table.components["method"]))
    recipe = [
        f"{name.removeprefix(RECIPE)} {spelt(value)}"
        for name, value in equal.items()
        if name.startswith(RECIPE) and (value is not None or name.removeprefix(RECIPE) not in ("epochs", "max_steps"))
    ]
    found.append(("recipe", recipe))
    trained = [f"{spelt(equal['steps'])} steps"] if equal.get("steps") is not None else []
    if "select" in equal:
        trained.append(f"scored at the {str(equal['select']).replace('-', ' ')}")
    found.append(("training", trained))
    found.append(("taken for the same", [table.taken_for_same] if table.taken_for_same else []))
    found.append(("seeds", [seeds_spelt([seed for row in table.rows for seed in row.seeds])]))
    if declared.under_test:
        found.append(("under test", declared.under_test))
    if surroundings is not None:
        threads = f"{surroundings.threads} thread{'s' if surroundings.threads > 1 else ''}"
        hardware = [
            surroundings.hardware,
            surroundings.device,
            *([] if threads in surroundings.hardware else [threads]),
            surroundings.system,
        ]
        found.append(("hardware", hardware))
        found.append(("software", [f"{name} {version}" for name, version in surroundings.software.items()]))
    return [(label, parts) for label, parts in found if parts]
