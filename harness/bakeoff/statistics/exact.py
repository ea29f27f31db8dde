"""Exact tests beside the primary one: randomisation tests over seeds alone, McNemar's over examples alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, count

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bakeoff.contracts.metric import Floats

ENUMERATED = 20
"""For up to so many differences all sign patterns are enumerated: 2 ** 19 sums, some milliseconds."""

RANDOM_FLIPS = 100_000

MOST_SPLITS = 200_000
"""If there are at most so many ways of dealing the runs to two sides, all are tried: ten runs a side give 184,756."""

AT_ONCE = 5_000
"""How many ways are tried together, so that they fit into memory."""


@dataclass(frozen=True)
class Randomisation:
    """A randomisation test's two-sided p, and the `smallest` p that the test can give with so many runs."""

    p: float
    smallest: float


def sign_flip(d: Floats, *, seed: int = 0) -> Randomisation:
    """Fisher's randomisation test of paired differences d, (K,).

    p is the share of sign patterns, given to the differences, that bring their sum at least as far from 0 as observed.
    Differences of 0 are left out. Up to 20 differences all patterns are enumerated; above, 100,000 random ones are drawn by a
    generator with that `seed`, and the observed pattern counts as one of them.
    """
    d = np.asarray(d, dtype=np.float64)
    if d.ndim != 1 or len(d) < 1:
        raise ValueError(f"a sign-flip test needs one row of differences, (K,) with K >= 1, not shape {d.shape}")
    d = d[d != 0]
    if not len(d):
        return Randomisation(1.0, 1.0)
    far = abs(float(d.sum())) - 1e-9 * float(np.abs(d).sum())  # equal sums differ by rounding
    if len(d) > ENUMERATED:
        hits = _random_hits(d, far, np.random.default_rng(seed))
        return Randomisation((hits + 1) / (RANDOM_FLIPS + 1), max(smallest_sign_flip_p(len(d)), 1 / (RANDOM_FLIPS + 1)))
    sums = d[:1]  # the first sign stays: the other half mirrors this one
    for step in d[1:]:
        sums = np.concatenate([sums + step, sums - step])
    return Randomisation(float((np.abs(sums) >= far).mean()), smallest_sign_flip_p(len(d)))


def _random_hits(d: Floats, far: float, rng: np.random.Generator) -> int:
    """How many of `RANDOM_FLIPS` random sign patterns bring the sum of the differences d, (K,), at least `far` from 0.

    Draws one random bit per sign, in batches.
    """
    hits, done, step = 0, 0, max(1, 4_000_000 // len(d))
    while done < RANDOM_FLIPS:
        count = min(step, RANDOM_FLIPS - done)
        bits = np.unpackbits(np.frombuffer(rng.bytes(count * len(d) // 8 + 1), dtype=np.uint8), count=count * len(d))
        sums = 2 * (bits.reshape(count, len(d)) @ d) - d.sum()
        hits += int((np.abs(sums) >= far).sum())
        done += count
    return hits


def permutation(a: Floats, b: Floats, *, seed: int = 0) -> Randomisation:
    """Fisher's randomisation test of two sides, scores (Ka,) and (Kb,).

    p is the share of the ways of dealing all runs to the two sides in which their means are at least as far apart as observed.

    Up to 200,000 ways all are tried; above, 100,000 random ones are drawn by a generator with that `seed`, and the observed one
    counts as one of them.
    """
    return permutations([(a, b)], seed=seed)[0]


def permutations(pairs: Sequence[tuple[Floats, Floats]], *, seed: int = 0) -> list[Randomisation]:
    """`permutation` of each of several pairs of sides. Pairs with as many runs are tried together: they share the deals."""
    of_sizes: dict[tuple[int, int], list[int]] = {}
    for number, (a, b) in enumerate(pairs):
        if min(len(a), len(b)) < 1:
            raise ValueError(f"a permutation test needs a run on each side, not {len(a)} and {len(b)}")
        of_sizes.setdefault((len(a), len(b)), []).append(number)
    found: dict[int, Randomisation] = {}
    for numbers in of_sizes.values():
        firsts, seconds = (np.array([pairs[number][side] for number in numbers], dtype=np.float64) for side in (0, 1))
        found |= zip(numbers, _permuted(firsts, seconds, seed), strict=True)
    return [found[number] for number in range(len(pairs))]


def _permuted(firsts: Floats, seconds: Floats, seed: int) -> list[Randomisation]:
    """The test of P pairs of sides, scores (P, Ka) and (P, Kb)."""
    scores, ka, kb = np.concatenate([firsts, seconds], axis=1), firsts.shape[1], seconds.shape[1]
    rounding = 1e-9 * np.abs(scores).max(axis=1)  # by so little equal means may differ
    far = np.abs(firsts.mean(axis=1) - seconds.mean(axis=1)) - rounding
    total, hits = scores.sum(axis=1), np.zeros(len(scores), dtype=np.int64)
    dealt, ways = _dealt(ka + kb, ka, seed), math.comb(ka + kb, ka)
    mirrored = ways <= MOST_SPLITS and ka == kb
    if mirrored:  # the ways without the first run are those with it, sides changed
        dealt = dealt[: ways // 2]
    for start in range(0, len(dealt), AT_ONCE):
        sums = dealt[start : start + AT_ONCE].astype(np.float64) @ scores.T
        hits += (np.abs(sums / ka - (total - sums) / kb) >= far).sum(axis=0)
    least = smallest_permutation_p(ka, kb)
    if ways <= MOST_SPLITS:
        p, smallest = (2 if mirrored else 1) * hits / ways, least
    else:
        p, smallest = (hits + 1) / (RANDOM_FLIPS + 1), max(least, 1 / (RANDOM_FLIPS + 1))
    constant = np.ptp(scores, axis=1) == 0
    return [
        Randomisation(1.0, 1.0) if same else Randomisation(float(one), smallest) for same, one in zip(constant, p, strict=True)
    ]


@lru_cache(maxsize=1)
def _dealt(runs: int, k: int, seed: int) -> NDArray[np.bool_]:
    """(ways, runs) whether a run goes to the first side, in each way that `permutation` tries. All pairs of a group with as
    many runs share them."""
    if math.comb(runs, k) <= MOST_SPLITS:
        chosen = np.array(list(combinations(range(runs), k)), np.intp)
        dealt = np.zeros((len(chosen), runs), bool)
        np.put_along_axis(dealt, chosen, True, axis=1)
        return dealt
    draw, dealt = np.random.default_rng(seed), np.zeros((RANDOM_FLIPS, runs), bool)
    for start in range(0, RANDOM_FLIPS, AT_ONCE):
        chosen = draw.random((AT_ONCE, runs)).argpartition(k - 1, axis=1)[:, :k]
        np.put_along_axis(dealt[start : start + AT_ONCE], chosen, True, axis=1)
    return dealt


def smallest_permutation_p(ka: int, kb: int) -> float:
    """The smallest two-sided p that `permutation` can give for ka and kb runs; with ka = kb, each way has a mirror image."""
    return (2 if ka == kb else 1) / math.comb(ka + kb, ka)


def seeds_for_permutation(alpha: float = 0.05, *, comparisons: int = 1) -> int:
    """How many seeds a side `permutation` needs before its smallest p is below alpha over the number of comparisons (Holm)."""
    return next(k for k in count(2) if smallest_permutation_p(k, k) < alpha / comparisons)


def smallest_sign_flip_p(k: int) -> float:
    """The smallest two-sided p that `sign_flip` can give for k differences."""
    return float(2.0 ** (1 - k))


def seeds_for_sign_flip(alpha: float = 0.05, *, comparisons: int = 1) -> int:
    """How many seeds the sign-flip test needs before its smallest p is below alpha over the number of comparisons (Holm)."""
    return 1 + math.ceil(math.log2(comparisons / alpha) - 1e-12)


def mcnemar_p(b: int, c: int) -> float:
    """Two-sided p of McNemar's exact (binomial) test of two fixed models on the same examples.

    b, c: numbers of examples that only the first, only the second model has right.
    """
    return min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))
