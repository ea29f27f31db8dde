"""How often the interval holds the true crossing, and what is said of curves that cross never, once, and more than once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from worlds import World

from bakeoff.statistics.bootstrap import bootstrap_ratio
from bakeoff.statistics.crossing import Crossing, Differences, crossing, differences

SIZES = (64, 256, 1024, 3668)
PLACES = np.log(SIZES)
SECOND = (0.72, 0.74, 0.76, 0.77)
"""Accuracy of the second strategy at the four sizes."""
SEEDS_SD = (3.0, 2.0, 1.0, 0.7)
"""Of both strategies, in points."""
ONCE: dict[str, tuple[float, ...]] = {
    "steep": (-0.06, -0.02, 0.05, 0.09),
    "shallow": (-0.03, -0.01, 0.01, 0.02),
    "late": (-0.06, -0.04, -0.02, 0.02),
    "at a size": (-0.05, 0.00001, 0.04, 0.06),
}
"""First strategy minus second at the four sizes: curves that cross once."""
EQUAL, AHEAD, ZIGZAG, WIGGLE = (0.0,) * 4, (0.05,) * 4, (-0.06, 0.05, -0.05, 0.06), (-0.03, 0.01, -0.01, 0.03)
FEW, MANY = 200, 2_000


def world(apart: tuple[float, ...], *, spread: float = 1.0, shared: bool = True) -> World:
    """shared: seeds and answers of all sizes and both strategies go together, as those of nested subsets do."""
    accuracy = (*(second + more for second, more in zip(SECOND, apart, strict=True)), *SECOND)
    return World(accuracy=accuracy, seed_sd=tuple(spread * sd for sd in (*SEEDS_SD, *SEEDS_SD)), shared=shared)


def experiments(drawn: World, *, seeds: int, examples: int, n: int) -> list[Crossing]:
    return [
        crossing(differences(right[:4].astype(np.float64), right[4:].astype(np.float64)), PLACES, draws=1000, seed=number)
        for part in drawn.chunks(n, 8, seeds, examples)
        for number, right in enumerate(part.right)
    ]


def said(found: list[Crossing]) -> Counter[str]:
    return Counter(one.found for one in found)


def truth(apart: tuple[float, ...]) -> float:
    """Where the true means cross: on the line between two sizes."""
    none = np.zeros((4, 4))
    place = crossing(Differences(np.array(apart), none, none, 1.0), PLACES, draws=1).at
    assert place is not None
    return place


@dataclass(frozen=True)
class Coverage:
    """Of experiments in which something is said of the crossing, how many say what is true."""

    held: int
    told: int

    @property
    def share(self) -> float:
        return self.held / self.told

    @property
    def error(self) -> float:
        return math.sqrt(max(self.share * (1 - self.share), 0.25 / self.told) / self.told)


def coverage(found: list[Crossing], at: float) -> Coverage:
    told = [one for one in found if one.found not in ("open", "several")]
    return Coverage(sum(holds(one, at) for one in told), len(told))


def holds(found: Crossing, at: float) -> bool:
    """Whether the interval has the place, which lies within the sizes; `ahead` or `behind` without an end denies that."""
    if found.found in ("ahead", "behind") and found.low is None and found.high is None:
        return False
    return (found.low is None or found.low <= at) and (found.high is None or at <= found.high)


def resampled(right: np.ndarray, *, seed: int) -> tuple[float, float]:
    """The interval of an ordinary bootstrap: runs and examples drawn with replacement, the same for all sizes and both
    strategies; of the draws with one crossing or none."""
    cells = [cell.astype(np.float64) for cell in right]
    scores = bootstrap_ratio(cells, np.ones_like(cells), streams=[0] * 8, replicates=400, seed=seed).scores
    exact, places = np.zeros((4, 4)), []
    for means in scores[:, :4] - scores[:, 4:]:
        one = crossing(Differences(means, exact, exact, 1.0), PLACES, draws=1)
        if one.found in ("overtakes", "ahead", "behind"):
            places.append(one.at if one.at is not None else math.inf if one.found == "behind" else -math.inf)
    places, cut = sorted(places), len(places) // 40
    return (places[cut], places[-1 - cut]) if places else (-math.inf, math.inf)


def test_the_interval_holds_the_crossing_and_curves_that_cross_once_are_said_to() -> None:
    found = experiments(world(ONCE["steep"]), seeds=5, examples=408, n=FEW)
    measured = coverage(found, truth(ONCE["steep"]))
    assert measured.share + 2 * measured.error >= 0.95, measured
    assert said(found)["overtakes"] >= 0.95 * FEW, said(found)


def test_of_equal_curves_no_crossing_is_told_and_of_curves_that_cross_thrice_no_single_one() -> None:
    equal = said(experiments(world(EQUAL), seeds=5, examples=408, n=FEW))
    assert equal["open"] + equal["several"] >= 0.95 * FEW, equal
    thrice = said(experiments(world(ZIGZAG), seeds=5, examples=408, n=FEW))
    assert thrice["several"] >= 0.97 * FEW, thrice


@pytest.mark.long
@pytest.mark.parametrize("spread", [1.0, 2.0])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("seeds", "examples"), [(3, 71), (3, 408), (3, 1725), (5, 71), (5, 408), (5, 1725), (10, 408)])
@pytest.mark.parametrize("name", ONCE)
def test_the_interval_holds_the_crossing_in_every_world(
    name: str, seeds: int, examples: int, shared: bool, spread: float
) -> None:
    found = experiments(world(ONCE[name], shared=shared, spread=spread), seeds=seeds, examples=examples, n=MANY)
    measured = coverage(found, truth(ONCE[name]))
    assert measured.share + 2 * measured.error >= 0.93, measured
    assert said(found)["falls behind"] <= 0.01 * MANY, said(found)


@pytest.mark.long
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("seeds", "examples"), [(3, 408), (3, 1725), (5, 408), (5, 1725), (10, 408)])
def test_what_is_said_of_curves_that_do_not_cross_once(seeds: int, examples: int, shared: bool) -> None:
    equal, ahead, zigzag, wiggle = (
        said(experiments(world(apart, shared=shared), seeds=seeds, examples=examples, n=MANY))
        for apart in (EQUAL, AHEAD, ZIGZAG, WIGGLE)
    )
    assert equal["open"] + equal["several"] >= 0.95 * MANY, equal
    assert ahead["falls behind"] + ahead["behind"] == 0
    assert ahead["overtakes"] <= 0.05 * MANY, ahead
    assert zigzag["overtakes"] <= 0.01 * MANY, zigzag
    assert wiggle["overtakes"] <= 0.12 * MANY, wiggle


@pytest.mark.long
def test_resampling_few_runs_holds_the_crossing_less_often() -> None:
    """Why the bootstrap is parametric."""
    drawn, at, held, n = world(ONCE["steep"], shared=False, spread=2.0), truth(ONCE["steep"]), 0, 400
    for part in drawn.chunks(n, 8, 3, 1725):
        for number, right in enumerate(part.right):
            low, high = resampled(right, seed=number)
            held += low <= at <= high
    assert held <= 0.9 * n
    measured = coverage(experiments(drawn, seeds=3, examples=1725, n=n), at)
    assert measured.share >= 0.95, measured
