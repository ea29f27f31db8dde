"""Where two curves cross: known answers, and what must hold for any curves."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import World

from bakeoff.statistics.bootstrap import multi_bootstrap, ratio_scorer
from bakeoff.statistics.crossing import Crossing, Differences, crossing, differences, differences_resampled
from bakeoff.statistics.twoway import two_way_paired

PLACES = np.log([64, 256, 1024, 4096])


def sure(*means: float) -> Crossing:
    """Of differences that are known without error."""
    none = np.zeros((len(means), len(means)))
    return crossing(Differences(np.array(means), none, none, 4.0), PLACES[: len(means)])


def test_a_crossing_lies_on_the_straight_line_in_the_logarithm_of_the_size() -> None:
    found = sure(-0.06, -0.02, 0.02, 0.05)
    assert (found.found, found.single) == ("overtakes", 1.0)
    assert np.exp([found.at, found.low, found.high]) == pytest.approx([512] * 3)
    back = sure(0.06, 0.03, 0.01, -0.01)
    assert back.found == "falls behind"
    assert np.exp(back.at) == pytest.approx(2048)


def test_curves_that_never_cross_have_no_place_and_nothing_is_said_beyond_the_sizes() -> None:
    assert sure(0.01, 0.02, 0.02, 0.05) == Crossing("ahead", None, None, None, 1.0)
    assert sure(-0.3, -0.2, -0.1, -0.001) == Crossing("behind", None, None, None, 1.0)
    assert sure(0.0, 0.0) == Crossing("behind", None, None, None, 1.0)


def test_two_crossings_are_several() -> None:
    assert sure(-0.1, 0.1, -0.1).found == "several"
    assert sure(-0.1, 0.1, -0.1).at is None


def test_an_end_of_the_interval_beyond_the_sizes_is_unknown() -> None:
    error = np.diag([1e-6, 1e-6, 1e-4])
    found = crossing(Differences(np.array([-0.05, -0.02, 0.005]), error, error, 9.0), PLACES[:3])
    assert (found.found, found.high) == ("overtakes", None)
    assert found.low is not None
    assert found.at is not None
    assert 256 < np.exp(found.low) < np.exp(found.at) < 1024


def test_a_strategy_ahead_everywhere_by_luck_says_from_where_it_surely_is() -> None:
    error = np.diag([1e-4, 1e-6, 1e-6])
    found = crossing(Differences(np.array([0.005, 0.03, 0.05]), error, error, 9.0), PLACES[:3])
    assert (found.found, found.at, found.low) == ("ahead", None, None)
    assert found.high is not None
    assert 64 < np.exp(found.high) < 256


def test_curves_too_close_to_tell_are_open() -> None:
    error = np.full((4, 4), 1e-4)
    found = crossing(Differences(np.array([-0.001, 0.001, 0.002, 0.004]), error, error, 9.0), PLACES)
    assert (found.found, found.at, found.low, found.high) == ("open", None, None, None)


@pytest.mark.parametrize("places", [PLACES[:2], PLACES[::-1], [1.0, 1.0, 2.0, 3.0]])
def test_places_that_do_not_rise_are_refused(places: list[float]) -> None:
    none = np.zeros((4, 4))
    with pytest.raises(ValueError, match="places"):
        crossing(Differences(np.zeros(4), none, none, 4.0), places)


# --- the differences -----------------------------------------------------------------------------------------------------


def curves(seed: int = 0, *, seeds: int = 5, examples: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """(J, K, N) right and wrong answers of two strategies at four sizes."""
    world = World(accuracy=(0.7, 0.78, 0.83, 0.86, 0.76, 0.79, 0.81, 0.82), seed_sd=1.0, shared=True)
    right = world.draw(np.random.default_rng(seed), 1, 8, seeds, examples).right[0].astype(np.float64)
    return right[:4], right[4:]


def test_each_size_has_the_variance_of_the_paired_test() -> None:
    first, second = curves()
    found = differences(first, second)
    for size in range(4):
        alone = two_way_paired(first[size], second[size])
        assert found.means[size] == pytest.approx(alone.difference)
        assert max(found.examples[size, size], 0) + found.seeds[size, size] == pytest.approx(alone.variance)
    assert found.df == 4
    assert found.seeds[0, 1] != 0 != found.examples[0, 1]


def test_draws_have_the_variances_and_covariances_of_both_ways() -> None:
    first, second = curves(seeds=20)
    found = differences(first, second)
    drawn = np.cov(found.draws(200_000), rowvar=False)
    assert drawn == pytest.approx(found.seeds * found.df / (found.df - 2) + found.examples, rel=0.1, abs=2e-6)


def test_a_strategy_without_variance_over_seeds_adds_none() -> None:
    first, second = curves()
    constant = np.repeat(second[:, :1], 5, axis=1)  # one run, counted at every seed
    found = differences(first, constant)
    alone = np.var(first.mean(axis=2), axis=1, ddof=1) / 5
    assert np.diag(found.seeds) == pytest.approx(alone)
    assert differences(constant, constant).seeds == pytest.approx(0)


def test_a_missing_run_takes_away_its_own_score_alone() -> None:
    first, second = curves()
    first[1, 2] = np.nan
    found = differences(first, second)
    assert found.means[1] == pytest.approx(np.nanmean(first[1]) - second[1].mean())
    assert found.means[0] == pytest.approx(first[0].mean() - second[0].mean())
    assert found.df == 3
    assert np.isfinite(found.draws(10)).all()
    first[1] = np.nan
    with pytest.raises(ValueError, match="two runs"):
        differences(first, second)


def test_resampled_scores_give_nearly_the_same() -> None:
    first, second = curves(examples=400)
    scorer = ratio_scorer(np.concatenate([*first, *second]), np.ones((40, 400)))
    drawn = multi_bootstrap(scorer, [5] * 8, examples=400, replicates=4000, keep_runs=True).resampled
    assert drawn is not None
    drawn = drawn.reshape(4000, 2, 4, 5)
    exact = differences(first, second)
    found = differences_resampled(first.mean(axis=2), second.mean(axis=2), drawn[:, 0], drawn[:, 1])
    assert found.seeds == pytest.approx(exact.seeds)
    assert found.examples == pytest.approx(exact.examples, abs=0.15 * exact.examples.max())
