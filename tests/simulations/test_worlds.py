"""The worlds are what they are said to be: accuracy, its standard deviation over seeds, and how often two runs disagree."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import (
    BOTH_COLLAPSE,
    EASY_AND_HARD,
    HEAD_LIKE,
    LORA_LIKE,
    MAJORITY,
    ONE_COLLAPSES,
    PLAIN,
    SHARED,
    UNEQUAL,
    WORLDS,
    Drawn,
    Floats,
    World,
    curve,
    in_turn,
)


def means(drawn: Drawn) -> Floats:
    return np.asarray(drawn.right.mean(axis=(0, 2, 3)))


def sds(drawn: Drawn) -> Floats:
    """(S,) standard deviations over seeds without the binomial part: covariance of the accuracies on two halves of examples."""
    halves = [drawn.right[..., start::2].mean(axis=-1) for start in (0, 1)]
    one, other = (half - half.mean(axis=2, keepdims=True) for half in halves)
    n, _, k = one.shape
    return np.asarray(np.sqrt((one * other).sum(axis=(0, 2)) / (n * (k - 1))))


def disagreement(drawn: Drawn) -> float:
    """Share of examples on which two runs of a strategy are not both right or both wrong."""
    return float((drawn.right[:, :, 0] != drawn.right[:, :, 1]).mean())


@pytest.mark.parametrize("accuracy", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("name", WORLDS)
def test_strategies_have_the_accuracy_that_was_asked_for(name: str, accuracy: float) -> None:
    world = WORLDS[name].at(accuracy)
    expected = accuracy if name != "both collapse" else 0.9 * accuracy + 0.1 * MAJORITY
    drawn = world.draw(np.random.default_rng(0), 600, 2, 4, 408)
    per_experiment = drawn.right.mean(axis=(1, 2, 3))
    error = per_experiment.std() / np.sqrt(len(per_experiment))
    assert abs(per_experiment.mean() - expected) <= 4 * error
    assert error < 0.003


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (PLAIN, [1.0]),
        (PLAIN.at(0.95), [1.0]),
        (PLAIN.at(0.99), [1.0]),
        (EASY_AND_HARD, [1.0]),
        (SHARED, [1.0]),
        (UNEQUAL, [0.6, 0.1, 2.0, 0.3, 1.0, 1.3, 3.0]),
        (World(seed_sd=1.0, suits=(0.5, 2.5)), [1.0, 1.0]),
    ],
    ids=["80 %", "95 %", "99 %", "easy and hard", "shared", "unequal", "suits others"],
)
def test_seeds_move_the_accuracy_as_much_as_was_asked_for(world: World, expected: list[float]) -> None:
    drawn = world.draw(np.random.default_rng(1), 150, len(expected), 10, 2000)
    assert sds(drawn) * 100 == pytest.approx(expected, rel=0.12, abs=0.1)


def test_seeds_with_heavy_tails_have_the_standard_deviation_that_was_asked_for() -> None:
    """By integration: its estimate from draws hardly converges."""
    world = World(tails="t3")
    shift, scale = world.solved(0)
    effects = np.random.default_rng(2).standard_t(3, 400_000) / np.sqrt(3)
    shares = np.interp(shift + scale * effects, *curve(0.8, world.concentration, 0.0))
    assert shares.mean() == pytest.approx(0.8, abs=2e-4)
    assert shares.std() == pytest.approx(0.01, abs=6e-4)


@pytest.mark.parametrize(
    ("world", "expected"),
    [(PLAIN, 0.084), (World(concentration=0.55), 0.114), (EASY_AND_HARD, 0.022), (LORA_LIKE, 0.083), (HEAD_LIKE, 0.074)],
    ids=["plain", "flatter", "easy and hard", "LoRA-like", "head-like"],
)
def test_two_runs_disagree_as_often_as_their_difficulties_say(world: World, expected: float) -> None:
    """2 a (1 - a) c / (c + 1) for Beta difficulties, and a little more for what seeds do."""
    assert disagreement(world.draw(np.random.default_rng(3), 100, 2, 2, 1725)) == pytest.approx(expected, abs=0.002)


def test_differences_are_placed_exactly() -> None:
    world = HEAD_LIKE.better(0.0, -1.0, 2.0)
    drawn = world.draw(np.random.default_rng(4), 2000, 3, 2, 277)
    differences = drawn.right.mean(axis=(2, 3)) - drawn.right[:, :1].mean(axis=(2, 3))
    error = differences.std(axis=0) / np.sqrt(2000)
    assert (np.abs(differences.mean(axis=0) - [0.0, -0.01, 0.02]) <= 4 * error).all()
    assert (error < 0.001).all()


def test_shared_streams_make_strategies_alike_within_a_seed() -> None:
    drawn = SHARED.draw(np.random.default_rng(5), 100, 2, 10, 1725)
    scores = drawn.right.mean(axis=3)
    within = [np.corrcoef(*experiment)[0, 1] for experiment in scores]
    assert np.mean(within) > 0.7
    assert (drawn.right[:, 0] != drawn.right[:, 1]).mean() < 0.6 * disagreement(drawn)


def test_a_collapsed_run_is_right_wherever_every_other_collapsed_run_is() -> None:
    drawn = BOTH_COLLAPSE.draw(np.random.default_rng(6), 400, 2, 5, 277)
    assert drawn.collapsed.mean() == pytest.approx(0.1, abs=0.02)
    for right, collapsed in zip(drawn.right, drawn.collapsed, strict=True):
        assert (right[collapsed] == right[collapsed][:1]).all()
    assert drawn.right[drawn.collapsed].mean() == pytest.approx(MAJORITY, abs=0.01)
    one = ONE_COLLAPSES.draw(np.random.default_rng(7), 400, 2, 5, 71).collapsed.mean(axis=(0, 2))
    assert one == pytest.approx([0.0, 0.1], abs=0.02)


def test_strategies_that_suit_other_examples_differ_on_them_at_every_seed() -> None:
    """The variance over examples of the strategies' expected difference, which no number of seeds removes."""

    def lasting(world: World) -> float:
        right = world.draw(np.random.default_rng(8), 100, 2, 40, 408).right
        halves = [right[:, :, start::2].mean(axis=2) for start in (0, 1)]
        one, other = (half[:, 0] - half[:, 1] for half in halves)
        return float((one * other).mean())

    alike, lora, head = (lasting(each) for each in (World(seed_sd=0.15), LORA_LIKE, HEAD_LIKE))
    assert abs(alike) < 1e-4 < 4e-3 < lora < head


def test_the_same_numbers_give_the_same_experiments_in_any_number_of_parts() -> None:
    parts = list(PLAIN.chunks(3000, 2, 10, 1725, seed=9))
    assert len(parts) > 1
    assert sum(len(part.right) for part in parts) == 3000
    again = next(PLAIN.chunks(3000, 2, 10, 1725, seed=9))
    assert (again.right == parts[0].right).all()
    assert (parts[0].right[:50] != parts[1].right[:50]).any()


def test_values_are_given_to_strategies_in_turn() -> None:
    assert in_turn((1.0, 2.0), 5).tolist() == [1.0, 2.0, 1.0, 2.0, 1.0]
    assert PLAIN.better(0.0, 2.0).accuracy == (0.8, pytest.approx(0.82))
