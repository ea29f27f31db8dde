"""What a gate allows to get worse: `-1.0 points` of quality, `+10%` of a cost."""

from __future__ import annotations

import re

POINTS = re.compile(r"-\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*points?")
PERCENT = re.compile(r"\+\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*%")


def points(text: str) -> float:
    """Points (score x 100) that may be lost: `-1.0 points` is 1.0. Raises ValueError."""
    found = POINTS.fullmatch(text)
    if found is None:
        raise ValueError("must say how many points may be lost, like '-1.0 points'")
    return float(found[1])


def percent(text: str) -> float:
    """Per cent that may be added to a cost: `+10%` is 10.0. Raises ValueError."""
    found = PERCENT.fullmatch(text)
    if found is None:
        raise ValueError("must say how much may be added, like '+10%'")
    return float(found[1])
