"""What a run was made from: its request, data and weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

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
    """A component: its name, version and options, and the plugin it comes from."""

    name: Name
    version: Name
    distribution: Name
    distribution_version: Text
    options: PlainDict


class Requested(Part):
    """What was requested of a run: all that its id is computed from, and the names that the experiment has for it."""

    experiment: Text
    strategy: Text
    task_label: Text
    model_label: Text
    """Empty where the run has no model, because its trainer owns one."""
    task: ComponentOrigin
    model: ComponentOrigin | None
    method: ComponentOrigin
    trainer: ComponentOrigin
    recipe: PlainDict
    seed: Seed
    replicate: Seed
    select: Literal["last-epoch", "best-on-dev"]

    def hashed(self) -> dict[str, Any]:
        """All that the run's id is computed from."""
        components = {kind: {"name", "version", "options"} for kind in ("task", "model", "method", "trainer")}
        return self.model_dump(include={**components, **dict.fromkeys(("recipe", "seed", "replicate", "select"), True)})

    @property
    def processes(self) -> int:
        """How many processes train together in the run."""
        return int(self.recipe.get("processes", 1))

    @property
    def distributions(self) -> set[str]:
        """Names of the distributions whose versions belong to the run's software."""
        parts = (self.task, self.model, self.method, self.trainer)
        return {part.distribution for part in parts if part is not None} | {"bakeoff"}

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if (self.model is None) != (self.model_label == ""):
            raise ValueError("model_label: must be empty for a run without a model, and only then")
        return self


class MadeFrom(Part):
    """Fingerprints of what a run was made from, half a SHA-256 each. They are not part of its id.

    None where unknown: the component does not provide it, or the record was migrated from schema 4 or earlier.
    """

    labels: Fingerprint | None = None
    """Fingerprint of the names of all labels, in order."""
    weights: Fingerprint | None = None
    """Fingerprint of all tensors from the model's checkpoint, before anything was added; equal for all seeds."""
    commit: Name | None = None
    """The commit of the hub's repository that the weights were loaded from; None for weights from elsewhere, and in older
    records."""
    tokenizer: Fingerprint | None = None
    """Fingerprint of everything that encoding depends on, except the recipe and the versions of libraries."""
    task_files: dict[Name, Fingerprint] | None = None
    """Split -> fingerprint of the files that its rows are read from; empty for a task that reads no files."""
    model_files: dict[Name, Fingerprint] | None = None
    """Part (`weights`, `tokenizer`, `configuration`) -> fingerprint of its files; empty for a model that reads no files."""
    code: dict[Name, Fingerprint] = Field(default_factory=dict)
    """Kind of component (`task`, `model`, `method`, `trainer`) -> fingerprint of its plugin's source code."""


class Split(Part):
    """One split as it was loaded."""

    examples: Count
    labelled: bool
    fingerprint: Sha256
    """SHA-256 over ids, texts and labels in order."""


class Data(Part):
    """Facts about the task's data as the run loaded it: sizes, label names, fingerprints."""

    kind: KindName
    labels: Annotated[list[Text], Field(max_length=MOST_LABELS + 1)]
    splits: dict[Name, Split]
    metrics: list[MetricFacts]
    primary_metric: Name
    source_versions: dict[Name, Text]
    """Distributions (Python packages) that the rows come from -> their versions; part of the splits' fingerprints."""
    majority_baseline: dict[Name, dict[Name, Number]]
    """split -> metric -> the score of always answering with the most frequent label of train; metrics without such a score
    are omitted."""
    overlap: dict[Name, Count] | None
    """Predicted split -> how many of its examples also occur in train: all text columns equal, ignoring case and white
    space. None in records migrated from schema 1."""
    silent: dict[Name, dict[Name, Text]] = Field(default_factory=dict)
    """split -> metric that cannot tell predictions apart there -> why: any predictions get the same score, or none. Such a
    metric has neither score nor majority baseline on that split."""

    @property
    def primary(self) -> MetricFacts:
        """The metric by which strategies are compared."""
        return next(facts for facts in self.metrics if facts.name == self.primary_metric)

    @model_validator(mode="after")
    def _of_its_own_splits_and_metrics(self) -> Self:
        names = [facts.name for facts in self.metrics]
        require_unique("metrics", names)
        if self.primary_metric not in names:
            raise ValueError(f"primary_metric: {quoted(self.primary_metric)} is not one of its metrics ({', '.join(names)})")
        require_known("overlap", self.overlap or {}, self.splits)
        for what, splits in (("majority_baseline", self.majority_baseline), ("silent", self.silent)):
            require_known(what, splits, self.splits)
            for split, metrics in splits.items():
                require_known(f"{what}.{split}", metrics, names)
        return self


class Weights(Part):
    """The model's parameters. Hashes are canonical: over sorted names, dtypes, shapes and bytes."""

    parameters_total: Count
    parameters_trainable: Count
    newly_initialised: Annotated[list[Text], Field(max_length=MOST_NEW + 1)]
    """Names of the new parameters; of more than 5, the first 5 and a count (`MOST_NEW`)."""
    head: HeadOrigin | None = None
    """Where the head's weights come from; None where the model does not say, and in records migrated from schema 4."""
    head_init_sha256: Sha256
    """Hash of the newly initialised parameters before training."""
    initial_sha256: Sha256
    final_sha256: Sha256
    lineage: list[Text]
    trained_bytes: Count | None
    """Size in bytes of a safetensors file with the trained parameters alone: what must be stored beside the checkpoint. None
    in records migrated from schema 2."""
