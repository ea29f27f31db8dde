"""The primary rule errs at most as often as is promised, and decides as often, in every world: `simulations.cells`.

A share near 5 % of 1,000 experiments has a standard error of .7 points, of 4,000 one of .34.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from simulations.cells import ALPHA, CELLS, Cell, drawn, judged, share
from simulations.rule import paired, tables, to_baseline
from worlds import ALIKE, HEAD_LIKE, ONE_COLLAPSES, PLAIN, T3, World

from bakeoff.contracts.unit import SHARE
from bakeoff.statistics.intervals import score_interval
from bakeoff.statistics.twoway import two_way


def is_small(cell: Cell) -> bool:
    """At 3 seeds and 277 examples, where figures are worst or nearly: a second at most."""
    accuracy = 0.99 if cell.question.startswith("equivalent") else 0.8
    return (cell.seeds, cell.examples, cell.accuracy) == (3, 277, accuracy)


def is_large(cell: Cell) -> bool:
    return (cell.seeds, cell.examples, cell.accuracy) in {(5, 1725, 0.8), (5, 408, 0.995)}


def named(cells: list[Cell]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("cell", cells, ids=[cell.name for cell in cells])


@named([cell for cell in CELLS if is_small(cell) and cell.world == "plain"])
def test_a_promise_holds_in_the_plain_world(cell: Cell) -> None:
    assert cell.low <= cell.measure(1000).value <= cell.most


@pytest.mark.slow
@named([cell for cell in CELLS if is_small(cell) and cell.world != "plain"])
def test_a_promise_holds_on_few_examples(cell: Cell) -> None:
    assert cell.low <= cell.measure(1000).value <= cell.most


@pytest.mark.slow
@named([cell for cell in CELLS if is_large(cell)])
def test_a_promise_holds_on_many_examples(cell: Cell) -> None:
    assert cell.low <= cell.measure(1000).value <= cell.most


@pytest.mark.long
@named(CELLS)
def test_every_promise_holds(cell: Cell) -> None:
    assert cell.low <= cell.measure(4000).value <= cell.most


def test_seeds_alone_err_where_strategies_suit_other_examples() -> None:
    """Student's t over paired seeds takes the test set for the whole world."""
    scores = drawn(HEAD_LIKE, 2, 10, 277, 1000, 0).scores
    d = scores[:, 0] - scores[:, 1]
    t = d.mean(axis=1) / np.sqrt(d.var(axis=1, ddof=1) / 10)
    assert share(2 * special.stdtr(9, -np.abs(t)) < ALPHA).value > 0.3


def test_bootstrapping_five_seeds_errs_far_too_often() -> None:
    """What many papers do: seeds drawn with replacement, percentiles of their mean."""
    scores, rng = drawn(PLAIN, 2, 5, 277, 1000, 0).scores, np.random.default_rng(0)
    d = scores[:, 0] - scores[:, 1]
    means = d[:, rng.integers(0, 5, (1000, 5))].mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert share((low > 0) | (high < 0)).value > 0.12


def test_pairing_by_shared_seeds_finds_what_welch_does_not() -> None:
    """One point, 5 seeds, answers and seeds correlated within a seed."""
    shared = World(shared=True).better(0.0, 1.0)
    of = drawn(shared, 2, 5, 408, 500, 0, paired=True)
    together, apart = (
        share(found.p()[:, 0] < ALPHA).value for found in (paired(of, to_baseline(2)), judged(of, to_baseline(2)))
    )
    assert together > 2 * apart


@pytest.mark.parametrize("k", [3, 5])
def test_where_one_side_collapses_now_and_then_means_of_all_runs_err(k: int) -> None:
    """Equal means of all runs, unequal ones of those that learned: why verdicts speak of runs that learned."""
    learned = 0.8 + (0.8 - 0.6649) * 0.1 / 0.9
    world = World(accuracy=(0.8, learned), collapse=ONE_COLLAPSES.collapse)
    assert share(judged(drawn(world, 2, k, 1725, 300, 0), to_baseline(2)).p() < ALPHA).value > 0.1


def rows_own_coverage(world: World, k: int, examples: int, n: int, *, plain: bool = False) -> float:
    """How often the interval of a row's own score holds the true score; `plain` is the t interval that knows of no range."""
    held, truth = 0, world.accuracy
    for right in world.draw(np.random.default_rng(2), n, 1, k, examples).right[:, 0]:
        estimate = two_way(right.astype(np.float64))
        low, high = estimate.interval() if plain else score_interval(estimate, SHARE, examples)
        assert low is not None
        assert high is not None
        held += low <= truth <= high
    return held / n


@pytest.mark.parametrize("k", [3, 5, 10])
@pytest.mark.parametrize(("world", "examples"), [(PLAIN, 408), (T3, 277), (ALIKE.at(0.95), 277), (ALIKE.at(0.98), 71)], ids=str)
def test_the_interval_of_a_rows_own_score_holds_the_true_score(world: World, examples: int, k: int) -> None:
    assert rows_own_coverage(world, k, examples, 1000) >= 0.93


def test_near_the_ceiling_an_interval_that_knows_of_no_range_errs_far_too_often() -> None:
    assert rows_own_coverage(ALIKE.at(0.98), 10, 71, 1000, plain=True) < 0.85


def test_cells_have_names_of_their_own() -> None:
    assert len({cell.name for cell in CELLS}) == len(CELLS)


def test_the_same_cell_gives_the_same_figure() -> None:
    cell = next(cell for cell in CELLS if is_small(cell))
    assert cell.measure(50) == cell.measure(50)
    assert tables(PLAIN.draw(np.random.default_rng(0), 1, 2, 3, 9).right).examples == 9
