"""Ratios on a shared machine: everything in one process, taken in turns, medians, and the spread said."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def take_turns(functions: Mapping[str, Callable[[], None]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each function, round after round, the order turned by one each round; a first round is thrown away."""
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = time.perf_counter()
            functions[name]()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def summary(seconds: Mapping[str, list[float]], *, per: int = 1) -> dict[str, dict[str, float]]:
    """Median, and the quartiles as spread, in milliseconds per unit of work."""
    result = {}
    for name, values in seconds.items():
        low, median, high = statistics.quantiles([1000 * value / per for value in values], n=4)
        result[name] = {"median_ms": round(median, 2), "q1_ms": round(low, 2), "q3_ms": round(high, 2)}
    return result


def ratio(seconds: Mapping[str, list[float]], of: str, to: str) -> dict[str, float]:
    """How many times as fast `of` is as `to`: the median over rounds of the rounds' own ratios, with quartiles."""
    low, median, high = statistics.quantiles([slow / fast for fast, slow in zip(seconds[of], seconds[to], strict=True)], n=4)
    return {"median": round(median, 3), "q1": round(low, 3), "q3": round(high, 3)}


def say(capsys: Any, text: str) -> None:
    """Past pytest's capture: a benchmark is run to be read."""
    with capsys.disabled():
        print(f"\n{text}")
