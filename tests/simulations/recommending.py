"""The recommendation in a second form, for thousands of experiments at once, and how often it errs or finds the cheaper.

The first strategy is the baseline; a strategy costs less than all before it, and by so much that its cost is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special
from simulations.cells import ALPHA, LEAST_SEEDS, SHRUNK_SEEDS, SHRUNK_STRATEGIES, Measured, share
from simulations.rule import Estimates, Tables, all_pairs, holm, tables, to_baseline, welch
from worlds import Bools, Drawn, Floats, World

Choices = NDArray[np.intp]


def recommended(drawn: Drawn, margin: float) -> tuple[Choices, Choices]:
    """(n,) what is taken, and what is the best, -1 where nothing is."""
    learned = ~drawn.collapsed
    of = tables(drawn.right, kept=learned) if drawn.collapsed.any() else tables(drawn.right)
    enough = learned.sum(axis=2) >= LEAST_SEEDS
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(enough, np.nan_to_num(of.means), -1.0)
        good = as_good(of, margin, means)
        if drawn.collapsed.any():
            good &= as_good(tables(drawn.right), margin, means) | ~lost_of_either(learned, means)
    best = means.argmax(axis=1)  # of equal ones the first
    strategies = np.arange(means.shape[1])
    taken = np.where(good & enough & (strategies > best[:, None]), strategies, -1).max(axis=1)
    none = ~enough.any(axis=1)
    return np.where(none, -1, np.where(taken >= 0, taken, best)), np.where(none, -1, best)


def as_good(of: Tables, margin: float, means: Floats) -> Bools:
    """(n, S) whether a strategy is shown not worse than the best by more than the margin, the best being that of `means`.

    The one-sided test of a strategy with the lower mean is the larger p of the two; where its mean is the higher, as that of
    all runs may be, the other one is, which Bonferroni adjusts.
    """
    n, strategies, seeds = of.scores.shape
    shrunk = strategies >= SHRUNK_STRATEGIES and seeds in SHRUNK_SEEDS and not np.isnan(of.scores).any()
    wider, best, rows = of.with_two_examples(), means.argmax(axis=1), np.arange(n)
    found = np.zeros((n, strategies), dtype=bool)
    for pairs, holds in ((all_pairs(strategies), best != 0), (to_baseline(strategies), best == 0)):
        estimates, m = welch(wider, pairs, shrunk=shrunk), len(pairs[0])
        p = np.nan_to_num(estimates.equivalence_p(margin), nan=1.0)
        both = holm(p)
        for number, (a, b) in enumerate(zip(*pairs, strict=True)):
            for one, other, sign in ((a, b, 1), (b, a, -1)):
                easy = sign * estimates.difference[:, number] > 0
                alone = np.minimum(both[:, number], m * _not_below(estimates, number, sign, margin))
                shown = np.where(easy, alone, both[:, number]) < ALPHA
                here = holds & (best == other)
                found[rows[here], one] = shown[here]
    return found


def _not_below(estimates: Estimates, number: int, sign: int, margin: float) -> Floats:
    """(n,) one-sided p that the difference of a pair, turned by its sign, is not below minus the margin."""
    turned = sign * estimates.difference[:, number]
    return np.asarray(special.stdtr(estimates.df[:, number], -(turned + margin) / np.sqrt(estimates.variance[:, number])))


def lost_of_either(learned: Bools, means: Floats) -> Bools:
    """(n, S) whether a run of the strategy or of the best collapsed."""
    lost = ~learned.all(axis=2)
    return lost | np.take_along_axis(lost, means.argmax(axis=1)[:, None], axis=1)


def falsely_cheaper(
    world: World, points: Sequence[float], seeds: int, examples: int, *, margin: float, n: int, seed: int
) -> Measured:
    """How often what is recommended in place of the best is truly worse than it by the margin or more. points: of each strategy
    against the world's accuracy; margin likewise."""
    truth, errors = np.array(points), list[Bools]()
    for drawn in world.better(*points).chunks(n, len(points), seeds, examples, seed=seed):
        taken, best = recommended(drawn, margin / 100)
        errors.append((taken != best) & (truth[taken] <= truth[best] - margin + 1e-9))
    return share(np.concatenate(errors))


def cheaper_taken(
    world: World, points: Sequence[float], seeds: int, examples: int, *, margin: float, which: int, n: int, seed: int
) -> Measured:
    """How often this strategy is taken, by its place."""
    chunks = world.better(*points).chunks(n, len(points), seeds, examples, seed=seed)
    return share(np.concatenate([recommended(drawn, margin / 100)[0] == which for drawn in chunks]))
