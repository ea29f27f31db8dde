"""Rows to train on."""

from __future__ import annotations

from bakeoff.contracts.recipe import Recipe
from bakeoff.training.data import Columns
from bakeoff.training.preparation import training_rows


def test_a_smaller_subset_of_a_seed_is_part_of_a_larger_one() -> None:
    """Another seed or replicate draws others."""
    split = Columns({"label": [0] * 1000, "row": list(range(1000))})

    def rows(size: int | None, seed: tuple[int, int]) -> set[int]:
        return set(training_rows(split, Recipe(train_examples=size), seed=seed)["row"])

    seeds = ((0, 0), (1, 0), (0, 1))
    for seed in seeds:
        assert len(rows(64, seed)) == 64
        assert rows(64, seed) < rows(256, seed) < rows(None, seed)
    assert len({frozenset(rows(64, seed)) for seed in seeds}) == len(seeds)
