"""The unit of a metric's scores and how they are written; margins, gates, tables and charts all use it."""

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
"""The default margin of metrics in points: this many points, or what one example of the split is worth, if that is more."""
SPREAD_DIGITS: Final = 2
"""A metric not shown in points gets enough decimals for its standard deviation over seeds to keep this many significant
digits."""
MOST_DECIMALS: Final = 6
"""A figure that would need more decimals is written as 1.23e-7."""
MOST_SIGNIFICANT: Final = 6
"""At most this many significant digits of the largest score are shown; smaller differences between rows are not."""

Bound = Annotated[float, Field(allow_inf_nan=False)]


class Unit(BaseModel):
    """The unit, range and scale that a metric declares. Scores are kept in the metric's own unit and written times `scale`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(max_length=32)] = ""
    """`points` for scores within a fixed range, shown as hundredths of it; another word, such as `stars`; empty if the unit
    has no name of its own, and then messages use the metric's name."""
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
        """Whether scores are shown in points, so that the default margin applies."""
        return self.name == POINTS

    @property
    def words(self) -> str:
        """The unit as the legends of tables and charts write it: `points (× 100)`, `points`, `stars`, or empty."""
        return f"{self.name} (× {self.scale})" if self.scale != 1 else self.name

    @property
    def span(self) -> float | None:
        """The width of the range, the largest possible difference between two scores; None where an end is missing."""
        return None if self.low is None or self.high is None else self.high - self.low

    def written(self, score: float | None) -> str:
        """One score by itself: `84.07`, `2.346`; a dash for None."""
        return figures_of(self, [] if score is None else [score], []).number(score)

    def holds(self, score: float) -> bool:
        """Whether the score lies in the declared range, apart from rounding errors."""
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        return low - 1e-9 <= score <= high + 1e-9


SHARE: Final = Unit(name=POINTS, scale=100, low=0.0, high=1.0)
"""Accuracy, F1, recall: 0 to 1, shown times 100."""
CORRELATION: Final = Unit(name=POINTS, scale=100, low=-1.0, high=1.0)
"""Pearson, Spearman, Matthews: -1 to 1, shown times 100."""
PERCENT: Final = Unit(name=POINTS, scale=1, low=0.0, high=100.0)
"""A metric whose scores are already between 0 and 100, such as BLEU."""
OWN_UNIT: Final = Unit()
"""The unit of a metric that declares none: no range, no scale and no default margin."""


class Figures(BaseModel):
    """How figures of one metric are written: times the unit's scale, rounded at `decimals`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    unit: Unit
    decimals: int = POINTS_DIGITS
    """Digits after the decimal point; negative values round to tens, hundreds and so on."""

    def number(self, value: float | None) -> str:
        """A score as text: `84.07`, `0.0123`, `1.23e-7`, with a true minus sign; `–` for None."""
        if value is None:
            return DASH
        shown = self._written(value * self.unit.scale)
        return MINUS + shown[1:] if shown.startswith("-") else shown

    def signed(self, value: float | None) -> str:
        """A score as text, with its sign also where it is positive; a value that rounds to zero has no sign."""
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
        """A size with its unit and metric: `1.47 points of accuracy`, `0.05 of mae`. A value other than zero is never
        written as zero."""
        return " ".join(filter(None, (self.alone(value), self.unit.name, "of", metric)))

    def with_unit(self, value: float) -> str:
        """A size with its unit: `1.47 points`, `0.31 stars`; the number alone where the unit has no name."""
        return f"{self.alone(value)} {self.unit.name}".rstrip()

    def as_declared(self, value: float) -> str:
        """A value from an experiment file, such as a margin, with its unit and its own decimals: `0.05`, `1.00 points`."""
        return self.exactly(value).with_unit(value)

    def amount_as_declared(self, value: float, metric: str) -> str:
        """A value from an experiment file with its unit, its own decimals and the metric: `0.05 of mae`."""
        return self.exactly(value).amount(value, metric)

    def exactly(self, value: float) -> Figures:
        """Figures with as many decimals as this value has; points keep theirs."""
        if self.unit.in_points:
            return self
        exponent = Decimal(f"{value * self.unit.scale:.6g}").normalize().as_tuple().exponent
        return self.model_copy(update={"decimals": -int(exponent)})

    def alone(self, value: float) -> str:
        """A size without its unit; `under 0.01` for a value that would round to zero but isn't."""
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
    """Chooses how the figures of one metric are written side by side: two decimals in points; else so many that the smallest
    standard deviation over seeds keeps two significant digits.

    scores: all that are shown. spreads: standard deviations over seeds; None and 0 are ignored. Without any spread, so
    many decimals that the largest score minus the smallest has four significant digits; a single score has four itself.
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
