"""What is proposed fits the rows and ends in time."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from bakeoff.drafting.proposal import (
    EPOCHS,
    LEAST_STEPS,
    LOOKS,
    MARGINS,
    SAFETY,
    RunSeconds,
    correlation_outlook,
    effective_rows,
    length_for,
    minutes_for,
    outlook,
    own_split,
    schedule,
    wanted,
)
from bakeoff.statistics.looks import looks_at

FAST = [RunSeconds(step=0.01, fixed=2.0)] * 3
SLOW = [RunSeconds(step=0.4, fixed=8.0), RunSeconds(step=0.3, fixed=8.0), RunSeconds(step=0.1, fixed=8.0)]


@pytest.mark.parametrize(("rows", "shares"), [(60, "30%"), (2_000, "20%"), (20_000, "10%"), (1_000_000, "1%")])
def test_the_share_held_out_falls_as_rows_grow(rows: int, shares: str) -> None:
    assert own_split(rows)["test"] == shares


@pytest.mark.parametrize("timed", [FAST, SLOW])
@pytest.mark.parametrize("rows", [100, 1_400, 20_000, 800_000])
@pytest.mark.parametrize("minutes", [5.0, 8.0, 60.0])
def test_all_looks_end_in_time_unless_so_few_steps_take_longer(timed: list[RunSeconds], rows: int, minutes: float) -> None:
    found = schedule(rows, timed, minutes)
    assert found.seconds is not None
    least = sum(one.fixed + one.step * LEAST_STEPS for one in timed) * LOOKS[-1][-1]
    assert found.seconds <= max(60 * minutes * SAFETY, least + 60)
    assert found.shortened == (found.training != wanted(rows))
    assert found.first_look is not None
    assert found.first_look < found.seconds


def test_the_longest_training_and_the_most_looks_are_taken_where_there_is_time() -> None:
    found = schedule(1_400, FAST, 60)
    assert (found.training.epochs, found.looks, found.shortened) == (EPOCHS, LOOKS[0], False)


def test_large_data_get_steps_in_place_of_epochs_and_more_of_them_in_more_time() -> None:
    few, many = (schedule(800_000, SLOW, minutes) for minutes in (10, 60))
    assert few.training.epochs is None
    assert many.training.epochs is None
    assert LEAST_STEPS <= few.training.steps < many.training.steps < wanted(800_000).steps


def test_few_rows_get_more_epochs() -> None:
    assert [wanted(rows).epochs for rows in (40, 300, 1_400)] == [10, 6, EPOCHS]


def test_without_times_large_data_still_get_few_steps() -> None:
    assert schedule(800_000, None, 60).training.steps == 500
    assert schedule(1_400, None, 8).seconds is None


def test_time_grows_with_the_rows_up_to_an_hour() -> None:
    assert [minutes_for(rows) for rows in (100, 2_000, 5_000, 10**6)] == [8, 8, 20, 60]


def test_more_rows_show_smaller_differences() -> None:
    outlooks = [outlook(rows, rows, (3, 5), 3) for rows in (40, 400, 4_000)]
    margins = [one.margin for one in outlooks]
    assert margins == sorted(margins, reverse=True)
    assert set(margins) <= set(MARGINS)
    assert [one.detectable for one in outlooks] == sorted((one.detectable for one in outlooks), reverse=True)
    assert all(one.chances is not None and one.chances.equivalent >= 0.8 for one in outlooks)


def test_the_margin_is_the_smallest_that_is_likely_to_be_shown() -> None:
    """Equal strategies, drawn: seeds' standard deviation 1 point, 8 % of 400 examples due to the strategies."""
    found, look = outlook(400, 400, (3, 5), 3), looks_at((3, 5), 2)[-1]
    error = math.sqrt(2 * 0.01**2 / look.seeds + 0.08 / 400)
    difference = np.abs(np.random.default_rng(0).normal(0, error, 4_000)) + look_z(look.budget / 2) * error
    smaller = MARGINS[MARGINS.index(found.margin) - 1]
    assert float(np.mean(difference < smaller / 100)) < 0.8
    assert float(np.mean(difference < found.margin / 100)) >= 0.8


def look_z(tail: float) -> float:
    return NormalDist().inv_cdf(1 - tail)


def test_a_mean_over_classes_counts_as_few_rows_as_its_rarest_class_has() -> None:
    assert effective_rows(400, [0.25] * 4, macro=True) == pytest.approx(400)
    assert effective_rows(400, [0.95, 0.05], macro=False) == 400
    assert effective_rows(400, [0.95, 0.05], macro=True) == pytest.approx(4 / (1 / 380 + 1 / 20))


def test_a_correlation_has_a_margin_but_no_promise() -> None:
    assert (correlation_outlook(100).margin, correlation_outlook(400).margin) == (10.0, 5.0)
    assert correlation_outlook(400).chances is None


def test_nearly_all_texts_fit_the_length() -> None:
    short, long = ["a few words"] * 99 + ["word " * 400], ["word " * 400]
    assert (length_for(short, most=128).max_length, length_for(short, most=128).cut) == (32, 0.01)
    assert (length_for(long, most=128).max_length, length_for(long, most=128).cut) == (128, 1.0)
    assert length_for(["文" * 100], most=512).max_length == 128
