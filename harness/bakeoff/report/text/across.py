"""Strategies ranked over several comparison groups, for the page and `table.md`."""

from __future__ import annotations

from dataclasses import dataclass

from bakeoff.analysis.findings import Comparison
from bakeoff.report.cells import DAGGER
from bakeoff.text.markdown import Column, as_markdown, grid, paragraph
from bakeoff.text.numbers import p_value, with_decimals

TITLES = ("mean rank", "behind the first")


@dataclass(frozen=True)
class Across:
    """A table of mean ranks with a sentence before it and a legend after it."""

    sentence: str
    lines: list[tuple[str, bool, list[str]]]
    """(strategy, whether it differs from the first in something that is not under test, a cell for each of `TITLES`)."""
    legend: str


def across(comparison: Comparison) -> Across | None:
    """The table of mean ranks over the comparison groups; None where too few groups share strategies."""
    found = comparison.across
    if found is None:
        return None
    least = min(found.mean_ranks.values())
    lines = [
        (name, name in found.confounded, [with_decimals(rank, 2), with_decimals(rank - least or None, 2)])
        for name, rank in found.mean_ranks.items()
    ]
    legend = (
        f"Ranks are by the mean scores on each of {len(found.groups)} groups, 1 the best, ties shared. Friedman's statistic: "
        f"p {p_value(found.p)} by permutation of each group's ranks, {p_value(found.chi2_p)} by chi-squared, "
        f"{p_value(found.f_p)} by the F of Iman and Davenport. The critical difference of mean ranks is Nemenyi's, "
        f"{with_decimals(found.critical_difference, 2)} at 5 %. Seeds do not count as groups; they only enter the means."
    )
    if found.confounded:
        legend += f" {DAGGER} differs from the first in something that is not under test."
    return Across(found.sentence, lines, legend)


def across_markdown(comparison: Comparison) -> list[str]:
    """The lines of `table.md` that compare strategies over several tasks; none if the experiment has one task."""
    found = across(comparison)
    if found is None:
        return []
    names = [f"{as_markdown(name)}{f' {DAGGER}' if confounded else ''}" for name, confounded, _ in found.lines]
    columns = [Column("strategy", names, "left")]
    columns += [Column(title, [cells[number] for _, _, cells in found.lines]) for number, title in enumerate(TITLES)]
    return [
        *("## Across tasks", ""),
        *paragraph(as_markdown(found.sentence)),
        *("", *grid(columns), ""),
        *paragraph(as_markdown(found.legend)),
    ]
