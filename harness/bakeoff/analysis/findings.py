"""What a comparison finds, as frozen models: scores, differences, verdicts, warnings, comparison groups.

Scores are in the metric's own unit (accuracy: 0 to 1); `ComparisonGroup.figures` writes them as they are shown.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bakeoff.analysis.flags.catalogue import Severity
from bakeoff.analysis.label_results import ByLabel, HardExamples
from bakeoff.analysis.recommendation import Recommendation
from bakeoff.analysis.results import Pair, Row, Score, Verdict
from bakeoff.analysis.summary.searches import Searched
from bakeoff.contracts.fields import Part
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.unit import OWN_UNIT, Figures, Unit
from bakeoff.records.schema import Data, Declared, Environment, Vary
from bakeoff.statistics.crossing import Found

Quantity = Literal["train_seconds", "evaluate_seconds", "total_seconds", "flops", "peak_memory", "trainable"]
"""What a cost is of. Seconds are those of a run by `bakeoff time`; memory and operations those of recorded runs."""


class Ratio(Part):
    """The ratio of a cost of `first` to that of `second`, with a 95 % interval: of seconds by the median over rounds of
    `bakeoff time`, of memory by t on logs; operations have none."""

    first: str
    second: str
    quantity: Quantity
    ratio: float | None
    """None where a cost is not a positive number."""
    low: float | None
    high: float | None
    rounds: int
    """How many rounds of `bakeoff time` both took part in; 0 where nothing was timed."""
    comparable: bool
    reason: str
    """Why the two costs are not comparable; empty where they are."""


class CostAxis(Part):
    """The cost against which scores are drawn."""

    quantity: Quantity
    title: str
    amounts: dict[str, tuple[float, float | None, float | None]]
    """Row -> amount in the unit of the title, and its 95 % interval."""


class NamedWarning(Part):
    """Something to mind before the numbers are used; `flags/catalogue.py` explains each name."""

    name: str
    severity: Severity
    group: str
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
    """Metric -> a figure outside the metric's range. It is not taken for a score, and only the warning different-metrics tells
    of it."""


class SliceScore(Part):
    """A row's score on a part of the split, and its difference to the baseline there."""

    column: str
    value: str
    strategy: str
    examples: int
    score: float | None
    """None where the metric cannot tell predictions apart on this part."""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_adjusted: float | None = None
    """p of the difference, adjusted by Holm over all slices and rows of the column; None for the baseline and for slices too
    small to test."""


class Calibration(Part):
    """How well a row's probabilities are calibrated, and how far its seeds agree: means over seeds."""

    strategy: str
    split: str
    ece: float
    """Expected calibration error over 15 equal-mass bins."""
    brier: float
    """Brier score: squared differences of probability and outcome, summed over labels, mean over examples."""
    agreement: float | None
    """Share of examples on which two seeds answer alike, mean over pairs of seeds; None for one seed."""


class TakenLook(Part):
    """A declared look, a number of seeds at which pairs are judged, that was taken."""

    number: int
    seeds: int
    level: float
    """Confidence of the intervals of those comparisons with the baseline that it decides."""
    decided: dict[str, list[str]]
    """Verdict -> the strategies that this look gave it to, against the baseline."""
    pairs_decided: int
    """How many of all pairs it decided; 0 where ranks are not asked for."""


class Looks(Part):
    """The declared looks of a comparison group, numbers of seeds at which pairs are judged, and how many runs they saved."""

    declared: list[int]
    """Seeds of each strategy at each look."""
    ranks: bool
    taken: list[TakenLook]
    open: list[str]
    """Strategies whose comparison with the baseline is not decided and goes on."""
    waiting: dict[str, list[int]]
    """Strategy -> seeds without a record that the next look waits for; empty where nothing is open."""
    runs: int
    """How many runs the looks that were taken ask for, and the next look where it waits for runs."""
    most: int
    """How many runs it would take if all strategies went on to the last look."""

    @property
    def saved(self) -> int:
        """Runs that need not be made; known when nothing waits."""
        return 0 if self.waiting else self.most - self.runs


class CurvePoint(Part):
    """A strategy's row at one value of the key that varies."""

    row: str
    value: str
    """The value as it is shown: `64`, `all`."""
    place: float
    """The value as a number. Of `train_examples` it is the number of rows trained on, for `all` the size of the training
    split."""
    score: float | None
    """None where the row has no score."""
    low: float | None
    high: float | None
    runs: int
    """How many runs the score is the mean of."""


class StrategyCurve(Part):
    """A strategy's scores over the values of the key that varies, in the order of the values."""

    strategy: str
    title: str
    points: list[CurvePoint]


class CurveDifference(Part):
    """Two strategies at one value: the pair of rows that the leaderboard judges."""

    place: float
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    """The pair's verdict; where no run of a side learned, that on all runs."""
    question_changed: bool
    """Whether the question was changed when results were known."""


class CurveCrossing(Part):
    """Where the curve of `first` crosses that of `second`: an estimate, not a verdict."""

    first: str
    second: str
    found: Found
    """How the curves lie to each other: `overtakes`, `falls behind`, `ahead`, `behind`, `several` or `open`, as
    `statistics.crossing` has them."""
    at: float | None
    """The value at which they cross, as a number; None unless there is one crossing within the measured values."""
    low: float | None
    high: float | None
    """The 95 % interval of `at`; None for an end that lies beyond the measured values."""
    single: float
    """Share of bootstrap draws with at most one crossing, in the direction that is told."""
    all_runs: bool = False
    """Whether runs that collapsed or failed count in it, as the majority baseline; else they are left out."""
    places: list[float]
    """The values, as numbers, at which both strategies could be compared."""
    sentence: str
    differences: list[CurveDifference]


class Curve(Part):
    """Scores over the values of one recipe key, a curve for each strategy."""

    key: str
    """`train_examples`, `learning_rate`, ..."""
    logarithmic: bool
    """Whether values are drawn, and crossings computed, on a logarithmic scale: where all are above 0."""
    strategies: list[StrategyCurve]
    """The baseline's curve first."""
    crossings: list[CurveCrossing]
    """The crossings with the baseline's curve come first."""
    notes: list[str]
    """What a curve or a crossing leaves out, and why."""


class ComparisonGroup(Part):
    """Rows on one task with one model (or with several, where the model is under test)."""

    title: str
    """What headings call task and model; no two groups share one."""
    task: str
    model: str
    """The labels of task and model, with their options."""
    task_title: str
    model_title: str
    split: str
    """The split that is reported on."""
    metric: str
    """The primary metric; empty where no run got as far as loading the data."""
    higher_is_better: bool
    figures: Figures
    """How the primary metric's scores, and differences of them, are written; its unit and range."""
    figures_by_metric: dict[str, Figures] = Field(default_factory=dict)
    """The same for every metric of the task, by its name."""
    baseline: str
    rows: list[Row]
    splits: list[str]
    """Predicted splits, the one that is reported on first."""
    metrics: list[MetricFacts]
    """The task's metrics, the primary one first."""
    data: Data | None
    """What is recorded of the data, with the scores of the majority baseline; None where no run got as far as loading it."""
    equal: dict[str, str]
    """What all effective recipes share: subject -> value in words."""
    differing: list[str]
    """Subjects in which effective recipes differ."""
    components: dict[str, list[str]]
    """Kind of component -> those of the rows, each with version, origin and the options that all rows share."""
    surroundings: Environment | None
    """The machine and software of most of the runs."""
    taken_for_same: str
    """Of which of its runs' sources, such as weights, it is not known whether they are the same for all, so that it is
    assumed; empty where all is known."""
    searches: dict[str, Searched]
    """Strategy -> how its configuration was chosen; a strategy without one is untuned."""

    under_test: list[str] = Field(default_factory=list)
    """The parts under test: what the experiment file names; where it names nothing, all that strategies spell out and in which
    two rows differ."""
    examples: int = 0
    majority_baseline: float | None = None
    margin: float | None = None
    """The largest difference that would not matter, in the metric's own unit, as scores are; None where there is none."""
    margin_note: str = ""
    """Where the margin comes from, if nobody wrote it, and whether it is less than one example is worth."""
    one_example: float | None = None
    """What one example adds to the primary metric, in the metric's own unit; None where scores are no shares of examples."""
    rankings: list[str] = Field(default_factory=lambda: [""])
    """For each ranking, in what its data or conditions differ from the baseline's, in words; the first is empty."""
    to_baseline: list[Pair] = Field(default_factory=list)
    """The pairs of every row of the baseline's ranking and the baseline, row minus baseline; p-values are adjusted by Holm
    over these. Where a key varies, likewise at each of its values, by Holm over those of a value."""
    all_pairs: list[Pair] = Field(default_factory=list)
    """The pairs of all rows within a ranking; p-values are adjusted by Holm over these. Empty where there are too many rows,
    which `notes` says."""
    costs: list[Ratio] = Field(default_factory=list)
    """The ratios of every row's costs to the baseline's."""
    looks: Looks | None = None
    """The declared looks; None where the number of seeds is fixed."""
    cost_axis: CostAxis | None = None
    """The cost against which scores are drawn; None where there is none by which two rows can be compared."""
    timed_on: str = ""
    """When, and on which machine, `bakeoff time` measured; empty where no time that it measured is used."""
    unlike_times: dict[str, str] = Field(default_factory=dict)
    """Row -> why the seconds of its recorded runs are not comparable with the baseline's; rows whose seconds are comparable
    are left out."""
    slices: list[SliceScore] = Field(default_factory=list)
    calibration: list[Calibration] = Field(default_factory=list)
    by_label: ByLabel | None = None
    """What strategies make of each label; None where answers are no labels."""
    hard_examples: HardExamples | None = None
    """The examples that all strategies, or only one, get wrong; None where answers are no labels."""
    imported: list[ImportedRow] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    vary: Vary | None = None
    """The recipe key that varies: rows of different values are not compared."""
    against: str
    """What rows are compared with, in words: the baseline, `full`; or `full at the same train_examples`."""
    answer: str = ""
    """What the comparison found, in one sentence made from the verdicts."""
    curve: Curve | None = None
    """Scores over the values of the key that varies; None where none does, or its values are no numbers."""
    silent: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Split -> metric that cannot tell predictions apart there -> why. It has no scores there, and no pair is judged by it."""

    def score(self, row: Row) -> Score | None:
        """The row's score by the primary metric on the reported split."""
        return row.score(self.split, self.metric)

    @property
    def compared(self) -> bool:
        """Whether any run of the group is scored on the reported split."""
        return bool(self.examples)

    @property
    def ranked(self) -> list[Row]:
        """The rows by ranking, the best first."""

        def order(row: Row) -> tuple[int, bool, float]:
            score = self.score(row)
            mean = score.mean if score else 0.0
            return row.ranking, score is None, -mean if self.higher_is_better else mean

        return sorted(self.rows, key=order)

    @property
    def pairs(self) -> dict[str, Pair]:
        """Strategy -> its difference to the baseline."""
        return {pair.first: pair for pair in self.to_baseline}

    @property
    def confounded(self) -> set[str]:
        """Strategies that differ from the baseline in something that is not under test."""
        return {pair.first for pair in self.to_baseline if pair.confounders}

    @property
    def ratios(self) -> dict[tuple[str, str], Ratio]:
        """(strategy, quantity) -> its cost over the baseline's."""
        return {(cost.first, cost.quantity): cost for cost in self.costs}

    @property
    def times_differ(self) -> dict[str, str]:
        """Strategy -> why the times of its recorded runs are not comparable with the baseline's; empty where they are."""
        return {row.strategy: self.unlike_times.get(row.strategy) or "; ".join(row.elsewhere) for row in self.rows}

    def majority_baseline_of(self, split: str, metric: str) -> float | None:
        """The score of the majority baseline."""
        return self.data.majority_baseline.get(split, {}).get(metric) if self.data else None

    @property
    def unit(self) -> Unit:
        """The primary metric's unit and range."""
        return self.figures.unit

    @property
    def score_ends(self) -> tuple[float | None, float | None]:
        """The lowest and the highest possible score, in the unit in which scores are shown; None for an end that has no
        limit."""
        low, high = (None if end is None else end * self.unit.scale for end in (self.unit.low, self.unit.high))
        return low, high

    @property
    def axis_title(self) -> str:
        return ", ".join(filter(None, (f"{self.split} {self.metric}", self.unit.name)))

    def written(self, metric: str, score: float | None) -> str:
        """A score as it is shown, by any metric; also by one that the task does not have."""
        known = self.figures if metric == self.metric else self.figures_by_metric.get(metric)
        return known.number(score) if known else OWN_UNIT.written(score)


class AcrossTasks(Part):
    """Strategies ranked on several comparison groups, by mean scores of the primary metric: Friedman's test."""

    mean_ranks: dict[str, float]
    """Strategy -> its mean rank, 1 the best and ties shared; the best first."""
    groups: list[str]
    """Titles of the comparison groups that have all these strategies scored."""
    chi2_p: float
    f_p: float
    """p of the F test of Iman and Davenport; like `chi2_p` an approximation that is good for many comparison groups."""
    p: float
    """p by permutation of the ranks within each group, of the same statistic: this one decides."""
    critical_difference: float
    """The difference of mean ranks from which on it is significant at 5 %, by Nemenyi."""
    confounded: list[str]
    """Strategies that on some group differ from the first in something that is not under test."""
    sentence: str


class Comparison(Part):
    """All comparison groups of an experiment, or of several."""

    recommendation: str = ""
    """Which strategy to take, in words; of several comparison groups in one line."""
    recommendations: list[Recommendation] = Field(default_factory=list)
    """The recommendation for each comparison group, in the order of `every_group`."""
    declared: Declared
    answer: str
    groups: list[ComparisonGroup]
    """The comparison groups with a run that is scored on the reported split."""
    unscored: list[ComparisonGroup] = Field(default_factory=list)
    """The other comparison groups, without such a run."""
    warnings: list[NamedWarning]
    across: AcrossTasks | None = None
    """The test over comparison groups; None where fewer than five of them share two strategies."""
    damaged: list[str] = Field(default_factory=list)
    """A sentence for each record that cannot be read."""
    foreign: int = 0
    """How many records in the folder the experiment does not declare."""
    facts: dict[str, Any]
    """What stands at the foot of the report's page: folders, commands, numbers of runs."""

    @property
    def title(self) -> str:
        return self.declared.name

    @property
    def question(self) -> str:
        return self.declared.question

    @property
    def every_group(self) -> list[ComparisonGroup]:
        return [*self.groups, *self.unscored]

    def recommended(self, group: ComparisonGroup) -> Recommendation | None:
        """The recommendation for one comparison group; None where none was made."""
        return next((one for one in self.recommendations if (one.task, one.model) == (group.task, group.model)), None)

    @property
    def commands(self) -> list[str]:
        """The commands that reproduce the whole comparison."""
        return list(self.facts.get("commands", []))
