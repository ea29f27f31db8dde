"""What a run leaves behind. Reading it needs neither torch nor the plugins; every key is always there.

A record's folder holds `record.json` (this model, about 8 KB at most), `steps.parquet` (step, loss, learning_rate, grad_norm,
seconds) and `predictions.parquet` (split, id, label, logits, tokens, `slice:` columns). A failed run has the same record with
`status: failed` and its reason.

Beside the runs lie `plan.json` (`Declared`) and `control-SESSION-before.json` and `-after.json` (`Control`). Files of an older
schema version are brought to this one by `bakeoff migrate`; what their Bakeoff did not note stays None.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from bakeoff.contracts.columns import in_rows
from bakeoff.contracts.each_class import spread
from bakeoff.contracts.fields import (
    MOST_SEEDS,
    MOST_TRIALS,
    Amount,
    Count,
    Fingerprint,
    Moment,
    Name,
    Number,
    Part,
    Plain,
    PlainDict,
    Positive,
    Ratio,
    Seconds,
    Seed,
    Sha256,
    Some,
    Text,
)
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.model import HeadOrigin
from bakeoff.text.allowance import losses, percent
from bakeoff.text.words import quoted

SCHEMA_VERSION: Final = 6
RECORD_FILE = "record.json"
STEPS_FILE = "steps.parquet"
PREDICTIONS_FILE = "predictions.parquet"
KIND_KEY = b"bakeoff.kind"
"""In the metadata of predictions: what kind of task they answer."""
MODEL_FOLDER = "model"
"""Of a run with `keep: final`: the trained model; its README says how transformers, and peft, load it."""
TRACEBACK_FILE = "traceback.txt"
"""Of a run that failed by an error that nobody expected."""
OUTPUT_FILE = "output.txt"
"""Whatever a run, its plugins and libraries printed; kept only beside a failure, and outside the record's checksums."""

MOST_LABELS: Final = 20
"""Names of labels that a record holds; one more says how many there are besides."""
MOST_NOTES: Final = 4
"""Of a trainer, likewise."""
SCORES_KEPT: Final = 32
"""Of the evaluations that a state was chosen by: a record stays small however many epochs there are."""

PHASES = ("import", "load", "encode", "build", "warm-up", "train", "evaluate", "save")
"""`warm-up` is from the call of the trainer to its first step: building its optimizer, compiling. Costs count both."""

Reason = Literal["diverged", "out of memory", "timed out", "crashed", "interrupted", "error"]


RunId = Annotated[str, Field(pattern=r"^r[0-9]+-[0-9a-z]+$", max_length=100)]
"""A folder's name and nothing else: whoever wrote a record may be a stranger."""

FILE_NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}$")
LONGEST_FILE_NAME: Final = 255
FileName = Annotated[str, Field(pattern=FILE_NAME.pattern, max_length=LONGEST_FILE_NAME)]
"""A file in a record's folder, or in a folder there (`model/`), or in one of that (`model/adapter/`)."""

UNSEALED: Final = "0" * 64
MOST_NEW: Final = 5
"""Newly initialised parameters that a record names."""


AS_FILE: Final = ConfigDict(ser_json_inf_nan="constants")
"""A number that JSON has not stays one, so that writing it fails: it does not turn into null."""


class ComponentOrigin(Part):
    """Which component, from where, with which options."""

    name: Name
    version: Name
    distribution: Name
    distribution_version: Text
    options: PlainDict


class Requested(Part):
    """What the run's id is made of, and the names under which the experiment knows it."""

    experiment: Text
    strategy: Text
    task_label: Text
    model_label: Text
    task: ComponentOrigin
    model: ComponentOrigin
    method: ComponentOrigin
    trainer: ComponentOrigin
    recipe: PlainDict
    seed: Seed
    replicate: Seed
    select: Literal["last-epoch", "best-on-dev"]


class MadeFrom(Part):
    """Fingerprints of what a run was made from: half a sha256 each. They are no part of its id.

    None where nobody looked (schema version 4 and before, or a component that does not tell).
    """

    labels: Fingerprint | None = None
    """Of the names of all labels, in order."""
    weights: Fingerprint | None = None
    """Of all tensors that came from the model's checkpoint, before anything was added: equal for all seeds."""
    tokenizer: Fingerprint | None = None
    """Of all that encoding a text depends on, but for the recipe and the versions of libraries."""
    task_files: dict[Name, Fingerprint] | None = None
    """Split -> of the files that its rows are read from; empty for a task that is made of no files."""
    model_files: dict[Name, Fingerprint] | None = None
    """Part (`weights`, `tokenizer`, `configuration`) -> of its files; empty for a model that is made of no files."""
    code: dict[Name, Fingerprint] = Field(default_factory=dict)
    """Kind of component (`task`, `model`, `method`, `trainer`) -> of the source of the plugin that it comes from."""


class Split(Part):
    """One split as it was loaded."""

    examples: Count
    labelled: bool
    fingerprint: Sha256
    """sha256 over ids, texts and labels in order."""


class Data(Part):
    """The task's data as the run saw it."""

    kind: Literal["classification", "regression", "multilabel"]
    labels: Annotated[list[Text], Field(max_length=MOST_LABELS + 1)]
    splits: dict[Name, Split]
    metrics: list[MetricFacts]
    primary_metric: Name
    source_versions: dict[Name, Text]
    """Distributions that the rows were made from, with versions; part of the fingerprints."""
    majority_baseline: dict[Name, dict[Name, Number]]
    """split -> metric -> the score of always answering with the training split's majority label; without metrics that give
    such answers no score."""
    overlap: dict[Name, Count] | None
    """Predicted split -> how many of its examples read like one to train on: all text columns equal in lower case and with
    white space collapsed. None where nobody counted (schema version 1)."""
    silent: dict[Name, dict[Name, Text]] = Field(default_factory=dict)
    """split -> metric that says nothing there -> why: whatever is answered, it gives one score, or none. It has neither score
    nor majority baseline there."""

    @model_validator(mode="after")
    def _of_its_own_splits_and_metrics(self) -> Self:
        names = [facts.name for facts in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"metrics: {quoted(_twice(names))} stands twice")
        if self.primary_metric not in names:
            raise ValueError(f"primary_metric: {quoted(self.primary_metric)} is none of its metrics ({', '.join(names)})")
        _require_known("overlap", self.overlap or {}, self.splits)
        for what, splits in (("majority_baseline", self.majority_baseline), ("silent", self.silent)):
            _require_known(what, splits, self.splits)
            for split, metrics in splits.items():
                _require_known(f"{what}.{split}", metrics, names)
        return self


class Weights(Part):
    """The model's parameters. Hashes are canonical: sorted name, dtype, shape, bytes."""

    parameters_total: Count
    parameters_trainable: Count
    newly_initialised: Annotated[list[Text], Field(max_length=MOST_NEW + 1)]
    """By name; beyond 5 of them, the first 5 and a count (`MOST_NEW`)."""
    head: HeadOrigin | None = None
    """None where nobody looked (schema version 4), or the model does not tell."""
    head_init_sha256: Sha256
    """Of the newly initialised parameters before training."""
    initial_sha256: Sha256
    final_sha256: Sha256
    lineage: list[Text]
    trained_bytes: Count | None
    """Size of a safetensors file with the parameters that trained: what must be kept beside the checkpoint. None where nobody
    looked (schema version 2)."""


class ObservedGroup(Part):
    """A parameter group as the optimizer had it at its first step."""

    tensors: Count
    elements: Count
    weight_decay: Number | None
    betas: list[Number] | None
    eps: Number | None
    fused: bool | None
    lr_scale: Number | None
    """Its learning rate over the highest of all groups; None where nobody looked (schema version 2)."""
    momentum: Number | None = None
    """Of SGD."""
    bias_correction: bool | None = None
    """Of torch's Adams; None of others, and where nobody looked."""


def _ordered_ends(ends: list[float]) -> list[float]:
    if len(ends) not in (0, 2) or ends != sorted(ends):
        raise ValueError("must be [lowest, highest], or empty")
    return ends


Ends = Annotated[list[Number], AfterValidator(_ordered_ends)]


class LossScale(Part):
    """A trainer's loss and gradients over those of the mean loss of each batch, which is what a recipe asks for: 1 is exact.

    Seen at the logits in a few steps; each is [lowest, highest], empty where it could not be told.
    """

    steps: Count
    loss: Ends
    """Of the loss that the trainer reported for a step with a full batch."""
    gradient: Ends
    """Of the gradient at the logits of each forward pass of such a step, before clipping."""
    short: Ends = Field(default_factory=list)
    """Of the gradient in a step whose batch is not full: an epoch's last one."""


class Observed(Part):
    """What the optimizer really did, seen at its own steps, not copied from the experiment file."""

    optimizer: Name
    optimizer_steps: Some
    groups: Annotated[list[ObservedGroup], BeforeValidator(in_rows)]
    learning_rate_first: Number
    learning_rate_peak: Number
    learning_rate_last: Number
    warmup_steps: Count
    """Steps before the learning rate was first at its peak."""
    gradient_norms_measured: Count
    gradient_norm_median: Amount | None
    gradient_norm_max: Amount | None
    """Global 2-norm as the optimizer received it, that is after clipping."""
    clipped_at: Amount | None
    """The value at which the largest of these norms pile up; null where they do not."""
    examples_seen: Count
    tokens_seen: Count
    padded_tokens_seen: Count
    data_order_sha256: Sha256
    """Of the row numbers of every batch, in the order in which they were trained on."""
    loss_scale: LossScale | None = None
    """None where nobody looked, or nothing could be seen."""


def _all_phases(seconds: dict[str, float]) -> dict[str, float]:
    """Raises ValueError unless every phase has its seconds, and nothing else has."""
    for name in (*PHASES, *seconds):
        if name not in seconds or name not in PHASES:
            raise ValueError(f"{name!r} {'is no phase' if name in seconds else 'is missing'}; phases are {', '.join(PHASES)}")
    return seconds


class Cost(Part):
    """What the run took."""

    phase_seconds: Annotated[dict[str, Seconds], AfterValidator(_all_phases)]
    total_seconds: Seconds
    steps: Count
    train_samples_per_second: Amount | None
    evaluate_samples_per_second: Amount | None
    peak_memory_bytes: Count
    """The largest resident set of each of the run's processes until it saves, summed: pages that they share count in each."""
    peak_device_memory_bytes: Count | None
    """Of each process, summed."""
    energy_joules: Amount | None
    energy_note: Text
    flops: Amount | None
    """Floating-point operations of all forward and backward passes of training, over all processes."""
    flops_note: Text
    """How they were counted, or why not."""
    harness_seconds: Seconds
    """Time that the harness spent inside the trainer's steps (seeding, observing); part of `train`."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        phases = math.fsum(self.phase_seconds.values())
        if not math.isclose(phases, self.total_seconds, rel_tol=1e-6, abs_tol=1e-3):
            raise ValueError(f"total_seconds: {self.total_seconds:g} is not the sum of its phases, {phases:g}")
        return self

    @property
    def train_seconds(self) -> float:
        """All of the trainer's own time, its preparation included."""
        return self.phase_seconds["warm-up"] + self.phase_seconds["train"]

    @property
    def evaluate_seconds(self) -> float:
        return self.phase_seconds["evaluate"]


class Environment(Part):
    """Where it ran."""

    software: dict[Name, Text]
    """Distribution -> version, of all that can change a result."""
    hardware: Text
    """The hardware class: device, cores in use. Times are never compared across classes."""
    threads: Some
    """Of all processes of the run together."""
    device: Name
    processor: Text
    memory_bytes: Count
    system: Text
    jobs: Some | None
    """How many runs of the experiment could be under way at the same time; None where nobody noted it (schema version 3)."""
    instructions: Name | None = None
    """The vector instructions that torch used on the CPU (`AVX2`, `AVX512`, `DEFAULT`): sums round differently by them. None
    where nobody noted them (schema version 4)."""


class Selection(Part):
    """Which of a run's states was kept, and out of how many."""

    split: Name
    evaluations: Some
    """At the end of every epoch, and of the training."""
    chosen_epoch: Some
    """1 for the first; the first of equally good ones."""
    scores: list[Number]
    """Of the primary metric on `split` at each evaluation, in order; beyond 32 of them, the last 32."""
    discordance: Ratio | None
    """The share of the split's examples that two evaluations label differently, in the mean over all pairs of evaluations; None
    of a regression."""
    optimism: Number | None = None
    """What picking the best of these evaluations adds to its score by luck alone, in the metric's unit, by resampling the
    split's examples. None where nobody computed it (schema version 4), and for a metric of the hub."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.chosen_epoch > self.evaluations:
            raise ValueError(f"chosen_epoch: {self.chosen_epoch} of {self.evaluations} evaluations")
        if len(self.scores) != min(self.evaluations, SCORES_KEPT):
            raise ValueError(f"scores: {len(self.scores)} of {self.evaluations} evaluations")
        return self


class Kept(Part):
    """What came of `keep: final`."""

    reason: Text | None
    """Why the model is not kept; None where it is: then `model/` holds it, and it gave the recorded predictions."""
    difference: Amount | None
    """Largest absolute difference between recorded logits of a batch and those of the model as it was loaded again."""


class Failure(Part):
    """Why a run has no scores."""

    reason: Reason
    message: Text
    phase: Name


class Attempt(Part):
    """An earlier try at a run, which failed."""

    started: Moment
    """UTC, ISO 8601."""
    reason: Reason
    phase: Name
    total_seconds: Seconds
    train_seconds: Seconds
    steps: Count


class Record(Part):
    """All that a run leaves behind."""

    model_config = AS_FILE

    schema_version: Literal[6] = SCHEMA_VERSION
    id: RunId
    status: Literal["ok", "failed"]
    failure: Failure | None
    started: Moment
    """UTC, ISO 8601."""
    requested: Requested
    made_from: MadeFrom = MadeFrom()
    environment: Environment
    data: Data | None
    weights: Weights | None
    observed: Observed | None
    scores: dict[Name, dict[Name, Number]]
    """split -> metric -> score, of metrics that say something there."""
    selection: Selection | None
    """None where the last epoch is evaluated."""
    evaluation_difference: Amount | None
    """Largest absolute difference between two predictions of one batch; anything but 0.0 says that predicting is random."""
    largest_logit: Amount | None = None
    """Absolute, over all predicted splits: what the difference is compared with. None where nobody noted it (schema version
    4)."""
    cost: Cost | None
    """Of this attempt alone."""
    attempts: list[Attempt]
    """Those before it, oldest first."""
    resumed_at: list[Count]
    """Steps already done when the training was taken up again from a checkpoint; its cost counts from the beginning."""
    trainer_owns: list[Name]
    trainer_notes: Annotated[list[Text], Field(max_length=MOST_NOTES + 1)] = Field(default_factory=list)
    """What the trainer has to say of this recipe, a sentence each; empty also where nobody asked (schema version 4)."""
    process_notes: Annotated[list[Text], Field(max_length=MOST_NOTES)] = Field(default_factory=list)
    """What is to be said of the run's process: that it did not end well after the record was whole, for one. Empty also where
    nobody looked (schema version 4)."""
    files: dict[FileName, Sha256]
    """The record's other files -> their sha256."""
    kept: Kept | None = None
    """None where no model was asked for, and where nobody noted it (schema version 4)."""
    seal: Sha256 = UNSEALED
    """sha256 of this file with 64 zeros in this place."""

    @model_validator(mode="before")
    @classmethod
    def _of_each_class(cls, plain: Any) -> Any:
        return spread(plain) if isinstance(plain, dict) else plain

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.status == "failed") != (self.failure is not None):
            raise ValueError(f"status: {self.status!r} {'with' if self.failure else 'without'} a failure")
        if self.status == "failed":
            if self.scores:
                raise ValueError("scores: a failed run has none")
            return self
        for what in ("data", "weights", "cost"):
            if getattr(self, what) is None:
                raise ValueError(f"{what}: missing of a run that ended well")
        assert self.data is not None
        _require_scores(self.scores, self.data)
        if (self.selection is not None) and self.selection.split not in self.scores:
            raise ValueError(f"selection.split: {self.selection.split!r} is none of the splits with scores")
        return self

    @property
    def was_interrupted(self) -> bool:
        """By Ctrl-C or a signal: that is no failure of the run, and the next `bakeoff run` makes it."""
        return self.failure is not None and self.failure.reason == "interrupted"


def _require_scores(scores: Mapping[str, Mapping[str, float]], data: Data) -> None:
    """Raises ValueError unless there are scores of every labelled split but `train`, of known metrics that say something."""
    scored = {name for name, split in data.splits.items() if split.labelled and name != "train"}
    _require_known("scores", scores, scored)
    if missing := sorted(scored - scores.keys()):
        raise ValueError(f"scores: there are none of split {missing[0]!r}, which has labels")
    names = {facts.name for facts in data.metrics}
    for split, found in scores.items():
        silent = data.silent.get(split, {})
        _require_known(f"scores.{split}", found, names - silent.keys())
        if data.primary_metric not in {*found, *silent}:
            raise ValueError(f"scores.{split}: there is none of {data.primary_metric!r}, by which the run is judged")


def _require_known(what: str, names: Collection[Any], known: Collection[Any]) -> None:
    """Raises ValueError for the first name that is not known."""
    if (other := next((name for name in names if name not in known), None)) is not None:
        raise ValueError(f"{what}: {quoted(other)} is not known here; there is {', '.join(map(quoted, known)) or 'none'}")


def _require_one_place(runs: Sequence[DeclaredRun] | Sequence[TrialRun]) -> None:
    """Raises ValueError where one id stands for several runs. Strategies may share a run: a search may choose it."""
    known: dict[str, tuple[str, str, int]] = {}
    for run in runs:
        place = (run.task, run.model, run.seed)
        if known.setdefault(run.id, place) != place:
            raise ValueError(f"run {run.id} stands for two runs: {quoted(known[run.id])} and {quoted(place)}")


def _twice(names: Sequence[Any]) -> Any:
    return next(name for name, times in Counter(names).items() if times > 1)


class DeclaredRun(Part):
    """A run that the experiment asks for."""

    id: RunId
    task: Text
    model: Text
    strategy: Text
    seed: Seed


class Imported(Part):
    """A published figure, shown beside the rows and never tested."""

    name: Name
    source: Text
    split: Name
    scores: dict[Name, Number]
    """metric -> score, in the metric's own unit."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    task: Text | None
    """The task's label."""


class Change(Part):
    """One thing that a conclusion depends on, before and after it was changed, in words."""

    what: Text
    """`baseline`, `reported split`, `margin`, `under test`, `gate`, `primary metric of TASK`, `trials of STRATEGY`."""
    before: Text
    after: Text


class Look(Part):
    """What had been declared when seeds, strategies or `changes` were changed although something was recorded already."""

    when: Moment
    """UTC, ISO 8601: when the change was declared."""
    seeds: dict[Text, list[Seed]]
    """strategy -> its seeds before the change."""
    recorded: Count
    """Runs of that declaration with a record at that time."""
    changes: list[Change] = Field(default_factory=list)
    """Beside those of seeds and strategies."""


class TrialRun(Part):
    """A run of a search: only for choosing, never reported."""

    id: RunId
    task: Text
    model: Text
    seed: Seed
    values: PlainDict
    """What was tried: key of the search -> value."""


class Chosen(Part):
    """What a search has chosen for one task and model."""

    task: Text
    model: Text
    values: PlainDict


class Search(Part):
    """How a strategy's configuration was chosen."""

    grid: dict[Name, Annotated[list[Plain], Field(min_length=1)]]
    """Key (`learning_rate`, `trainer.l2`, `method.r`) -> the values tried, all combinations."""
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=MOST_SEEDS)]
    choose: Name
    trials: list[TrialRun]
    chosen: list[Chosen]
    """For each task and model whose trials are all recorded."""

    @model_validator(mode="after")
    def _of_the_grid(self) -> Self:
        for what, configurations in (("trials", self.trials), ("chosen", self.chosen)):
            for number, values in enumerate(one.values for one in configurations):
                if values.keys() != self.grid.keys() or any(value not in self.grid[key] for key, value in values.items()):
                    raise ValueError(f"{what}.{number}.values: {quoted(values)} is no configuration of the grid")
        tried = [(trial.task, trial.model, trial.seed, repr(sorted(trial.values.items()))) for trial in self.trials]
        if len(set(tried)) < len(tried):
            raise ValueError(f"trials: {quoted(_twice(tried))} stands twice")
        _require_one_place(self.trials)
        _require_known("trials: seed", [trial.seed for trial in self.trials], self.seeds)
        if len(set(places := [(choice.task, choice.model) for choice in self.chosen])) < len(places):
            raise ValueError(f"chosen: {quoted(_twice(places))} stands twice")
        return self


GATED: Final = ("quality", "train_seconds", "evaluate_seconds", "total_seconds", "peak_memory")


def _readable_gate(gate: dict[str, str]) -> dict[str, str]:
    _require_known("gate", gate, GATED)
    for figure, allowed in gate.items():
        losses(allowed) if figure == "quality" else percent(allowed)
    return gate


class Declared(Part):
    """What an experiment asked for, written before its first run: `records/plan.json`."""

    model_config = AS_FILE

    schema_version: Literal[6] = SCHEMA_VERSION
    name: Text
    question: Text
    spec_file: Text
    baseline: Text
    report_on: Name
    margin: dict[Name, Positive]
    """`points` (of every primary metric that is shown in points), or a primary metric's name -> the difference, as it is shown,
    within which rows are equivalent. Where a metric has none, nothing is equivalent."""
    under_test: list[Name]
    gate: Annotated[dict[Name, Name], AfterValidator(_readable_gate)]
    """Cost or quality -> the change that is allowed, as `allowance` reads it: `-1 points`, `-1 points, +0.05 mae`, `+10%`."""
    metrics: dict[Text, Name] = Field(default_factory=dict)
    """Task -> its primary metric; without those of which none is known."""
    imported: list[Imported]
    trials: dict[Text, Annotated[int, Field(ge=1, le=MOST_TRIALS)]]
    """strategy -> configurations that were tried before it was settled on; a missing one is 1."""
    history: list[Look]
    """Oldest first."""
    searches: dict[Text, Search]
    """strategy -> the search that chose its configuration; a strategy without one is untuned."""
    runs: list[DeclaredRun]
    seal: Sha256 = UNSEALED
    """As of a record."""

    @property
    def seed_of(self) -> dict[str, int]:
        """Id -> seed of each run, trials too."""
        trials = {trial.id: trial.seed for search in self.searches.values() for trial in search.trials}
        return trials | {run.id: run.seed for run in self.runs}

    @model_validator(mode="after")
    def _each_run_once(self) -> Self:
        places = [(run.task, run.model, run.strategy, run.seed) for run in self.runs]
        if len(set(places)) < len(places):
            raise ValueError(f"runs: {quoted(_twice(places))} stands twice")
        _require_one_place(self.runs)
        reported = {run.id for run in self.runs}
        for strategy, search in self.searches.items():
            if shared := next((trial.id for trial in search.trials if trial.id in reported), None):
                raise ValueError(f"searches.{strategy}: its trial {shared} is reported too")
        return self

    @property
    def seeds(self) -> dict[str, list[int]]:
        """strategy -> its seeds, each once, in order."""
        found: dict[str, set[int]] = {}
        for run in self.runs:
            found.setdefault(run.strategy, set()).add(run.seed)
        return {strategy: sorted(seeds) for strategy, seeds in sorted(found.items())}


class Control(Part):
    """A fixed piece of work timed before and after the runs of one call: says whether the machine was the same for all."""

    model_config = AS_FILE

    schema_version: Literal[6] = SCHEMA_VERSION
    session: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
    """One call of `bakeoff run`."""
    moment: Literal["before", "after"]
    started: Moment
    """UTC, ISO 8601."""
    hardware: Text
    threads: Some
    milliseconds: Positive
    """Median of the repetitions."""
    spread: Amount
    """Interquartile range over median."""
    repetitions: Some
    peak_flops: dict[Name, Positive]
    """Precision -> floating-point operations a second of a large matrix product; empty where nobody measured."""
    seal: Sha256 = UNSEALED
    """As of a record."""
