"""The time and memory that a run of each strategy takes, measured by `bakeoff time`: `costs.json`.

The strategies of a comparison group take turns, so that all meet the same state of the machine. A turn is a few optimizer steps
and a few evaluation batches; a round has at most one turn of each.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from bakeoff.contracts.fields import Amount, Count, Fingerprint, Moment, Name, Part, Positive, Seconds, Some, Text
from bakeoff.machine.file_hashes import digest_of
from bakeoff.records.schema.inputs import Requested
from bakeoff.records.schema.observed import Environment
from bakeoff.records.schema.shared import (
    AS_FILE,
    PHASES,
    SCHEMA_VERSION,
    UNSEALED,
    require_known,
    require_unique,
)

MOST_ROUNDS: Final = 1000
"""The most rounds of a measurement: by then an interval is as narrow as it will ever be."""

WITHOUT_COST: Final = frozenset(
    {
        "learning_rate",
        "eps",
        "betas",
        "momentum",
        "weight_decay",
        "warmup",
        "label_smoothing",
        "class_weights",
        "decay",
        "cycles",
    }
)
"""Keys of a recipe whose values change what a step computes and not how long it takes."""

Rounds = Annotated[list[Positive | None], Field(max_length=MOST_ROUNDS)]
"""Seconds in each round; None for a round without a turn."""


def timed_digest(requested: Requested) -> str:
    """A hash that is equal for runs that take equally long: those that differ in seed, replicate, names and `WITHOUT_COST`
    alone."""
    parts = {
        kind: part.model_dump(include={"name", "version", "options"}) if (part := getattr(requested, kind)) else None
        for kind in ("task", "model", "method", "trainer")
    }
    recipe = {key: value for key, value in requested.recipe.items() if key not in WITHOUT_COST}
    return digest_of([parts, recipe, requested.select])


class Timed(Part):
    """The turns of one strategy, or of several strategies whose runs take equally long."""

    strategies: Annotated[list[Text], Field(min_length=1)]
    digest: Fingerprint
    """`timed_digest` of what was timed."""
    sources: list[list[Text | None]]
    """Facts about the data and model, as `provenance.as_plain` writes them."""
    whole: bool
    """Whether each turn was a whole training, of a trainer that takes no steps or of fewer steps than a turn has."""
    steps: Some
    """Optimizer steps of a run; 1 where `whole`, for the whole training."""
    step_seconds: Rounds
    """Seconds of a step by round, each the mean over a turn's steps."""
    batches: Count
    """Evaluation batches of a run."""
    batch_seconds: Rounds
    """Seconds of an evaluation batch by round, each the mean over a turn's batches."""
    fixed_seconds: dict[Name, Seconds]
    """Phase -> what a run takes there once, whatever its steps and batches; measured once."""
    peak_memory_bytes: Count
    """Peak memory of the run's processes, summed, while they were timed."""

    @model_validator(mode="after")
    def _of_phases(self) -> Self:
        require_known("fixed_seconds", self.fixed_seconds, PHASES)
        return self


class Timing(Part):
    """All strategies of one comparison group, timed in the same rounds."""

    task: Text
    model: Text
    """The labels of task and model, as the comparison group has them."""
    baseline: Text
    """The strategy that took a turn in every round."""
    measured: Moment
    seconds: Seconds
    """How long the measurement took."""
    load: Amount
    """The machine's load average over one minute when the measurement began: how many processes wanted to run."""
    environment: Environment
    timed: Annotated[list[Timed], Field(min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [name for one in self.timed for name in one.strategies]
        require_unique("timed", names)
        require_unique("timed: digest", [one.digest for one in self.timed])
        require_known("baseline", [self.baseline], names)
        return self


class Costs(Part):
    """`records/costs.json`: the newest timing of each comparison group."""

    model_config = AS_FILE

    schema_version: Literal[6] = SCHEMA_VERSION
    timings: list[Timing]
    seal: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = UNSEALED
    """See `Record.seal`."""

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        require_unique("timings", [(timing.task, timing.model) for timing in self.timings])
        return self
