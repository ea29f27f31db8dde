"""Parts of SVG drawings: intervals in table rows, their axis, and the frame of a chart. All text in them is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bakeoff.text.words import one_line

HEIGHT, INSET = 22, 7
"""Height of a drawing in a table row, and margin at both ends of its axis, in pixels."""
LETTER = 6.4
"""Approximate width of a letter in a chart, in pixels."""

Ends = tuple[float | None, float | None]
"""Lowest and highest possible value; None where there is none."""


@dataclass(frozen=True)
class Axis:
    """A scale from low to high over `width` pixels, with a margin of `inset` pixels at both ends."""

    low: float
    high: float
    width: int = 200
    inset: int = INSET
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The position of a value, in pixels from the low end; outside the drawing for values outside the axis."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.inset + (value - low) / (high - low) * (self.width - 2 * self.inset)

    def ticks(self, count: int = 4, *, scale: int = 1, signed: bool = False) -> list[tuple[float, str]]:
        """(position, label) of about `count` round values; labels are values times `scale`."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            places = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            return [(self.place(value), f"{value:,g}") for value in places if self.low <= value <= self.high]
        values = nice_ticks(self.low, self.high, count)
        step = (values[1] - values[0]) * scale if len(values) > 1 else 1.0
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [
            (
                self.place(value),
                f"{value * scale:{'+' if signed and abs(value) > 1e-12 else ''},.{digits}f}".replace("-", "−"),
            )
            for value in values
            if self.low <= value <= self.high
        ]


def axis_over(
    values: Sequence[float | None], *, pad: float = 0.06, width: int = 200, inset: int = INSET, ends: Ends = (None, None)
) -> Axis:
    """An axis over all finite values. pad: margin on both sides, as a share of the values' range; width, inset: as in `Axis`;
    ends: the lowest and the highest possible value, at which the margins are cut."""
    known = [value for value in values if value is not None and math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    room = (high - low) * pad or max(abs(high) * 0.01, 0.005)
    left = low - room if ends[0] is None else max(low - room, min(low, ends[0]))
    right = high + room if ends[1] is None else min(high + room, max(high, ends[1]))
    return Axis(left, right, width, inset)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that span the range, 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.7)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def interval(
    axis: Axis,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    kind: str = "plain",
    band: float | None = None,
    reference: float | None = None,
) -> Markup:
    """A drawing of a value as a dot with its interval from low to high, for a table row.

    kind: the dot's shape, one of `_SHAPES`; band: half-width of a shaded band around 0; reference: where a vertical line is
    drawn. Where the interval leaves the axis it ends in an arrowhead.
    """
    middle, width = HEIGHT / 2, axis.width
    parts = []
    if band:
        left, right = max(axis.place(-band), 0), min(axis.place(band), width)
        if right > left:
            parts.append(f'<rect class="band" x="{left:.1f}" width="{right - left:.1f}" y="0" height="{HEIGHT}"/>')
    if reference is not None and axis.low <= reference <= axis.high:
        parts.append(f'<path class="zero" d="M{axis.place(reference):.1f},0V{HEIGHT}"/>')
    if low is not None and high is not None:
        left, right = max(axis.place(low), 1), min(axis.place(high), width - 1)
        parts.append(f'<path class="bar" d="M{left:.1f},{middle:g}H{right:.1f}"/>')
    place = axis.place(value)
    if min(place, axis.place(value if low is None else low)) < 0:
        parts.append(f'<path class="head" d="M0,{middle:g}l6,-4v8z"/>')
    if max(place, axis.place(value if high is None else high)) > width:
        parts.append(f'<path class="head" d="M{width},{middle:g}l-6,-4v8z"/>')
    if 0 <= place <= width:
        parts.append(_SHAPES.get(kind, _SHAPES["plain"]).format(x=place, y=middle))
    return svg(f"iv {kind}", width, HEIGHT, parts)


_SHAPES = {
    "plain": '<circle class="dot" cx="{x:.1f}" cy="{y:g}" r="4.5"/>',
    "better": '<path class="dot" d="M{x:.1f},{y:g}m-5,4.5l5,-9.5l5,9.5z"/>',
    "worse": '<path class="dot" d="M{x:.1f},{y:g}m-5,-4.5l5,9.5l5,-9.5z"/>',
    "equivalent": '<rect class="dot" x="{x:.1f}" y="{y:g}" width="9" height="9" transform="translate(-4.5 -4.5)"/>',
    "inconclusive": '<circle class="dot open" cx="{x:.1f}" cy="{y:g}" r="4.2"/>',
    "identical": '<path class="dot" d="M{x:.1f},{y:g}m0,-6l6,6l-6,6l-6,-6z"/>',
    "confounded": '<path class="dot open" d="M{x:.1f},{y:g}m-4.5,-4.5l9,9m0,-9l-9,9"/>',
    "futile": '<circle class="dot open" cx="{x:.1f}" cy="{y:g}" r="4.2"/><path class="dot" d="M{x:.1f},{y:g}m-4,4l8,-8"/>',
    "open": '<path class="dot open" d="M{x:.1f},{y:g}m-4.5,-4.5h9v9h-9z"/>',
    "withheld": '<path class="dot open" d="M{x:.1f},{y:g}m-5,0h10"/>',
    "majority": '<path class="dot" d="M{x:.1f},{y:g}m0,-7v14"/>',
    "imported": '<circle class="dot open" cx="{x:.1f}" cy="{y:g}" r="4.2"/>',
}
"""The dot of each verdict, and of other figures, as SVG: each has its own shape, so that none depends on colour alone."""


def scale_line(axis: Axis, scale: int, *, signed: bool = False) -> Markup:
    """A drawing of an axis with labels, for the head of a column of intervals; labels are values times `scale`."""
    width = axis.width
    parts = [f'<path d="M{INSET},21.5H{width - INSET}"/>']
    for place, number in axis.ticks(max(3, width // 55), scale=scale, signed=signed):
        parts.append(f'<path d="M{place:.1f},17V22"/>')
        parts.append(f'<text x="{min(max(place, 12), width - 12):.1f}" y="13">{number}</text>')
    return svg("axis", width, HEIGHT, parts)


def svg(names: str, width: float, height: float, parts: Sequence[str], *, left: float = 0, top: float = 0) -> Markup:
    """An SVG element with these classes; its origin is `left` and `top` pixels from its corner."""
    box = f"{-left:g} {-top:g} {width:g} {height:g}" if left or top else f"0 0 {width:g} {height:g}"
    head = f'<svg class="{names}" viewBox="{box}" width="{width:g}" height="{height:g}" aria-hidden="true">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704 - numbers, class names of ours, and texts that are escaped


def label(text: str, x: float, y: float, kind: str = "") -> Markup:
    """A text in a chart. kind: CSS classes, of which `end` and `middle` say what is at x; by default the text begins there."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, kind, one_line(text))


def framed(
    parts: Sequence[str],
    x: Axis,
    y: Axis | None,
    height: int,
    *,
    titles: tuple[str, str] = ("", ""),
    ticks: int = 5,
    left: float = 0,
    right: float = 8,
    places: Sequence[tuple[float, str]] | None = None,
) -> Markup:
    """A whole chart: the drawn parts over a grid with labelled axes.

    Without y there is no vertical axis, and `left` pixels are reserved for names instead. titles: of x and y; ticks: about how
    many each axis has; right: pixels to the right of the axis; places: position and label of the ticks of x, where they are
    not to be round values.
    """
    width, below, frame = x.width, height + 17, []
    numbers = y.ticks(ticks) if y else []
    left = max([left, *(len(number) * LETTER + 8 for _, number in numbers)])
    for place, number in numbers:
        frame.append(f'<path class="grid" d="M0,{height - place:.1f}h{width}"/>')
        frame.append(label(number, -6, height - place + 4, "end"))
    for place, number in x.ticks(ticks) if places is None else places:
        frame.append("" if y else f'<path class="grid" d="M{place:.1f},0v{height}"/>')
        frame.append(label(number, place, below, "middle"))
    frame.append(label(titles[0], width / 2, below + 19, "middle") if titles[0] else "")
    frame.append(label(titles[1], -left, -10) if titles[1] else "")
    top, bottom = (24 if titles[1] else 6), (44 if titles[0] else 24)
    return svg("chart", left + width + right, top + height + bottom, [*frame, *parts], left=left, top=top)
