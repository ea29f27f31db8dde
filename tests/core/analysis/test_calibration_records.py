"""The primary comparison on answers of real runs: resampled so that the truth is known, it errs as often as it says.

The pool are all published runs of MiniLM on MRPC: nine different trainings on the 1,725 examples of test. Examples are drawn
from it with replacement, runs of one arm without: an arm with one run twice has seeds more alike than any in the world.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from core.calibration import FAMILIES, REPLICATIONS, Draw, Pair, coverage, false_positive_rate

from bakeoff.contracts.metric import Floats
from bakeoff.records.load import load_experiment
from bakeoff.statistics.multiplicity import holm
from bakeoff.statistics.twoway import two_way_unpaired

RESULTS = Path(__file__).parents[3] / "results"
EXPERIMENTS = ("mrpc-trainers", "course-2021", "course-today")
SEEDS = [3, 5]


@pytest.fixture(scope="module")
def pool() -> Floats:
    """(9, 1725): whether each run was right; twins (same weights) count once."""
    different: dict[str, Floats] = {}
    for name in EXPERIMENTS:
        experiment = load_experiment([RESULTS / name])
        for record in experiment.records:
            assert record.weights is not None
            found = experiment.predictions(record.id)["test"]
            different[record.weights.final_sha256] = (found.logits.argmax(axis=1) == found.labels).astype(np.float64)
    assert len(different) == 9
    return np.stack(list(different.values()))


def drawing(first: Floats, second: Floats, k: int) -> Draw:
    """Pairs of K runs of each pool on examples drawn anew."""

    def draw(rng: np.random.Generator) -> Pair:
        examples = rng.integers(0, first.shape[1], first.shape[1])
        one, other = (side[rng.permutation(len(side))[:k]] for side in (first, second))
        return one[:, examples], other[:, examples]

    return draw


def suiting(first: Floats, second: Floats, k: int) -> Draw:
    """As above, with strategies that suit some examples better than others by what two real pools differ, and none in all.

    At every example the two sides change places by the toss of a coin: whatever one strategy does better there stays real, and
    its sign is chance.
    """
    plain = drawing(first, second, k)

    def draw(rng: np.random.Generator) -> Pair:
        one, other = plain(rng)
        swapped = rng.random(one.shape[1]) < 0.5
        return np.where(swapped, other, one), np.where(swapped, one, other)

    return draw


@REPLICATIONS
@pytest.mark.parametrize("k", SEEDS)
def test_two_arms_of_one_strategy_are_told_apart_one_time_in_twenty(pool: Floats, k: int, replications: int) -> None:
    assert false_positive_rate(drawing(pool, pool, k), replications) <= 0.07


@REPLICATIONS
@pytest.mark.parametrize("k", SEEDS)
def test_strategies_that_suit_other_examples_are_no_better_for_it(pool: Floats, k: int, replications: int) -> None:
    ranked = pool[np.argsort(pool.mean(axis=1))]
    assert false_positive_rate(suiting(ranked[:4], ranked[5:], min(k, 4)), replications) <= 0.07


@REPLICATIONS
@pytest.mark.parametrize("k", SEEDS)
def test_the_interval_holds_the_difference_of_the_better_runs_to_the_worse(pool: Floats, k: int, replications: int) -> None:
    ranked = pool[np.argsort(pool.mean(axis=1))]
    worse, better = ranked[:5], ranked[4:]
    truth = float(better.mean() - worse.mean())
    assert truth > 0.005
    assert coverage(drawing(better, worse, k), truth, replications, seed=1) >= 0.93


@FAMILIES
@pytest.mark.parametrize("k", SEEDS)
def test_ten_arms_of_one_strategy_seldom_have_a_winner(pool: Floats, k: int, replications: int) -> None:
    rng, found = np.random.default_rng(0), 0
    for _ in range(replications):
        examples = rng.integers(0, pool.shape[1], pool.shape[1])
        arms = pool[[rng.permutation(len(pool))[:k] for _ in range(10)]][:, :, examples]
        p = [two_way_unpaired(one, other).p for one, other in combinations(arms, 2)]
        found += bool(holm(p).min() < 0.05)
    assert found / replications <= 0.06
