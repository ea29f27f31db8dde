"""The two-way comparison: known figures, statsmodels' mean squares, and what must hold for any matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from bakeoff.contracts.metrics import F1
from bakeoff.statistics.intervals import pseudo_values
from bakeoff.statistics.twoway import (
    RunTable,
    TwoWay,
    Variance,
    of_two_tables,
    run_table,
    two_way,
    two_way_paired,
    two_way_unpaired,
)


def scores(seed: int, k: int, n: int, *, share: float = 0.8) -> np.ndarray:
    """(k, n) right or wrong, with easy and hard examples and better and worse seeds."""
    rng = np.random.default_rng(seed)
    odds = np.clip(share + rng.normal(0, 0.2, n) + rng.normal(0, 0.05, (k, 1)), 0, 1)
    return (rng.random((k, n)) < odds).astype(np.float64)


def numbers(result: TwoWay) -> list[float]:
    budget = result.budget
    own = [result.difference, result.variance, result.df, result.se, result.p, *budget.seeds, *budget.residuals]
    more = [budget.example, budget.variance(9, 99), *budget.parts(9, 99)]
    return [*own, *more, *result.interval(), result.p_above(-0.01), result.p_below(0.01), result.equivalence_p(0.01)]


def digits(*rows: str) -> np.ndarray:
    return np.array([[int(digit) for digit in row] for row in rows], dtype=np.float64)


def test_two_small_tables_give_the_known_figures() -> None:
    a, b = digits("11011101", "11011001", "11111101"), digits("10011001", "01011001", "10010011")
    tables, result = (run_table(a), run_table(b)), two_way_unpaired(a, b)
    assert [table.s2 for table in tables] == pytest.approx([0.015625, 0])
    assert [table.residual for table in tables] == pytest.approx([0.0773809524, 0.1904761905])
    assert result.difference == pytest.approx(0.25)
    assert result.budget.example / 8 == pytest.approx(0.0037202381)
    assert (result.variance, result.df) == pytest.approx((0.0089285714, 5.12977099))
    assert (result.p, result.equivalence_p(0.01)) == pytest.approx((0.04451579, 0.97465098))


def summarised(mean: float, sd: float, profile: np.ndarray, seeds: int) -> RunTable:
    """A side of which only so much is known: its residual is 0."""
    return RunTable(mean, sd**2, 0.0, seeds, len(profile), profile, np.zeros(len(profile)))


def test_known_means_and_deviations_give_the_known_variance_and_degrees_of_freedom() -> None:
    spread = np.repeat([1.0, -1.0, 0.0], [862, 862, 1])
    spread *= 0.0097 * np.sqrt(1725) / spread.std(ddof=1)
    far = of_two_tables(summarised(0.797, 0.0059, spread, 5), summarised(0.6845, 0.0025, 0 * spread, 5))
    assert (far.variance, far.df) == pytest.approx((1.02302e-4, 593.189525))
    assert far.p < 0.002 / 6
    near = {
        k: of_two_tables(summarised(0.797, 0.0059, 0 * spread, k), summarised(0.8037, 0.0060, 0 * spread, k)) for k in (5, 8)
    }
    assert near[5].df == pytest.approx(7.99774123)
    assert [near[k].equivalence_p(0.02) for k in (5, 8)] == pytest.approx([0.00384417, 0.000264318], rel=1e-5)


def test_one_table_follows_the_formula_term_by_term() -> None:
    d = scores(1, 5, 40) - scores(2, 5, 40)
    residual = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
    seed = d.mean(axis=1).var(ddof=1) / 5
    example = d.mean(axis=0).var(ddof=1) / 40 - (residual**2).sum() / (4 * 39) / (5 * 40)
    result = two_way(d)
    assert example > 0
    assert (result.difference, result.variance) == pytest.approx((d.mean(), seed + example))
    assert result.df == pytest.approx((seed + example) ** 2 / (seed**2 / 4 + example**2 / 39))
    paired = two_way_paired(scores(1, 5, 40), scores(2, 5, 40))
    assert (paired.difference, paired.variance, paired.df) == pytest.approx((result.difference, result.variance, 4))
    assert (result.seeds, result.paired, paired.paired) == ((5, 5), False, True)


@pytest.mark.parametrize(("k", "n"), [(2, 7), (3, 6), (5, 40)])
def test_mean_squares_are_those_of_statsmodels(k: int, n: int) -> None:
    d = scores(1, k, n) - scores(2, k, n)
    seed, example = np.indices(d.shape)
    frame = pd.DataFrame({"d": d.ravel(), "seed": seed.ravel(), "example": example.ravel()})
    by_seed, by_example, residual = anova_lm(ols("d ~ C(seed) + C(example)", frame).fit())["mean_sq"]
    table = run_table(d)
    assert (table.s2 * n, table.profile.var(ddof=1) * k, table.residual) == pytest.approx((by_seed, by_example, residual))


def test_unpaired_follows_the_formula_term_by_term() -> None:
    a, b = scores(1, 3, 30), scores(2, 5, 30)
    result, tables = two_way_unpaired(a, b), (run_table(a), run_table(b))
    seeds = [table.s2 / table.seeds for table in tables]
    example = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / 30
    example = max(0.0, example - sum(table.residual / (table.seeds * 30) for table in tables))
    assert result.difference == pytest.approx(a.mean() - b.mean())
    assert result.variance == pytest.approx(sum(seeds) + example)
    weight = seeds[0] ** 2 / 2 + seeds[1] ** 2 / 4 + example**2 / 29
    assert result.df == pytest.approx(result.variance**2 / weight)
    assert (result.seeds, result.paired) == ((3, 5), False)


def test_unpaired_agrees_with_paired_where_pairing_explains_nothing() -> None:
    """Over many draws of independent seeds, both estimate the same variance."""
    pairs = [(scores(2 * i, 5, 60), scores(2 * i + 1, 5, 60)) for i in range(300)]
    paired = np.mean([two_way_paired(a, b).variance for a, b in pairs])
    unpaired = np.mean([two_way_unpaired(a, b).variance for a, b in pairs])
    assert unpaired == pytest.approx(paired, rel=0.05)


def test_the_budget_of_the_same_design_is_its_own_variance() -> None:
    rng = np.random.default_rng(0)
    d, other = (rng.normal(size=(5, 200)) + rng.normal(size=(5, 1)) + rng.normal(size=200) for _ in range(2))
    for result in (two_way_paired(d, other), two_way_unpaired(d, other)):  # every component well above 0
        budget = result.budget
        assert budget.variance(5, 200) == pytest.approx(result.variance)
        assert budget.parts(5, 200).sum() + budget.example / 200 == pytest.approx(result.variance)
        assert budget.variance(10, 200) < result.variance
        assert budget.variance(10**9, 200) == pytest.approx(budget.example / 200, rel=1e-6)
        assert budget.variance(5, 10**9) == pytest.approx(budget.seed / 5, rel=1e-6)


def test_the_budget_finds_the_components_that_were_put_in() -> None:
    rng = np.random.default_rng(3)
    budgets = [
        two_way(2 * rng.normal(size=(10, 1)) + 3 * rng.normal(size=300) + rng.normal(size=(10, 300))).budget for _ in range(300)
    ]
    found = np.mean([(budget.seed, budget.example, budget.residual) for budget in budgets], axis=0)
    assert found == pytest.approx([4, 9, 1], rel=0.1)


def test_a_lifted_variance_makes_the_interval_wider() -> None:
    a, b = scores(1, 3, 60), scores(2, 3, 60)
    own = two_way_unpaired(a, b)
    lifted = two_way_unpaired(a, b, variances=(Variance(own.variance, 6.0), run_table(b).variance))
    assert lifted.variance == pytest.approx(own.variance + (own.variance - run_table(a).s2) / 3)


def test_three_runs_more_alike_than_chance_allows_are_noticed() -> None:
    rng = np.random.default_rng(0)
    tables = [run_table((rng.random((3, 400)) < 0.8).astype(float)) for _ in range(2000)]
    share = np.mean([table.alike_by_luck(table.variance) for table in tables])
    assert share == pytest.approx(0.05, abs=0.015), "by chance alone one in twenty"
    exactly = np.ones((3, 400))
    exactly[[0, 1, 2], [5, 6, 7]] = 0
    alike = run_table(exactly)
    assert alike.alike_by_luck(alike.variance)
    assert not alike.alike_by_luck(Variance(alike.residual / 400, 2))
    four = run_table(np.vstack([exactly, exactly[:1]]))
    assert not four.alike_by_luck(four.variance)


def test_pseudo_values_of_f1_average_to_f1_of_every_run() -> None:
    rng = np.random.default_rng(0)
    references = rng.integers(0, 2, 50)
    runs = rng.integers(0, 2, (4, 50))
    parts = [F1(1).ratio_terms(run, references) for run in runs]
    pseudo = pseudo_values(np.array([a for a, _ in parts]), np.array([b for _, b in parts]))
    assert pseudo.mean(axis=1) == pytest.approx([F1(1).score(run, references) for run in runs])


def test_pseudo_values_of_a_mean_are_the_values_themselves() -> None:
    values = scores(0, 3, 40)
    assert np.array_equal(pseudo_values(values, np.ones_like(values)), values)


def test_a_run_without_a_denominator_scores_0() -> None:
    assert not pseudo_values(np.zeros((2, 5)), np.zeros((2, 5))).any()


def test_nothing_but_zeros_is_a_difference_of_0_without_doubt() -> None:
    for result in (two_way(np.zeros((3, 8))), two_way_unpaired(np.ones((3, 8)), np.ones((4, 8)))):
        assert (result.difference, result.p, result.interval(), result.equivalence_p(0.01)) == (0, 1, (0, 0), 0)


@pytest.mark.parametrize("constant", [1.0, 0.1, -1 / 3])
def test_the_same_difference_everywhere_is_certain(constant: float) -> None:
    result = two_way(np.full((3, 8), constant))
    assert (result.p, result.variance) == (0, 0)
    assert result.interval() == pytest.approx((constant, constant))
    assert (result.p_above(0) < 0.5) == (constant > 0)


def test_an_examples_part_below_0_counts_as_0() -> None:
    d = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.1]])  # rows and columns cancel: nothing but residual
    result = two_way(d)
    assert result.budget.example == 0
    assert result.variance == pytest.approx(d.mean(axis=1).var(ddof=1) / 2)
    assert result.df == pytest.approx(1)


@pytest.mark.parametrize("shape", [(1, 8), (3, 1), (8,), (0, 0)])
def test_less_than_two_seeds_or_examples_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="and two examples"):
        two_way(np.zeros(shape))


def test_sides_with_other_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="8 and 9"):
        two_way_unpaired(np.zeros((2, 8)), np.zeros((2, 9)))


matrices = st.builds(
    lambda seed, k, n, kind: {
        "right or wrong": lambda rng: rng.integers(-1, 2, (k, n)).astype(np.float64),
        "seldom": lambda rng: (rng.random((k, n)) < 0.05) * 1.0,
        "any": lambda rng: rng.normal(rng.normal(), 10.0 ** rng.integers(-6, 6), (k, n)),
        "seeds alone": lambda rng: rng.normal(size=(k, 1)) + np.zeros((k, n)),
        "examples alone": lambda rng: rng.normal(size=n) + np.zeros((k, n)),
        "constant": lambda rng: np.full((k, n), rng.normal()),
        "zero": lambda rng: np.zeros((k, n)),
    }[kind](np.random.default_rng(seed)),
    st.integers(0, 10_000),
    st.integers(2, 8),
    st.integers(2, 30),
    st.sampled_from(["right or wrong", "seldom", "any", "seeds alone", "examples alone", "constant", "zero"]),
)


@settings(max_examples=150, deadline=None)
@given(d=matrices)
def test_no_matrix_gives_nan_or_infinity(d: np.ndarray) -> None:
    for result in (
        two_way(d),
        two_way_paired(d, d[::-1]),
        two_way_unpaired(d, d[::-1, ::-1]),
        two_way_unpaired(d, np.zeros((2, d.shape[1]))),
    ):
        assert np.isfinite(numbers(result)).all()
        assert 0 <= result.p <= 1
        assert result.variance >= 0


@settings(max_examples=100, deadline=None)
@given(d=matrices)
def test_swapping_the_strategies_turns_the_sign_and_nothing_else(d: np.ndarray) -> None:
    for here, there in (
        (two_way(d), two_way(-d)),
        (two_way_paired(d, 0.5 * d), two_way_paired(0.5 * d, d)),
        (two_way_unpaired(d, 0.5 * d[:2]), two_way_unpaired(0.5 * d[:2], d)),
    ):
        assert there.difference == -here.difference
        assert (there.p, there.df) == pytest.approx((here.p, here.df))
        low, high = here.interval()
        assert there.interval() == pytest.approx((-high, -low))
        assert there.p_above(0.02) == pytest.approx(here.p_below(-0.02))


@settings(max_examples=100, deadline=None)
@given(d=matrices, shuffle=st.integers(0, 1000))
def test_the_order_of_seeds_and_examples_means_nothing(d: np.ndarray, shuffle: int) -> None:
    rng = np.random.default_rng(shuffle)
    other = d[rng.permutation(d.shape[0])][:, rng.permutation(d.shape[1])]
    here, there = two_way(d), two_way(other)
    scale = float(np.abs(d).max())
    assert there.difference == pytest.approx(here.difference, abs=1e-12 * scale)
    assert there.variance == pytest.approx(here.variance, rel=1e-6, abs=1e-24 * scale * scale)


@settings(max_examples=100, deadline=None)
@given(d=matrices, levels=st.tuples(st.floats(0.5, 0.999), st.floats(0.5, 0.999)))
def test_more_confidence_never_makes_the_interval_narrower(d: np.ndarray, levels: tuple[float, float]) -> None:
    result = two_way(d)
    (low, high), (lower, higher) = (result.interval(level) for level in sorted(levels))
    assert lower <= low <= result.difference <= high <= higher


@settings(max_examples=100, deadline=None)
@given(d=matrices, margin=st.floats(0.001, 2), alpha=st.sampled_from([0.01, 0.05, 0.1]))
def test_equivalence_is_the_interval_inside_the_margin(d: np.ndarray, margin: float, alpha: float) -> None:
    result = two_way(d)
    low, high = result.interval(1 - 2 * alpha)
    if min(abs(low + margin), abs(high - margin)) > 1e-9:
        assert (result.equivalence_p(margin) < alpha) == (-margin < low and high < margin)


@settings(max_examples=100, deadline=None)
@given(d=matrices, alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_p_is_below_alpha_just_when_the_interval_leaves_0_out(d: np.ndarray, alpha: float) -> None:
    result = two_way(d)
    low, high = result.interval(1 - alpha)
    if min(abs(low), abs(high)) > 1e-9 * (abs(result.difference) + result.se):
        assert (result.p < alpha) == (low > 0 or high < 0)


def test_mean_squares_that_cancel_leave_no_variance_of_rounding() -> None:
    d = np.array([[-1.0, 1, -1, 0, 1, -1], [1, 0, -1, 0, 0, 1]])
    assert two_way(d).variance == pytest.approx(two_way(d[::-1, ::-1]).variance)
