"""The page's charts: quality against cost, every seed, scores over a key that varies, learning curves.

Functions take values in the units that are shown (points, or the metric's own). Colours are classes of the page's style sheet,
so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bakeoff.report.page.drawing import LETTER, Axis, Ends, axis_over, framed, label
from bakeoff.text.words import one_line

MOST_LABELS = 25
STRIP = 28
"""Height of a row in the chart of every seed, in pixels."""

Range = tuple[float, float, float]
"""Lower end, middle and upper end of an interval; all equal where it is unknown."""


Kind = Literal["baseline", "front", "behind"]
"""What a strategy is drawn as: `baseline`; or `front`, if no other one is better in both cost and quality; or `behind`."""


def _cut(name: str, letters: int) -> str:
    name = one_line(name)
    return name if len(name) <= letters else name[: letters - 1] + "…"


# --- quality against cost ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A strategy in the plane of cost (x) and quality (y)."""

    name: str
    x: Range
    y: Range
    kind: Kind


def quality_against_cost(
    places: Sequence[Place], *, titles: tuple[str, str], width: int, height: int, ends: Ends = (None, None)
) -> Markup:
    """A chart with a dot for each strategy in the box of its 95 % intervals; the dot is hollow if the strategy is `behind`.

    Costs have a logarithmic scale where they span more than a factor of five. titles: of the axes of cost and quality; width,
    height: of the plane, in pixels; ends: lowest and highest possible quality.
    """
    xs = [value for place in places for value in place.x if value > 0]
    x = axis_over(xs, pad=0.1, ends=(0.0, None), width=width, inset=0)
    if xs and max(xs) / min(xs) > 5:
        logs = axis_over([math.log10(value) for value in xs], pad=0.08)
        x = Axis(10**logs.low, 10**logs.high, width, 0, logarithmic=True)
    y = axis_over([value for place in places for value in place.y], pad=0.08, ends=ends, width=height, inset=0)
    boxes, dots = [], []
    for place in places:
        left, middle, right = (x.place(max(value, x.low)) for value in place.x)
        bottom, centre, top = (height - y.place(value) for value in place.y)
        wide = max(right - left, 1.4)  # a box without width is not drawn
        left = min(left, middle - wide / 2)
        size = f'x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{bottom - top:.1f}"'
        boxes.append(f'<rect class="box {place.kind}" {size}/>')
        dots.append(f'<circle class="dot {place.kind}" cx="{middle:.1f}" cy="{centre:.1f}" r="4.2"/>')
    return framed([*boxes, *dots, *_names(places, x, y)], x, y, height, titles=titles)


def _names(places: Sequence[Place], x: Axis, y: Axis) -> Iterator[Markup]:
    """Labels beside the dots, shifted up or down where they would overlap a dot or another label."""
    shown = [place for place in places if len(places) <= MOST_LABELS or place.kind != "behind"][:MOST_LABELS]
    at = {place.name: (x.place(max(place.x[1], x.low)), y.width - y.place(place.y[1])) for place in places}
    # (left, right, middle, half the height) of what a name may not cover: every dot, and the names before it.
    taken = [(across - 5, across + 5, down, 5.0) for across, down in at.values()]
    for place in sorted(shown, key=lambda place: -place.y[1]):
        name = _cut(place.name, 32)
        (across, down), room = at[place.name], len(name) * LETTER + 4
        sides = [("", across + 8, across + 8 + room), ("end", across - 8 - room, across - 8)]
        free = (
            (align, begin, end, down + offset)
            for offset in (0, -11, 11, -22, 22, -33, 33, -44, 44)
            for align, begin, end in sides
            if begin >= 0
            and end <= x.width
            and all(
                end < left or begin > right or abs(down + offset - middle) > 6 + half for left, right, middle, half in taken
            )
        )
        align, begin, end, middle = next(free, (*sides[0], down))
        taken.append((begin, end, middle, 6.0))
        yield label(name, end if align else begin, middle + 4, f"name {align}")


# --- every seed ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dots:
    """One strategy's scores: of each run, and the mean of those that learned with its interval."""

    name: str
    values: Sequence[float]
    collapsed: Sequence[bool]
    """Whether each run collapsed; if so, it is drawn as a cross."""
    mean: Range
    baseline: bool


def every_seed(rows: Sequence[Dots], axis: Axis, *, title: str, reference: float | None, names: int) -> Markup:
    """A chart with a strip of dots for each strategy. axis, title: of the scores; reference: the baseline's mean, None for no
    line there; names: pixels reserved for names."""
    height, parts = STRIP * len(rows), []
    if reference is not None:
        parts.append(f'<path class="reference" d="M{axis.place(reference):.1f},0V{height}"/>')
    for number, row in enumerate(rows):
        y = (number + 0.5) * STRIP
        low, mean, high = map(axis.place, row.mean)
        parts.append(f'<path class="range" d="M{low:.1f},{y:g}H{high:.1f}"/>')
        parts.append(f'<path class="mean" d="M{mean:.1f},{y - 9:g}v18"/>')
        places = [axis.place(value) for value in row.values]
        for place, offset, cross in zip(places, _apart(places), row.collapsed, strict=True):
            at = f"{place:.1f},{y + 4.5 * offset:g}"
            shape = f'path class="cross" d="M{at}m-3.5,-3.5l7,7m0,-7l-7,7"' if cross else f'path class="run" d="M{at}h0"'
            parts.append(f"<{shape}/>")
        parts.append(label(_cut(row.name, int(names / LETTER)), -10, y + 4, f"name end{' baseline' * row.baseline}"))
    return framed(parts, axis, None, height, titles=(title, ""), left=names)


def _apart(places: Sequence[float]) -> list[int]:
    """A vertical offset for each dot, so that dots do not overlap: 0, 1, -1, 2, -2, then 0 again."""
    steps: list[int] = []
    for place in places:
        used = {step for other, step in zip(places, steps, strict=False) if abs(other - place) < 7}
        steps.append(next((step for step in (0, 1, -1, 2, -2) if step not in used), 0))
    return steps


# --- scores over a key that varies ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A strategy's scores at places of the axis, the values of the key that varies; None where it has no score."""

    name: str
    places: Sequence[float]
    scores: Sequence[Range | None]


@dataclass(frozen=True)
class Mark:
    """Where a line crosses the first one, with the place's interval, whose ends may lie beyond the axis."""

    line: int
    """Which line, from 0."""
    at: Range


COLOURS = 6
"""How many colours lines have, in turn; the first line is also dashed."""
APART = 15
"""Pixels between two names at the ends of lines, and between two marks."""


def score_curves(
    lines: Sequence[Line],
    marks: Sequence[Mark],
    ticks: Sequence[tuple[float, str]],
    *,
    logarithmic: bool,
    titles: tuple[str, str],
    width: int,
    height: int,
    ends: Ends = (None, None),
) -> Markup:
    """A chart with a line for each strategy in the band of its 95 % intervals, its name at the end; crossings are bars at the
    foot. A score without a neighbour has its interval as a stroke.

    ticks: (place, word) for each value of the key. titles: of the axes. ends: lowest and highest possible score.
    """
    room = min(max(len(line.name) for line in lines) * LETTER + 14, width * 0.3)
    x = _axis_of_places([place for place, _ in ticks], logarithmic=logarithmic, width=int(width - room))
    y = _axis_above(
        APART * len(marks), [end for line in lines for score in line.scores if score for end in score], height, ends
    )
    bands, drawn = [], []
    for number, line in enumerate(lines):
        kind = f"line{number % COLOURS}"
        for part in _unbroken(line):
            across = [x.place(place) for place, _ in part]
            low, middle, high = (
                [f"{left:.1f},{height - y.place(score[end]):.1f}" for left, (_, score) in zip(across, part, strict=True)]
                for end in range(3)
            )
            bands.append(f'<path class="area {kind}" d="M{"L".join([*high, *low[::-1]])}Z"/>')
            line_or_interval = middle if len(part) > 1 else [*high, *low]
            drawn.append(f'<path class="score {kind}" d="M{"L".join(line_or_interval)}"/>')
            drawn += [f'<path class="point {kind}" d="M{point}h0"/>' for point in middle]
    names = _names_at_ends(lines, x, y, int(room / LETTER))
    bars = [_bar(mark, x, height - APART * (len(marks) - row - 0.4)) for row, mark in enumerate(marks)]
    shown = _legible([(x.place(place), word) for place, word in ticks])
    return framed([*bands, *drawn, *names, *bars], x, y, height, titles=titles, right=room, places=shown)


def _axis_of_places(places: Sequence[float], *, logarithmic: bool, width: int) -> Axis:
    low, high = min(places), max(places)
    if not logarithmic:
        return axis_over(places, pad=0.05, width=width, inset=0)
    room = (high / low) ** 0.05
    return Axis(low / room, high * room, width, 0, logarithmic=True)


def _axis_above(foot: int, values: Sequence[float], height: int, ends: Ends) -> Axis:
    """A vertical axis over all values, with `foot` pixels free below them."""
    axis = axis_over(values, pad=0.06, ends=ends, width=height - foot, inset=0)
    return Axis(axis.low - (axis.high - axis.low) * foot / (height - foot), axis.high, height, 0)


def _unbroken(line: Line) -> list[list[tuple[float, Range]]]:
    """The line's stretches without a missing score, as lists of (place, score)."""
    parts: list[list[tuple[float, Range]]] = [[]]
    for place, score in zip(line.places, line.scores, strict=True):
        if score is None:
            parts.append([])
        else:
            parts[-1].append((place, score))
    return [part for part in parts if part]


def _names_at_ends(lines: Sequence[Line], x: Axis, y: Axis, letters: int) -> Iterator[Markup]:
    """Names right of the last points, pushed down where two would overlap."""
    last = [(y.width - y.place(parts[-1][-1][1][1]), number) for number, line in enumerate(lines) if (parts := _unbroken(line))]
    below = -math.inf
    for down, number in sorted(last):
        below = max(down, below + APART)
        yield label(_cut(lines[number].name, letters), x.width + 8, below + 4, f"name line{number % COLOURS}")


def _bar(mark: Mark, x: Axis, y: float) -> str:
    """A crossing with its interval as SVG, y pixels from the top; an arrowhead where an end lies beyond the axis."""
    low, at, high = mark.at
    left, right = x.place(max(low, x.low)), x.place(min(high, x.high))
    heads = [f'<path class="head" d="M{left:.1f},{y:g}l7,-4v8z"/>'] if low < x.low else []
    heads += [f'<path class="head" d="M{right:.1f},{y:g}l-7,-4v8z"/>'] if high > x.high else []
    diamond = f'<path class="head" d="M{x.place(at):.1f},{y:g}m0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5z"/>'
    return (
        f'<g class="crossing line{mark.line % COLOURS}"><path d="M{left:.1f},{y:g}H{right:.1f}"/>{"".join(heads)}{diamond}</g>'
    )


def _legible(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks, (pixels, word), from right to left; the word is empty where it would run into the one to its right."""
    shown, free = [], math.inf
    for place, word in reversed(ticks):
        half = len(word) * LETTER / 2
        fits = place + half + 6 <= free
        free = place - half if fits else free
        shown.append((place, word if fits else ""))
    return shown


# --- learning curves -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """The training loss of one run as a line of few points: each is over a stretch of steps, its mean step and median loss."""

    seed: int
    steps: NDArray[np.float64]
    losses: NDArray[np.float64]


def curve(seed: int, steps: NDArray[Any], losses: NDArray[Any], points: int) -> Curve | None:
    """A run's curve with at most `points` points; None where no loss is finite."""
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


def learning_curves(curves: Sequence[Curve], behind: Sequence[Curve], everything: Sequence[Curve]) -> Markup:
    """One strategy's panel of training losses: a line per seed, over the baseline's in grey (`behind`).

    All panels share the scales, which follow from the lines of all panels, `everything`. The scale of losses leaves out the
    highest half per cent; larger losses are drawn at its upper end.
    """
    losses = np.concatenate([line.losses for line in everything])
    x = Axis(0.0, max(1.0, *(float(line.steps[-1]) for line in everything)), 215, 0)
    y = Axis(min(0.0, float(losses.min())), max(float(np.quantile(losses, 0.995)) * 1.05, 1e-6), 120, 0)
    parts = []
    for kind, line in [*(("grey", line) for line in behind), *(("", line) for line in curves)]:
        heights = [y.width - y.place(min(float(loss), y.high)) for loss in line.losses]
        points = "L".join(f"{x.place(step):.1f},{down:.1f}" for step, down in zip(line.steps, heights, strict=True))
        parts.append(f'<path class="curve {kind}" d="M{points}"/>')
    return framed(parts, x, y, y.width, ticks=3)


# --- scores while training -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EpochCurve:
    """One run's scores while it trained, one for each evaluation, in the unit that is shown."""

    seed: int
    first: int
    """The number, from 1, of the evaluation that the first score is of."""
    scores: Sequence[float]
    chosen: int
    """The number of the evaluation whose weights the run was scored with."""

    @property
    def places(self) -> range:
        return range(self.first, self.first + len(self.scores))


def epoch_curves(curves: Sequence[EpochCurve], everything: Sequence[EpochCurve], *, ends: Ends = (None, None)) -> Markup:
    """One strategy's panel of scores while training: a line per seed, with a dot at the evaluation that was chosen.

    All panels share the scales, which follow from the lines of all panels, `everything`.
    """
    last = max(line.places[-1] for line in everything)
    x = Axis(min(line.first for line in everything) - 0.2, last + 0.2, 215, 0)
    y = axis_over([score for line in everything for score in line.scores], pad=0.08, ends=ends, width=120, inset=0)
    parts = []
    for line in curves:
        heights = [y.width - y.place(score) for score in line.scores]
        points = {place: f"{x.place(place):.1f},{down:.1f}" for place, down in zip(line.places, heights, strict=True)}
        parts.append(f'<path class="curve" d="M{"L".join(points.values())}"/>')
        if line.chosen in points:
            parts.append(f'<path class="run" d="M{points[line.chosen]}h0"/>')
    return framed(parts, x, y, y.width, ticks=min(4, max(2, last)))
