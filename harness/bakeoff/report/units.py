"""Numbers as the page writes them: points or plain scores, differences with their sign, probabilities."""

from __future__ import annotations

from dataclasses import dataclass

from bakeoff.report.markdown import DASH

MINUS = "−"


@dataclass(frozen=True)
class Unit:
    """How scores of a metric are shown: times `scale`, with two decimals as points, with four otherwise."""

    scale: int

    @property
    def name(self) -> str:
        return "points" if self.scale == 100 else ""

    @property
    def _digits(self) -> int:
        return 2 if self.scale == 100 else 4

    def number(self, value: float | None) -> str:
        return DASH if value is None else f"{value * self.scale:.{self._digits}f}".replace("-", MINUS)

    def signed(self, value: float | None) -> str:
        if value is None:
            return DASH
        shown = f"{value * self.scale:+.{self._digits}f}"
        return shown[1:] if float(shown) == 0 else shown.replace("-", MINUS)

    def range(self, low: float | None, high: float | None) -> str:
        return "" if low is None or high is None else f"[{self.number(low)}, {self.number(high)}]"

    def signed_range(self, low: float | None, high: float | None) -> str:
        return "" if low is None or high is None else f"[{self.signed(low)}, {self.signed(high)}]"


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
