"""The record of a run: `record.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bakeoff.contracts.each_class import spread
from bakeoff.contracts.fields import (
    Amount,
    Count,
    Moment,
    Name,
    Number,
    Part,
    PlainDict,
    Ratio,
    Seconds,
    Sha256,
    Some,
    Text,
)
from bakeoff.contracts.trainer import WhatIsTimed
from bakeoff.records.schema.inputs import Data, MadeFrom, Requested, Weights
from bakeoff.records.schema.observed import Cost, Environment, Observed
from bakeoff.records.schema.shared import (
    AS_FILE,
    MOST_NOTES,
    SCHEMA_VERSION,
    SCORES_KEPT,
    UNSEALED,
    FileName,
    Reason,
    RunId,
    require_known,
)

Predicted = Literal["logits", "scores", "answers"]


class Selection(Part):
    """Which weights `select: best-on-dev` chose for a run, and from how many evaluations."""

    split: Name
    evaluations: Some
    """How many evaluations there were: one at the end of each epoch but the last, or after each `evaluate_every` steps, and one
    at the end of training; where early stopping ended it, the last one is that which ended it."""
    chosen_epoch: Some
    """The number of the evaluation that was best, from 1: that of the epoch, unless `evaluate_every` is set. Of equals the
    first."""
    metric: Name | None = None
    """The metric by which it was chosen; None in records from before 2026-11-30, which chose by the primary one."""
    scores: list[Number]
    """That metric on `split` at each evaluation, in order; of more than 32, the last 32."""
    discordance: Ratio | None
    """The share of the split's examples that two evaluations label differently, averaged over all pairs of evaluations; None
    for a regression."""
    optimism: Number | None = None
    """By how much choosing the best of these evaluations raises its score by chance alone, in the metric's unit, estimated
    by resampling the split's examples. None for a metric of the hub, and in records migrated from schema 4."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.chosen_epoch > self.evaluations:
            raise ValueError(f"chosen_epoch: {self.chosen_epoch} of {self.evaluations} evaluations")
        if len(self.scores) != min(self.evaluations, SCORES_KEPT):
            raise ValueError(f"scores: {len(self.scores)} of {self.evaluations} evaluations")
        return self


class KeptModel(Part):
    """What came of `keep: final`, which asks to save the trained model."""

    reason: Text | None
    """Why the model was not kept; None if it was: then `model/` has it, and it reproduced the recorded predictions."""
    difference: Amount | None
    """Largest absolute difference between the recorded logits of a batch and those of the saved model, loaded again."""


class Failure(Part):
    """Why a run has no scores."""

    reason: Reason
    message: Text
    phase: Name


class Attempt(Part):
    """An earlier attempt at the same run, which failed."""

    started: Moment
    """UTC, ISO 8601."""
    reason: Reason
    phase: Name
    total_seconds: Seconds
    train_seconds: Seconds
    steps: Count


class Record(Part):
    """Everything recorded of a run, except its steps and predictions."""

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
    """split -> metric -> score. Metrics in `data.silent` have none."""
    selection: Selection | None
    """None if the last epoch is evaluated."""
    evaluation_difference: Amount | None
    """Largest absolute difference between two predictions of the same batch; anything but 0.0 means that predicting is
    random."""
    largest_logit: Amount | None = None
    """The largest absolute logit over all predicted splits, to compare `evaluation_difference` with; None without
    predictions."""
    cost: Cost | None
    """Cost of this attempt only; None where the run failed before its cost could be measured."""
    attempts: list[Attempt]
    """Earlier attempts, oldest first."""
    resumed_at: list[Count]
    """Numbers of steps done when training resumed from a checkpoint; the cost includes the steps before."""
    trainer_owns: list[Name]
    randomness: Literal["harness", "trainer"] | None = None
    """Whose random numbers dropout drew: the harness's stream, which all such trainers share at one seed, or the trainer's own.
    None where it was not recorded."""
    trainer_notes: Annotated[list[Text], Field(max_length=MOST_NOTES + 1)] = Field(default_factory=list)
    """Sentences of the trainer about this recipe."""
    max_length: Some | None = None
    """The length, in tokens, that `max_length: auto` came to; None for a recipe with a number."""
    predicted: Predicted = "logits"
    """What the predictions were made from: a model's logits, probabilities that a trainer answered (`scores`), or its answers
    alone, which tell no probability."""
    timed: WhatIsTimed = "phases"
    """What the seconds in `cost` mean: those of every phase, those of the whole process alone, or nothing."""
    used_dev: bool = False
    """Whether a trainer that owns its model asked for the labels of the split to select on, so that scores there are
    optimistic."""
    claims: PlainDict | None = None
    """Recipe key -> its value, of the keys that a script is said to follow: claimed, not observed; of the other keys nothing is
    known. None for a run whose recipe the harness knows."""
    process_notes: Annotated[list[Text], Field(max_length=MOST_NOTES)] = Field(default_factory=list)
    """Notes on the run's process, such as that it crashed after the record was complete."""
    files: dict[FileName, Sha256]
    """The record's other files -> their SHA-256."""
    kept: KeptModel | None = None
    """None unless `keep: final` was asked for."""
    seal: Sha256 = UNSEALED
    """SHA-256 of this file, computed with 64 zeros in place of this value."""

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
        for what in ("data", *([] if self.owns_model else ["weights"]), "cost"):
            if getattr(self, what) is None:
                raise ValueError(f"{what}: missing, although the run succeeded")
        assert self.data is not None
        _require_scores(self.scores, self.data)
        if not self.owns_model and self.predicted != "logits":
            raise ValueError(f"predicted: {self.predicted!r}, although its trainer owns no model")
        if self.owns_model and (self.weights or self.observed):
            raise ValueError(f"{'weights' if self.weights else 'observed'}: must be null, since its trainer owns the model")
        if (self.selection is not None) and self.selection.split not in self.scores:
            raise ValueError(f"selection.split: {self.selection.split!r} is not among the splits with scores")
        return self

    @property
    def owns_model(self) -> bool:
        """Whether the run's trainer owns its model: the harness then observed neither weights nor optimizer steps."""
        return "model" in self.trainer_owns

    @property
    def train_seconds(self) -> float | None:
        """Seconds of training, to be compared with those of other runs; None if the run's phases were not timed."""
        return self.cost.train_seconds if self.cost and self.timed == "phases" else None

    @property
    def evaluate_seconds(self) -> float | None:
        """Seconds of evaluation; None as for `train_seconds`."""
        return self.cost.evaluate_seconds if self.cost and self.timed == "phases" else None

    @property
    def total_seconds(self) -> float | None:
        """Seconds of the whole run; None where they mean nothing (see `timed`)."""
        return self.cost.total_seconds if self.cost and self.timed != "nothing" else None

    @property
    def peak_memory_bytes(self) -> int | None:
        """Peak memory of the run in bytes; None where that of its process means nothing (see `timed`)."""
        return self.cost.peak_memory_bytes if self.cost and self.timed != "nothing" else None

    @property
    def was_interrupted(self) -> bool:
        """Whether Ctrl-C or a signal ended it: that is no failure of the run, and the next `bakeoff run` repeats it."""
        return self.failure is not None and self.failure.reason == "interrupted"

    @property
    def why_not_kept(self) -> str:
        """Why its model could not be kept; empty if it was kept, or nobody asked for it."""
        return (self.kept and self.kept.reason) or ""


def _require_scores(scores: Mapping[str, Mapping[str, float]], data: Data) -> None:
    """Raises ValueError unless every labelled split but `train` has scores, of known metrics that are not in `data.silent`."""
    scored = {name for name, split in data.splits.items() if split.labelled and name != "train"}
    require_known("scores", scores, scored)
    if missing := sorted(scored - scores.keys()):
        raise ValueError(f"scores: none for split {missing[0]!r}, which has labels")
    names = {facts.name for facts in data.metrics}
    for split, found in scores.items():
        silent = data.silent.get(split, {})
        require_known(f"scores.{split}", found, names - silent.keys())
        if data.primary_metric not in {*found, *silent}:
            raise ValueError(f"scores.{split}: none for the primary metric {data.primary_metric!r}")
