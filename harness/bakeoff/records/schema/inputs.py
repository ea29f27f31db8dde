"""What a run was made from: the request, the data, the weights."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bakeoff.contracts.fields import (
    Count,
    Fingerprint,
    Name,
    Number,
    Part,
    PlainDict,
    Seed,
    Sha256,
    Text,
)
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.model import HeadOrigin
from bakeoff.kinds import KindName
from bakeoff.records.schema.shared import (
    MOST_LABELS,
    MOST_NEW,
    require_known,
    require_unique,
)
from bakeoff.text.words import quoted


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

    @property
    def processes(self) -> int:
        """How many processes share the run."""
        return int(self.recipe.get("processes", 1))

    @property
    def distributions(self) -> set[str]:
        """Those whose versions are part of the run's software."""
        return {part.distribution for part in (self.task, self.model, self.method, self.trainer)} | {"bakeoff"}


class MadeFrom(Part):
    """Fingerprints of what a run was made from: half a sha256 each. They are no part of its id.

    None where it is unknown: the component does not provide it, or the record was migrated from schema 4 or before.
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

    kind: KindName
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
    white space collapsed. None in records migrated from schema 1."""
    silent: dict[Name, dict[Name, Text]] = Field(default_factory=dict)
    """split -> metric that says nothing there -> why: whatever is answered, it gives one score, or none. It has neither score
    nor majority baseline there."""

    @property
    def primary(self) -> MetricFacts:
        """The metric by which strategies are compared."""
        return next(facts for facts in self.metrics if facts.name == self.primary_metric)

    @model_validator(mode="after")
    def _of_its_own_splits_and_metrics(self) -> Self:
        names = [facts.name for facts in self.metrics]
        require_unique("metrics", names)
        if self.primary_metric not in names:
            raise ValueError(f"primary_metric: {quoted(self.primary_metric)} is none of its metrics ({', '.join(names)})")
        require_known("overlap", self.overlap or {}, self.splits)
        for what, splits in (("majority_baseline", self.majority_baseline), ("silent", self.silent)):
            require_known(what, splits, self.splits)
            for split, metrics in splits.items():
                require_known(f"{what}.{split}", metrics, names)
        return self


class Weights(Part):
    """The model's parameters. Hashes are canonical: sorted name, dtype, shape, bytes."""

    parameters_total: Count
    parameters_trainable: Count
    newly_initialised: Annotated[list[Text], Field(max_length=MOST_NEW + 1)]
    """By name; beyond 5 of them, the first 5 and a count (`MOST_NEW`)."""
    head: HeadOrigin | None = None
    """None where the model does not tell, and in records migrated from schema 4."""
    head_init_sha256: Sha256
    """Of the newly initialised parameters before training."""
    initial_sha256: Sha256
    final_sha256: Sha256
    lineage: list[Text]
    trained_bytes: Count | None
    """Size of a safetensors file with the parameters that trained: what must be kept beside the checkpoint. None in records
    migrated from schema 2."""
