"""The rule in its second form gives what the package's functions give, and the audit's known answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from simulations.rule import (
    Estimates,
    all_pairs,
    capped,
    holm,
    inverse_trigamma,
    paired,
    shrink_upwards,
    skewed_p,
    tables,
    to_baseline,
    welch,
)
from worlds import PLAIN, SHARED, Bools, World

from bakeoff.statistics import multiplicity
from bakeoff.statistics.shrinkage import shrunk_upwards
from bakeoff.statistics.skewness import is_near, lognormal_p
from bakeoff.statistics.twoway import TwoWay, run_table, two_way_paired, two_way_unpaired, with_two_examples

CASES = [
    (world.at(accuracy), k, n)
    for world, accuracy, (k, n) in product((PLAIN, SHARED), (0.8, 0.99), ((2, 50), (3, 71), (5, 277), (10, 50)))
]


def assert_equal(found: Estimates, expected: list[list[TwoWay]]) -> None:
    """(n, P) estimates and those of the package, to 1e-9 of each; a variance of 0 as its callers replace it."""
    for experiment, row in enumerate(expected):
        for pair, one in enumerate(row):
            whole = with_two_examples(replace(one, span=1.0), one.examples)
            assert [value[experiment, pair] for value in found] == pytest.approx(
                [whole.difference, whole.variance, whole.df], rel=1e-9, abs=1e-15
            )


@pytest.mark.parametrize(
    ("world", "k", "n"), CASES, ids=lambda value: f"{100 * value.accuracy:g} %" if isinstance(value, World) else str(value)
)
def test_it_is_the_rule_of_the_package(world: World, k: int, n: int) -> None:
    right = world.draw(np.random.default_rng(0), 25, 4, k, n).right
    answers, of, pairs = right.astype(np.float64), tables(right, paired=True), to_baseline(4)
    sides = [[(one[pair], one[0]) for pair in (1, 2, 3)] for one in answers]
    assert_equal(welch(of, pairs), [[two_way_unpaired(a, b) for a, b in row] for row in sides])
    assert_equal(paired(of, pairs), [[two_way_paired(a, b) for a, b in row] for row in sides])
    tables_of = [[run_table(side) for side in one] for one in answers]
    distances = [[1 - side.mean(axis=1) for side in one] for one in answers]
    skewed = skewed_p(of, pairs)
    for experiment, own in enumerate(tables_of):
        for pair in (1, 2, 3):
            higher, lower = (pair, 0) if own[pair].mean > own[0].mean else (0, pair)
            near = is_near(own[higher].own, 1 - own[higher].mean)
            expected = lognormal_p(*(distances[experiment][side] for side in (higher, lower)), half=0.5 / n) if near else 0.0
            assert skewed[experiment, pair - 1] == pytest.approx(expected, rel=1e-9, abs=1e-15)
    lifted = [shrunk_upwards([run_table(side).s2 for side in one], [k] * 4) for one in answers]
    assert_equal(
        welch(of, pairs, shrunk=True),
        [
            [two_way_unpaired(a, b, variances=(variances[pair], variances[0])) for pair, (a, b) in enumerate(row, 1)]
            for row, variances in zip(sides, lifted, strict=True)
        ],
    )


@pytest.mark.parametrize(
    ("world", "k", "n"), CASES, ids=lambda value: f"{100 * value.accuracy:g} %" if isinstance(value, World) else str(value)
)
def test_two_more_examples_are_two_more_columns(world: World, k: int, n: int) -> None:
    right = world.draw(np.random.default_rng(1), 25, 2, k, n).right
    more = np.broadcast_to(np.array([[True, False], [False, True]])[:, None], (25, 2, k, 2))
    longer = np.concatenate([right, more], axis=3).astype(np.float64)
    of = tables(right, paired=True).with_two_examples()
    assert_equal(welch(of, to_baseline(2)), [[two_way_unpaired(b, a)] for a, b in longer])
    assert_equal(paired(of, to_baseline(2)), [[two_way_paired(b, a)] for a, b in longer])
    p = welch(of, to_baseline(2)).equivalence_p(0.03)[:, 0]
    assert p == pytest.approx([two_way_unpaired(b, a).equivalence_p(0.03) for a, b in longer], rel=1e-9)


def test_runs_that_are_left_out_are_as_if_they_had_not_been() -> None:
    right = PLAIN.draw(np.random.default_rng(2), 30, 2, 5, 71).right
    kept = np.ones((30, 2, 5), dtype=bool)
    kept[:, 0, 1] = kept[:, 1, 3:] = False
    shorter = [two_way_unpaired(b[:3].astype(float), a[[0, 2, 3, 4]].astype(float)) for a, b in right]
    assert_equal(welch(tables(right, kept=kept), to_baseline(2)), [[one] for one in shorter])


def of_digits(*runs: str) -> Bools:
    return np.array([[digit == "1" for digit in run] for run in runs])


A = of_digits("11011101", "11011001", "11111101")
B = of_digits("10011001", "01011001", "10010011")


def test_known_answer_of_three_seeds_and_eight_examples() -> None:
    of = tables(np.stack([B, A])[None], paired=True)
    assert of.residuals()[0] == pytest.approx([0.1904761905, 0.0773809524])
    found = welch(of, to_baseline(2))
    assert [value[0, 0] for value in found] == pytest.approx([0.25, 0.0089285714, 5.12977099])
    assert found.p()[0, 0] == pytest.approx(0.04451579)
    assert found.equivalence_p(0.01)[0, 0] == pytest.approx(0.97465098)


@pytest.mark.parametrize(
    ("variances", "lifted", "dfs"),
    [
        ((0.05, 1, 4, 0.5), (0.298568798, 1, 4, 0.526342186), (3.95129567, 2, 2, 3.95129567)),
        ((0.2, 1, 4, 0.5), (1.425, 1.425, 4, 1.425), (8, 8, 2, 8)),
    ],
)
def test_known_answers_of_shrinking(variances: tuple[float, ...], lifted: tuple[float, ...], dfs: tuple[float, ...]) -> None:
    found, known = shrink_upwards(np.array([variances]) * 1e-4, np.full((1, 4), 2.0))
    assert found[0] * 1e4 == pytest.approx(lifted)
    assert known[0] == pytest.approx(dfs)


def test_known_answer_of_the_prior_of_variances() -> None:
    """d0 = 2 trigamma^-1(e)."""
    assert 2 * inverse_trigamma(np.array([1.70546673]))[0] == pytest.approx(1.95129567)


@pytest.mark.parametrize(
    ("seed", "variance", "df", "among"),
    [(1, 0.0011126605248464546, 1.9678226239, 1.9678226239), (2, 0.000157998325, 4.4312441211, 4), (4, 0.00052148241206, 8, 4)],
    ids=["not capped", "capped in a family", "not positive"],
)
def test_the_rule_before_is_as_it_was(seed: int, variance: float, df: float, among: float) -> None:
    """What the package computed before it had Welch's rule."""
    rng = np.random.default_rng(seed)
    easy = rng.random(200)
    a, b = ((rng.random((3, 200)) < easy) for _ in range(2))
    of = tables(np.stack([b, a])[None], paired=True)
    for times, known in ((4, df), (2, among)):
        found = capped(of, to_baseline(2), times=times)
        assert (found.variance[0, 0], found.df[0, 0]) == (pytest.approx(variance), pytest.approx(known))


def test_holm_is_that_of_the_package() -> None:
    p = np.random.default_rng(3).random((50, 45)) ** 4
    assert holm(p) == pytest.approx(np.array([multiplicity.holm(row) for row in p]))


def test_pairs_are_all_or_those_to_the_first() -> None:
    assert len(all_pairs(10)[0]) == 45
    assert [one.tolist() for one in to_baseline(3)] == [[1, 2], [0, 0]]
