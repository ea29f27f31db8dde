"""Scores over a recipe key that varies, as cells and sentences that several outputs share."""

from __future__ import annotations

from bakeoff.analysis.curves import TRAIN_EXAMPLES
from bakeoff.analysis.findings import ComparisonGroup, Curve, CurvePoint
from bakeoff.contracts.unit import Figures
from bakeoff.text.numbers import DASH, with_decimals
from bakeoff.text.values import spelt

MOST_SENTENCES = 3
"""How many crossings are reported on one screen of a terminal."""


def heading(curve: Curve) -> str:
    return "How much data" if curve.key == TRAIN_EXAMPLES else f"By {curve.key}"


def axis_title(curve: Curve) -> str:
    """The title of the axis: `rows to train on`, or the key that varies; and that the scale is logarithmic, if it is."""
    what = "rows to train on" if curve.key == TRAIN_EXAMPLES else curve.key
    return f"{what} (logarithmic scale)" if curve.logarithmic else what


def place_in_words(curve: Curve, place: float) -> str:
    """A place on the curve's axis, a value of the key as a number, in words: `64`, `3,668`, `5e-5`."""
    return with_decimals(place, 0) if curve.key == TRAIN_EXAMPLES else spelt(place)


def value_cells(curve: Curve) -> dict[float, str]:
    """Place on the curve's axis -> the value in words: `64`, `all (3,668)`; in the order of the places."""
    values = {point.place: point.value for one in curve.strategies for point in one.points}
    return {
        place: f"{values[place]} ({place_in_words(curve, place)})" if values[place] == "all" else values[place]
        for place in sorted(values)
    }


def curve_table(group: ComparisonGroup, curve: Curve) -> tuple[list[str], list[list[str]]]:
    """The curve as a table: titles of the columns, and a line for each value of the key, with the value and each strategy's
    score and 95 % interval."""
    points = [{point.place: point for point in one.points} for one in curve.strategies]
    lines = [
        [value, *(score_in_words(own.get(place), group.figures) for own in points)]
        for place, value in value_cells(curve).items()
    ]
    return [f"{group.split} {group.metric} by {curve.key}", *(one.strategy for one in curve.strategies)], lines


def score_in_words(point: CurvePoint | None, figures: Figures) -> str:
    """A score with its interval, `85.31 [84.02, 86.55]`; a dash where there is none."""
    if point is None or point.score is None:
        return DASH
    return f"{figures.number(point.score)} {figures.range(point.low, point.high)}".rstrip()


def curve_sentences(curve: Curve | None) -> list[str]:
    """Sentences on where curves cross, those with the baseline's curve first, and on what is left out; none without curves."""
    return [*(crossing.sentence for crossing in curve.crossings), *curve.notes] if curve else []


def first_sentences(curve: Curve | None) -> list[str]:
    """Sentences on where other curves cross the baseline's, `MOST_SENTENCES` at most."""
    if curve is None:
        return []
    baseline = curve.strategies[0].strategy
    return [one.sentence for one in curve.crossings if baseline in (one.first, one.second)][:MOST_SENTENCES]
