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
    """A 95 % interval, and what it covers in words; as `Score` has them."""

    low: float | None = None
    high: float | None = None
    method: str = ""


class Score(Part):
    """A row's score over its seeds, with the 95 % interval that goes with what was repeated."""

    mean: float
    sd: float | None
    """Sample standard deviation over seeds; None for one seed."""
    low: float | None
    high: float | None
    method: str
    """What the interval covers, in words: `seeds and examples`, `examples only (one run)`, `examples only (does not depend on
    the seed)`, `seeds only`, or nothing."""
    seeds: list[int]
    values: list[float]
    """One for each seed."""


class Spread(Part):
    """A number over seeds: mean and sample standard deviation (n - 1), which a single seed does not have."""

    mean: float
    sd: float | None
    n: int


class Failed(Part):
    """A run that ended without scores."""

    seed: int
    reason: str
    message: str


class Collapsed(Part):
    """A run that always gave one answer, but for noise."""

    seed: int
    score: float | None
    """By the primary metric on the reported split; None where that says nothing."""


class Unlearned(Part):
    """How many of a strategy's runs did not learn, as far as they ended."""

    collapsed: int
    failed: int
    """Runs that ended without scores; not those that were interrupted."""
    runs: int
    """That ended, with scores or without."""
    low: float
    high: float
    """The 95 % interval of their share: Wilson's; of none and of all an exact bound on one side."""

    @property
    def number(self) -> int:
        return self.collapsed + self.failed

    @property
    def learned(self) -> int:
        return self.runs - self.number

    @property
    def words(self) -> str:
        """`1 of 5 (4 to 62 %)`, `0 of 5 (up to 45 %)`, `5 of 5 (at least 55 %)`."""
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
    """As the experiment's folder was written."""


class ByEpoch(Part):
    """The scores of one run while it trained: at the end of each epoch, and of training."""

    seed: int
    split: str
    scores: list[float]
    """By the primary metric; of many the last ones."""
    first: int
    """Which evaluation the first score is of, from 1."""
    chosen: int
    """The evaluation whose state the run was scored at."""


class Unscored(Part):
    """Runs to whose answers on a split a metric gave no score."""

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
    """Labels that tell the rows apart; None where nothing is recorded yet."""
    facts: dict[str, Any]
    """What was requested, and the model's size, as values for programs."""
    recipe: dict[str, str]
    """The effective recipe: subject -> what was observed, else requested, in words; also steps and parameters."""
    seeds: list[int]
    """Those that the experiment declares."""
    seed_free: bool = False
    """Whether it does not depend on the seed: its one run counts at every seed that others have."""
    scored: list[int]
    """Those whose runs ended with scores: every mean of a cost below is over these."""
    failed: list[Failed]
    attempts: list[Attempt]
    """Earlier tries at its runs, which failed, of all seeds."""
    unkept: list[SeedNote]
    """Why models that were to be kept are not."""
    kept: list[KeptAt] = Field(default_factory=list)
    by_epoch: list[ByEpoch] = Field(default_factory=list)
    """Of runs that were evaluated more than once."""
    process_notes: list[SeedNote]
    """How processes failed after their record was whole."""
    missing: list[int]
    """Seeds that are declared and not (or not readably) recorded; with declared looks, of the look that the row is at."""
    owns: list[str]
    """What the trainer decides by itself instead of following the harness."""
    heads: list[HeadOrigin]
    """Where the layers that give the logits came from; empty where nobody noted it."""
    notes: list[str]
    """What its trainer has to say of its recipe."""
    elsewhere: list[str]
    """How the environment of some of its runs differs from the group's, in words."""
    scores: dict[str, dict[str, Score]]
    """split -> metric -> score over seeds; a metric that lacks one run's score has none."""
    unscored: list[Unscored]
    train_seconds: Spread | None
    evaluate_seconds: Spread | None
    train_samples_per_second: Spread | None
    evaluate_samples_per_second: Spread | None
    energy_joules: Spread | None
    peak_memory_bytes: int | None
    peak_device_memory_bytes: int | None
    """The largest over seeds."""
    final_sha256: dict[int, str]
    """Seed -> hash of the trained weights."""
    work: Work
    timed: RunTime | None = None
    """What a run takes by `bakeoff time`; None where that has not measured it as it was run."""

    ranking: int = 0
    """Rows of one ranking have the same comparability key; only they are ranked against each other. 0 is the baseline's."""
    key: dict[str, str] = Field(default_factory=dict)
    """The parts of the comparability key, in words."""
    rank: tuple[int, int] | None = None
    """Best and worst rank that the verdicts over all pairs leave open; None where the row is not ranked."""
    tie_group: int | None = None
    """Rows with the same rank interval share one, from 1; None as above."""
    collapsed: list[Collapsed] = Field(default_factory=list)
    """Runs that ended with scores and learned nothing. Scores, ranks, the front, slices and the best of several seeds are of
    the other runs, those that learned; where there are none, scores are of these, and the row enters no test and has no
    rank."""
    unlearned: Unlearned | None = None
    """How many of its runs collapsed or failed; None where none has ended."""
    above_majority_p: float | None = None
    """One-sided: small where its runs that learned are better than the majority baseline, on the same examples. None where no
    run learned, or the metric is no ratio of sums."""
    front_probability: float | None = None
    """How often, over bootstrap draws, no row of the ranking beats it on both quality and the group's cost (`cost_axis`)."""
    dominated_by: list[str] = Field(default_factory=list)
    expected_best: list[float] = Field(default_factory=list)
    """What the best of 1, 2 and so on of its seeds scores on average, up to all of them or ten; of the primary metric on the
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
        """Declared seeds whose runs are recorded or missing: with declared looks not those that no look asks for."""
        there = {*self.scored, *(failed.seed for failed in self.failed), *self.missing}
        return [seed for seed in self.seeds if seed in there]

    def score(self, split: str, metric: str) -> Score | None:
        return self.scores.get(split, {}).get(metric)


Finding = Literal["identical", "better", "worse", "equivalent", "futile", "inconclusive", "open", "withheld"]
"""`futile` and `open` are of experiments with declared looks: less than one chance in ten of a decision by the last look; to be
judged again at the next one. `withheld`: seeds or looks were changed when results were known, so that no p-value holds."""


Verdict = Literal["identical", "better", "worse", "equivalent", "futile", "inconclusive", "open", "confounded", "withheld"]


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

    randomisation_p: float | None = None
    """Of the exact test over seeds alone: signs flipped where seeds are paired, else runs dealt to the two sides anew."""
    randomisation_smallest_p: float | None = None
    """The smallest p that it can give with so many seeds."""
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    bootstrap_p: float | None = None
    seeds_t_p: float | None = None
    """Of t over seeds alone: of their differences where they are paired, else Welch's."""
    mcnemar_p: float | None = None
    """Only where each side is one run: two fixed models."""
    seed_correlation: float | None = None
    """Of the two sides' scores over paired seeds: near 0, pairing gains nothing."""
    probability_of_improvement: float | None = None
    """How often a run of the first is better than one of the second, ties counting half; needs two runs a side."""


class AtLook(Part):
    """The declared look at which a pair was judged last."""

    number: int
    """From 1."""
    looks: int
    """How many there are."""
    seeds: int
    """Of each side, failed runs included."""
    last: int
    """Seeds at the last look."""
    level: float
    """Confidence of the pair's interval: 1 - the look's share of the error rate / comparisons."""
    chance: float | None
    """Of a decision by the last look, given what this one has seen; None at the last look, and where nothing was tested."""
    examples: int | None
    """So many examples would decide with the seeds of the last look; None where no number is enough, or it is not known."""


class AllRuns(Part):
    """What may be said of all runs of a pair, those that collapsed or failed too, where there are some."""

    first: Unlearned
    second: Unlearned
    difference: float | None
    """With each run that collapsed or failed counted as the majority baseline; None where the metric gives that no score."""
    low: float | None
    high: float | None
    """The 95 % interval, not adjusted."""
    p_adjusted: float | None
    """By Holm over the family, so counted."""
    not_worse_p: tuple[float, float] | None
    """As `Pair` has it, so counted."""
    finding: Literal["better", "worse", "inconclusive", "confounded", "withheld"]
    """Better or worse only where both ways of counting say so: as the majority baseline, and left out. Where no run of a side
    learned, only the first can be counted."""
    sentence: str


class Pair(Part):
    """Two rows of a comparison group: `first` minus `second`, of the runs that learned."""

    first: str
    second: str
    seeds: tuple[int, int]
    """Of each side, those that learned; a side that does not depend on the seed counts at those of the other."""
    seed_free: list[str] = Field(default_factory=list)
    """The sides that do not depend on the seed. Where it is both, only examples vary, and seeds are (1, 1)."""
    paired: bool
    """Whether it is recorded that runs of one seed share their random streams: then they are compared seed by seed."""
    why_not_paired: str = ""
    """The first reason, as the end of "not paired: ..."; empty where they are."""
    examples: int
    method: Literal["two-way", "two-way by resampling", "seeds only", "examples only", "none"]
    difference: float
    low: float | None
    high: float | None
    """The 95 % interval, not adjusted; with declared looks at the level of `look`."""
    wide_low: float | None
    wide_high: float | None
    """The interval at the level of Bonferroni over the family."""
    p: float | None
    p_adjusted: float | None
    """By Holm over the family; with declared looks scaled so that 0.05 is the level of `look`."""
    comparisons: int
    """How many tests the family has: pairs of rows, of which those with identical predictions count once."""
    margin: float | None
    equivalence_p: float | None
    """Of TOST, adjusted likewise."""
    not_worse_p: tuple[float, float] | None = None
    """One-sided p that the first is not worse than the second by more than the margin, and that the second is not worse than
    the first, adjusted likewise: the larger is `equivalence_p`."""
    detectable: float | None
    """The difference that four of five experiments of this design find, at the level of the family's strictest step; with looks
    by the last one. An estimate, as the variances behind it are."""
    detectable_range: tuple[float, float] | None = None
    """10 to 90 % range of `detectable`; None where that is."""
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
    question_changed: list[str] = Field(default_factory=list)
    """What of the question was changed when results were known: `margin`, `baseline`, `strategies`, ..."""
    look: AtLook | None = None
    """None where the number of seeds is fixed, and before the first look, when nothing is tested."""
    advice: str = ""
    """What it would take to know more; empty where the verdict settles it."""
    skewed: list[str] = Field(default_factory=list)
    """Sides whose seeds are skewed near the end of the metric's range: p is then the larger one of two tests, of which the
    second allows for it. The interval does not."""
    note: str = ""
    """Why the verdict may be luck: three seeds that happen to score alike. Empty otherwise. `sentence` ends with it."""
    sentence: str = ""
    all_runs: AllRuns | None = None
    """Where a run of either side collapsed or failed."""

    @property
    def level(self) -> float:
        """Confidence of `low` to `high`."""
        return self.look.level if self.look else 0.95

    @property
    def marked_verdict(self) -> str:
        """The verdict, with a mark where its question was changed when results were known."""
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
        """The sentence, and that on all runs."""
        return f"{self.sentence} {self.all_runs.sentence}" if self.all_runs else self.sentence
