"""Checks beside the primary comparison: over seeds alone (sign-flip), over examples alone (McNemar)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from bakeoff.contracts.metric import Floats

ENUMERATED = 20
"""Up to so many seeds every sign is tried: 2 ** 19 sums, some milliseconds."""

RANDOM_FLIPS = 100_000


@dataclass(frozen=True)
class SignFlip:
    """`p` is two-sided and can never be below `floor`."""

    p: float
    floor: float


def sign_flip(d: Floats, *, seed: int = 0) -> SignFlip:
    """Fisher's exact test of (K,) paired differences: how often random signs give a sum at least as far from 0.

    Differences of 0 carry no sign, and the floor counts only the others. Above 20 of those, 100,000 random flips by a generator
    of that `seed`, the observed signs counted among them.
    """
    d = np.asarray(d, dtype=np.float64)
    if d.ndim != 1 or len(d) < 1:
        raise ValueError(f"sign-flip needs one row of differences, not shape {d.shape}")
    d = d[d != 0]
    if not len(d):
        return SignFlip(1.0, 1.0)
    far = abs(float(d.sum())) - 1e-9 * float(np.abs(d).sum())  # equal sums differ by rounding
    if len(d) > ENUMERATED:
        hits = _random_hits(d, far, np.random.default_rng(seed))
        return SignFlip((hits + 1) / (RANDOM_FLIPS + 1), max(sign_flip_floor(len(d)), 1 / (RANDOM_FLIPS + 1)))
    sums = d[:1]  # the first sign stays: the other half mirrors this one
    for step in d[1:]:
        sums = np.concatenate([sums + step, sums - step])
    return SignFlip(float((np.abs(sums) >= far).mean()), sign_flip_floor(len(d)))


def _random_hits(d: Floats, far: float, rng: np.random.Generator) -> int:
    """How many of the random flips give a sum that is as far from 0; a bit a sign, a few thousand flips at a time."""
    hits, done, step = 0, 0, max(1, 4_000_000 // len(d))
    while done < RANDOM_FLIPS:
        count = min(step, RANDOM_FLIPS - done)
        bits = np.unpackbits(np.frombuffer(rng.bytes(count * len(d) // 8 + 1), dtype=np.uint8), count=count * len(d))
        sums = 2 * (bits.reshape(count, len(d)) @ d) - d.sum()
        hits += int((np.abs(sums) >= far).sum())
        done += count
    return hits


def sign_flip_floor(k: int) -> float:
    """The least two-sided p that k differences can give."""
    return float(2.0 ** (1 - k))


def seeds_for_sign_flip(alpha: float = 0.05, *, comparisons: int = 1) -> int:
    """How many seeds it takes before the smallest of so many p-values can pass Holm at all."""
    if not 0 < alpha < 1 or comparisons < 1:
        raise ValueError(f"alpha lies between 0 and 1 and there is a comparison, not {alpha} and {comparisons}")
    return 1 + math.ceil(math.log2(comparisons / alpha) - 1e-12)


def mcnemar_p(b: int, c: int) -> float:
    """McNemar's exact test of two fixed models on the same examples: the two-sided binomial p.

    b, c: how many examples only the one, only the other has right.
    """
    if min(b, c) < 0:
        raise ValueError(f"counts are 0 or more, not {b} and {c}")
    return min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))
