"""What a gate allows, from text to number."""

from __future__ import annotations

import pytest

from bakeoff.allowance import percent, points
from bakeoff.spec import Gate


@pytest.mark.parametrize(
    ("text", "number"),
    [("-1.0 points", 1.0), ("-1 point", 1.0), ("- 0.25 points", 0.25), ("-0 points", 0.0), ("-1points", 1.0)],
)
def test_points_may_be_lost(text: str, number: float) -> None:
    assert points(text) == number


@pytest.mark.parametrize(("text", "number"), [("+10%", 10.0), ("+ 2.5 %", 2.5), ("+0%", 0.0), ("+1000%", 1000.0)])
def test_costs_may_grow(text: str, number: float) -> None:
    assert percent(text) == number


@pytest.mark.parametrize(
    "text", ["", "1.0 points", "+1.0 points", "-1.0", "-1.0 %", "-1e3 points", "-1.0 points or so", "-١ points"]
)
def test_other_words_for_points_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must say how many points may be lost, like '-1"):
        points(text)


@pytest.mark.parametrize("text", ["", "10%", "-10%", "+10", "+10 points", "+nan%"])
def test_other_words_for_costs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must say how much may be added, like '\+10%'"):
        percent(text)


def test_the_record_holds_one_spelling_that_is_read_again() -> None:
    stated = Gate.model_validate({"quality": "- 1.50 point", "peak_memory": "+ 10.0 %"}).stated
    assert stated == {"quality": "-1.5 points", "peak_memory": "+10%"}
    assert (points(stated["quality"]), percent(stated["peak_memory"])) == (1.5, 10.0)
