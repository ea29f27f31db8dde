"""What a design can see: the planning tables, statsmodels' power, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower, TTestPower

from bakeoff.statistics.power import (
    best_epoch_optimism,
    examples_needed,
    expected_max_sigma,
    mde_examples,
    mde_of_design,
    minimum_detectable_effect,
    seeds_needed,
)
from bakeoff.statistics.twoway import Budget, of_differences, run_table

POINT = 0.01


@pytest.mark.parametrize(
    ("k", "effect"), [(3, 3.26), (5, 1.68), (6, 1.43), (8, 1.16), (10, 1.00), (15, 0.78), (20, 0.66), (25, 0.58)]
)
def test_paired_seeds_see_what_the_table_says(k: int, effect: float) -> None:
    found = minimum_detectable_effect(1 / math.sqrt(k), k - 1)
    assert found == pytest.approx(effect, abs=0.005)
    assert found == pytest.approx(TTestPower().solve_power(nobs=k, alpha=0.05, power=0.8), rel=1e-4)


@pytest.mark.parametrize(("k", "effect"), [(5, 2.02), (10, 1.32), (20, 0.91)])
def test_unpaired_seeds_see_what_the_table_says(k: int, effect: float) -> None:
    found = minimum_detectable_effect(math.sqrt(2 / k), 2 * (k - 1))
    assert found == pytest.approx(effect, abs=0.005)
    assert found == pytest.approx(TTestIndPower().solve_power(nobs1=k, alpha=0.05, power=0.8), rel=1e-4)


@pytest.mark.parametrize(("sd", "seeds"), [(0.7, [18, 7, 4]), (1.0, [34, 10, 5]), (1.5, [73, 20, 7]), (2.5, [199, 52, 15])])
def test_seeds_needed_for_half_one_and_two_points(sd: float, seeds: list[int]) -> None:
    budget = Budget(((sd * POINT) ** 2,), 0.0, (0.0,))
    assert [seeds_needed(budget, effect * POINT, examples=408).number for effect in (0.5, 1, 2)] == seeds


def test_no_number_of_seeds_makes_up_for_few_examples() -> None:
    budget = Budget((0.01**2,), 0.08, (0.05,))
    answer = seeds_needed(budget, 0.02, examples=408)
    assert answer.number is None
    assert answer.limit == pytest.approx(mde_of_design(budget, 10**6, examples=408), rel=1e-3)
    more = seeds_needed(budget, 0.02, examples=4000)
    assert more.number is not None
    assert mde_of_design(budget, more.number, examples=4000) <= 0.02 < mde_of_design(budget, more.number - 1, examples=4000)


def test_no_number_of_examples_makes_up_for_few_seeds() -> None:
    budget = Budget((0.01**2,), 0.08, (0.05,))
    assert examples_needed(budget, 0.01, seeds=3).number is None
    assert examples_needed(budget, 0.01, seeds=3).limit == pytest.approx(3.264 * 0.01, rel=1e-3)
    answer = examples_needed(budget, 0.02, seeds=10)
    assert answer.number is not None
    assert mde_of_design(budget, 10, examples=answer.number) <= 0.02


def test_the_design_has_the_power_that_it_promises() -> None:
    """1,500 simulated comparisons with the effect that five seeds on 100 examples should find four times in five."""
    rng = np.random.default_rng(0)
    budget = Budget((0.02**2,), 0.15**2, (0.3**2,))
    effect = mde_of_design(budget, 5, examples=100)
    found = 0
    for _ in range(1500):
        seed, example, residual = rng.normal(size=(5, 1)), rng.normal(size=100), rng.normal(size=(5, 100))
        found += of_differences(run_table(effect + 0.02 * seed + 0.15 * example + 0.3 * residual)).p < 0.05
    assert found / 1500 == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("n", "discordance", "points"),
    [(408, 0.04, 2.8), (408, 0.08, 3.9), (408, 0.12, 4.8), (1725, 0.04, 1.35), (1725, 0.08, 1.9), (1725, 0.12, 2.3)],
)
def test_fixed_models_on_so_many_examples(n: int, discordance: float, points: float) -> None:
    assert mde_examples(discordance, n) / POINT == pytest.approx(points, abs=0.05)


@pytest.mark.parametrize(
    ("n", "sigma"), [(1, 0.0), (2, 0.564), (3, 0.846), (5, 1.163), (10, 1.539), (25, 1.965), (100, 2.508), (625, 3.10)]
)
def test_the_best_of_n_is_ahead_by_so_many_standard_deviations(n: int, sigma: float) -> None:
    assert expected_max_sigma(n) == pytest.approx(sigma, abs=0.005)


def test_the_best_epoch_looks_better_than_it_is() -> None:
    """Simulated: three equal epochs, evaluations that differ in being right on 8 % of 408 examples."""
    rng = np.random.default_rng(0)
    unsure = rng.random((4000, 3, 408)) < 0.5
    fixed = rng.random((4000, 1, 408)) < 0.84  # 84 % of examples never change, the others are coin flips
    scores = np.where(fixed, True, unsure).mean(axis=2)
    gain = float((scores.max(axis=1) - scores.mean(axis=1)).mean())
    assert best_epoch_optimism(3, 0.08, 408) == pytest.approx(gain, rel=0.05)
    assert best_epoch_optimism(1, 0.08, 408) == 0


@settings(max_examples=60, deadline=None)
@given(df=st.floats(1, 1e6), alpha=st.floats(1e-4, 0.2), power=st.floats(0.5, 0.99))
def test_a_smaller_level_more_power_or_fewer_seeds_need_a_larger_effect(df: float, alpha: float, power: float) -> None:
    found = minimum_detectable_effect(1.0, df, alpha=alpha, power=power)
    assert math.isfinite(found)
    assert minimum_detectable_effect(2.0, df, alpha=alpha, power=power) == pytest.approx(2 * found)
    assert minimum_detectable_effect(1.0, df, alpha=alpha / 2, power=power) > found
    assert minimum_detectable_effect(1.0, df + 1, alpha=alpha, power=power) <= found * (1 + 1e-9)


def test_an_effect_of_0_and_odd_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        seeds_needed(Budget((1,), 1, (1,)), 0.0, examples=100)
    with pytest.raises(ValueError, match="alpha < power"):
        minimum_detectable_effect(1.0, 4, alpha=0.9)
