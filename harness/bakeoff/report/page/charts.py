"""The page's charts as Vega-Lite specs with their data inline: quality against cost, every seed, learning curves.

Fields have neutral names and foreign text is only ever a value. Colours are the page's CSS variables, so that one drawing
serves light, dark and print. All numbers come in the units that are shown (points, seconds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.report.page.drawing import Axis, Ends, axis_over
from bakeoff.text.numbers import rounded
from bakeoff.text.words import one_line

Spec = dict[str, Any]

INK, MUTED, RULE, ACCENT, WARN = "var(--ink)", "var(--muted)", "var(--rule)", "var(--accent)", "var(--worse)"
FONT, LETTER = 12, 6.4
"""Size of the text of charts, and about the width of one of its letters, in pixels."""

MOST_LABELS = 25


def _spec(width: int, height: int, layers: list[Spec]) -> Spec:
    axis = {
        "labelFontSize": FONT,
        "titleFontSize": FONT,
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "titlePadding": 10,
        "gridColor": RULE,
        "tickCount": 5,
        "labelOverlap": True,
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "height": height,
        "padding": 2,
        "layer": layers,
        "config": {"background": None, "view": {"stroke": None}, "axis": axis, "aria": False, "text": {"fontSize": FONT}},
    }


def _values(rows: Sequence[Spec]) -> Spec:
    return {"values": list(rows)}


# --- quality against cost ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A row in the plane of cost and quality, with its box of uncertainty."""

    name: str
    x: float
    x_low: float | None
    x_high: float | None
    y: float
    y_low: float | None
    y_high: float | None
    front: bool
    baseline: bool


def quality_against_cost(
    places: Sequence[Place], *, x_title: str, y_title: str, width: int, height: int, ends: Ends = (None, None)
) -> Spec:
    """Boxes, a dot in each, filled where no row dominates it; seconds on a log scale where they span a factor of five.

    `ends`: between which quality lies.
    """
    xs = [value for place in places for value in (place.x, place.x_low, place.x_high) if value is not None and value > 0]
    logarithmic = bool(xs) and max(xs) / min(xs) > 5
    x_axis = _log_axis(xs) if logarithmic else axis_over(xs, pad=0.1, ends=(0.0, None))
    y_axis = axis_over([value for place in places for value in (place.y, place.y_low, place.y_high)], pad=0.08, ends=ends)
    x: Spec = {
        "field": "a",
        "type": "quantitative",
        "title": x_title,
        "scale": {"domain": [x_axis.low, x_axis.high], "nice": False} | ({"type": "log"} if logarithmic else {"zero": False}),
        "axis": {"grid": False} | ({"tickCount": 4, "format": "~r"} if logarithmic else {}),
    }
    y: Spec = {
        "field": "b",
        "type": "quantitative",
        "title": y_title,
        "scale": {"domain": [y_axis.low, y_axis.high], "nice": False, "zero": False},
        "axis": {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleX": -34, "titleY": -10},
    }
    rows = [
        {
            "a": place.x,
            "lo": place.x if place.x_low is None else max(place.x_low, x_axis.low),
            "hi": place.x if place.x_high is None else place.x_high,
            "b": place.y,
            "c": place.y if place.y_low is None else place.y_low,
            "d": place.y if place.y_high is None else place.y_high,
            "f": "base" if place.baseline else "front" if place.front else "behind",
        }
        for place in places
    ]
    hue = {"condition": [{"test": "datum.f == 'behind'", "value": MUTED}], "value": ACCENT}
    box = {"x": {**x, "field": "lo"}, "x2": {"field": "hi"}, "y": {**y, "field": "c"}, "y2": {"field": "d"}}
    fill = {"condition": [{"test": "datum.f == 'behind'", "value": "var(--paper)"}], "value": ACCENT}
    labels = _labels(places, x_axis, y_axis, width, height, logarithmic=logarithmic)
    text = {
        "x": {"field": "x", "type": "quantitative", "scale": None},
        "y": {"field": "y", "type": "quantitative", "scale": None},
    }
    layers: list[Spec] = [
        {
            "data": _values(rows),
            "mark": {"type": "rect", "strokeOpacity": 0.55, "fillOpacity": 0.1, "clip": True},
            "encoding": box | {"fill": hue, "stroke": hue},
        },
        {
            "data": _values(rows),
            "mark": {"type": "point", "filled": True, "size": 55, "strokeWidth": 1.6, "opacity": 1},
            "encoding": {"x": x, "y": y, "fill": fill, "stroke": hue},
        },
    ]
    for align in ("left", "right"):
        mark: Spec = {"type": "text", "align": align, "baseline": "middle", "fill": INK}
        encoding = text | {"text": {"field": "t"}}
        layers.append({"data": _values([row for row in labels if row["align"] == align]), "mark": mark, "encoding": encoding})
    return _spec(width, height, layers)


def _log_axis(values: Sequence[float]) -> Axis:
    logs = axis_over([float(np.log10(value)) for value in values], pad=0.08)
    return Axis(10**logs.low, 10**logs.high)


def _labels(places: Sequence[Place], x_axis: Axis, y_axis: Axis, width: int, height: int, *, logarithmic: bool) -> list[Spec]:
    """Where names stand, in pixels: beside their dots, moved up or down until they cover no other name."""
    shown = [place for place in places if len(places) <= MOST_LABELS or place.front or place.baseline][:MOST_LABELS]

    def across(value: float) -> float:
        if logarithmic:
            return float(np.log(value / x_axis.low) / np.log(x_axis.high / x_axis.low)) * width
        return (value - x_axis.low) / (x_axis.high - x_axis.low) * width

    def down(value: float) -> float:
        return (y_axis.high - value) / (y_axis.high - y_axis.low) * height

    # (left, right, middle, half the height) of what a name may not cover: every dot, and the names before it.
    taken = [(across(place.x) - 5, across(place.x) + 5, down(place.y), 5.0) for place in places]
    labels = []
    for place in sorted(shown, key=lambda place: -place.y):
        name = one_line(place.name)
        name = name if len(name) <= 32 else name[:31] + "…"
        x, y, room = across(place.x), down(place.y), len(name) * LETTER + 4
        sides = [("left", x + 8, x + 8 + room), ("right", x - 8 - room, x - 8)]
        free = (
            (align, begin, end, y + offset)
            for offset in (0, -11, 11, -22, 22, -33, 33, -44, 44)
            for align, begin, end in sides
            if begin >= 0
            and end <= width
            and all(end < left or begin > right or abs(y + offset - middle) > 6 + half for left, right, middle, half in taken)
        )
        align, begin, end, y = next(free, (*sides[0], y))
        taken.append((begin, end, y, 6.0))
        labels.append({"x": begin if align == "left" else end, "y": y, "t": name, "align": align})
    return labels


# --- every seed ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dots:
    """One row's runs."""

    name: str
    values: Sequence[float]
    odd: Sequence[bool]
    """Which of them are degenerate: drawn as crosses."""
    mean: float
    low: float | None
    high: float | None
    baseline: bool


def every_seed(rows: Sequence[Dots], axis: Axis, *, title: str, reference: float | None, width: int, names: int) -> Spec:
    """A strip for each row; `reference` is the baseline's mean, `names` the pixels left for names."""
    line = 28
    height = line * len(rows)
    letters = int(names / LETTER)
    dots: list[Spec] = []
    means: list[Spec] = []
    for number, row in enumerate(rows):
        y = (number + 0.5) * line
        name = one_line(row.name)
        name = name if len(name) <= letters else name[: letters - 1] + "…"
        weight = "bold" if row.baseline else "normal"
        low, high = (row.mean if bound is None else bound for bound in (row.low, row.high))
        means.append({"a": row.mean, "lo": low, "hi": high, "y": y, "c": y - 9, "d": y + 9, "t": name, "w": weight})
        aside = _apart(row.values, (axis.high - axis.low) * 7 / width)
        for value, offset, odd in zip(row.values, aside, row.odd, strict=True):
            dots.append({"a": value, "y": y + 4.5 * offset, "o": odd})
    x: Spec = {
        "field": "a",
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [axis.low, axis.high], "nice": False, "zero": False},
    }
    y_pixels = {"field": "y", "type": "quantitative", "scale": None, "axis": None}
    left_out = {"type": "quantitative", "scale": None}
    layers: list[Spec] = []
    if reference is not None:
        layers.append(
            {
                "data": _values([{"a": reference}]),
                "mark": {"type": "rule", "stroke": MUTED, "strokeDash": [3, 3]},
                "encoding": {"x": x},
            }
        )
    bar = {"type": "rule", "stroke": MUTED, "strokeWidth": 6, "strokeOpacity": 0.22, "clip": True}
    tick = {"type": "rule", "stroke": INK, "strokeWidth": 2}
    dot = {"type": "point", "filled": True, "size": 34, "fill": ACCENT, "fillOpacity": 0.75, "strokeWidth": 0}
    cross = {"type": "point", "shape": "cross", "angle": 45, "size": 60, "fill": WARN, "filled": True, "opacity": 1}
    text = {"type": "text", "align": "right", "baseline": "middle", "fill": INK}
    layers += [
        {"data": _values(means), "mark": bar, "encoding": {"x": {**x, "field": "lo"}, "x2": {"field": "hi"}, "y": y_pixels}},
        {
            "data": _values(means),
            "mark": tick,
            "encoding": {"x": x, "y": {**left_out, "field": "c", "axis": None}, "y2": {"field": "d"}},
        },
        {"data": _values([row for row in dots if not row["o"]]), "mark": dot, "encoding": {"x": x, "y": y_pixels}},
        {"data": _values([row for row in dots if row["o"]]), "mark": cross, "encoding": {"x": x, "y": y_pixels}},
        {
            "data": _values(means),
            "mark": text,
            "encoding": {"x": {"value": -10}, "y": y_pixels, "text": {"field": "t"}},
        },
    ]
    return _spec(width, height, layers)


def _apart(values: Sequence[float], near: float) -> list[int]:
    """A step up or down for each dot that would cover one before it: 0, 1, -1, 2, -2, then again 0."""
    steps = (0, 1, -1, 2, -2)
    placed: list[tuple[float, int]] = []
    for value in values:
        used = {step for other, step in placed if abs(other - value) < near}
        placed.append((value, next((step for step in steps if step not in used), 0)))
    return [step for _, step in placed]


# --- learning curves -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """The training loss of one run: medians over equal stretches of steps."""

    seed: int
    steps: NDArray[np.float64]
    losses: NDArray[np.float64]


def curve(seed: int, steps: NDArray[Any], losses: NDArray[Any], points: int) -> Curve | None:
    """At most so many points; None where no loss is finite."""
    sound = np.isfinite(losses)
    if not sound.any():
        return None
    steps, losses = np.asarray(steps, dtype=np.float64)[sound], np.asarray(losses, dtype=np.float64)[sound]
    stretches = np.array_split(np.arange(len(losses)), min(points, len(losses)))
    return Curve(
        seed,
        np.array([steps[stretch].mean() for stretch in stretches]),
        np.array([np.median(losses[stretch]) for stretch in stretches]),
    )


def loss_axis(curves: Sequence[Curve]) -> Axis:
    """From zero (or below) to where all but the highest half percent of the points lie."""
    losses = np.concatenate([curve.losses for curve in curves])
    return Axis(min(0.0, float(losses.min())), max(float(np.quantile(losses, 0.995)) * 1.05, 1e-6))


def learning_curves(
    curves: Sequence[Curve], behind: Sequence[Curve], axis: Axis, *, last: float, width: int, height: int
) -> Spec:
    """One thin line a seed; `behind` are the baseline's, in grey. `last` is the largest step of all panels."""
    x: Spec = {
        "field": "a",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, last], "nice": False},
        "axis": {"grid": False, "tickCount": 3, "format": ",d"},
    }
    y: Spec = {
        "field": "b",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [axis.low, axis.high], "nice": False},
        "axis": {"tickCount": 3},
    }
    layers = [
        {
            "data": _values(_points(group)),
            "mark": {"type": "line", "stroke": hue, "strokeWidth": thick, "strokeOpacity": opacity, "clip": True},
            "encoding": {"x": x, "y": y, "detail": {"field": "g", "type": "nominal"}},
        }
        for group, hue, thick, opacity in ((behind, MUTED, 0.8, 0.45), (curves, ACCENT, 1.1, 0.85))
        if group
    ]
    return _spec(width, height, layers)


def _points(curves: Sequence[Curve]) -> list[Spec]:
    return [
        {"a": rounded(float(step), 6), "b": rounded(float(loss), 5), "g": curve.seed}
        for curve in curves
        for step, loss in zip(curve.steps, curve.losses, strict=True)
    ]
