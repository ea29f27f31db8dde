"""The page's section on a recipe key that varies: a chart of scores, and its numbers as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bakeoff.analysis.findings import ComparisonGroup, Curve, CurveCrossing, CurveDifference, CurvePoint
from bakeoff.report.curves import axis_title, curve_sentences, heading, score_in_words, value_cells
from bakeoff.report.page.charts import Line, Mark, Range, score_curves
from bakeoff.report.page.views import NARROW, WIDE, Drawings
from bakeoff.text.values import listed


@dataclass(frozen=True)
class CurveView:
    """What the page's section on a key that varies shows."""

    heading: str
    sentences: list[str]
    """Where curves cross, those with the baseline's first, and what is left out."""
    drawings: Drawings
    said: str
    """What the drawing shows, for readers who do not see it."""
    strategies: list[str]
    """Names of all strategies, the baseline first."""
    others: list[str]
    """Names of all but the baseline."""
    lines: list[tuple[str, list[CurvePoint | None], list[CurveDifference | None]]]
    """(value of the key, each strategy's score there, the difference of each of the `others` to the baseline)."""
    marked: bool
    """Whether a crossing is drawn."""


def curve_view(group: ComparisonGroup) -> CurveView | None:
    """What the section shows of a comparison group; None where no key varies."""
    curve = group.curve
    if curve is None:
        return None
    baseline, *others = (one.strategy for one in curve.strategies)
    crossings = {one.first: one for one in curve.crossings if one.second == baseline}
    points = [{point.place: point for point in one.points} for one in curve.strategies]
    apart = [{one.place: one for one in crossings[name].differences} if name in crossings else {} for name in others]
    lines = [
        (value, [own.get(place) for own in points], [own.get(place) for own in apart])
        for place, value in value_cells(curve).items()
    ]
    marks = _marks(curve, crossings)
    return CurveView(
        heading=heading(curve),
        sentences=curve_sentences(curve),
        drawings=_drawings(group, curve, marks),
        said=_said(group, curve),
        strategies=[baseline, *others],
        others=others,
        lines=lines,
        marked=bool(marks),
    )


def _marks(curve: Curve, crossings: dict[str, CurveCrossing]) -> list[Mark]:
    """The crossings with the baseline's curve that lie within the measured places."""
    found = []
    for number, one in enumerate(curve.strategies):
        crossing = crossings.get(one.strategy)
        if crossing is not None and crossing.at is not None:
            low, high = crossing.low, crossing.high
            found.append(Mark(number, (-math.inf if low is None else low, crossing.at, math.inf if high is None else high)))
    return found


def _drawings(group: ComparisonGroup, curve: Curve, marks: list[Mark]) -> Drawings:
    lines = [
        Line(one.strategy, [point.place for point in one.points], [_shown(point, group.unit.scale) for point in one.points])
        for one in curve.strategies
    ]
    if not any(score for line in lines for score in line.scores):
        return []
    titles = axis_title(curve), group.axis_title
    return [
        (
            kind,
            score_curves(
                lines,
                marks,
                [*value_cells(curve).items()],
                logarithmic=curve.logarithmic,
                titles=titles,
                width=width,
                height=height,
                ends=group.score_ends,
            ),
        )
        for kind, width, height in (("wide", WIDE, 360), ("narrow", NARROW, 300))
    ]


def _shown(point: CurvePoint, scale: int) -> Range | None:
    if point.score is None:
        return None
    low, high = (point.score if end is None else end for end in (point.low, point.high))
    return scale * low, scale * point.score, scale * high


def _said(group: ComparisonGroup, curve: Curve) -> str:
    told = []
    for one in curve.strategies:
        scored = [point for point in one.points if point.score is not None]
        if scored:
            first, last = scored[0], scored[-1]
            told.append(
                f"{one.strategy} from {score_in_words(first, group.figures)} at {first.value} "
                f"to {score_in_words(last, group.figures)} at {last.value}"
            )
    return (
        f"{group.axis_title} over {axis_title(curve)}, a line in its band of 95 % intervals for each strategy: {listed(told)}."
    )
