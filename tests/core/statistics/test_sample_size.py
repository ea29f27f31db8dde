"""How many seeds a difference needs: the arithmetic against simulation, tables and its own inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.stats.power import TTestIndPower

from bakeoff.contracts.unit import SHARE
from bakeoff.statistics.power import mde_of_design
from bakeoff.statistics.sample_size import Needs, Question, from_pilot, from_planning_values
from bakeoff.statistics.twoway import Budget, TwoWay, of_differences, run_table, two_way_unpaired

PLACE = ("glue/mrpc", "minilm", "loop")


def question(difference: float = 1.0, *, seeds: int = 3, comparisons: int = 1) -> Question:
    return Question(difference=difference, metric="accuracy", unit=SHARE, seeds=seeds, comparisons=comparisons)


def drawn(generator: np.random.Generator, k: int, n: int, budget: Budget, shift: float = 0.0) -> NDArray[np.float64]:
    """(K, N) differences with these variance components."""
    seed = generator.normal(0, math.sqrt(budget.seed), (k, 1))
    example = generator.normal(0, math.sqrt(budget.example), (1, n))
    return shift + seed + example + generator.normal(0, math.sqrt(budget.residual), (k, n))


def pilot(budget: Budget, *, n: int = 400) -> TwoWay:
    """A pilot of so many seeds that it finds these components."""
    return of_differences(run_table(drawn(np.random.default_rng(3), 60, n, budget)))


def needs(budget: Budget, asked: Question, *, n: int = 400) -> Needs:
    return from_pilot(asked, PLACE, pilot(budget, n=n), where="here")


def test_the_number_is_the_least_that_finds_the_difference() -> None:
    budget = Budget((0.012**2,), 0.01, (0.08,))
    found, estimate = needs(budget, question(2.0)), pilot(budget).budget
    assert found.seeds is not None
    assert found.seeds > 3
    assert 100 * mde_of_design(estimate, found.seeds, examples=400) <= 2.0
    assert 100 * mde_of_design(estimate, found.seeds - 1, examples=400) > 2.0


def test_so_many_seeds_find_the_difference_four_times_in_five() -> None:
    budget = Budget((0.012**2,), 0.01, (0.08,))
    seeds = needs(budget, question(2.0)).seeds
    assert seeds is not None
    generator = np.random.default_rng(1)
    found = [of_differences(run_table(drawn(generator, seeds, 400, budget, 0.02))).p <= 0.05 for _ in range(1500)]
    assert 0.74 <= np.mean(found) <= 0.88


def test_more_comparisons_and_smaller_differences_need_more_seeds() -> None:
    budget = Budget((0.01**2,), 0.0, (0.08,))
    alone, many = needs(budget, question(1.5)), needs(budget, question(1.5, comparisons=9))
    assert alone.seeds is not None
    assert many.seeds is not None
    assert many.seeds > alone.seeds
    half = needs(budget, question(0.75)).seeds
    assert half is not None
    assert half > 2 * alone.seeds


def test_where_the_examples_are_too_few_no_number_is_given_but_how_many_examples() -> None:
    found = needs(Budget((0.005**2,), 0.08, (0.02,)), question(1.0, seeds=5))
    assert found.seeds is None
    assert found.limit == pytest.approx(280 * math.sqrt(0.08 / 400), rel=0.1)
    assert found.examples_needed is not None
    assert found.examples_needed > 400
    enough = mde_of_design(pilot(Budget((0.005**2,), 0.08, (0.02,))).budget, 5, examples=found.examples_needed)
    assert 100 * enough <= 1.0


def test_what_the_seeds_in_hand_find_shrinks_with_them_and_one_seed_finds_nothing() -> None:
    budget = Budget((0.01**2,), 0.01, (0.08,))
    found = [needs(budget, question(seeds=seeds)).detectable for seeds in (1, 2, 3, 10)]
    assert found[0] is None
    rest = [value for value in found if value is not None]
    assert rest == sorted(rest, reverse=True)
    limit = needs(budget, question()).limit
    assert limit is not None
    assert limit < rest[-1]


def test_a_pilot_of_other_seeds_counts_them_as_unpaired() -> None:
    generator = np.random.default_rng(5)
    budget = Budget((0.01**2,), 0.0, (0.04,))
    sides = [drawn(generator, 6, 400, budget) for _ in range(2)]
    found = from_pilot(question(2.0), PLACE, two_way_unpaired(*sides), where="here")
    assert found.pilot_seeds == 6
    assert found.seeds is not None
    paired = from_pilot(question(2.0), PLACE, of_differences(run_table(sides[0] - sides[1])), where="here").seeds
    assert paired is not None
    assert abs(found.seeds - paired) <= 0.5 * paired


def test_identical_predictions_are_said_to_be_identical() -> None:
    found = from_pilot(question(), PLACE, of_differences(run_table(np.zeros((3, 50)))), where="here", identical=True)
    assert (found.identical, found.seeds, found.chances) == (True, None, None)


def rare(generator: np.random.Generator, k: int, n: int, *, share: float, seed: float) -> NDArray[np.float64]:
    """(K, N) differences of right and wrong: `share` of the examples differ at every seed, a third as many at some seed."""
    example = np.where(generator.random(n) < share, generator.choice([-1.0, 1.0], n), 0.0)
    residual = np.where(generator.random((k, n)) < share / 3, generator.choice([-1.0, 1.0], (k, n)), 0.0)
    return generator.normal(0, seed, (k, 1)) + example + residual


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("k", [3, 6])
def test_the_range_of_the_examples_part_holds_it_nine_times_in_ten(k: int, paired: bool) -> None:
    generator, held, share = np.random.default_rng(4), [], 0.05
    for _ in range(400):
        d = rare(generator, k, 400, share=share, seed=0.01)
        other = generator.normal(0, 0.01, (k, 1)) + np.where(generator.random((k, 400)) < 0.02, 1.0, 0.0)
        budget = of_differences(run_table(d)).budget if paired else two_way_unpaired(d, other).budget
        assert budget.example_range is not None
        low, high = budget.example_range
        assert 0 <= low <= budget.example <= high
        held.append(low <= share <= high)
    assert 0.88 <= np.mean(held) <= 0.97


def test_two_rows_on_the_same_examples_never_need_a_number_of_seeds_and_infinitely_many() -> None:
    """Pairs of rows of one world whose examples allow just about what is asked: the noise of an estimate decides nothing."""
    generator, share, clashes, by_the_estimate_alone = np.random.default_rng(7), 0.02, 0, 0
    wanted = 280 * math.sqrt(share / 400)
    for _ in range(50):
        rows = [
            from_pilot(
                question(wanted),
                PLACE,
                of_differences(run_table(rare(generator, 6, 400, share=share, seed=0.01))),
                where="here",
            )
            for _ in range(2)
        ]
        clashes += {(need.seeds is None, need.why_none) for need in rows} == {(False, ""), (True, "too few")}
        by_the_estimate_alone += len({need.limit is not None and need.limit > wanted for need in rows}) == 2
    assert (clashes, by_the_estimate_alone > 15) == (0, True)


def test_what_is_far_from_the_limit_is_still_said() -> None:
    generator = np.random.default_rng(8)
    made = of_differences(run_table(rare(generator, 6, 1700, share=0.05, seed=0.01)))
    assert from_pilot(question(0.5), PLACE, made, where="here").why_none == "too few"
    enough = from_pilot(question(3.0), PLACE, made, where="here")
    assert (enough.why_none, enough.seeds is not None) == ("", True)
    assert enough.limit_range is not None
    assert enough.limit is not None
    assert enough.limit_range[0] <= enough.limit <= enough.limit_range[1] < 3.0


def test_nobody_runs_more_than_ten_thousand_seeds() -> None:
    wild = of_differences(run_table(np.random.default_rng(9).normal(0, 1, (6, 1)) + np.zeros((6, 400))))
    found = from_pilot(question(0.5), PLACE, wild, where="here")
    assert (found.seeds, found.why_none) == (None, "too many")


def test_planning_values_agree_with_the_t_test_over_seeds() -> None:
    """Two independent groups of runs whose SDs are 0.7, 1.0 and 1.5 points."""
    found = from_planning_values(question(1.0), PLACE, examples=408)
    power = TTestIndPower()
    expected = [math.ceil(power.solve_power(effect_size=1 / sd, alpha=0.05, power=0.8)) for sd in (0.7, 1.0, 1.5)]
    assert found.seeds_range is not None
    assert [found.seeds_range[0], found.seeds, found.seeds_range[1]] == expected
    assert found.limit == pytest.approx(3.9, abs=0.05)
    assert from_planning_values(question(1.0), PLACE, examples=1725).limit == pytest.approx(1.9, abs=0.05)
    assert from_planning_values(question(1.0), PLACE, examples=None).limit is None
