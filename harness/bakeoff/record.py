"""What a run leaves behind. Reading it needs neither torch nor the plugins; every key is always there.

A record's folder holds `record.json` (this model, 8 KB at most), `steps.parquet` (step, loss, learning_rate, grad_norm,
seconds) and `predictions.parquet` (split, id, label, logits, tokens, `slice:` columns). A failed run has the same record with
`status: failed` and its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bakeoff.errors import DamageError, StoreError, escaped, quoted, shown_path

SCHEMA_VERSION: Final = 1
RECORD_FILE = "record.json"
STEPS_FILE = "steps.parquet"
PREDICTIONS_FILE = "predictions.parquet"
OUTPUT_FILE = "output.txt"
"""Whatever a run, its plugins and libraries printed; kept only beside a failure, and outside the record's checksums."""

PHASES = ("import", "load", "encode", "build", "warm-up", "train", "evaluate", "save")
"""`warm-up` is from the call of the trainer to its first step: building its optimizer, compiling. Costs count both."""

Reason = Literal["diverged", "out of memory", "timed out", "crashed", "error"]


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
    """split -> metric -> the score of always answering with the training split's majority label."""


class Weights(Part):
    """The model's parameters. Hashes are canonical: sorted name, dtype, shape, bytes."""

    parameters_total: int
    parameters_trainable: int
    newly_initialised: list[str]
    """By name; beyond 20 of them, the first 20 and a count."""
    head_init_sha256: str
    """Of the newly initialised parameters before training."""
    initial_sha256: str
    final_sha256: str
    lineage: list[str]


class ObservedGroup(Part):
    """A parameter group as the optimizer had it at its first step."""

    tensors: int
    elements: int
    weight_decay: float | None
    betas: list[float] | None
    eps: float | None
    fused: bool | None


class Observed(Part):
    """What the optimizer really did, seen at its own steps, not copied from the experiment file."""

    optimizer: str
    optimizer_steps: int
    groups: list[ObservedGroup]
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


class Cost(Part):
    """What the run took."""

    phase_seconds: dict[str, float]
    total_seconds: float
    steps: int
    train_samples_per_second: float | None
    evaluate_samples_per_second: float | None
    peak_memory_bytes: int
    peak_device_memory_bytes: int | None
    energy_joules: float | None
    energy_note: str
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
    device: str
    processor: str
    memory_bytes: int
    system: str


class Failure(Part):
    """Why a run has no scores."""

    reason: Reason
    message: str
    phase: str


class Record(Part):
    """All that a run leaves behind."""

    schema_version: Literal[1] = SCHEMA_VERSION
    id: str
    status: Literal["ok", "failed"]
    failure: Failure | None
    started: str
    """UTC, ISO 8601."""
    asked: Asked
    environment: Environment
    data: Data | None
    weights: Weights | None
    observed: Observed | None
    scores: dict[str, dict[str, float]]
    """split -> metric -> score."""
    cost: Cost | None
    trainer_owns: list[str]
    files: dict[str, str]
    """The record's other files -> their sha256."""


class DeclaredRun(Part):
    """A run that the experiment asks for."""

    id: str
    task: str
    model: str
    strategy: str
    seed: int


class Declared(Part):
    """What an experiment asked for, written before its first run: `records/plan.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    question: str
    spec_file: str
    baseline: str
    report_on: str
    margin: float
    under_test: list[str]
    runs: list[DeclaredRun]


def read_record(folder: Path) -> Record:
    """The record in a run's folder; raises StoreError that names the file and what is wrong with it."""
    path = folder / RECORD_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamageError(f"{shown_path(path)} cannot be read: {error.strerror}") from None
    return read_part(Record, content, path)


PartKind = TypeVar("PartKind", bound=Part)


def read_part(kind: type[PartKind], content: bytes, path: Path) -> PartKind:
    """What the file holds; raises DamageError that says where it is wrong, StoreError for another schema version."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "schema_version":
            raise StoreError(
                f"{shown_path(path)} has schema version {quoted(first['input'])}; this bakeoff reads {SCHEMA_VERSION}"
            ) from None
        raise DamageError(f"{shown_path(path)} is damaged: {where or 'file'}: {escaped(first['msg'])}") from None


def dump(record: BaseModel) -> bytes:
    """A record's bytes: indented JSON, non-finite numbers refused."""
    import json

    return (json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode()
