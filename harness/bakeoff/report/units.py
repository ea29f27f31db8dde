"""Scores, seconds, memory, probabilities and ratios as every output writes them: each rounded here, once."""

from __future__ import annotations

from bakeoff.analysis.row import Score, Spread
from bakeoff.contracts.unit import Figures
from bakeoff.text.markdown import DASH

MEBIBYTE = 2**20
BASELINE, REPORTED, DAGGER = "◂", "★", "†"
FLOOR = "majority floor"


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


def score_cell(score: Score | None, figures: Figures) -> tuple[str, str]:
    """Mean, and ± standard deviation."""
    if score is None:
        return DASH, ""
    return figures.number(score.mean), "" if score.sd is None else f" ± {figures.number(score.sd)}"


def seconds(value: float | None, like: float | None = None) -> str:
    """Seconds, or another cost, with as many decimals as `like` has, else as its own size asks for."""
    if value is None:
        return DASH
    size = value if like is None else like
    return f"{value:,.{0 if size >= 1000 else 1 if size >= 10 else 2}f}"


def time_cell(number: Spread | None, *, comparable: bool) -> tuple[str, str]:
    """Mean, and ± standard deviation; in parentheses where it is not comparable with the other rows'."""
    if number is None:
        return DASH, ""
    head, tail = seconds(number.mean), "" if number.sd is None else f" ± {seconds(number.sd, number.mean)}"
    return (head, tail) if comparable else (f"({head}", f"{tail})")


def mebibytes(size: int | None) -> str:
    return DASH if size is None else f"{size / MEBIBYTE:,.0f}"


def rank(found: tuple[int, int] | None) -> str:
    """`1 to 3`: what the verdicts over all pairs leave open."""
    if found is None:
        return DASH
    low, high = found
    return f"{low}" if low == high else f"{low} to {high}"
