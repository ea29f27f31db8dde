"""Drawings for the page: charts that vl-convert renders to SVG, and small intervals within the rows of tables.

A chart is rendered when the page is written, from its own data alone; nothing of Vega is in the page. vl-convert escapes every
text; of its tags only those with known names and attributes pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError
from bakeoff.text.numbers import portable
from bakeoff.text.words import one_line

if TYPE_CHECKING:
    from markupsafe import Markup

NEEDS = "report.html needs bakeoff[report]: pip install 'bakeoff[report]'"

_KNOWN = {
    *("svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath", "viewBox", "width", "height", "transform", "d"),
    *("x", "y", "x1", "y1", "x2", "y2", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray"),
    *("stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "opacity", "text-anchor", "font-size", "font-weight"),
    *("font-style", "id", "clip-path"),
}
"""Elements and attributes of our charts."""
_TAG = re.compile(r'<(?:[^>"]|"[^"]*")*>')
_NAMES = re.compile(r'^</?([\w:-]+)|\s([\w:-]+)="')
_UNUSED = re.compile(
    r' (?:class|role|aria-[a-z]+|pointer-events|version|xmlns(?::xlink)?|font-family|display)="[^"]*"'
    r'| (?:opacity="1"|font-weight="normal"|stroke-opacity="0"|text-anchor="start")'
)
_CIRCLE = re.compile(r'<path(.*?) d="M([\d.]+),0A\2,\2,0,1,1,-\2,0A\2,\2,0,1,1,\2,0"')
_ID = re.compile(r'(id="|url\(#)([^")]+)')
_LENGTHS = re.compile(r' (?:d|transform|r|width|height|[xy][12]?)="[^"]*"')
_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")


def chart(spec: Mapping[str, Any], name: str) -> Markup:
    """A Vega-Lite spec as SVG; `name` keeps the ids of several charts in one page apart.

    Raises BakeoffError where vl-convert is not installed, RuntimeError for what no chart of ours contains.
    """
    from markupsafe import Markup

    try:
        import vl_convert
    except ModuleNotFoundError:
        raise BakeoffError(NEEDS) from None
    # vl-convert would fetch what a spec names; ours names nothing, and it is told so.
    svg = vl_convert.vegalite_to_svg(portable(_plain(spec)), allowed_base_urls=[])
    ids: dict[str, int] = {}
    return Markup(_TAG.sub(lambda found: _tag(found[0], name, ids), svg))  # noqa: S704 - vl-convert has escaped every text


def _plain(part: Any) -> Any:
    """The spec with every text made visible, since a control character would end vl-convert, and this process with it."""
    if isinstance(part, str):
        return one_line(part)
    if isinstance(part, Mapping):
        return {key: _plain(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_plain(value) for value in part]
    return part


def _tag(tag: str, name: str, ids: dict[str, int]) -> str:
    """A tag of vl-convert's as the page has it: lengths to a tenth of a pixel, a circle drawn as a path as a circle.

    ids: numbered from 1 in each chart, since vl-convert counts on from chart to chart.
    """
    tag = _UNUSED.sub("", tag)
    if not {element or attribute for element, attribute in _NAMES.findall(tag)} <= _KNOWN:
        raise RuntimeError(f"a chart contains {tag}")
    if ' d=""' in tag:
        return ""
    tag = _ID.sub(lambda found: f"{found[1]}{name}-{ids.setdefault(found[2], len(ids) + 1)}", tag)
    tag = _CIRCLE.sub(r'<circle r="\2"\1', tag)
    tag = _LENGTHS.sub(lambda found: _NUMBER.sub(lambda length: _short(float(length[0])), found[0]), tag)
    return f'{tag[:-1]} aria-hidden="true" focusable="false">' if tag.startswith("<svg") else tag


def _short(value: float) -> str:
    """A length in pixels, to a tenth."""
    return "0" if abs(value) < 0.05 else f"{value:.1f}".removesuffix(".0")


# --- small drawings within rows ------------------------------------------------------------------------------------------

HEIGHT, INSET = 22, 7
"""Of a drawing in a row, in pixels; the axis keeps clear of both ends by the inset."""


@dataclass(frozen=True)
class Axis:
    """A horizontal scale that the drawings of one column share."""

    low: float
    high: float
    width: int = 200
    """Of the drawings, in pixels."""

    def place(self, value: float) -> float:
        """Pixels from the left; beyond the ends for what lies outside."""
        return INSET + (value - self.low) / (self.high - self.low) * (self.width - 2 * INSET)

    def ticks(self, count: int = 4) -> list[float]:
        return [value for value in nice_ticks(self.low, self.high, count) if self.low <= value <= self.high]


Ends = tuple[float | None, float | None]
"""Of what values are possible at all; None where there is no end."""


def axis_over(values: Sequence[float | None], *, pad: float = 0.06, width: int = 200, ends: Ends = (None, None)) -> Axis:
    """An axis that holds all these values, with some room on both sides, but for what lies beyond the ends."""
    known = [value for value in values if value is not None and math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    room = (high - low) * pad or max(abs(high) * 0.01, 0.005)
    left = low - room if ends[0] is None else max(low - room, min(low, ends[0]))
    right = high + room if ends[1] is None else min(high + room, max(high, ends[1]))
    return Axis(left, right, width)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) that span the range."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.7)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def interval(
    axis: Axis,
    value: float,
    low: float | None,
    high: float | None,
    *,
    kind: str = "plain",
    band: float | None = None,
    reference: float | None = None,
) -> Markup:
    """A dot with its interval; `band` shades what lies within so much of zero, `reference` draws a line.

    What lies outside the axis ends in an arrowhead at its edge.
    """
    from markupsafe import Markup

    middle, width = HEIGHT / 2, axis.width
    parts = []
    if band:
        left, right = max(axis.place(-band), 0), min(axis.place(band), width)
        if right > left:
            parts.append(f'<rect class="band" x="{left:.1f}" width="{right - left:.1f}" y="0" height="{HEIGHT}"/>')
    if reference is not None and axis.low <= reference <= axis.high:
        place = axis.place(reference)
        parts.append(f'<path class="zero" d="M{place:.1f},0V{HEIGHT}"/>')
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
    shape = f'<svg class="iv {kind}" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" aria-hidden="true">'
    return Markup(f"{shape}{''.join(parts)}</svg>")  # noqa: S704 - numbers, and class names of this module's callers


_SHAPES = {
    "plain": '<circle class="dot" cx="{x:.1f}" cy="{y:g}" r="4.5"/>',
    "better": '<path class="dot" d="M{x:.1f},{y:g}m-5,4.5l5,-9.5l5,9.5z"/>',
    "worse": '<path class="dot" d="M{x:.1f},{y:g}m-5,-4.5l5,9.5l5,-9.5z"/>',
    "equivalent": '<rect class="dot" x="{x:.1f}" y="{y:g}" width="9" height="9" transform="translate(-4.5 -4.5)"/>',
    "inconclusive": '<circle class="dot open" cx="{x:.1f}" cy="{y:g}" r="4.2"/>',
    "identical": '<path class="dot" d="M{x:.1f},{y:g}m0,-6l6,6l-6,6l-6,-6z"/>',
    "confounded": '<path class="dot open" d="M{x:.1f},{y:g}m-4.5,-4.5l9,9m0,-9l-9,9"/>',
    "floor": '<path class="dot" d="M{x:.1f},{y:g}m0,-7v14"/>',
    "imported": '<circle class="dot open" cx="{x:.1f}" cy="{y:g}" r="4.2"/>',
}
"""Each verdict has a shape of its own: none is told by colour alone."""


def scale_line(axis: Axis, scale: int, *, signed: bool = False) -> Markup:
    """The axis with its numbers, for the head of a column; values are shown times `scale`."""
    from markupsafe import Markup

    ticks, width = axis.ticks(max(3, axis.width // 55)), axis.width
    step = (ticks[1] - ticks[0]) * scale if len(ticks) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    parts = [f'<path d="M{INSET},21.5H{width - INSET}"/>']
    for tick in ticks:
        place = axis.place(tick)
        parts.append(f'<path d="M{place:.1f},17V22"/>')
        number = f"{tick * scale:{'+' if signed and abs(tick) > 1e-12 else ''}.{digits}f}".replace("-", "−")
        parts.append(f'<text x="{min(max(place, 12), width - 12):.1f}" y="13">{number}</text>')
    head = f'<svg class="axis" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" aria-hidden="true">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704 - numbers only
