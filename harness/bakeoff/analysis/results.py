"""What a comparison finds for one strategy (`Row`) and for two (`Pair`): every output is written from these models."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import Field

from bakeoff.analysis.summary.compute import Work
from bakeoff.analysis.timings import RunTime
from bakeoff.contracts.fields import Part
from bakeoff.contracts.model import HeadOrigin
from bakeoff.records.schema import Attempt
from bakeoff.text.numbers import per_cent, with_decimals


class Bounds(NamedTuple):
    """A 95 % interval of a score, in words what it covers, and the standard error; the fields are those of `Score`."""

    low: float | None = None
    high: float | None = None
    method: str = ""
    se: float | None = None


class Score(Part):
    """A row's mean score over its seeds, with a 95 % interval over what varied: seeds and examples, or one of them
    (`method`)."""

    mean: float
    sd: float | None
    """Sample standard deviation over seeds; None for one seed."""
    low: float | None
    high: float | None
    method: str
    """What the interval covers, in words: `seeds and examples`, `examples only (one run)`, `examples only (does not depend on
    the seed)`, `seeds only`, or nothing."""
    se: float | None = None
    """Standard error of the mean, over what the interval covers; None where the interval is of percentiles, or where nothing
    varies."""
    seeds: list[int]
    values: list[float]
    """The score of each seed, in the order of `seeds`."""


class Spread(Part):
    """A quantity over seeds: its mean and sample standard deviation (n - 1), which is None for a single seed."""

    mean: float
    sd: float | None
    n: int


class Failed(Part):
    """A run that ended without scores."""

    seed: int
    reason: str
    message: str


class Collapsed(Part):
    """A run whose answers are all the same, but for noise."""

    seed: int
    score: float | None
    """By the primary metric on the reported split; None where the metric cannot tell predictions apart there."""


class Unlearned(Part):
    """How many of a strategy's runs that ended did not learn: they collapsed (gave one constant answer) or failed."""

    collapsed: int
    failed: int
    """Runs that ended without scores; not those that were interrupted."""
    runs: int
    """Runs that ended, with scores or without; not those that were interrupted."""
    low: float
    high: float
    """The 95 % interval of the share of runs that did not learn: Wilson's; where it is none or all of them, an exact bound on
    one side."""

    @property
    def number(self) -> int:
        return self.collapsed + self.failed

    @property
    def learned(self) -> int:
        return self.runs - self.number

    @property
    def words(self) -> str:
        """The share with its interval: `1 of 5 (4 to 62 %)`, `0 of 5 (up to 45 %)`, `5 of 5 (at least 55 %)`."""
        low, high = with_decimals(self.low * 100, 0), per_cent(self.high)
        bound = f"up to {high}" if not self.number else f"at least {low} %" if not self.learned else f"{low} to {high}"
        return f"{self.number} of {self.runs} ({bound})"


class SeedNote(Part):
    """A sentence about one run."""

    seed: int
    note: str


class KeptAt(Part):
    """Where a run's model was kept."""

    seed: int
    folder: str
    """Its path; absolute, or relative, as the experiment's folder was given."""


class ByEpoch(Part):
    """The scores of one run while it trained, at the end of each epoch and at the end of training."""

    seed: int
    split: str
    scores: list[float]
    """By the primary metric, in order; where there are many, only the last ones."""
    first: int
    """The number, from 1, of the evaluation that gave the first of `scores`."""
    chosen: int
    """The number, from 1, of the evaluation at which the weights were taken that the run is scored with."""


class Unscored(Part):
    """Runs whose answers on a split have no score by a metric."""

    split: str
    metric: str
    seeds: list[int]


class Row(Part):
    """A strategy's result in a comparison group: what every output is written from.

    `summary.rows.describe` fills in what the records tell, `comparison.judge_group` what comparing it with other rows adds.
    """

    strategy: str
    title: str
    """What headings call it: `Full fine-tuning (full)`, or its name."""
    experiment: str
    baseline: bool
    trainer: str | None
    method: str | None
    """Trainer and method in words, with the options in which rows differ; None where nothing is recorded yet."""
    facts: dict[str, Any]
    """The settings that were requested, and the model's size, as values for programs; `recipe` has them in words."""
    recipe: dict[str, str]
    """The effective recipe: setting -> its value in words, as it was observed in training, else as requested. Numbers of steps
    and parameters are in it too."""
    seeds: list[int]
    """The seeds that the experiment declares for it."""
    seed_free: bool = False
    """Whether the strategy does not depend on the seed: its one run counts at every seed that others have."""
    scored: list[int]
    """Seeds whose runs ended with scores; every mean cost below is over these."""
    failed: list[Failed]
    attempts: list[Attempt]
    """Earlier attempts at its runs, which failed; of all seeds."""
    unkept: list[SeedNote]
    """For each run whose model was to be kept and was not: why."""
    kept: list[KeptAt] = Field(default_factory=list)
    by_epoch: list[ByEpoch] = Field(default_factory=list)
    """Scores during training, of the runs that were evaluated more than once."""
    process_notes: list[SeedNote]
    """How processes of runs failed after their record was complete."""
    missing: list[int]
    """Declared seeds without a record that can be read; with declared looks, only seeds up to the look that the row has
    reached."""
    owns: list[str]
    """What the trainer decides by itself instead of following the harness."""
    heads: list[HeadOrigin]
    """Where the layers that compute the logits came from, such as `new`; empty where nobody noted it."""
    notes: list[str]
    """Its trainer's remarks on how it follows the recipe."""
    elsewhere: list[str]
    """How the environment of some of its runs differs from the group's, in words."""
    scores: dict[str, dict[str, Score]]
    """Split -> metric -> score over seeds; a metric by which some run has no score is left out."""
    unscored: list[Unscored]
    train_seconds: Spread | None
    evaluate_seconds: Spread | None
    train_samples_per_second: Spread | None
    evaluate_samples_per_second: Spread | None
    energy_joules: Spread | None
    peak_memory_bytes: int | None
    peak_device_memory_bytes: int | None
    """Both peaks are the largest over seeds."""
    final_sha256: dict[int, str]
    """Seed -> hash of the trained weights."""
    work: Work
    timed: RunTime | None = None
    """How long a run takes, measured by `bakeoff time`; None unless that measured the configuration that was run."""

    ranking: int = 0
    """The number of its ranking, 0 the baseline's. Rows of one ranking differ in none of the conditions of `key` but those
    under test; only they are ranked against each other."""
    key: dict[str, str] = Field(default_factory=dict)
    """Condition -> its value in words, of all that decides which rows may be ranked against each other: data, hardware,
    software, ..."""
    rank: tuple[int, int] | None = None
    """Best and worst rank that the verdicts over all pairs leave open; None where the row is not ranked."""
    tie_group: int | None = None
    """The number, from 1, of its tie group: the rows with the same rank interval. None where the row is not ranked."""
    collapsed: list[Collapsed] = Field(default_factory=list)
    """Runs that ended with scores and learned nothing. Scores, ranks, the Pareto front, slices and `expected_best` are of the
    other runs, those that learned. Where no run learned, scores are of the collapsed ones, and the row enters no test and has
    no rank."""
    unlearned: Unlearned | None = None
    """How many of its runs collapsed or failed; None where no run has ended."""
    above_majority_p: float | None = None
    """One-sided p-value against the majority baseline on the same examples: small where its runs that learned are better. None
    where no run learned, or the metric is no ratio of sums."""
    front_probability: float | None = None
    """The share of bootstrap draws in which no row of the ranking beats it on both quality and the group's cost
    (`cost_axis`)."""
    dominated_by: list[str] = Field(default_factory=list)
    expected_best: list[float] = Field(default_factory=list)
    """What the best of 1, 2, ... of its seeds scores on average, up to all of them or ten, by the primary metric on the
    reported split. The first is the mean."""
    warnings: list[str] = Field(default_factory=list)
    """Names of warnings, most important first."""

    @property
    def learned(self) -> list[int]:
        """Seeds whose runs ended with scores and did not collapse."""
        collapsed = {run.seed for run in self.collapsed}
        return [seed for seed in self.scored if seed not in collapsed]

    @property
    def averaged(self) -> list[int]:
        """Seeds that every mean score is over: those that learned; where there are none, all that have scores."""
        return self.learned or self.scored

    @property
    def needed(self) -> list[int]:
        """Declared seeds whose runs are recorded or missing; with declared looks, without the seeds that no look has asked for
        yet."""
        there = {*self.scored, *(failed.seed for failed in self.failed), *self.missing}
        return [seed for seed in self.seeds if seed in there]

    def score(self, split: str, metric: str) -> Score | None:
        return self.scores.get(split, {}).get(metric)


Finding = Literal["identical", "better", "worse", "equivalent", "futile", "inconclusive", "open", "withheld"]
"""What the numbers of a pair say. Two are of experiments with declared looks, numbers of seeds at which pairs are judged:
`futile`, less than one chance in ten of a decision by the last look; `open`, to be judged again at the next one. `withheld`:
seeds or looks were changed, or experiments pooled, when results were known, so that no p-value holds."""


Verdict = Literal["identical", "better", "worse", "equivalent", "futile", "inconclusive", "open", "confounded", "withheld"]


class Fact(Part):
    """A setting, or a condition such as the machine, in which two rows differ."""

    subject: str
    """What differs, in words: `gradient clipping`."""
    first: str
    second: str
    parts: list[str]
    """The names by which `under_test` in the experiment file declares this difference; empty where it cannot be declared."""
    declared: bool

    def sentence(self) -> str:
        return f"{self.subject} ({self.first} against {self.second})"


class Budget(Part):
    """Variance components of a difference, in squared units of the metric: what its uncertainty is made of."""

    seed: float
    example: float
    residual: float
    largest: Literal["seeds", "examples"]
    """Which of the two, more seeds or more examples, would narrow the interval faster."""


class Checks(Part):
    """Other tests of two rows, beside the primary one. Probabilities are two-sided and unadjusted; None where a test does not
    apply."""

    randomisation_p: float | None = None
    """p of the exact test over seeds alone: a sign-flip test where seeds are paired, else a permutation of runs between the
    two sides."""
    randomisation_smallest_p: float | None = None
    """The smallest p that this test can give with so many seeds."""
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    bootstrap_p: float | None = None
    seeds_t_p: float | None = None
    """p of the t-test over seeds alone: paired where seeds are paired, else Welch's."""
    mcnemar_p: float | None = None
    """p of McNemar's test, only where each side is one run: two fixed models."""
    seed_correlation: float | None = None
    """Correlation of the two sides' scores over paired seeds; near 0, pairing gains nothing."""
    probability_of_improvement: float | None = None
    """The share of pairs of runs in which the first side's is better than the second's, ties counting half; needs two runs a
    side."""


class AtLook(Part):
    """The last declared look, a number of seeds at which pairs are judged, that judged a pair."""

    number: int
    """From 1."""
    looks: int
    """How many looks are declared."""
    seeds: int
    """Seeds of each side at this look, failed runs included."""
    last: int
    """Seeds at the last look."""
    level: float
    """Confidence of the pair's interval: 1 - the look's share of the error rate / comparisons."""
    chance: float | None
    """The probability of a decision by the last look, given what this one has seen; None at the last look, and where nothing
    was tested."""
    examples: int | None
    """How many examples would decide with the seeds of the last look; None where no number is enough, or it is not known."""


class AllRuns(Part):
    """What may be said of a pair when all runs count, those too that collapsed or failed."""

    first: Unlearned
    second: Unlearned
    difference: float | None
    """First minus second, where each run that collapsed or failed counts as the majority baseline; None where the metric gives
    a constant answer no score."""
    low: float | None
    high: float | None
    """The 95 % interval, not adjusted."""
    p_adjusted: float | None
    """Adjusted by Holm over the family of comparisons; with all runs counted in this way."""
    not_worse_p: tuple[float, float] | None
    """As `Pair.not_worse_p`; with all runs counted in this way."""
    finding: Literal["better", "worse", "inconclusive", "confounded", "withheld"]
    """Better or worse only where it holds both with the runs that collapsed or failed counted as the majority baseline and
    with them left out. Where no run of a side learned, only the former is possible."""
    sentence: str


class Pair(Part):
    """The comparison of two rows of a comparison group, `first` minus `second`, over the runs that learned."""

    first: str
    second: str
    seeds: tuple[int, int]
    """How many runs of each side learned; a side that does not depend on the seed counts once for each seed of the other."""
    seed_free: list[str] = Field(default_factory=list)
    """The sides that do not depend on the seed. If neither does, only examples vary, and `seeds` is (1, 1)."""
    paired: bool
    """Whether the records show that runs of one seed share their random streams, so that the sides are compared seed by
    seed."""
    why_not_paired: str = ""
    """Why the sides are not paired (the first reason found), as the end of "not paired: ..."; empty where they are."""
    examples: int
    method: Literal["two-way", "two-way by resampling", "seeds only", "examples only", "none"]
    difference: float
    low: float | None
    high: float | None
    """The 95 % interval of the difference, not adjusted for the number of comparisons; with declared looks its confidence is
    `level`."""
    wide_low: float | None
    wide_high: float | None
    """The interval adjusted for the number of comparisons (Bonferroni over the family); with declared looks `low` to
    `high`."""
    p: float | None
    p_adjusted: float | None
    """Adjusted by Holm over the family of comparisons; with declared looks instead scaled so that 0.05 is the level of
    `look`."""
    comparisons: int
    """How many tests the family has, that is, pairs of rows; rows with identical predictions count as one."""
    margin: float | None
    equivalence_p: float | None
    """p of equivalence within the margin, by two one-sided tests (TOST); adjusted likewise."""
    not_worse_p: tuple[float, float] | None = None
    """The two one-sided p: for the first being not worse than the second by more than the margin, and for the reverse;
    adjusted likewise. The larger is `equivalence_p`."""
    detectable: float | None
    """The minimum detectable difference: four of five experiments of this design find it, at the level of the strictest step
    of Holm over the family; with declared looks, by the last look. An estimate, as the variances behind it are."""
    detectable_range: tuple[float, float] | None = None
    """The range from 10 to 90 % in which `detectable` lies, given that its variances are estimates; None where it is None."""
    detectable_with_all_seeds: float | None = None
    """The same with an unlimited number of seeds: what the number of examples allows. Only told of pairs with the baseline,
    and only where the variance over examples is distinct from 0."""
    budget: Budget | None
    checks: Checks = Checks()
    studied: list[Fact]
    """Differences that `under_test` declares."""
    confounders: list[Fact]
    """Differences that `under_test` does not declare."""
    finding: Finding
    """What the numbers say, whether or not something else differs."""
    verdict: Verdict
    """What may be said: `confounded` where an undeclared difference forbids `finding`."""
    question_changed: list[str] = Field(default_factory=list)
    """The parts of the question that were changed when results were known: `margin`, `baseline`, `strategies`, ..."""
    look: AtLook | None = None
    """The declared look that judged the pair; None where the number of seeds is fixed, and before the first look, when nothing
    is tested."""
    advice: str = ""
    """What it would take to decide the pair; empty where the verdict settles it."""
    skewed: list[str] = Field(default_factory=list)
    """Sides whose scores over seeds are skewed, near an end of the metric's range. Then p is the larger one of two tests, of
    which the second allows for the skewness. The interval does not."""
    note: str = ""
    """Why the verdict may be luck: three seeds that happen to score alike. Empty otherwise. `sentence` ends with it."""
    sentence: str = ""
    all_runs: AllRuns | None = None
    """What holds when all runs count; None unless a run of either side collapsed or failed."""

    @property
    def level(self) -> float:
        """Confidence of the interval from `low` to `high`: 0.95, or that of the look."""
        return self.look.level if self.look else 0.95

    @property
    def marked_verdict(self) -> str:
        """The verdict, marked where its question was changed when results were known."""
        marked = self.question_changed and self.finding not in ("identical", "withheld")
        return f"{self.verdict}, question changed" if marked else self.verdict

    @property
    def over_examples_alone(self) -> bool:
        """Whether neither side depends on the seed."""
        return len(self.seed_free) == 2

    @property
    def tested(self) -> bool:
        """Whether runs of both sides learned."""
        return self.all_runs is None or min(self.all_runs.first.learned, self.all_runs.second.learned) > 0

    @property
    def told(self) -> str:
        """The pair's sentence, followed by the one on all runs where there is one."""
        return f"{self.sentence} {self.all_runs.sentence}" if self.all_runs else self.sentence
