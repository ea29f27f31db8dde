"""The median of ratios: its interval holds the truth as often as it says, whatever bursts there are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bakeoff.records.schema import MOST_ROUNDS
from bakeoff.runner.rounds import LEAST_ROUNDS, LOOK_EVERY
from bakeoff.statistics.median_ratio import median_ratio, order_of_bound


@pytest.mark.parametrize(("n", "rank"), [(5, None), (6, 1), (9, 2), (10, 2), (20, 6), (30, 10), (50, 18), (100, 40)])
def test_the_ranks_of_the_bounds_are_those_of_the_tables(n: int, rank: int | None) -> None:
    """Conover, 3.2; the same as those of the sign test at 5 %."""
    found = order_of_bound(n, 0.95)
    assert (None if found is None else found + 1) == rank


def test_bursts_of_load_move_neither_the_median_nor_its_interval() -> None:
    generator = np.random.default_rng(7)
    ratios = 0.5 * np.exp(generator.normal(0, 0.01, 41))
    calm = median_ratio(ratios.tolist())
    ratios[:8] *= 30
    disturbed = median_ratio(ratios.tolist())
    assert calm is not None
    assert disturbed is not None
    assert disturbed.ratio == pytest.approx(calm.ratio, rel=0.005)
    low, high = disturbed.interval() or (math.nan, math.nan)
    assert 0.49 < low < 0.5 < high < 0.515
    assert disturbed.rounds == 41


def test_without_six_rounds_there_is_a_ratio_and_no_interval() -> None:
    found = median_ratio([2.0, 2.1, 1.9, 2.0, 2.0])
    assert found is not None
    assert found.ratio == pytest.approx(2.0)
    assert found.interval() is None
    assert math.isinf(found.half_width)
    assert median_ratio([]) is None


@pytest.mark.parametrize("wrong", [[1.0, 0.0], [1.0, -1.0], [math.nan], [math.inf]])
def test_a_ratio_is_a_positive_number(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        median_ratio(wrong)


@pytest.mark.parametrize(
    "sd", [None, 0.01, 0.03, pytest.param(0.05, marks=pytest.mark.slow)], ids=["20 rounds", "sd 1 %", "sd 3 %", "sd 5 %"]
)
def test_the_interval_holds_the_truth(sd: float | None) -> None:
    """3,000 measurements of turns that vary by `sd`, a tenth of them stretched, or stretching the baseline's, by 50 % and more:
    with a fixed number of rounds, and until the interval is narrow, looked at as `bakeoff time` does. Measured 95.8, 97.8, 95.1
    and 93.9 %, Monte-Carlo error 0.4 points: where many rounds are needed, looking again costs a point."""
    generator, worlds, held = np.random.default_rng(11), 3000, 0
    for _ in range(worlds):
        logs = generator.normal(0, sd or 0.03, MOST_ROUNDS) + generator.choice(
            [0, 1], MOST_ROUNDS, p=[0.9, 0.1]
        ) * generator.normal(0, 0.5, MOST_ROUNDS)
        rounds = 20
        for rounds in range(LEAST_ROUNDS, MOST_ROUNDS, LOOK_EVERY) if sd else ():
            found = median_ratio(np.exp(logs[:rounds]).tolist())
            assert found is not None
            if found.half_width <= math.log1p(0.02):
                break
        found = median_ratio(np.exp(logs[:rounds]).tolist())
        assert found is not None
        low, high = found.log_interval()
        held += low <= 0 <= high
    assert held / worlds >= (0.93 if sd else 0.95) - 3 * 0.004
