"""What an experiment file says of somebody's own data."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bakeoff.plugin import MOST_LABELS_AT_ONCE, MetricNames, Options, different

METRICS = {
    "classification": ["accuracy", "macro_f1"],
    "regression": ["pearson", "spearman", "mae"],
    "multilabel": ["micro_f1", "label_f1", "accuracy"],
}
"""Of a kind; the first is primary."""
FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
"""By the end of a file's name."""


LABELS = {"classification": (2, 1000), "multilabel": (1, MOST_LABELS_AT_ONCE)}
"""The fewest and the most that a kind may have: more classes are a column of something else, more bits than a number holds."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _a_codec(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "a".encode(name)
    except (LookupError, TypeError, ValueError):
        raise ValueError("no such encoding of text; common are utf-8, utf-16, cp1252, latin-1") from None
    return codec.name


def _a_dataset(path: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", path):
        raise ValueError("must be a dataset of the hub, `owner/name`")
    return path


def _a_commit(revision: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ValueError("must be a commit in all its 40 digits (0-9, a-f): what a branch or a tag holds may change")
    return revision


Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[
    list[Name],
    BeforeValidator(_as_list, json_schema_input_type=Name | list[Name]),
    AfterValidator(different),
    Field(min_length=1),
]
"""One, or several."""
LabelName = Annotated[Name, AfterValidator(str.strip)]


class TableOptions(Options):
    """Which files, how their rows are read, and what their columns mean."""

    train: Names = Field(description="CSV, TSV, JSON lines or Parquet; several files are one after another.")
    dev: Names | None = Field(None, description="To look at while working.")
    test: Names | None = Field(None, description="To report on.")
    text: Names = Field(description="One or two columns that the model reads.", max_length=2)
    label: Names = Field(
        description="The column of the right answer; of multi-label data, one, or one of 0 and 1 for each label."
    )
    kind: Literal["classification", "regression", "multilabel"] = Field(
        "classification", description="Whether an answer is a label, a number or a set of labels."
    )
    labels: Annotated[list[LabelName], AfterValidator(different)] | None = Field(
        None,
        min_length=1,
        description="In their order; without, those that the training rows hold: numbers by size, words by alphabet.",
    )
    id: Name | None = Field(None, description="A column that tells rows apart; without, their place in the file does.")
    slices: Annotated[list[Name], AfterValidator(different)] = Field([], description="Columns by which results may be cut.")
    metrics: MetricNames | None = Field(
        None,
        description="The first is primary. Without: accuracy, macro_f1; pearson, spearman, mae; micro_f1, label_f1, accuracy.",
    )
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = Field(
        None, description="Without: by the end of the file's name."
    )
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="Between cells. Without: ',', of TSV a tab.")
    quoting: Literal["minimal", "none"] = Field(
        "minimal", description="`none`: a quotation mark is a character like any other."
    )
    columns: Annotated[list[Name], AfterValidator(different)] | None = Field(
        None, min_length=1, description="Their names, where the file's first line is a row."
    )
    encoding: Annotated[str, AfterValidator(_a_codec)] = Field("utf-8", description="Of CSV and TSV.")
    separator: str = Field("|", min_length=1, max_length=5, description="Between labels in one cell of multi-label data.")
    gaps: Literal["refuse", "drop"] = Field(
        "refuse", description="What becomes of rows whose text or label is missing; `drop` leaves them out, and says how many."
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if len(self.label) > 1 and self.kind != "multilabel":
            raise ValueError("label: several columns go with `kind: multilabel`")
        if self.labels is not None and self.kind == "regression":
            raise ValueError("labels: a regression has none")
        if self.labels is not None and len(self.label) > 1:
            raise ValueError("labels: several label columns are named by themselves")
        if both := sorted({*self.text} & {*self.label}):
            raise ValueError(f"label: {both[0]!r} is what the model reads; it cannot be the answer too")
        if both := sorted({*self.text} & {*self.slices}):
            raise ValueError(f"slices: {both[0]!r} is what the model reads; results are cut by other columns")
        if taken := sorted({*self.text, *self.slices} & {"id", "label"}):
            raise ValueError(f"the name {taken[0]!r} is taken for what it says here: give the column another one in the file")
        least, most = LABELS.get(self.kind, (0, 0))
        stated = self.label if len(self.label) > 1 else self.labels
        if stated is not None and self.kind in LABELS and not least <= len(stated) <= most:
            raise ValueError(f"labels: a {self.kind} has {least} to {most} of them; here are {len(stated)}")
        if self.delimiter in {"\r", "\n", '"'}:
            raise ValueError(f"delimiter: {self.delimiter!r} cannot stand between cells")
        return self


class HubOptions(TableOptions):
    """Files of a dataset on the Hugging Face hub, at one commit, named as its page lists them."""

    path: Annotated[str, AfterValidator(_a_dataset)] = Field(description="The dataset: `owner/name`.")
    revision: Annotated[str, AfterValidator(_a_commit)] = Field(
        description="A commit, all 40 digits: what a branch holds changes, and results with it."
    )
