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
    Ratio,
    Seconds,
    Sha256,
    Some,
    Text,
)
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
    split's examples. None for a metric of the hub, and in records migrated from schema 4."""

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
    """Everything that is recorded of a run, but for steps and predictions."""

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
    """Absolute, over all predicted splits: what the difference is compared with. None where no
    predictions are known."""
    cost: Cost | None
    """Of this attempt alone."""
    attempts: list[Attempt]
    """Those before it, oldest first."""
    resumed_at: list[Count]
    """Steps already done when the training was taken up again from a checkpoint; its cost counts from the beginning."""
    trainer_owns: list[Name]
    randomness: Literal["harness", "trainer"] | None = None
    """Whose random numbers dropout drew: the harness's stream, which all such trainers share at one seed, or the trainer's own.
    None where nobody noted it."""
    trainer_notes: Annotated[list[Text], Field(max_length=MOST_NOTES + 1)] = Field(default_factory=list)
    """Notes of the trainer about this recipe, a sentence each."""
    process_notes: Annotated[list[Text], Field(max_length=MOST_NOTES)] = Field(default_factory=list)
    """Notes about the run's process, for example that it crashed after the record was complete."""
    files: dict[FileName, Sha256]
    """The record's other files -> their sha256."""
    kept: Kept | None = None
    """None where no model was asked for."""
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
                raise ValueError(f"{what}: missing of a run that succeeded")
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
    require_known("scores", scores, scored)
    if missing := sorted(scored - scores.keys()):
        raise ValueError(f"scores: there are none of split {missing[0]!r}, which has labels")
    names = {facts.name for facts in data.metrics}
    for split, found in scores.items():
        silent = data.silent.get(split, {})
        require_known(f"scores.{split}", found, names - silent.keys())
        if data.primary_metric not in {*found, *silent}:
            raise ValueError(f"scores.{split}: there is none of {data.primary_metric!r}, by which the run is judged")
