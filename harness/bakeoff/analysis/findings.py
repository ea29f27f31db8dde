"""What a comparison finds, as frozen models: scores, differences, verdicts, warnings, boards.

Scores are in the metric's own unit (accuracy: 0 to 1); `Board.figures` writes them as they are shown.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bakeoff.analysis.flags.catalogue import Severity
from bakeoff.contracts.fields import Part
from bakeoff.contracts.unit import OWN_UNIT, Figures, Unit, figures_of

Finding = Literal["identical", "better", "worse", "equivalent", "inconclusive"]
Verdict = Literal["identical", "better", "worse", "equivalent", "inconclusive", "confounded"]


class Score(Part):
    """A row's score over its seeds, with the 95 % interval that goes with what was repeated."""

    mean: float
    sd: float | None
    """Sample standard deviation over seeds; None for one seed."""
    low: float | None
    high: float | None
    method: str
    """What the interval covers, in words: `seeds and examples`, `examples only (one run)`, `seeds only`, or nothing."""
    seeds: list[int]
    values: list[float]
    """One for each seed."""


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

    sign_flip_p: float | None
    sign_flip_floor: float | None
    """The smallest p that the sign-flip test can give with so many seeds."""
    bootstrap_low: float | None
    bootstrap_high: float | None
    bootstrap_p: float | None
    paired_t_p: float | None
    mcnemar_p: float | None
    """Only where each side is one run: two fixed models."""
    seed_correlation: float | None
    """Of the two sides' scores over common seeds: near 0, pairing by seed gains nothing."""
    probability_of_improvement: float | None
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
    detectable_with_all_seeds: float | None
    """The same with seeds without end: what the number of examples allows. Only told of pairs with the baseline, and only where
    the seeds tell the examples' part from none."""
    budget: Budget | None
    checks: Checks
    studied: list[Fact]
    """Differences that `under_test` declares."""
    confounders: list[Fact]
    """Differences that it does not."""
    finding: Finding
    """What the numbers say by themselves."""
    verdict: Verdict
    """What may be said: `confounded` where an undeclared difference forbids `finding`."""
    advice: str
    """What it would take to know more; empty where the verdict settles it."""
    sentence: str


class Ratio(Part):
    """A cost of `first` over that of `second`: geometric means, 95 % interval by paired t on logs."""

    first: str
    second: str
    quantity: Literal["train_seconds", "evaluate_seconds", "total_seconds", "peak_memory"]
    ratio: float | None
    """None where a cost is not a positive number."""
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    comparable: bool
    reason: str
    """Why not, or what to mind; empty where there is nothing."""


class Standing(Part):
    """One row of a board."""

    strategy: str
    experiment: str
    baseline: bool
    group: int
    """Rows of one group have the same comparability key; only they are ranked against each other. 0 is the baseline's."""
    key: dict[str, str]
    """The parts of the comparability key, in words."""
    scores: dict[str, dict[str, Score]]
    """split -> metric -> score."""
    rank: tuple[int, int] | None
    """Best and worst rank that the verdicts over all pairs leave open; None where the row is not ranked."""
    tie_group: int | None
    """Rows with the same rank interval share one, from 1; None as above."""
    degenerate: list[int]
    """Seeds whose run answers always the same or scores no better than the majority's floor plus one standard error."""
    mean_without_degenerate: float | None
    """Of the primary metric on the reported split; None where no seed is degenerate, or all are."""
    front_probability: float | None
    """How often, over bootstrap draws, no row of the group beats it on both quality and train seconds."""
    dominated_by: list[str]
    expected_best: list[float] = Field(default_factory=list)
    """What the best of 1, 2 and so on of its seeds scores on average, up to all of them or ten; of the primary metric on the
    reported split. The first is the mean."""
    recipe: dict[str, str]
    """The effective recipe: subject -> what was observed, else asked, in words."""
    warnings: list[str]
    """Names of warnings, most important first."""


class NamedWarning(Part):
    """Something to mind before the numbers are used; `flags/catalogue.py` explains each name."""

    name: str
    severity: Severity
    board: str
    """`task · model`, empty where it concerns the whole report."""
    rows: list[str]
    what: str
    """What was found."""
    what_to_do: str


class ImportedRow(Part):
    """A figure published elsewhere: shown, never tested."""

    name: str
    source: str
    split: str
    scores: dict[str, float]
    seeds: int
    impossible: dict[str, float] = Field(default_factory=dict)
    """metric -> a figure beyond the metric's range: no score, and told of by different-metrics alone."""


class SliceScore(Part):
    """A row's score on a part of the split, and its difference to the baseline there."""

    column: str
    value: str
    strategy: str
    examples: int
    score: float | None
    """None where the metric says nothing on this part."""
    difference: float | None
    low: float | None
    high: float | None
    p_adjusted: float | None
    """By Holm over all slices and rows of the column; None for the baseline and for slices too small to test."""


class Calibration(Part):
    """How far a row's probabilities can be taken at their word, and how far its seeds agree: means over seeds."""

    strategy: str
    split: str
    ece: float
    """Expected calibration error over 15 equal-mass bins."""
    brier: float
    """Sum over labels of squared differences, mean over examples."""
    agreement: float | None
    """Share of examples on which two seeds answer alike, mean over pairs of seeds; None for one seed."""


class Board(Part):
    """Rows on one task with one model (or with several, where the model is under test)."""

    title: str
    task: str
    model: str
    split: str
    """The one that is reported on."""
    metric: str
    """The primary one."""
    higher_is_better: bool
    figures: Figures
    """How the primary metric's scores, and differences of them, are written; its unit and range."""
    figures_by_metric: dict[str, Figures] = Field(default_factory=dict)
    """The same of every metric of the task."""
    examples: int
    floor: float | None
    margin: float | None
    """In the metric's own unit, as scores are; None where nobody named one."""
    baseline: str
    groups: list[str]
    """For each group of rows, in what its key differs from the baseline's; the first is empty."""
    rows: list[Standing]
    to_baseline: list[Pair]
    """Every row of the baseline's group minus the baseline; Holm over these."""
    all_pairs: list[Pair]
    """Every pair within a group; Holm over these. Empty where there are too many rows, which `notes` says."""
    costs: list[Ratio]
    """Every row against the baseline."""
    slices: list[SliceScore]
    calibration: list[Calibration]
    imported: list[ImportedRow]
    notes: list[str]
    answer: str
    """One sentence, made from the verdicts."""
    silent: dict[str, dict[str, str]] = Field(default_factory=dict)
    """split -> metric that says nothing there -> why. It has no scores, and no pair is judged by it."""

    @property
    def unit(self) -> Unit:
        """The primary metric's."""
        return self.figures.unit

    @property
    def score_ends(self) -> tuple[float | None, float | None]:
        """Between which scores lie, as they are shown."""
        low, high = (None if end is None else end * self.unit.scale for end in (self.unit.low, self.unit.high))
        return low, high

    @property
    def axis_title(self) -> str:
        return ", ".join(filter(None, (f"{self.split} {self.metric}", self.unit.name)))

    def written(self, metric: str, score: float | None) -> str:
        """A score of any metric, of those too that the task has not."""
        known = self.figures if metric == self.metric else self.figures_by_metric.get(metric)
        return (known or figures_of(OWN_UNIT, [score or 0.0], [])).number(score)


class AcrossTasks(Part):
    """Strategies ranked on several boards, by mean scores of the primary metric: Friedman's test, and what it lets one say."""

    mean_ranks: dict[str, float]
    """Strategy -> its mean rank, 1 the best and ties shared; the best first."""
    boards: list[str]
    """Titles of those that have all these strategies scored."""
    chi2_p: float
    f_p: float
    """Of the F of Iman and Davenport; like `chi2_p` an approximation that is good for many boards."""
    p: float
    """The same statistic with each board's ranks dealt anew: what decides."""
    critical_difference: float
    """Of mean ranks, at 5 %: Nemenyi."""
    confounded: list[str]
    """Strategies that on some board differ from the first in something that is not under test."""
    sentence: str


class Comparison(Part):
    """All boards of an experiment, or of several."""

    title: str
    question: str
    answer: str
    boards: list[Board]
    warnings: list[NamedWarning]
    across: AcrossTasks | None = None
    """None where fewer than five boards share two strategies."""
    facts: dict[str, Any]
    """What the page's foot tells: folders, commands, numbers of runs."""
