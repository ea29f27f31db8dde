"""How numbers read: each kind in one way."""

from __future__ import annotations

import math

import pytest

from bakeoff.text.numbers import (
    DASH,
    count,
    duration,
    gibibytes,
    in_seconds,
    mebibytes,
    p_equals,
    p_value,
    per_cent,
    portable,
    ratio,
    rounded,
    significant,
    with_decimals,
)


@pytest.mark.parametrize(
    ("p", "shown", "equals"),
    [
        (0.0, "< 0.001", "p < 0.001"),
        (0.00099, "< 0.001", "p < 0.001"),
        (0.001, "0.001", "p = 0.001"),
        (0.0499, "0.050", "p = 0.050"),
        (1.0, "1.000", "p = 1.000"),
        (None, DASH, "p = –"),
    ],
)
def test_p_has_three_decimals_and_is_never_0(p: float | None, shown: str, equals: str) -> None:
    assert (p_value(p), p_equals(p)) == (shown, equals)


@pytest.mark.parametrize(
    ("share", "places", "shown"),
    [(0.8412, 0, "84 %"), (0.8412, 1, "84.1 %"), (0.5, 1, "50 %"), (0.0004, 1, "under 0.1 %"), (0.004, 0, "under 1 %"),
     (0.0, 1, "0 %"), (1.0, 0, "100 %"), (None, 0, DASH), (-0.031, 0, "−3 %")],
)  # fmt: skip
def test_what_is_not_nothing_never_reads_as_nothing(share: float | None, places: int, shown: str) -> None:
    assert per_cent(share, places) == shown


def test_numbers_have_a_true_minus_and_commas() -> None:
    assert with_decimals(-1234.567, 2) == "−1,234.57"
    assert with_decimals(0.5, 1, signed=True) == "+0.5"
    assert with_decimals(None, 2) == DASH
    assert (significant(0.012345, 3), significant(2.0, 3)) == ("0.0123", "2")
    assert ratio(0.841, 0.8, 0.9) == "× 0.84 [0.80, 0.90]"
    assert (ratio(2.0), ratio(None)) == ("× 2.00", DASH)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.84, "0.8 s"), (9.96, "10.0 s"), (45.2, "45 s"), (89.9, "90 s"), (660, "11 min"), (7500, "2 h 05 min")],
)
def test_a_duration_has_two_figures(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_sizes_times_and_counts() -> None:
    assert (mebibytes(3 * 2**30), mebibytes(None), gibibytes(1.5 * 2**30)) == ("3,072", DASH, "1.5 GiB")
    assert (in_seconds(1234.4), in_seconds(None)) == ("1,234 s", DASH)
    assert (count(1, "seed"), count(1200, "seed"), count(0, "run")) == ("1 seed", "1,200 seeds", "0 runs")


def test_what_is_kept_has_so_many_significant_digits() -> None:
    assert rounded(math.pi * 1e-7, 3) == 3.14e-7
    assert portable({"a": [1 / 3, (2 / 3,)], "b": "x"}) == {"a": [0.3333333333, [0.6666666667]], "b": "x"}
