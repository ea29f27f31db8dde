"""The difference of two rows, as a frozen model. Differences are in the unit of the metric (accuracy: 0 to 1)."""

from __future__ import annotations

from typing import Literal

from bakeoff.contracts.fields import Part

Finding = Literal["identical", "better", "worse", "equivalent", "inconclusive"]


Verdict = Literal["identical", "better", "worse", "equivalent", "inconclusive", "confounded"]


class Fact(Part):
    """A part of the recipe, or of what was done, in which two rows differ."""

    subject: str
    """In words: `gradient clipping`."""
    first: str
    second: str
    parts: list[str]
    """What `under_test` may name to declare it; empty where nothing can."""
    declared: bool

    def sentence(self) -> str:
        return f"{self.subject} ({self.first} against {self.second})"


class Budget(Part):
    """Variance components of a difference, in squared units of the metric: what its uncertainty is made of."""

    seed: float
    example: float
    residual: float
    largest: Literal["seeds", "examples"]
    """What to buy next: the one that brings the interval down faster."""


class Checks(Part):
    """Other tests beside the primary one. Probabilities are two-sided and unadjusted; None where a test does not apply."""

    sign_flip_p: float | None = None
    sign_flip_smallest_p: float | None = None
    """The smallest p that the sign-flip test can give with so many seeds."""
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    bootstrap_p: float | None = None
    paired_t_p: float | None = None
    mcnemar_p: float | None = None
    """Only where each side is one run: two fixed models."""
    seed_correlation: float | None = None
    """Of the two sides' scores over common seeds: near 0, pairing by seed gains nothing."""
    probability_of_improvement: float | None = None
    """How often a run of the first is better than one of the second, ties counting half; needs two runs a side."""


class Pair(Part):
    """Two rows of a board: `first` minus `second`."""

    first: str
    second: str
    seeds: tuple[int, int]
    """Of each side."""
    paired: bool
    """Whether the same seeds stand on both sides."""
    examples: int
    method: Literal["two-way", "two-way by resampling", "seeds only", "none"]
    difference: float
    low: float | None
    high: float | None
    """The 95 % interval, not adjusted."""
    wide_low: float | None
    wide_high: float | None
    """The interval at the level of Bonferroni over the family."""
    p: float | None
    p_adjusted: float | None
    """By Holm over the family."""
    comparisons: int
    """How many pairs the family has."""
    margin: float | None
    equivalence_p: float | None
    """Of TOST, adjusted by Holm over the family."""
    detectable: float | None
    """The difference that this design finds with 80 % power at a two-sided 5 %."""
    detectable_with_all_seeds: float | None = None
    """The same with seeds without end: what the number of examples allows. Only told of pairs with the baseline, and only where
    the seeds tell the examples' part from none."""
    budget: Budget | None
    checks: Checks = Checks()
    studied: list[Fact]
    """Differences that `under_test` declares."""
    confounders: list[Fact]
    """Differences that it does not."""
    finding: Finding
    """What the numbers say by themselves."""
    verdict: Verdict
    """What may be said: `confounded` where an undeclared difference forbids `finding`."""
    advice: str = ""
    """What it would take to know more; empty where the verdict settles it."""
    sentence: str = ""
