"""What a metric's scores are measured in, and how they are written: the one answer for margins, gates, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bakeoff.text.numbers import DASH, MINUS

POINTS: Final = "points"
POINTS_DIGITS: Final = 2
DEFAULT_MARGIN: Final = 1.0
"""Points; or what one example of the split is worth, where that is more."""
SPREAD_DIGITS: Final = 2
"""Significant digits of the spread over seeds that are written, of a metric that is not shown in points."""
MOST_DECIMALS: Final = 6
"""With more, a figure is written as 1.23e-7."""
MOST_SIGNIFICANT: Final = 6
"""Digits of the largest score; what two rows differ in beyond these is not written."""

Bound = Annotated[float, Field(allow_inf_nan=False)]


class Unit(BaseModel):
    """The unit, range and scale that a metric declares. Scores are kept in the metric's own unit and written times `scale`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(max_length=32)] = ""
    """`points` for whatever lies within a fixed range and is shown as hundredths of it; another word, such as `stars`; empty
    where scores have no unit with a name: then the metric's own name stands for it."""
    scale: Literal[1, 100] = 1
    low: Bound | None = None
    """The lowest possible score, in the metric's own unit; None where there is none."""
    high: Bound | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"a unit's low ({self.low:g}) must lie below its high ({self.high:g})")
        return self

    @property
    def in_points(self) -> bool:
        """Whether a difference of 1.0 as shown is a hundredth of a fixed range, so that a default margin has a meaning."""
        return self.name == POINTS

    @property
    def words(self) -> str:
        """For legends: `points (× 100)`, `points`, `stars`, nothing."""
        return f"{self.name} (× {self.scale})" if self.scale != 1 else self.name

    @property
    def span(self) -> float | None:
        """The width of the range, which two scores differ by at most; None where an end is missing."""
        return None if self.low is None or self.high is None else self.high - self.low

    def written(self, score: float | None) -> str:
        """One score by itself: `84.07`, `2.346`; a dash for None."""
        return figures_of(self, [] if score is None else [score], []).number(score)

    def holds(self, score: float) -> bool:
        """Whether the score is in the declared range, up to rounding."""
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        return low - 1e-9 <= score <= high + 1e-9


SHARE: Final = Unit(name=POINTS, scale=100, low=0.0, high=1.0)
"""Accuracy, F1, recall: 0 to 1, shown times 100."""
CORRELATION: Final = Unit(name=POINTS, scale=100, low=-1.0, high=1.0)
"""Pearson, Spearman, Matthews: -1 to 1, shown times 100."""
PERCENT: Final = Unit(name=POINTS, scale=1, low=0.0, high=100.0)
"""A metric whose scores are already between 0 and 100, such as BLEU."""
OWN_UNIT: Final = Unit()
"""The unit of a metric that declares none: no range, no scale, and no default margin."""


class Figures(BaseModel):
    """How figures of one metric are written: times the unit's scale, rounded at `decimals`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    unit: Unit
    decimals: int = POINTS_DIGITS
    """Below 0: to tens, hundreds and so on."""

    def number(self, value: float | None) -> str:
        """`84.07`, `0.0123`, `1.23e-7`, with a true minus; `–` for None."""
        if value is None:
            return DASH
        shown = self._written(value * self.unit.scale)
        return MINUS + shown[1:] if shown.startswith("-") else shown

    def signed(self, value: float | None) -> str:
        """With its sign, and no sign at what rounds to zero."""
        if value is None:
            return DASH
        shown = self.number(value)
        if not _reads_as_zero(shown):
            return shown if shown.startswith(MINUS) else f"+{shown}"
        return shown.removeprefix(MINUS)

    def range(self, low: float | None, high: float | None) -> str:
        return "" if low is None or high is None else f"[{self.number(low)}, {self.number(high)}]"

    def signed_range(self, low: float | None, high: float | None) -> str:
        return "" if low is None or high is None else f"[{self.signed(low)}, {self.signed(high)}]"

    def amount(self, value: float, metric: str) -> str:
        """`1.47 points of accuracy`, `0.05 of mae`, `0.31 stars of mae`; what is not zero never reads as zero."""
        return " ".join(filter(None, (self.alone(value), self.unit.name, "of", metric)))

    def with_unit(self, value: float) -> str:
        """`1.47 points`, `0.31 stars`, or the number where the unit has no name."""
        return f"{self.alone(value)} {self.unit.name}".rstrip()

    def as_declared(self, value: float) -> str:
        """A value from an experiment file, such as a margin, with its unit and its own decimals: `0.05`, `1.00 points`."""
        return self.exactly(value).with_unit(value)

    def amount_as_declared(self, value: float, metric: str) -> str:
        """The same with the metric: `0.05 of mae`."""
        return self.exactly(value).amount(value, metric)

    def exactly(self, value: float) -> Figures:
        """With the decimals of this value; points keep theirs."""
        if self.unit.in_points:
            return self
        exponent = Decimal(f"{value * self.unit.scale:.6g}").normalize().as_tuple().exponent
        return self.model_copy(update={"decimals": -int(exponent)})

    def alone(self, value: float) -> str:
        """The number without its unit; `under 0.01` for what is not zero and would read as zero."""
        shown = self.number(value)
        if value and _reads_as_zero(shown):
            return f"under {self._written(10.0**-self.decimals)}"
        return shown

    def _written(self, shown: float) -> str:
        if self.decimals > MOST_DECIMALS and shown:
            digits = max(0, math.floor(math.log10(abs(shown))) + self.decimals)
            mantissa, _, exponent = f"{shown:.{digits}e}".partition("e")
            return f"{mantissa}e{int(exponent)}"
        return f"{round(shown, self.decimals):,.0f}" if self.decimals < 0 else f"{shown:.{self.decimals}f}"


def _reads_as_zero(shown: str) -> bool:
    return not any(digit in shown.partition("e")[0] for digit in "123456789")


def figures_of(unit: Unit, scores: Iterable[float], spreads: Iterable[float | None]) -> Figures:
    """How figures of one metric are written beside each other: two decimals in points, else so many that the smallest spread
    over seeds keeps two significant digits.

    scores: all that are shown; spreads: standard deviations over seeds (None and 0 say nothing). Where no spread is known, the
    range of the scores keeps four digits, and of one score its own four are written.
    """
    if unit.in_points:
        return Figures(unit=unit)
    shown = [score * unit.scale for score in scores if math.isfinite(score)]
    known = [spread * unit.scale for spread in spreads if spread]
    largest = max(map(abs, shown), default=0.0)
    width = max(shown, default=0.0) - min(shown, default=0.0)
    spread = min(known) if known else (width or largest) / 10.0 ** (4 - SPREAD_DIGITS)
    if not spread:
        return Figures(unit=unit)
    decimals = SPREAD_DIGITS - 1 - math.floor(math.log10(spread))
    if largest:
        decimals = min(decimals, MOST_SIGNIFICANT - 1 - math.floor(math.log10(largest)))
    return Figures(unit=unit, decimals=decimals)
