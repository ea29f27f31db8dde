"""The input length of `max_length: auto`: long enough for nearly all rows of the training split."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.model import Built
from bakeoff.contracts.recipe import LONGEST_INPUT, SHORTEST_INPUT, Recipe
from bakeoff.toolkit.model_structure import positions_of

QUANTILE: Final = 0.99
"""The share of the training rows that are not cut."""
MULTIPLE: Final = 8
"""Lengths are rounded up to a multiple of this, for which kernels are made."""


def enough_for(lengths: NDArray[np.int64]) -> int:
    """The number of tokens that at least `QUANTILE` of rows of these lengths do not exceed, rounded up to a multiple of
    `MULTIPLE`, within the limits of `max_length`. lengths: (n,), in tokens."""
    needed = int(np.quantile(lengths, QUANTILE, method="inverted_cdf"))
    return min(max(-(-needed // MULTIPLE) * MULTIPLE, SHORTEST_INPUT), LONGEST_INPUT)


def with_length(recipe: Recipe, length: int) -> Recipe:
    """The recipe with this `max_length`."""
    return recipe.model_copy(update={"max_length": length})


def length_in(recipe: Recipe) -> int:
    """The recipe's `max_length`, which must be a number by now."""
    if isinstance(recipe.max_length, str):
        raise TypeError("max_length: auto has no number yet: `assembly.automatic_length` finds it")
    return recipe.max_length


def within_positions(recipe: Recipe, built: Built) -> Recipe:
    """The recipe with a `max_length` that the model can read; the recipe itself if it can."""
    positions = positions_of(built.model)
    return recipe if positions is None or length_in(recipe) <= positions else with_length(recipe, positions)
