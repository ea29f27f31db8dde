"""How numbers are written everywhere: p-values, shares, ratios, times, sizes and counts.

Scores are written by `contracts.unit.Figures`, values of options by `values.spelt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

DASH: Final = "–"
"""Written in place of a missing number."""
MINUS: Final = "−"
MEBIBYTE: Final = 2**20
PORTABLE_DIGITS: Final = 10


def with_decimals(value: float | None, places: int, *, signed: bool = False) -> str:
    """A number with `places` decimals and a true minus sign: `1,234.50`; a dash for None. signed: with a plus unless
    negative."""
    if value is None:
        return DASH
    return f"{value:{'+' if signed else ''},.{places}f}".replace("-", MINUS)


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits, without trailing zeros: `0.0123`, `1.2e-07`."""
    return f"{value:.{digits}g}"


def p_value(p: float | None) -> str:
    """A p-value with three decimals: `0.012`; `< 0.001` for smaller ones; a dash for None."""
    return "< 0.001" if p is not None and p < 0.001 else with_decimals(p, 3)


def p_equals(p: float | None) -> str:
    """A p-value within a sentence: `p = 0.012`, `p < 0.001`."""
    return f"p {p_value(p)}" if p is not None and p < 0.001 else f"p = {p_value(p)}"


def per_cent(share: float | None, places: int = 0, *, signed: bool = False) -> str:
    """A share (1 is the whole) as `84 %`; `under 0.1 %` if it is above 0 and would round to 0; a dash for None."""
    if share is None:
        return DASH
    if 0 < 100 * share < 0.5 * 10**-places:
        return f"under {with_decimals(10**-places, places)} %"
    return f"{with_decimals(100 * share, places, signed=signed).removesuffix('.0')} %"


def confidence(level: float) -> str:
    """A level of confidence, 0 to 1, as per cent with two significant digits of 1 - level: `95 %`, `99.89 %`, `99.97 %`."""
    return f"{1 - float(f'{1 - level:.2g}'):.10%}".removesuffix("%").rstrip("0").rstrip(".") + " %"


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A ratio of costs with its interval: `× 0.84 [0.80, 0.89]`; a dash for None."""
    if value is None:
        return DASH
    bounds = "" if low is None or high is None else f" [{with_decimals(low, 2)}, {with_decimals(high, 2)}]"
    return f"× {with_decimals(value, 2)}{bounds}"


def in_seconds(value: float | None) -> str:
    """Seconds as a whole number: `1,234 s`; a dash for None."""
    return DASH if value is None else f"{with_decimals(value, 0)} s"


def duration(value: float) -> str:
    """Seconds as a rough time in the largest fitting unit: 0.8 s, 45 s, 11 min, 2 h 05 min."""
    if value < 90:
        return f"{with_decimals(value, 1 if value < 10 else 0)} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def mebibytes(size: int | None) -> str:
    """Bytes in whole MiB, without the unit, which is in the column's title; a dash for None."""
    return DASH if size is None else with_decimals(size / MEBIBYTE, 0)


def gibibytes(size: float) -> str:
    """Bytes as `1.5 GiB`."""
    return f"{with_decimals(size / 2**30, 1)} GiB"


def size_in_words(size: int) -> str:
    """Bytes as `800 bytes`, `12 KiB`, `3.2 MiB`, `1.5 GiB`."""
    for unit, name, decimals in ((2**30, "GiB", 1), (2**20, "MiB", 1), (2**10, "KiB", 0)):
        if size >= unit:
            return f"{with_decimals(size / unit, decimals)} {name}"
    return count(size, "byte")


def count(number: int, what: str) -> str:
    """A number of things, in the plural unless it is 1: `1 seed`, `1,200 seeds`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def rounded(value: float, digits: int) -> float:
    """The number rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")


def portable(value: Any) -> Any:
    """The value with all floats, also within mappings and sequences, rounded to ten significant digits.

    Further digits depend on the processor and the version of numpy: of 16 digits the last one or two differ, more where values
    cancel.
    """
    if isinstance(value, float):
        return rounded(value, PORTABLE_DIGITS)
    if isinstance(value, Mapping):
        return {key: portable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [portable(entry) for entry in value]
    return value
