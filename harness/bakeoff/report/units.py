"""Probabilities and ratios as pages write them."""

from __future__ import annotations

from bakeoff.text.markdown import DASH


def probability(value: float | None) -> str:
    if value is None:
        return DASH
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    if value is None:
        return DASH
    spread = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"× {value:.2f}{spread}"
