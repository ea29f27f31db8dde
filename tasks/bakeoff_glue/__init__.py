"""Tasks of the GLUE benchmark (Wang et al. 2018), from the Hugging Face hub or from a folder of the official files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from bakeoff.plugin import Options, Places, Task, TaskInfo, hookimpl, metric_named
from bakeoff_glue.facts import MRPC, Columns, GlueFacts
from bakeoff_glue.folder import find_folder, read_split
from bakeoff_glue.hub import find_on_hub, read_hub_split

if TYPE_CHECKING:
    from datasets import Dataset


def _different(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each metric may stand once; twice: {', '.join(twice)}")
    return names


# No '/' and no '.': evaluate would run a local script of such a name.
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class GlueOptions(Options):
    """What may be chosen about a GLUE task."""

    metrics: Annotated[list[MetricName], AfterValidator(_different)] = Field(
        ["accuracy", "f1"],
        min_length=1,
        description="The first is primary. Those built in (accuracy, f1, precision, recall, macro_f1, mcc and so on) work "
        "offline; any other is the hub's metric of that name.",
        json_schema_extra={"uniqueItems": True},
    )


class GlueTask(Task):
    """One row of the table of facts as a task."""

    version = "1"
    Options = GlueOptions

    def __init__(self, facts: GlueFacts) -> None:
        self.facts = facts
        self.name = f"glue/{facts.name}"
        self.summary = facts.summary

    def info(self, options: GlueOptions) -> TaskInfo:
        return TaskInfo(
            kind="classification",
            text_columns=tuple(self.facts.text_columns),
            labels=tuple(self.facts.labels.values()),
            n_outputs=len(self.facts.labels),
            metrics=tuple(metric_named(name) for name in options.metrics),
            primary_metric=options.metrics[0],
            splits=tuple(self.facts.splits),
            labelled_splits=tuple(self.facts.splits),
        )

    def locate(self, options: GlueOptions, places: Places) -> None:
        if places.data is not None:
            find_folder(self.facts, places.data)
        else:
            find_on_hub(self.facts)
        for metric in self.info(options).metrics:
            metric.locate()

    def load(self, options: GlueOptions, places: Places) -> dict[str, Dataset]:
        self.locate(options, places)  # before their libraries are imported: it may have to set HF_HUB_OFFLINE
        from datasets import Dataset, Features, Value

        text = Value("string")
        features = Features({"id": text, **dict.fromkeys(self.facts.text_columns, text), "label": Value("int64")})
        return {
            name: Dataset.from_dict(
                {"id": [f"{name}-{row}" for row in range(len(columns["label"]))], **columns}, features=features
            )
            for name, columns in self._read(places).items()
        }

    def _read(self, places: Places) -> dict[str, Columns]:
        if places.data is None:
            return {name: read_hub_split(self.facts, split) for name, split in self.facts.splits.items()}
        folder = find_folder(self.facts, places.data)
        return {name: read_split(self.facts, split, folder) for name, split in self.facts.splits.items()}


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [GlueTask(MRPC)]
