"""Cells that several outputs share: scores and times with their spread, ratios, ranks, and the marks of rows."""

from __future__ import annotations

from bakeoff.analysis.findings import ComparisonGroup, CostAxis, Ratio
from bakeoff.analysis.recommendation import Recommendation
from bakeoff.analysis.results import Pair, Row, Score, Spread
from bakeoff.contracts.unit import Figures
from bakeoff.text.numbers import DASH, ratio, significant, with_decimals

BASELINE, REPORTED, DAGGER = "◂", "★", "†"
MAJORITY = "majority baseline"


def score_cell(score: Score | None, figures: Figures) -> tuple[str, str]:
    """A score over seeds in two parts, which `markdown.level` aligns: the mean (a dash for None), and ` ± standard deviation`,
    empty for one seed."""
    if score is None:
        return DASH, ""
    return figures.number(score.mean), "" if score.sd is None else f" ± {figures.number(score.sd)}"


def seconds(value: float | None, like: float | None = None) -> str:
    """A cost, such as seconds, with 0 to 2 decimals, fewer for a larger `like` (by default `value`); a dash for None."""
    if value is None:
        return DASH
    size = value if like is None else like
    return with_decimals(value, 0 if size >= 1000 else 1 if size >= 10 else 2)


def time_cell(number: Spread | None, *, comparable: bool) -> tuple[str, str]:
    """A time in two parts as in `score_cell`, in parentheses where it is not comparable with the other rows' times."""
    if number is None:
        return DASH, ""
    head, tail = seconds(number.mean), "" if number.sd is None else f" ± {seconds(number.sd, number.mean)}"
    return (head, tail) if comparable else (f"({head}", f"{tail})")


def ratio_cell(found: Ratio | None) -> str:
    """A cost over the baseline's, with its interval; in parentheses where the two are not comparable."""
    if found is None or found.ratio is None:
        return DASH
    shown = ratio(found.ratio, found.low, found.high)
    return shown if found.comparable else f"({shown})"


def shown_cost(group: ComparisonGroup, recommended: Recommendation | None) -> CostAxis | None:
    """The cost that is shown beside each score: train seconds if the recommendation is made by them, else the group's
    `cost_axis`; None where there is none."""
    if recommended is None or recommended.measure != "train_seconds":
        return group.cost_axis
    aside = group.times_differ
    amounts = {
        row.strategy: (row.train_seconds.mean, None, None)
        for row in group.rows
        if row.train_seconds and not aside[row.strategy]
    }
    return CostAxis(quantity="train_seconds", title="train seconds of a run", amounts=dict(amounts))


SMALL = 0.01
"""Below it an amount is shown with two significant digits, as that of a tiny model in TFLOP."""


def amount_cell(strategy: str, group: ComparisonGroup, cost: CostAxis) -> str:
    """What a strategy costs, and its ratio to the baseline's cost: `23.5 (× 0.69)`; a dash where it is not known."""
    if strategy not in cost.amounts:
        return DASH
    amount, baseline = cost.amounts[strategy][0], cost.amounts.get(group.baseline, (0.0, None, None))[0]
    shown = with_decimals(amount, 0) if amount.is_integer() else significant(amount, 2) if amount < SMALL else seconds(amount)
    return shown if strategy == group.baseline or not baseline else f"{shown} ({ratio(amount / baseline)})"


def all_runs(pair: Pair) -> str:
    """The verdict on all runs of the pair, collapsed and failed ones included; that on the runs that learned where all did, or
    where predictions are identical."""
    return pair.all_runs.finding if pair.all_runs and pair.verdict != "identical" else pair.verdict


TIMED = ("run s", "to baseline", "training of it s", "to baseline", "evaluation of it s", "to baseline")
"""Titles of `timed_cells`."""


def timed_cells(row: Row, group: ComparisonGroup) -> list[str]:
    """The row's cells below `TIMED`: seconds as `bakeoff time` measured them, each followed by its ratio to the baseline's.

    Empty where it measured no row of the group.
    """
    if not any(one.timed for one in group.rows):
        return []
    cells = []
    for name, quantity in (("total", "total_seconds"), ("train", "train_seconds"), ("evaluate", "evaluate_seconds")):
        taken = getattr(row.timed, name) if row.timed else None
        cells += [seconds(taken.seconds if taken else None), ratio_cell(group.ratios.get((row.strategy, quantity)))]
    return cells


def cost_titles(group: ComparisonGroup) -> list[str]:
    """Titles of the columns of the page's table of costs, after the strategies' names."""
    timed = TIMED if any(row.timed for row in group.rows) else ()
    return [*timed, "recorded train s", "recorded evaluate s", "peak MiB", "to baseline", "on the front", "dominated by"]


def rank(found: tuple[int, int] | None) -> str:
    """`1 to 3`: the best and the worst rank that the verdicts over all pairs leave possible; a dash for None."""
    if found is None:
        return DASH
    low, high = found
    return f"{low}" if low == high else f"{low} to {high}"


def detectable_cell(pair: Pair, figures: Figures) -> str:
    """`2.07 (1.60 to 3.24)`: the minimum detectable difference and its range, from the 10 to the 90 % quantile."""
    if not pair.detectable or pair.detectable_range is None:
        return DASH
    return f"{figures.number(pair.detectable)} ({' to '.join(map(figures.number, pair.detectable_range))})"
