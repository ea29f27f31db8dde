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
from bakeoff.statistics.twoway import Budget, TwoWay, two_way, two_way_unpaired

SMALL = np.array([[1, 0, 0, -1, 1, 0], [1, 1, 0, 0, 0, 0], [0, 1, 0, -1, 1, 0]], dtype=np.float64)


def scores(seed: int, k: int, n: int, *, share: float = 0.8) -> np.ndarray:
    """(k, n) right or wrong, with easy and hard examples and better and worse seeds."""
    rng = np.random.default_rng(seed)
    odds = np.clip(share + rng.normal(0, 0.2, n) + rng.normal(0, 0.05, (k, 1)), 0, 1)
    return (rng.random((k, n)) < odds).astype(np.float64)


def numbers(result: TwoWay) -> list[float]:
    budget = result.budget
    own = [result.difference, result.variance, result.df, result.se, result.p, result.ms_seed, result.ms_example]
    more = [result.ms_residual, budget.seed, budget.example, budget.residual, budget.variance(9, 99)]
    return [*own, *more, *result.interval(), result.p_above(-0.01), result.p_below(0.01), result.equivalence_p(0.01)]


def test_the_small_matrix_gives_the_known_figures() -> None:
    result = two_way(SMALL)
    assert result.difference == pytest.approx(0.2222222, abs=5e-8)
    assert (result.ms_seed, result.ms_example, result.ms_residual) == pytest.approx((0.0555556, 0.8888889, 0.2555556), abs=5e-8)
    assert result.variance == pytest.approx(0.03827160, abs=5e-9)
    assert result.se == pytest.approx(0.19563130, abs=5e-9)
    assert result.df == pytest.approx(2.8571429, abs=5e-8)
    assert result.interval() == pytest.approx((-0.41835029, 0.86279474), abs=5e-9)
    assert (result.interval()[1] - result.difference) / result.se == pytest.approx(3.2743867, abs=5e-8)
    assert result.p == pytest.approx(0.34222198, abs=5e-9)


@pytest.mark.parametrize(("k", "n"), [(2, 7), (3, 6), (5, 40)])
def test_mean_squares_are_those_of_statsmodels(k: int, n: int) -> None:
    d = scores(1, k, n) - scores(2, k, n)
    seed, example = np.indices(d.shape)
    frame = pd.DataFrame({"d": d.ravel(), "seed": seed.ravel(), "example": example.ravel()})
    table = anova_lm(ols("d ~ C(seed) + C(example)", frame).fit())
    result = two_way(d)
    assert [result.ms_seed, result.ms_example, result.ms_residual] == pytest.approx(list(table["mean_sq"]))


def test_unpaired_follows_the_formula_term_by_term() -> None:
    a, b = scores(1, 3, 30), scores(2, 5, 30)
    result = two_way_unpaired(a, b)
    own = [two_way(side) for side in (a, b)]
    delta = a.mean(axis=0) - b.mean(axis=0)
    terms = [
        own[0].ms_seed / (3 * 30),
        own[1].ms_seed / (5 * 30),
        delta.var(ddof=1) / 30,
        -own[0].ms_residual / (3 * 30),
        -own[1].ms_residual / (5 * 30),
    ]
    assert result.difference == pytest.approx(a.mean() - b.mean())
    assert result.variance == pytest.approx(sum(terms))
    satterthwaite = sum(terms) ** 2 / sum(t * t / df for t, df in zip(terms, (2, 4, 29, 58, 116), strict=True))
    assert result.df == pytest.approx(min(satterthwaite, 3 + 5 - 2))
    assert (result.seeds, result.paired) == ((3, 5), False)


def test_unpaired_agrees_with_paired_where_pairing_explains_nothing() -> None:
    """Over many draws of independent seeds, both estimate the same variance."""
    pairs = [(scores(2 * i, 5, 60), scores(2 * i + 1, 5, 60)) for i in range(300)]
    paired = np.mean([two_way(a - b).variance for a, b in pairs])
    unpaired = np.mean([two_way_unpaired(a, b).variance for a, b in pairs])
    assert unpaired == pytest.approx(paired, rel=0.05)


def test_mean_squares_add_up_to_the_variance_in_both_designs() -> None:
    a, b = scores(1, 4, 50), scores(2, 4, 50)
    for result in (two_way(a - b), two_way_unpaired(a, b), two_way_unpaired(a, b[:3])):
        k = 2 / (1 / result.seeds[0] + 1 / result.seeds[1])
        total = result.ms_seed + result.ms_example - result.ms_residual
        assert result.variance == pytest.approx(total / (k * result.examples))


def test_the_budget_of_the_same_design_is_its_own_variance() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(size=(5, 200)) + rng.normal(size=(5, 1)) + rng.normal(size=200)  # every component well above 0
    result = two_way(d)
    assert result.budget.variance(5, 200) == pytest.approx(result.variance)
    assert result.budget.variance(10, 200) < result.variance
    assert result.budget.variance(10**9, 200) == pytest.approx(result.budget.example / 200, rel=1e-6)
    assert result.budget.variance(5, 10**9) == pytest.approx(result.budget.seed / 5, rel=1e-6)


def test_the_budget_finds_the_components_that_were_put_in() -> None:
    rng = np.random.default_rng(3)
    budgets = [
        two_way(2 * rng.normal(size=(10, 1)) + 3 * rng.normal(size=300) + rng.normal(size=(10, 300))).budget for _ in range(300)
    ]
    found = np.mean([(budget.seed, budget.example, budget.residual) for budget in budgets], axis=0)
    assert found == pytest.approx([4, 9, 1], rel=0.1)


def test_seeds_that_happen_to_agree_give_few_degrees_of_freedom_and_fewer_in_a_family() -> None:
    d = np.random.default_rng(0).normal(size=200) + np.zeros((3, 1))  # three seeds, all alike: the examples have 199
    assert (two_way(d).df, two_way(d).in_family().df) == (8, 4)
    unpaired = two_way_unpaired(d, np.random.default_rng(1).normal(size=200) + np.zeros((4, 1)))
    assert (unpaired.df, unpaired.in_family().df) == (10, 5)


def test_a_design_expects_the_degrees_of_freedom_of_its_largest_term() -> None:
    assert Budget(1, 0, 0).df(5, 400) == pytest.approx(4)
    assert Budget(1, 0, 0).df(5, 400, paired=False) == pytest.approx(8)
    assert Budget(0, 1, 0).df(5, 400) == 16
    assert Budget(0, 1, 0).df(5, 400, family=True) == 8
    assert 4 < Budget(1e-4, 2e-3, 0.01).df(5, 400) < 16


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


def test_a_variance_below_0_gives_way_to_the_larger_term() -> None:
    d = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.1]])  # rows and columns cancel: nothing but residual
    result = two_way(d)
    assert result.ms_seed + result.ms_example < result.ms_residual
    assert result.variance == pytest.approx(max(result.ms_seed, result.ms_example) / 6)
    assert result.df in (1, 2)


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
    for result in (two_way(d), two_way_unpaired(d, d[::-1, ::-1]), two_way_unpaired(d, np.zeros((2, d.shape[1])))):
        assert np.isfinite(numbers(result)).all()
        assert 0 <= result.p <= 1
        assert result.variance >= 0


@settings(max_examples=100, deadline=None)
@given(d=matrices)
def test_swapping_the_strategies_turns_the_sign_and_nothing_else(d: np.ndarray) -> None:
    for here, there in (
        (two_way(d), two_way(-d)),
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
    """Found by hypothesis: the terms add up to 0, and as floats to 1e-17, of which t would make a certainty."""
    d = np.array([[-1.0, 1, -1, 0, 1, -1], [1, 0, -1, 0, 0, 1]])
    assert two_way(d).variance == pytest.approx(two_way(d[::-1, ::-1]).variance)
    assert two_way(d).p > 0.1
