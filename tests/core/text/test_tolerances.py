"""What a gate allows, from text to number."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.spec.experiment_file import Gate
from bakeoff.text.tolerances import LARGEST, cost_tolerance, exactly, quality_tolerances, tolerance_of


@pytest.mark.parametrize(
    ("text", "number"),
    [("-1.0 points", 1.0), ("-1 point", 1.0), ("- 0.25 points", 0.25), ("-0 points", 0.0), ("-1points", 1.0)],
)
def test_points_may_be_lost(text: str, number: float) -> None:
    assert [(one.sign, one.amount, one.unit) for one in quality_tolerances(text)] == [("-", number, "points")]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("+0.05 mae", ["+0.05 mae"]),
        ("+ 1e-8 mae", ["+1e-08 mae"]),
        ("-0.3 bleu", ["-0.3 bleu"]),
        ("-1.0 points, +0.05 mae", ["-1 points", "+0.05 mae"]),
        ("-1 point,+50000 mae", ["-1 points", "+50000 mae"]),
    ],
)
def test_other_units_are_named_by_their_metric(text: str, written: list[str]) -> None:
    assert [str(one) for one in quality_tolerances(text)] == written
    assert quality_tolerances(", ".join(written)) == quality_tolerances(text)


def test_a_metrics_own_rule_comes_before_that_of_points() -> None:
    rule = "-1 points, -2 f1, +0.05 mae"
    assert str(tolerance_of(rule, "accuracy", in_points=True)) == "-1 points"
    assert str(tolerance_of(rule, "f1 (spam)", in_points=True)) == "-2 f1"
    assert str(tolerance_of(rule, "mae", in_points=False)) == "+0.05 mae"
    assert tolerance_of(rule, "rmse", in_points=False) is None


@pytest.mark.parametrize(("text", "number"), [("+10%", 10.0), ("+ 2.5 %", 2.5), ("+0%", 0.0), ("+1000%", 1000.0)])
def test_costs_may_grow(text: str, number: float) -> None:
    assert cost_tolerance(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "1.0 points", "0.05 mae", "-1.0", "-1.0 %", "-1e3 points", "-1.0 points or so", "-١ points", "-1 points,", "+x mae"],
)
def test_other_words_for_losses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="in what unit: '-1"):
        quality_tolerances(text)


def test_what_is_said_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'mae'; remove one"):
        quality_tolerances("+0.05 mae, +0.06 mae")


@pytest.mark.parametrize("text", ["", "10%", "-10%", "+10", "+10 points", "+nan%"])
def test_other_words_for_costs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must say how much may be added, like '\+10%'"):
        cost_tolerance(text)


def test_the_record_holds_one_spelling_that_is_read_again() -> None:
    stated = Gate.model_validate({"quality": "- 1.50 point", "peak_memory": "+ 10.0 %"}).model_dump(exclude_none=True)
    assert stated == {"quality": "-1.5 points", "peak_memory": "+10%"}
    assert (quality_tolerances(stated["quality"])[0].amount, cost_tolerance(stated["peak_memory"])) == (1.5, 10.0)
    assert Gate.model_validate({"quality": ["-1.0 points", "+0.05 mae"]}).model_dump(exclude_none=True) == {
        "quality": "-1 points, +0.05 mae"
    }


@settings(max_examples=200, deadline=None, database=None)
@given(st.floats(0, LARGEST), st.integers(0, 999_999_999), st.integers(0, 9_999_999_999))
def test_whatever_may_be_written_is_read_as_the_same_number(amount: float, points: int, cost: int) -> None:
    stated = Gate.model_validate(
        {"quality": [f"+{exactly(amount)} mae", f"-{points / 1e6:.6f} points"], "peak_memory": f"+{cost / 1e6:.6f}%"}
    ).model_dump(exclude_none=True)
    assert [one.amount for one in quality_tolerances(stated["quality"])] == [amount, points / 1e6]
    assert cost_tolerance(stated["peak_memory"]) == cost / 1e6


def test_an_amount_that_no_number_is_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at most"):
        quality_tolerances("+9e999 mae")
