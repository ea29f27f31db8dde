"""How much worse a gate lets a candidate be: `-1.0 points` of quality, `+0.05 mae` of an error, `+10%` of a cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

POINTS: Final = "points"
LONGEST: Final = 25
"""Longer numbers are written with an exponent; in characters."""
_NUMBER = r"[0-9]{1,25}(?:\.[0-9]{1,25})?(?:e[+-]?[0-9]{1,3})?"
_POINTS = r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*points?"
_METRIC = rf"({_NUMBER})\s+(?!points?\b)([a-z][a-z0-9_]{{0,63}})"
QUALITY = re.compile(rf"([+-])\s*(?:{_POINTS}|{_METRIC})")
PERCENT = re.compile(r"\+\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*%")


LARGEST: Final = 1e100
"""Of an amount: see `contracts.fields`."""


def exactly(number: float) -> str:
    """A number with all its digits, so that it is read back as the same: `10`, `0.00001`, `1e+50`."""
    plain = f"{Decimal(repr(number)):f}"
    shown = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return shown if len(shown) <= LONGEST else repr(number)


@dataclass(frozen=True)
class Loss:
    """How much worse a primary metric may be, in the unit in which it is shown."""

    sign: str
    """`-` where the score may fall, `+` where an error may grow."""
    amount: float
    of: str
    """`points`: any metric that is shown in points; else a metric's name."""

    def __str__(self) -> str:
        amount = exactly(self.amount)
        return f"{self.sign}{amount if self.of == POINTS else min(amount, repr(self.amount), key=len)} {self.of}"


def losses(text: str) -> list[Loss]:
    """Parses `-1.0 points`, or several, separated by commas: `-1.0 points, +0.05 mae`. Raises ValueError."""
    found = [QUALITY.fullmatch(part.strip()) for part in text.split(",")]
    whole = [match for match in found if match is not None]
    if len(whole) < len(found):
        raise ValueError(
            "must say how much worse a score may get, and in what unit: '-1.0 points', or '+0.05 mae' for an error"
        )
    allowed = [Loss(match[1], float(match[2] or match[3]), match[4] or POINTS) for match in whole]
    if any(loss.amount > LARGEST for loss in allowed):
        raise ValueError(f"can be {LARGEST:g} at most")
    named = [loss.of for loss in allowed]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise ValueError(f"has two rules for '{twice}'; leave one out")
    return allowed


def loss_of(text: str, metric: str, *, in_points: bool) -> Loss | None:
    """The part of the rule that applies to a metric: by its name, with or without its class, else by its unit; None where there
    is none."""
    by_name = {loss.of: loss for loss in losses(text)}
    shared = by_name.get(POINTS) if in_points else None
    return by_name.get(metric) or by_name.get(metric.partition(" (")[0]) or shared


def with_loss(rule: str, loss: Loss, metric: str) -> str:
    """The rule with `loss` in place of what it says of the metric so far."""
    same = {metric, metric.partition(" (")[0], loss.of}
    return ", ".join(map(str, [*(known for known in losses(rule) if known.of not in same), loss]))


def percent(text: str) -> float:
    """Parses how many per cent may be added to a cost: `+10%` is 10.0. Raises ValueError."""
    found = PERCENT.fullmatch(text)
    if found is None:
        raise ValueError("must say how much may be added, like '+10%'")
    return float(found[1])
