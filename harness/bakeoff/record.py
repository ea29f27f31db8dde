"""What a run leaves behind. Reading it needs neither torch nor the plugins; every key is always there.

A record's folder holds `record.json` (this model, about 8 KB at most), `steps.parquet` (step, loss, learning_rate, grad_norm,
seconds) and `predictions.parquet` (split, id, label, logits, tokens, `slice:` columns). A failed run has the same record with
`status: failed` and its reason.

Beside the runs lie `plan.json` (`Declared`) and `control-SESSION-before.json` and `-after.json` (`Control`). Files of an older
schema version are read as if they were new: `recorded.UPGRADES`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bakeoff.contracts.columns import in_rows
from bakeoff.contracts.each_class import spread
from bakeoff.contracts.model import HeadOrigin
from bakeoff.contracts.unit import POINTS, Unit

SCHEMA_VERSION: Final = 5
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

PHASES = ("import", "load", "encode", "build", "warm-up", "train", "evaluate", "save")
"""`warm-up` is from the call of the trainer to its first step: building its optimizer, compiling. Costs count both."""

Reason = Literal["diverged", "out of memory", "timed out", "crashed", "interrupted", "error"]


RunId = Annotated[str, Field(pattern=r"^r[0-9]+-[0-9a-z]+$")]
"""A folder's name and nothing else: whoever wrote a record may be a stranger."""

FILE_NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}$")
FileName = Annotated[str, Field(pattern=FILE_NAME.pattern)]
"""A file in a record's folder, or in a folder there (`model/`), or in one of that (`model/adapter/`)."""

UNSEALED: Final = "0" * 64
MOST_NEW: Final = 5
"""Newly initialised parameters that a record names."""


class Part(BaseModel):
    """The base of all parts of a record: frozen, nothing unknown, nothing optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ComponentOrigin(Part):
    """Which component, from where, with which options."""

    name: str
    version: str
    distribution: str
    distribution_version: str
    options: dict[str, Any]


class Asked(Part):
    """What the run's id is made of, and the names under which the experiment knows it."""

    experiment: str
    strategy: str
    task_label: str
    model_label: str
    task: ComponentOrigin
    model: ComponentOrigin
    method: ComponentOrigin
    trainer: ComponentOrigin
    recipe: dict[str, Any]
    seed: int
    replicate: int
    select: str


class MadeFrom(Part):
    """Fingerprints of what a run was made from: half a sha256 each. They are no part of its id.

    None where nobody looked (schema version 4 and before, or a component that does not tell).
    """

    labels: str | None = None
    """Of the names of all labels, in order."""
    weights: str | None = None
    """Of all tensors that came from the model's checkpoint, before anything was added: equal for all seeds."""
    tokenizer: str | None = None
    """Of all that encoding a text depends on, but for the recipe and the versions of libraries."""
    task_files: dict[str, str] | None = None
    """Split -> of the files that its rows are read from; empty for a task that is made of no files."""
    model_files: dict[str, str] | None = None
    """Part (`weights`, `tokenizer`, `configuration`) -> of its files; empty for a model that is made of no files."""
    code: dict[str, str] = {}
    """Kind of component (`task`, `model`, `method`, `trainer`) -> of the source of the plugin that it comes from."""


class Split(Part):
    """One split as it was loaded."""

    examples: int
    labelled: bool
    fingerprint: str
    """sha256 over ids, texts and labels in order."""


class MetricFacts(Part):
    """A metric of the task."""

    name: str
    higher_is_better: bool
    version: str
    unit: Unit | None = None
    """As the metric declared it; None where that is the built-in metric's of this name and version, and where nobody noted it
    (schema version 4): `metrics.unit_of` has the answer."""
    label: int | None = None
    """The number of the label that it looks at; None of a metric of all labels."""


class Data(Part):
    """The task's data as the run saw it."""

    kind: str
    labels: list[str]
    splits: dict[str, Split]
    metrics: list[MetricFacts]
    primary_metric: str
    sources: dict[str, str]
    """Distributions that the rows were made from, with versions; part of the fingerprints."""
    floor: dict[str, dict[str, float]]
    """split -> metric -> the score of always answering with the training split's majority label; without metrics that give
    such answers no score."""
    overlap: dict[str, int] | None
    """Predicted split -> how many of its examples read like one to train on: all text columns equal in lower case and with
    white space collapsed. None where nobody counted (schema version 1)."""
    silent: dict[str, dict[str, str]] | None = None
    """split -> metric that says nothing there -> why: whatever is answered, it gives one score, or none. It has neither score
    nor floor there. None where nobody asked (schema version 4)."""


class Weights(Part):
    """The model's parameters. Hashes are canonical: sorted name, dtype, shape, bytes."""

    parameters_total: int
    parameters_trainable: int
    newly_initialised: list[str]
    """By name; beyond 5 of them, the first 5 and a count (`MOST_NEW`)."""
    head: HeadOrigin | None = None
    """None where nobody looked (schema version 4), or the model does not tell."""
    head_init_sha256: str
    """Of the newly initialised parameters before training."""
    initial_sha256: str
    final_sha256: str
    lineage: list[str]
    trained_bytes: int | None
    """Size of a safetensors file with the parameters that trained: what must be kept beside the checkpoint. None where nobody
    looked (schema version 2)."""


class ObservedGroup(Part):
    """A parameter group as the optimizer had it at its first step."""

    tensors: int
    elements: int
    weight_decay: float | None
    betas: list[float] | None
    eps: float | None
    fused: bool | None
    lr_scale: float | None
    """Its learning rate over the highest of all groups; None where nobody looked (schema version 2)."""
    momentum: float | None = None
    """Of SGD."""
    bias_correction: bool | None = None
    """Of torch's Adams; None of others, and where nobody looked."""


class LossScale(Part):
    """A trainer's loss and gradients over those of the mean loss of each batch, which is what a recipe asks for: 1 is exact.

    Seen at the logits in a few steps; each is [lowest, highest], empty where it could not be told.
    """

    steps: int
    loss: list[float]
    """Of the loss that the trainer reported for a step with a full batch."""
    gradient: list[float]
    """Of the gradient at the logits of each forward pass of such a step, before clipping."""
    short: list[float] = []
    """Of the gradient in a step whose batch is not full: an epoch's last one."""


class Observed(Part):
    """What the optimizer really did, seen at its own steps, not copied from the experiment file."""

    optimizer: str
    optimizer_steps: int
    groups: Annotated[list[ObservedGroup], BeforeValidator(in_rows)]
    learning_rate_first: float
    learning_rate_peak: float
    learning_rate_last: float
    warmup_steps: int
    """Steps before the learning rate was first at its peak."""
    gradient_norms_measured: int
    gradient_norm_median: float | None
    gradient_norm_max: float | None
    """Global 2-norm as the optimizer received it, that is after clipping."""
    clipped_at: float | None
    """The value at which the largest of these norms pile up; null where they do not."""
    examples_seen: int
    tokens_seen: int
    padded_tokens_seen: int
    data_order_sha256: str
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

    phase_seconds: Annotated[dict[str, float], AfterValidator(_all_phases)]
    total_seconds: float
    steps: int
    train_samples_per_second: float | None
    evaluate_samples_per_second: float | None
    peak_memory_bytes: int
    """The largest resident set of each of the run's processes until it saves, summed: pages that they share count in each."""
    peak_device_memory_bytes: int | None
    """Of each process, summed."""
    energy_joules: float | None
    energy_note: str
    flops: float | None
    """Floating-point operations of all forward and backward passes of training, over all processes."""
    flops_note: str
    """How they were counted, or why not."""
    harness_seconds: float
    """Time that the harness spent inside the trainer's steps (seeding, observing); part of `train`."""

    @property
    def train_seconds(self) -> float:
        """All of the trainer's own time, its preparation included."""
        return self.phase_seconds["warm-up"] + self.phase_seconds["train"]

    @property
    def evaluate_seconds(self) -> float:
        return self.phase_seconds["evaluate"]


class Environment(Part):
    """Where it ran."""

    software: dict[str, str]
    """Distribution -> version, of all that can change a result."""
    hardware: str
    """The hardware class: device, cores in use. Times are never compared across classes."""
    threads: int
    """Of all processes of the run together."""
    device: str
    processor: str
    memory_bytes: int
    system: str
    jobs: int | None
    """How many runs of the experiment could be under way at the same time; None where nobody noted it (schema version 3)."""
    instructions: str | None = None
    """The vector instructions that torch used on the CPU (`AVX2`, `AVX512`, `DEFAULT`): sums round differently by them. None
    where nobody noted them (schema version 4)."""


class Selection(Part):
    """Which of a run's states was kept, and out of how many."""

    split: str
    evaluations: int
    """At the end of every epoch, and of the training."""
    chosen_epoch: int
    """1 for the first; the first of equally good ones."""
    scores: list[float]
    """Of the primary metric on `split` at each evaluation, in order; beyond 32 of them, the last 32."""
    discordance: float | None
    """The share of the split's examples that two evaluations label differently, in the mean over all pairs of evaluations; None
    of a regression."""
    optimism: float | None = None
    """What picking the best of these evaluations adds to its score by luck alone, in the metric's unit, by resampling the
    split's examples. None where nobody computed it (schema version 4), and for a metric of the hub."""


class Kept(Part):
    """What came of `keep: final`."""

    reason: str | None
    """Why the model is not kept; None where it is: then `model/` holds it, and it gave the recorded predictions."""
    difference: float | None
    """Largest absolute difference between recorded logits of a batch and those of the model as it was loaded again."""


class Failure(Part):
    """Why a run has no scores."""

    reason: Reason
    message: str
    phase: str


class Attempt(Part):
    """An earlier try at a run, which failed."""

    started: str
    """UTC, ISO 8601."""
    reason: Reason
    phase: str
    total_seconds: float
    train_seconds: float
    steps: int


class Record(Part):
    """All that a run leaves behind."""

    schema_version: Literal[5] = SCHEMA_VERSION
    id: RunId
    status: Literal["ok", "failed"]
    failure: Failure | None
    started: str
    """UTC, ISO 8601."""
    asked: Asked
    made_from: MadeFrom = MadeFrom()
    environment: Environment
    data: Data | None
    weights: Weights | None
    observed: Observed | None
    scores: dict[str, dict[str, float]]
    """split -> metric -> score, of metrics that say something there."""
    selection: Selection | None
    """None where the last epoch is evaluated."""
    evaluation_difference: float | None
    """Largest absolute difference between two predictions of one batch; anything but 0.0 says that predicting is random."""
    largest_logit: float | None = None
    """Absolute, over all predicted splits: what the difference is compared with. None where nobody noted it (schema version
    4)."""
    cost: Cost | None
    """Of this attempt alone."""
    attempts: list[Attempt]
    """Those before it, oldest first."""
    resumed_at: list[int]
    """Steps already done when the training was taken up again from a checkpoint; its cost counts from the beginning."""
    trainer_owns: list[str]
    trainer_notes: list[str] = []
    """What the trainer has to say of this recipe, a sentence each; empty also where nobody asked (schema version 4)."""
    files: dict[FileName, str]
    """The record's other files -> their sha256."""
    kept: Kept | None = None
    """None where no model was asked for, and where nobody noted it (schema version 4)."""
    seal: str = UNSEALED
    """sha256 of this file with 64 zeros in this place; empty where nobody sealed it (schema version 3)."""

    @model_validator(mode="before")
    @classmethod
    def _of_each_class(cls, plain: Any) -> Any:
        return spread(plain) if isinstance(plain, dict) else plain

    @property
    def was_interrupted(self) -> bool:
        """By Ctrl-C or a signal: that is no failure of the run, and the next `bakeoff run` makes it."""
        return self.failure is not None and self.failure.reason == "interrupted"


class DeclaredRun(Part):
    """A run that the experiment asks for."""

    id: RunId
    task: str
    model: str
    strategy: str
    seed: int


class Imported(Part):
    """A published figure, shown beside the rows and never tested."""

    name: str
    source: str
    split: str
    scores: dict[str, float]
    """metric -> score, in the metric's own unit."""
    seeds: int
    task: str | None
    """The task's label."""


class Change(Part):
    """One thing that a conclusion depends on, before and after it was changed, in words."""

    what: str
    """`baseline`, `reported split`, `margin`, `under test`, `gate`, `primary metric of TASK`, `trials of STRATEGY`."""
    before: str
    after: str


class Look(Part):
    """What had been declared when seeds, strategies or `changes` were changed although something was recorded already."""

    when: str
    """UTC, ISO 8601: when the change was declared."""
    seeds: dict[str, list[int]]
    """strategy -> its seeds before the change."""
    recorded: int
    """Runs of that declaration with a record at that time."""
    changes: list[Change] = []
    """Beside those of seeds and strategies."""


class TrialRun(Part):
    """A run of a search: only for choosing, never reported."""

    id: RunId
    task: str
    model: str
    seed: int
    values: dict[str, Any]
    """What was tried: key of the search -> value."""


class Chosen(Part):
    """What a search has chosen for one task and model."""

    task: str
    model: str
    values: dict[str, Any]


class Search(Part):
    """How a strategy's configuration was chosen."""

    grid: dict[str, list[Any]]
    """Key (`learning_rate`, `trainer.l2`, `method.r`) -> the values tried, all combinations."""
    seeds: list[int]
    choose: str
    trials: list[TrialRun]
    chosen: list[Chosen]
    """For each task and model whose trials are all recorded."""


def _of_points(margin: Any) -> Any:
    return margin if isinstance(margin, dict) else {POINTS: margin}


class Declared(Part):
    """What an experiment asked for, written before its first run: `records/plan.json`."""

    schema_version: Literal[5] = SCHEMA_VERSION
    name: str
    question: str
    spec_file: str
    baseline: str
    report_on: str
    margin: Annotated[dict[str, float], BeforeValidator(_of_points)]
    """`points` (of every primary metric that is shown in points), or a primary metric's name -> the difference, as it is shown,
    within which rows are equivalent. Where a metric has none, nothing is equivalent. A number alone (schema version 4) is of
    points."""
    under_test: list[str]
    gate: dict[str, str]
    """Cost or quality -> the change that is allowed, as `allowance` reads it: `-1 points`, `-1 points, +0.05 mae`, `+10%`."""
    metrics: dict[str, str] = {}
    """Task -> its primary metric; empty where nobody noted it (schema version 4)."""
    imported: list[Imported]
    trials: dict[str, int]
    """strategy -> configurations that were tried before it was settled on; a missing one is 1."""
    history: list[Look]
    """Oldest first."""
    searches: dict[str, Search]
    """strategy -> the search that chose its configuration; a strategy without one is untuned."""
    runs: list[DeclaredRun]

    @property
    def seeds(self) -> dict[str, list[int]]:
        """strategy -> its seeds, each once, in order."""
        found: dict[str, set[int]] = {}
        for run in self.runs:
            found.setdefault(run.strategy, set()).add(run.seed)
        return {strategy: sorted(seeds) for strategy, seeds in sorted(found.items())}


class Control(Part):
    """A fixed piece of work timed before and after the runs of one call: says whether the machine was the same for all."""

    schema_version: Literal[5] = SCHEMA_VERSION
    session: str
    """One call of `bakeoff run`."""
    moment: Literal["before", "after"]
    started: str
    """UTC, ISO 8601."""
    hardware: str
    threads: int
    milliseconds: float
    """Median of the repetitions."""
    spread: float
    """Interquartile range over median."""
    repetitions: int
    peak_flops: dict[str, float]
    """Precision -> floating-point operations a second of a large matrix product; empty where nobody measured
    (schema version 2)."""
