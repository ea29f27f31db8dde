"""Error budgets, tests with recycling, and futility of declared looks: the known answers, and what must hold for any input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bakeoff.statistics.intervals import Estimate
from bakeoff.statistics.looks import (
    Look,
    chance_of_decision,
    error_budget,
    examples_to_decide,
    looks_at,
    outcome_at,
)

LOOKS = (3, 5, 8, 12, 20)


def welch(means: tuple[float, float], sds: tuple[float, float], k: int, ex: float, n: int) -> Estimate:
    """Welch's two-way test from summaries: each side's variance over k seeds, and the examples' part."""
    terms = [sds[0] ** 2 / k, sds[1] ** 2 / k, ex]
    v = sum(terms)
    df = v * v / sum(term * term / own for term, own in zip(terms, (k - 1, k - 1, n - 1), strict=True))
    return Estimate(means[0] - means[1], v, df)


def outcome(look: Look, found: Estimate, margin: float | None, chance: float | None = None) -> str:
    return outcome_at(look, found.p, None if margin is None else found.equivalence_p(margin), chance)


def test_the_budget_grows_with_the_square_of_the_seeds() -> None:
    assert error_budget(LOOKS) == pytest.approx([0.001125, 0.002, 0.004875, 0.01, 0.032])
    for looks in ((3, 5), (3, 5, 8), (3, 5, 8, 12), (7,)):
        assert sum(error_budget(looks)) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("looks", "comparisons", "rate"), [((3, 5), 1, 0.04), ((3, 5, 8), 1, 0.04), ((3, 5), 2, 0.05), ((3, 5, 8, 12), 1, 0.05)]
)
def test_one_comparison_that_ends_with_few_seeds_has_a_smaller_error_rate(
    looks: tuple[int, ...], comparisons: int, rate: float
) -> None:
    assert sum(look.budget for look in looks_at(looks, comparisons)) == pytest.approx(rate)


@pytest.mark.parametrize("looks", [(), (1, 3), (3, 3), (5, 3)])
def test_looks_rise_from_two_seeds(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rising"):
        error_budget(looks)
    with pytest.raises(ValueError, match="at least one comparison"):
        looks_at((3, 5), 0)


def test_known_answer_2_three_seeds_leave_it_open() -> None:
    found = Estimate(0.25, 0.0089285714, 5.12977099)
    assert (found.p, found.equivalence_p(0.01)) == pytest.approx((0.04451579, 0.97465098), abs=1e-7)
    assert outcome(looks_at(LOOKS, 1)[0], found, 0.01) == "open"


def test_known_answer_3_is_different_at_the_second_look_of_six_comparisons() -> None:
    found = welch((0.7970, 0.6845), (0.0059, 0.0025), 5, 0.0097**2, 1725)
    assert (found.variance, found.df) == pytest.approx((1.02302e-4, 593.189525))
    look = looks_at(LOOKS, 6)[1]
    assert look.difference_level == pytest.approx(0.002 / 6)
    assert outcome(look, found, 0.01) == "different"


def test_known_answer_4_is_equivalent_with_eight_seeds_not_with_five() -> None:
    five, eight = (welch((0.7970, 0.8037), (0.0059, 0.0060), k, 0.0, 1725) for k in (5, 8))
    assert (five.df, five.equivalence_p(0.02)) == pytest.approx((7.99774123, 0.00384417))
    assert eight.equivalence_p(0.02) == pytest.approx(0.000264318, rel=1e-5)
    _, second, third, *_ = looks_at(LOOKS, 6)
    assert outcome(second, five, 0.02) == "open"
    assert third.equivalence_level == pytest.approx(0.0008125)
    assert outcome(third, eight, 0.02) == "equivalent"


@pytest.mark.parametrize(("margin", "chance", "what"), [(0.01, 0.06609636, "futile"), (0.02, 0.72581485, "open")])
def test_known_answer_5_futility_depends_on_the_margin(margin: float, chance: float, what: str) -> None:
    look = looks_at(LOOKS, 6)[1]
    found = chance_of_decision(look, -0.0058, (0.0113**2 + 0.0059**2) / 5, 0.0038**2, margin)
    assert found == pytest.approx(chance, abs=1e-7)
    assert outcome_at(look, 0.5, 0.5, found) == what


def test_known_answer_5_settled_comparisons_leave_their_share_to_tests_of_differences() -> None:
    look = replace(looks_at(LOOKS, 6)[2], settled=2)
    assert (look.difference_level, look.equivalence_level) == pytest.approx((0.004875 / 4, 0.004875 / 6))


def test_a_significant_difference_within_the_margin_is_equivalent() -> None:
    look = looks_at((3, 5), 1)[0]
    assert outcome_at(look, 1e-9, 1e-9, None) == "equivalent"
    assert outcome_at(look, 1e-9, None, None) == "different"


def test_the_last_look_calls_nothing_futile() -> None:
    first, last = looks_at((3, 5), 1)
    assert (outcome_at(first, 0.9, 0.9, 0.09), outcome_at(last, 0.9, 0.9, 0.0)) == ("futile", "open")
    assert outcome_at(first, 0.9, 0.9, 0.11) == outcome_at(first, 0.9, 0.9, None) == "open"


def test_the_chance_of_a_decision_is_that_of_simulated_means_at_the_last_look() -> None:
    """The seeds to come are drawn around a true mean that is drawn around what was seen; the levels of the last look decide."""
    rng, look = np.random.default_rng(0), looks_at(LOOKS, 3)[1]
    for difference, s2, ex, margin in ((0.004, 3e-4, 2e-5, 0.02), (0.03, 6e-4, 1e-5, 0.01), (0.0, 2e-4, 1e-5, 0.015)):
        v = s2 / 20 + ex
        to_come = rng.normal(rng.normal(0, np.sqrt(s2 / 5), 100_000), np.sqrt(s2 / 15))
        later = Estimate(0.0, v, 1e9)
        means = (5 * difference + 15 * (difference + to_come)) / 20
        z = np.abs(means) / later.se
        ends = later.interval(1 - 2 * look.last_budget / 3)[1], later.interval(1 - look.last_budget / 3)[1] / later.se
        share = ((np.abs(means) <= margin - ends[0]) | (z >= ends[1])).mean()
        assert chance_of_decision(look, difference, s2 / 5, ex, margin) == pytest.approx(share, abs=0.006)


def test_without_a_margin_only_a_difference_can_be_found() -> None:
    look = looks_at(LOOKS, 1)[1]
    assert chance_of_decision(look, 0.0, 1e-6, 1e-6, None) < 0.05 < 0.99 < chance_of_decision(look, 0.0, 1e-6, 1e-6, 0.01)


def test_without_variance_over_seeds_the_chance_is_none_or_all() -> None:
    look = looks_at(LOOKS, 1)[0]
    assert [chance_of_decision(look, d, 0.0, 1e-4, 0.01) for d in (0.0, 0.1)] == [0.0, 1.0]
    assert chance_of_decision(look, 0.0, 0.0, 0.0, 0.01) == 1.0


def test_the_examples_that_decide_are_the_fewest_that_do() -> None:
    """At the number returned, both an equal pair and one that differs by the margin are decided in 80 % or more."""
    look, margin = looks_at(LOOKS, 4)[2], 0.01
    seed, example, residual = 1e-5, 0.05, 0.1
    number = examples_to_decide(look, margin, seed=seed, example=example, residual=residual)
    assert number is not None
    rng = np.random.default_rng(1)

    def decided(n: int, truth: float) -> float:
        v = seed / 20 + example / n + residual / (20 * n)
        found, error = rng.normal(truth, np.sqrt(v), 200_000), np.sqrt(v)
        within = np.abs(found) <= Estimate(0.0, v, 1e9).interval(1 - 2 * look.last_budget / 4)[1] * -1 + margin
        beyond = np.abs(found) / error >= Estimate(0.0, 1.0, 1e9).interval(1 - look.last_budget / 4)[1]
        return float((within if truth == 0 else beyond).mean())

    powers = decided(number, 0.0), decided(number, margin)
    assert min(powers) == pytest.approx(0.8, abs=0.005)
    assert examples_to_decide(look, margin, seed=1e-3, example=example, residual=residual) is None
