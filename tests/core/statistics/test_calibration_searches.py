"""How often two ways of training are told apart that are equal, each tuned by searches of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from worlds import World

from bakeoff.statistics.twoway import two_way_unpaired

SEARCHES, TRIAL_SEEDS = 5, 2
DEV, TEST = 408, 1_725
WORTHS = {
    "one good, one near": (0.0, -0.5, -2.0),
    "evenly spread": (0.0, -1.0, -2.0),
    "far apart": (0.0, -1.5, -3.0),
    "six": (0.0, -1.0, -2.0, -3.0, -4.5, -6.0),
}
"""Points of accuracy of each configuration, the best at 0."""
WORLD = World(seed_sd=0.8, concentration=0.55)
"""Runs on 1,725 examples then have a standard deviation over seeds of 1.0 points, the examples' part included."""
FEW, MANY = 300, 4_000


def rejected(worth: tuple[float, ...], *, apart: float = 0.0, n: int, repeated: bool = True) -> tuple[float, float]:
    """In how many of n experiments two ways are told apart at 5 %, with the Monte-Carlo standard error.

    Each way has the configurations `worth`, the second way all of them `apart` points worse. A search takes the best mean on
    dev of two trial seeds each; its choice is run with one fresh seed. `repeated`: one search for each of five runs, else one
    for all five.
    """
    ways = WORLD.better(*worth, *(one - apart for one in worth))
    many, found = len(worth), 0
    dev = ways.chunks(n, 2 * many, SEARCHES * TRIAL_SEEDS, DEV, seed=1)
    scores = np.concatenate([drawn.right.mean(axis=3) for drawn in dev])  # (n, 2 x configurations, trial seeds)
    means = scores.reshape(n, 2, many, SEARCHES, TRIAL_SEEDS).mean(axis=4)
    chosen = means.argmax(axis=2)  # (n, way, search)
    if not repeated:
        chosen = np.repeat(chosen[:, :, :1], SEARCHES, axis=2)
    done = 0
    for drawn in ways.chunks(n, 2 * many, SEARCHES, TEST, seed=2):
        for right in drawn.right:  # (2 x configurations, fresh seeds, examples)
            sides = [
                right[way * many + chosen[done, way], np.arange(SEARCHES)].astype(np.float64)  # (searches, examples)
                for way in (0, 1)
            ]
            found += two_way_unpaired(*sides).p < 0.05
            done += 1
    rate = found / n
    return rate, math.sqrt(max(rate * (1 - rate), 0.25 / n) / n)


def test_equal_ways_are_seldom_told_apart() -> None:
    rate, error = rejected(WORTHS["evenly spread"], n=FEW)
    assert rate - 2 * error <= 0.06, f"{rate:.3f} ± {error:.3f}"


def test_one_search_a_way_tells_equal_ways_apart_far_too_often() -> None:
    """What the sentence on one search is about; also shows that the test above can fail."""
    rate, error = rejected(WORTHS["evenly spread"], n=FEW, repeated=False)
    assert rate - 2 * error > 0.06, f"{rate:.3f} ± {error:.3f}"


@pytest.mark.long
@pytest.mark.parametrize("worth", WORTHS.values(), ids=WORTHS)
def test_the_error_of_repeated_searches_stays_within_its_bound(worth: tuple[float, ...]) -> None:
    rate, error = rejected(worth, n=MANY)
    assert rate <= 0.06, f"{rate:.4f} ± {error:.4f}"


@pytest.mark.long
@pytest.mark.parametrize("worth", WORTHS.values(), ids=WORTHS)
def test_two_points_are_found_in_three_of_five_experiments(worth: tuple[float, ...]) -> None:
    rate, error = rejected(worth, apart=2.0, n=MANY)
    assert rate >= 0.60, f"{rate:.3f} ± {error:.3f}"
