"""The comparison as Markdown: the tables of each comparison group, then verdicts and warnings, then what all rows share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakeoff.analysis.findings import Comparison, ComparisonGroup, NamedWarning
from bakeoff.analysis.recommendation import Recommendation
from bakeoff.analysis.results import Pair, Row, Spread
from bakeoff.analysis.summary.compute import work_cells
from bakeoff.analysis.summary.searches import search_cells, search_titles, tuning
from bakeoff.report.caption import caption, legend
from bakeoff.report.cells import (
    BASELINE,
    DAGGER,
    MAJORITY,
    REPORTED,
    TIMED,
    all_runs,
    detectable_cell,
    rank,
    score_cell,
    time_cell,
    timed_cells,
)
from bakeoff.report.curves import curve_sentences, curve_table
from bakeoff.report.looks import TITLES as LOOK_TITLES
from bakeoff.report.looks import level_cell, look_cell, look_rows, look_sentences
from bakeoff.report.notes import owned, sentences
from bakeoff.report.text.across import across_markdown
from bakeoff.text.markdown import Column, as_markdown, grid, item, level, paragraph, prose
from bakeoff.text.numbers import DASH, mebibytes, p_value


def write_page(comparison: Comparison) -> str:
    """The text of `table.md`."""
    lines = [f"# {as_markdown(comparison.title)}"]
    if comparison.question:
        lines += ["", *paragraph(as_markdown(comparison.question))]
    if len(comparison.recommendations) == 1:
        lines += ["", *_recommendation(comparison.recommendations[0])]
    elif comparison.recommendation:
        lines += ["", *paragraph(f"**{prose(comparison.recommendation)}**")]
    if comparison.groups:
        lines += ["", *paragraph(as_markdown(comparison.answer))]
    for sentence in comparison.damaged:
        lines += ["", *paragraph(f"**damaged and left out: {as_markdown(sentence)}**")]
    for group in comparison.every_group:
        warnings = [warning for warning in comparison.warnings if warning.group == group.title]
        scores = [_scores(group), _differences(group), _curve(group), _looks(group)]
        costs = [_costs(group), _timed(group), _work(group)]
        blocks = [*scores, *costs, _searches(group)]
        lines += ["", f"## {as_markdown(group.title)}", ""]
        if len(comparison.recommendations) > 1 and (recommended := comparison.recommended(group)):
            lines += [*_recommendation(recommended), ""]
        lines += [line for block in blocks if block for line in (*block, "")]
        verdicts, looks = _verdicts(group, comparison.answer, warnings), look_sentences(group, comparison.commands)
        for sentence in [*curve_sentences(group.curve), *verdicts, *looks, *sentences(group, comparison.commands)]:
            lines += item(prose(sentence))
        for sentence in _published(group):
            lines += item(as_markdown(sentence))
        lines += ["", *paragraph(legend(group)), ""]
        for label, parts in caption(group):
            lines += item(f"**{label}**: {as_markdown(', '.join(parts))}")
    if section := across_markdown(comparison):
        lines += ["", *section]
    aside = [_in_words(warning) for warning in comparison.warnings if not warning.group]
    if aside:
        lines += ["", *(line for sentence in aside for line in item(prose(sentence)))]
    return "\n".join(lines) + "\n"


def _recommendation(found: Recommendation) -> list[str]:
    """The recommendation as a paragraph: in bold which strategy to take, then which ones are ruled out or open."""
    return paragraph(f"**{prose(found.headline)}** {prose(found.rest)}".strip())


def _in_words(warning: NamedWarning) -> str:
    """A warning as text: `few-seeds (caution): what was found. What to do.`"""
    return f"{warning.name} ({warning.severity}): {warning.what} {warning.what_to_do}"


# --- the tables ----------------------------------------------------------------------------------------------------------


def _names(group: ComparisonGroup, *, majority: bool = False, marked: bool = False) -> Column:
    confounded = group.confounded if marked else set()
    names = [
        as_markdown(row.title) + f" {BASELINE}" * row.baseline + f" {DAGGER}" * (row.strategy in confounded)
        for row in group.rows
    ]
    return Column("strategy", [*names, MAJORITY] if majority else names, "left")


def _scores(group: ComparisonGroup) -> list[str]:
    rows = group.rows
    columns = [_names(group, majority=True, marked=True)]
    for subject in group.differing:
        columns.append(
            Column(as_markdown(subject), [*(as_markdown(row.recipe.get(subject, DASH)) for row in rows), DASH], "left")
        )
    for split in group.splits:
        for metric in (facts.name for facts in group.metrics):
            reported, figures = (split, metric) == (group.split, group.metric), group.figures_by_metric[metric]
            scores = [row.score(split, metric) for row in rows]
            cells = [
                *(score_cell(score, figures) for score in scores),
                (figures.number(group.majority_baseline_of(split, metric)), ""),
            ]
            columns.append(Column(as_markdown(f"{split} {metric}") + REPORTED * reported, level(cells)))
            if reported and group.compared:
                ranges = [(score and figures.range(score.low, score.high)) or DASH for score in scores]
                columns.append(Column("95 % interval", [*ranges, DASH]))
                columns.append(Column("rank", [*(rank(row.rank) for row in rows), DASH]))
    if group.searches:
        columns.append(Column("tuning", [*(tuning(group.searches.get(row.strategy)) for row in rows), DASH], "left"))
    done = [f"{len(row.averaged)} of {len(row.needed)}" if row.missing else str(len(row.averaged)) for row in rows]
    columns.append(Column("n", [*done, DASH]))
    if any(row.collapsed for row in rows):
        columns.append(Column("collapsed", [*(str(len(row.collapsed)) for row in rows), DASH]))
    columns.append(Column("failed", [*(str(len(row.failed)) for row in rows), DASH]))
    found = [as_markdown(", ".join([*row.warnings, *owned(row)])) for row in rows]
    if any(found):
        columns.append(Column("warnings", [*found, ""], "left"))
    return grid(columns)


def _differences(group: ComparisonGroup) -> list[str]:
    """The table of differences to the baseline; empty where there are none."""
    pairs, figures = group.to_baseline, group.figures
    if not pairs:
        return []
    ranges = [(pair.finding != "identical" and figures.signed_range(pair.low, pair.high)) or DASH for pair in pairs]
    columns = [
        Column("strategy", [as_markdown(pair.first) + f" {DAGGER}" * bool(pair.confounders) for pair in pairs], "left"),
        Column(
            as_markdown(f"{group.split} {group.metric} − {group.against}"), [figures.signed(pair.difference) for pair in pairs]
        ),
        Column("interval" if group.looks else "95 % interval", ranges),
        *([Column("level", [level_cell(pair) for pair in pairs])] if group.looks else []),
        Column("p (of the look)" if group.looks else "p (Holm)", [p_value(pair.p_adjusted) for pair in pairs]),
        Column("verdict", [pair.marked_verdict for pair in pairs], "left"),
        *([Column("look", [look_cell(pair) for pair in pairs])] if group.looks else []),
        *([Column("all runs", [all_runs(pair) for pair in pairs], "left")] if any(pair.all_runs for pair in pairs) else []),
        Column("detectable", [detectable_cell(pair, figures) for pair in pairs]),
    ]
    return grid(columns)


def _curve(group: ComparisonGroup) -> list[str]:
    """The table of each strategy's scores over the recipe key that varies; empty where none does."""
    if group.curve is None:
        return []
    titles, lines = curve_table(group, group.curve)
    return grid([Column(as_markdown(title), [line[number] for line in lines]) for number, title in enumerate(titles)])


def _looks(group: ComparisonGroup) -> list[str]:
    """The table of what was decided at which declared look; empty where none was taken."""
    rows = look_rows(group.looks) if group.looks else []
    columns = [
        Column(title, [as_markdown(row[number]) for row in rows], "left" if title == LOOK_TITLES[-1] else "right")
        for number, title in enumerate(LOOK_TITLES)
    ]
    return grid(columns) if rows else []


COSTS: dict[str, Callable[[Row], Spread | None]] = {
    "train s": lambda row: row.train_seconds,
    "train samples/s": lambda row: row.train_samples_per_second,
    "evaluate s": lambda row: row.evaluate_seconds,
    "evaluate samples/s": lambda row: row.evaluate_samples_per_second,
    "energy J": lambda row: row.energy_joules,
}


def _costs(group: ComparisonGroup) -> list[str]:
    rows = group.rows
    columns = [
        Column(title, level([time_cell(number(row), comparable=not row.elsewhere) for row in rows]))
        for title, number in COSTS.items()
        if any(number(row) for row in rows)
    ]
    memory = {
        "peak MiB": [mebibytes(row.peak_memory_bytes) for row in rows],
        "peak device MiB": [mebibytes(row.peak_device_memory_bytes) for row in rows],
    }
    columns += [Column(title, cells) for title, cells in memory.items() if set(cells) != {DASH}]
    return grid([_names(group), *columns]) if columns else []


def _timed(group: ComparisonGroup) -> list[str]:
    """The table of the seconds that a run takes, measured by `bakeoff time`; empty where that measured no row of the group."""
    cells = [timed_cells(row, group) for row in group.rows]
    if not any(cells):
        return []
    return grid([_names(group), *(Column(title, [row[number] for row in cells]) for number, title in enumerate(TIMED))])


def _work(group: ComparisonGroup) -> list[str]:
    aside = [row.strategy for row in group.rows if row.elsewhere]
    titles, cells = work_cells({row.strategy: row.work for row in group.rows}, aside)
    columns = [Column(title, [cells[row.strategy][number] for row in group.rows]) for number, title in enumerate(titles)]
    return grid([_names(group), *columns]) if columns else []


def _searches(group: ComparisonGroup) -> list[str]:
    if not group.searches or not group.metric:
        return []
    lines = search_cells(group.searches, group.figures)
    columns = [Column("search of", [as_markdown(name) for name, _ in lines], "left")]
    for number, title in enumerate(search_titles(group.searches, group.metric)):
        shown = [as_markdown(cells[number]) for _, cells in lines]
        columns.append(Column(as_markdown(title), shown, "right" if number in (1, 2) else "left"))
    return grid(columns)


# --- the sentences -------------------------------------------------------------------------------------------------------


def _verdicts(group: ComparisonGroup, answer: str, warnings: Sequence[NamedWarning]) -> list[str]:
    """Sentences below a group's tables: warnings that make numbers invalid, verdicts, what it would take to settle open ones,
    and other warnings. A verdict that the page's `answer` or a warning states already is left out."""
    found = [_in_words(warning) for warning in warnings if warning.severity == "invalid"]
    for pair in group.to_baseline:
        shown = "" if pair.told in answer or _warned_of(pair, warnings) else pair.told
        advice = f"{pair.first}: what it would take: {pair.advice}." if not shown else f"What it would take: {pair.advice}."
        found.append(" ".join(filter(None, (shown, advice if pair.advice else ""))))
    for number, reason in enumerate(group.rankings):
        if reason:
            names = ", ".join(row.strategy for row in group.rows if row.ranking == number)
            found.append(f"not ranked with the others: {names}: {reason}.")
    return [*filter(None, found), *group.notes, *(_in_words(warning) for warning in warnings if warning.severity != "invalid")]


def _warned_of(pair: Pair, warnings: Sequence[NamedWarning]) -> bool:
    """Whether one of the warnings names the pair's confounders, all of them."""
    return bool(pair.confounders) and any(
        pair.first in warning.rows and all(fact.subject in warning.what for fact in pair.confounders) for warning in warnings
    )


def _published(group: ComparisonGroup) -> list[str]:
    """Sentences on figures published elsewhere: below the table, since they must not be compared with its rows."""
    return [
        f"published elsewhere, not tested: {row.name} ({row.source}), {row.seeds} run{'s' if row.seeds > 1 else ''}: "
        + ", ".join(
            [f"{row.split} {metric} {group.written(metric, score)}" for metric, score in row.scores.items()]
            + [f"{row.split} {metric} is withheld, since it can't be" for metric in row.impossible]
        )
        for row in group.imported
    ]
