"""The tolerances of a gate, how much worse a candidate may be: `-1.0 points` of quality, `+0.05 mae` of an error, `+10%` of
a cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

POINTS: Final = "points"
LONGEST: Final = 25
"""`exactly` writes a number with more characters than this with an exponent."""
_NUMBER = r"[0-9]{1,25}(?:\.[0-9]{1,25})?(?:e[+-]?[0-9]{1,3})?"
_POINTS = r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*points?"
_METRIC = rf"({_NUMBER})\s+(?!points?\b)([a-z][a-z0-9_]{{0,63}})"
QUALITY = re.compile(rf"([+-])\s*(?:{_POINTS}|{_METRIC})")
PERCENT = re.compile(r"\+\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*%")

LARGEST: Final = 1e100
"""The largest amount that a rule may name; see `contracts.fields`."""


def exactly(number: float) -> str:
    """A number with all its digits, so that it is read back as the same: `10`, `0.00001`, `1e+50`."""
    plain = f"{Decimal(repr(number)):f}"
    shown = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return shown if len(shown) <= LONGEST else repr(number)


@dataclass(frozen=True)
class Tolerance:
    """How much worse the score of a primary metric may get: `-1.0 points`, `+0.05 mae`."""

    sign: str
    """`-` where higher scores are better, `+` where lower ones are."""
    amount: float
    """In `unit`; never negative."""
    unit: str
    """`points` (hundredths) for every metric that is shown in points; otherwise the metric's name, for scores as they are."""

    def __str__(self) -> str:
        amount = exactly(self.amount)
        return f"{self.sign}{amount if self.unit == POINTS else min(amount, repr(self.amount), key=len)} {self.unit}"


def quality_tolerances(text: str) -> list[Tolerance]:
    """Parses `-1.0 points`, or several tolerances separated by commas: `-1.0 points, +0.05 mae`.

    Raises ValueError for other text, an amount over `LARGEST`, and two tolerances with one unit.
    """
    found = [QUALITY.fullmatch(part.strip()) for part in text.split(",")]
    whole = [match for match in found if match is not None]
    if len(whole) < len(found):
        raise ValueError(
            "must say how much worse a score may get, and in what unit: '-1.0 points', or '+0.05 mae' for an error"
        )
    tolerances = [Tolerance(match[1], float(match[2] or match[3]), match[4] or POINTS) for match in whole]
    if any(tolerance.amount > LARGEST for tolerance in tolerances):
        raise ValueError(f"can be {LARGEST:g} at most")
    units = [tolerance.unit for tolerance in tolerances]
    if twice := next((unit for unit in units if units.count(unit) > 1), None):
        raise ValueError(f"allows two different losses of '{twice}'; remove one")
    return tolerances


def tolerance_of(rule: str, metric: str, *, in_points: bool) -> Tolerance | None:
    """The tolerance in a quality rule that applies to a metric; None where none does.

    A tolerance that names the metric is preferred (`f1` also names `f1 (spam)`) to the one in points, which applies if the
    metric is shown in points. Raises ValueError as `quality_tolerances` does.
    """
    by_unit = {tolerance.unit: tolerance for tolerance in quality_tolerances(rule)}
    shared = by_unit.get(POINTS) if in_points else None
    return by_unit.get(metric) or by_unit.get(metric.partition(" (")[0]) or shared


def with_tolerance(rule: str, tolerance: Tolerance, metric: str) -> str:
    """The quality rule with `tolerance` added at its end, without those of its tolerances that name the metric or have the
    same unit."""
    replaced = {metric, metric.partition(" (")[0], tolerance.unit}
    return ", ".join(map(str, [*(other for other in quality_tolerances(rule) if other.unit not in replaced), tolerance]))


def cost_tolerance(text: str) -> float:
    """Parses how much a cost may rise, in per cent: `+10%` is 10.0. Raises ValueError for other text."""
    found = PERCENT.fullmatch(text)
    if found is None:
        raise ValueError("must say how much may be added, like '+10%'")
    return float(found[1])
