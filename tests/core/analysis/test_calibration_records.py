"""The primary comparison on answers of real runs: resampled so that the truth is known, it errs as often as it says.

The pool are published runs of MiniLM on MRPC, all weights fine-tuned: 19 different trainings on the 1,725 examples of test.
Runs are drawn from it without replacement, since a run that stands twice in an arm makes seeds look alike; examples with
replacement.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulations.cells import ALPHA, judged, share
from simulations.rule import Tables, all_pairs, holm, tables, to_baseline, together
from worlds import Bools

from bakeoff.records.load import load_experiment

RESULTS = Path(__file__).parents[3] / "results"
EXPERIMENTS = ("mrpc-trainers", "course-2021", "course-today", "mrpc-strategies")
AT_ONCE = 100

REPLICATIONS = pytest.mark.parametrize("replications", [1000, pytest.param(4000, marks=pytest.mark.long)])


@pytest.fixture(scope="module")
def pool() -> Bools:
    """(R, 1725): whether each run was right, from the worst run to the best; twins (same weights) count once."""
    different: dict[str, Bools] = {}
    for name in EXPERIMENTS:
        experiment = load_experiment([RESULTS / name])
        for record in experiment.records:
            if record.requested.method.name != "full":
                continue
            assert record.weights is not None
            found = experiment.predictions(record.id)["test"]
            different[record.weights.final_sha256] = found.logits.argmax(axis=1) == found.labels
    runs = np.stack(list(different.values()))
    assert len(runs) >= 19
    return runs[np.argsort(runs.mean(axis=1))]


def arms(pools: list[Bools], k: int, n: int, *, repeats_between: bool = False, swapping: bool = False) -> Tables:
    """n experiments with an arm of k runs from each pool, on examples drawn anew. Arms from one pool have no run in common,
    except where it has too few: `repeats_between`.

    swapping: at every example the two arms change places by the toss of a coin. Whatever one does better there stays real, and
    its sign is chance: strategies suit other examples, and none is better in all.
    """
    rng, parts = np.random.default_rng(0), []
    for start in range(0, n, AT_ONCE):
        drawn = []
        for _ in range(min(AT_ONCE, n - start)):
            examples = rng.integers(0, pools[0].shape[1], pools[0].shape[1])
            deck: dict[int, list[int]] = {}
            sides = []
            for side in pools:
                if repeats_between or id(side) not in deck:
                    deck[id(side)] = rng.permutation(len(side)).tolist()
                runs = [deck[id(side)].pop() for _ in range(k)]
                sides.append(side[runs][:, examples])
            swapped = rng.random(len(examples)) < (0.5 if swapping else 0)
            if swapping:
                one, other = sides
                sides = [np.where(swapped, other, one), np.where(swapped, one, other)]
            drawn.append(sides)
        parts.append(tables(np.array(drawn)))
    return together(parts)


@REPLICATIONS
@pytest.mark.parametrize("k", [3, 5, 9])
def test_two_arms_of_one_strategy_are_told_apart_one_time_in_twenty(pool: Bools, k: int, replications: int) -> None:
    found = judged(arms([pool, pool], k, replications), to_baseline(2))
    assert 0.02 <= share(found.p() < ALPHA).value <= 0.07


@REPLICATIONS
@pytest.mark.parametrize("k", [3, 5])
def test_strategies_that_suit_other_examples_are_no_better_for_it(pool: Bools, k: int, replications: int) -> None:
    worse, better = pool[: len(pool) // 2], pool[-(len(pool) // 2) :]
    found = judged(arms([worse, better], k, replications, swapping=True), to_baseline(2))
    assert 0.01 <= share(found.p() < ALPHA).value <= 0.07


@REPLICATIONS
@pytest.mark.parametrize("k", [3, 5])
def test_the_interval_holds_the_difference_of_the_better_runs_to_the_worse(pool: Bools, k: int, replications: int) -> None:
    worse, better = pool[:10], pool[-10:]
    truth = float(better.mean() - worse.mean())
    assert truth > 0.005
    found = judged(arms([worse, better], k, replications), to_baseline(2))
    held = found._replace(difference=found.difference - truth).p() >= ALPHA
    assert share(held).value >= 0.93


@REPLICATIONS
def test_six_arms_of_one_strategy_without_a_common_run_seldom_have_a_winner(pool: Bools, replications: int) -> None:
    p = judged(arms([pool] * 6, 3, replications), all_pairs(6)).p()
    assert share(holm(p).min(axis=1) < ALPHA).value <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 5, 9])
def test_ten_arms_of_one_strategy_seldom_have_a_winner(pool: Bools, k: int) -> None:
    p = judged(arms([pool] * 10, k, 1000, repeats_between=True), all_pairs(10)).p()
    assert share(holm(p).min(axis=1) < ALPHA).value <= 0.06
