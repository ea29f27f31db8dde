"""How likely each verdict is with the declared seeds, before any run: for `bakeoff check`, `plan` and `plan --resolve`."""

from __future__ import annotations

from collections.abc import Callable

from bakeoff.contracts.unit import DEFAULT_MARGIN
from bakeoff.planning.runs import Plan
from bakeoff.statistics.intervals import ALPHA
from bakeoff.statistics.looks import looks_at
from bakeoff.statistics.power import Chances
from bakeoff.statistics.sample_size import PLANNED_SD, Question, planned_chances
from bakeoff.text.numbers import per_cent
from bakeoff.text.values import spelt

ENOUGH = 0.5
"""A caution is printed if no verdict has this probability: most experiments of the design then end inconclusive."""


def question_of(plan: Plan, difference: float) -> Question:
    """The inputs of the power analysis: the difference to detect, in points or the metric's own unit, and the plan's seeds,
    margin, error rate and number of comparisons."""
    first, seeds = plan.known_tasks[0], plan.spec.seeds
    strategies = len({strategy.written for strategy in plan.strategies})  # each value is a family of its own
    unit, comparisons = first.metric.unit, max(1, strategies - 1)
    margin = plan.margin.get(first.metric.name, plan.margin.get(first.unit))
    return Question(
        difference=difference,
        metric=first.metric.name,
        unit=unit,
        seeds=len(seeds.numbers),
        comparisons=comparisons,
        rows=2 if seeds.looks else strategies,  # looks never shrink variances
        alpha=looks_at(seeds.looks, comparisons)[-1].budget if seeds.looks else ALPHA,
        margin=margin or (DEFAULT_MARGIN if unit.in_points else None),
    )


def chance_lines(plan: Plan, resolve: Callable[[str], str]) -> list[str]:
    """Sentences on how likely each verdict is, and a caution where none is likely; empty where the metric's usual variance is
    not known, or nothing is compared.

    resolve: difference, as text -> the command that says how many seeds are needed to detect it.
    """
    if len({strategy.written for strategy in plan.strategies}) < 2 or not plan.known_tasks:
        return []
    question = question_of(plan, 1.0)
    found = planned_chances(question)
    if found is None or question.margin is None:
        return []
    margins = [count_of(times * question.margin) for times in (1, 2)]
    equivalent, better, by_two = (_in_words(*values) for values in zip(*map(_values, found), strict=True))
    by = f"by the last look, at {question.seeds} seeds" if plan.spec.seeds.looks else f"with {question.seeds} seeds"
    several = f" among {question.comparisons} comparisons" if question.comparisons > 1 else ""
    low, usual, high = PLANNED_SD
    ranges = f" (in brackets, for {spelt(high)} to {count_of(low)})" if "(" in f"{equivalent}{better}{by_two}" else ""
    lines = [
        f"{by}{several}, equal strategies are found equivalent within {margins[0]} in {equivalent} of experiments; a "
        f"difference of {margins[0]} is found in {better}, one of {margins[1]} in {by_two}. That counts the luck of seeds "
        f"alone, at the usual standard deviation of {count_of(usual)}{ranges}: few test rows make each of these less likely"
    ]
    if max(_values(found[1])) < ENOUGH:
        asks = resolve(spelt(question.margin))
        lines.append(
            f"caution: none of these is likely: most such experiments end inconclusive; `{asks}` says how many seeds it takes"
        )
    return lines


def _values(chances: Chances) -> tuple[float, float, float]:
    return chances.equivalent, chances.better, chances.better_by_two


def count_of(points: float) -> str:
    """A number of points in words: `1 point`, `0.5 points`."""
    return f"{spelt(points)} {'point' if points == 1 else 'points'}"


def _in_words(low: float, usual: float, high: float) -> str:
    """`34 % (12 to 71 %)`: the chances at the low, the usual and the high spread over seeds."""
    least, middle, most = (per_cent(chance) for chance in (min(low, high), usual, max(low, high)))
    return middle if least == most else f"{middle} ({least.removesuffix(' %')} to {most})"
