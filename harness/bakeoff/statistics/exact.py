"""Exact tests beside the primary one: randomisation tests over seeds alone, McNemar's over examples alone."""

from __future__ import annotations

import math
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
    scores, k = np.concatenate([a, b]).astype(np.float64), len(a)
    if min(k, len(b)) < 1:
        raise ValueError(f"a permutation test needs a run on each side, not {k} and {len(b)}")
    if not np.ptp(scores):
        return Randomisation(1.0, 1.0)
    smallest = smallest_permutation_p(k, len(b))
    far = abs(float(np.mean(a) - np.mean(b))) - 1e-9 * float(np.abs(scores).max())  # equal means differ by rounding
    total, hits = float(scores.sum()), 0
    dealt, ways = _dealt(len(scores), k, seed), math.comb(len(scores), k)
    mirrored = ways <= MOST_SPLITS and k == len(b)
    if mirrored:  # the ways without the first run are those with it, sides changed
        dealt = dealt[: ways // 2]
    for start in range(0, len(dealt), AT_ONCE):
        sums = scores.take(dealt[start : start + AT_ONCE].astype(np.intp), mode="clip").sum(axis=1)  # no number is too large
        hits += int((np.abs(sums / k - (total - sums) / len(b)) >= far).sum())
    if ways <= MOST_SPLITS:
        return Randomisation((2 if mirrored else 1) * hits / ways, smallest)
    return Randomisation((hits + 1) / (RANDOM_FLIPS + 1), max(smallest, 1 / (RANDOM_FLIPS + 1)))


@lru_cache(maxsize=1)
def _dealt(runs: int, k: int, seed: int) -> NDArray[np.uint16]:
    """(ways, k) numbers of the runs that go to the first side in each way that `permutation` tries. All pairs of a group with
    as many runs share them."""
    if math.comb(runs, k) <= MOST_SPLITS:
        return np.array(list(combinations(range(runs), k)), np.uint16)
    draw, dealt = np.random.default_rng(seed), np.empty((RANDOM_FLIPS, k), np.uint16)
    for start in range(0, RANDOM_FLIPS, AT_ONCE):
        dealt[start : start + AT_ONCE] = draw.random((AT_ONCE, runs)).argpartition(k - 1, axis=1)[:, :k]
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
