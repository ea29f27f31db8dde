"""Seeds near an end of the range: when they count as skewed, and the test of two lognormal means."""

from __future__ import annotations

import numpy as np
import pytest

from bakeoff.statistics.intervals import welch
from bakeoff.statistics.skewness import NEAR, is_near, lognormal_p


def test_near_is_a_share_of_the_distance() -> None:
    assert is_near((0.3 * 0.01) ** 2, 0.01)
    assert not is_near((0.29 * 0.01) ** 2, 0.01)
    assert not is_near(0.0, 0.0), "perfect runs show no spread"
    assert NEAR == 0.3


def test_a_known_answer() -> None:
    """Logs 0, 1, 2 against 3, 4, 5: means of 1.5 and 4.5 with the spread's half, variances of 1 / 3 + 1 / 4 each."""
    found = lognormal_p(np.exp([0.0, 1.0, 2.0]), np.exp([3.0, 4.0, 5.0]), half=0.0)
    t, df = 3 / np.sqrt(7 / 6), 4
    density = 1 + t / np.sqrt(df + t * t) * (1 + df / (2 * (df + t * t)))
    assert found == pytest.approx(2 - density, rel=1e-12)  # the distribution of t with 4 degrees of freedom in closed form


def test_a_rare_far_run_hides_in_the_spread_of_the_others() -> None:
    """Errors of 0 to .7 % against .9 to 1.1 %: t of the means is sure, and the lognormal means may be equal."""
    skewed, steady = np.array([0.0, 0.007, 0.0005, 0.0025, 0.0]), np.array([0.009, 0.011, 0.010, 0.0095, 0.0105])
    assert welch(skewed, steady).p < 0.01
    assert lognormal_p(skewed, steady, half=0.00025) > 0.05
    assert lognormal_p(steady / 4, steady, half=0.00025) < 0.001


def test_the_nearer_side_must_be_the_smaller_and_known() -> None:
    some = np.array([0.01, 0.02, 0.03])
    assert lognormal_p(some, some / 10, half=0.0) == 1.0
    assert lognormal_p(np.zeros(3), some, half=0.0) == 1.0
    assert lognormal_p(np.zeros(3), np.zeros(3), half=0.001) == 1.0
    with pytest.raises(ValueError, match="two runs"):
        lognormal_p(some[:1], some, half=0.0)
