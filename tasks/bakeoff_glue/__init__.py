"""Tasks of the GLUE benchmark (Wang et al., 2018), from the Hugging Face hub or from a folder of the official files."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, create_model

from bakeoff.plugin import (
    CLASSIFICATION,
    REGRESSION,
    HubDataset,
    MetricNames,
    Options,
    Paths,
    Task,
    TaskInfo,
    hookimpl,
    metric_named,
)
from bakeoff_glue.facts import EVERY, LICENCE, REPOSITORY, REVISION, Columns, GlueFacts
from bakeoff_glue.folder import find_folder, read_split
from bakeoff_glue.hub import cached_files, find_on_hub, read_hub_split

if TYPE_CHECKING:
    from datasets import Dataset

FAMILY = "glue"
"""The name of the data folder that is read for these tasks (`--data glue=DIR`), in place of the one without a name."""


class GlueOptions(Options):
    """The options of a GLUE task: its metrics."""

    metrics: MetricNames = Field(
        ["accuracy", "f1"],
        description="The first is primary. Those built in (accuracy, f1, precision, recall, macro_f1, mcc and so on) work "
        "offline; any other is the hub's metric of that name.",
    )


class GlueTask(Task):
    """A GLUE task, described by its `GlueFacts`."""

    version = "1"

    def __init__(self, facts: GlueFacts) -> None:
        self.facts = facts
        self.name = f"glue/{facts.name}"
        self.summary = facts.summary
        self.Options = options_with(facts.metrics)  # type: ignore[misc]  # one class for each task: its defaults differ

    def __reduce__(self) -> tuple[type[GlueTask], tuple[GlueFacts]]:
        return GlueTask, (self.facts,)  # its options are a class made here, which no pickle finds

    def info(self, options: GlueOptions) -> TaskInfo:
        facts = self.facts
        return TaskInfo(
            kind=CLASSIFICATION if facts.labels else REGRESSION,
            text_columns=tuple(facts.text_columns),
            labels=tuple(facts.labels.values()),
            n_outputs=len(facts.labels) or 1,
            metrics=(metrics := tuple(metric_named(choice) for choice in options.metrics)),
            primary_metric=metrics[0].name,
            positive=facts.positive,
            splits=tuple(facts.splits),
            labelled_splits=tuple(facts.splits),
            hidden_splits=facts.hidden_splits,
        )

    def hub_dataset(self, options: GlueOptions) -> HubDataset:
        """The hub's rows, also where the official files are read: they are the same."""
        splits = {name: split.hub_name for name, split in self.facts.splits.items()}
        return HubDataset(id=REPOSITORY, config=self.facts.name, revision=REVISION, splits=splits)

    def licence(self, options: GlueOptions) -> str:
        return LICENCE

    def check_available(self, options: GlueOptions, places: Paths) -> None:
        if (data := places.data_named(FAMILY)) is not None:
            find_folder(self.facts, data)
        else:
            find_on_hub(self.facts)

    def files(self, options: GlueOptions, places: Paths) -> dict[str, list[Path]]:
        if (data := places.data_named(FAMILY)) is None:
            return cached_files(self.facts)
        folder = find_folder(self.facts, data)
        return {name: [folder / split.file] for name, split in self.facts.splits.items()}

    def load(self, options: GlueOptions, places: Paths) -> dict[str, Dataset]:
        self.check_available(options, places)  # before their libraries are imported: it may have to set HF_HUB_OFFLINE
        from datasets import Dataset, Features, Value

        text = Value("string")
        label = Value("int64" if self.facts.labels else "float64")
        features = Features({"id": text, **dict.fromkeys(self.facts.text_columns, text), "label": label})
        loaded = {}
        for name, (columns, check) in self._read(places).items():
            ids = [f"{name}-{row}" for row in range(len(columns["label"]))]
            loaded[name] = Dataset.from_dict({"id": ids, **columns}, features=features)
            loaded[name].info.description = check
        return loaded

    def _read(self, places: Paths) -> dict[str, tuple[Columns, str]]:
        if (data := places.data_named(FAMILY)) is None:
            return {name: (read_hub_split(self.facts, split), "") for name, split in self.facts.splits.items()}
        folder = find_folder(self.facts, data)
        return {name: read_split(self.facts, split, folder) for name, split in self.facts.splits.items()}


def options_with(metrics: tuple[str, ...]) -> type[GlueOptions]:
    """The options class of a task whose default metrics are these."""
    field = copy(GlueOptions.model_fields["metrics"])
    field.default = list(metrics)
    return create_model("GlueOptions", __base__=GlueOptions, __doc__=GlueOptions.__doc__, metrics=(field.annotation, field))


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [GlueTask(facts) for facts in EVERY]
