"""The options of the tasks `table` and `hub-dataset`: which files, how they are written, and what their columns mean."""

from __future__ import annotations

import codecs
import re
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from bakeoff.plugin import CLASSIFICATION, Kind, KindName, MetricNames, Options, kind_named, no_duplicates, yaml_value
from bakeoff_table.values import PLACE, label_name

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
"""Ending of a file's name -> its format."""
JOINED = "joined"
"""The name of the text that `join` makes; of two texts, `joined1` and `joined2`."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _a_codec(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "a".encode(name)
    except (LookupError, TypeError, ValueError):
        raise ValueError("unknown text encoding; common ones are utf-8, utf-16, cp1252, latin-1") from None
    return codec.name


def _a_delimiter(character: str) -> str:
    if character in {"\r", "\n", '"'}:
        raise ValueError(f"{character!r} cannot be the delimiter: name one character such as ',' or ';', or '\\t'")
    return character


def _a_dataset(path: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", path):
        raise ValueError("must be a dataset of the hub, `owner/name`")
    return path


def _a_commit(revision: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ValueError("must be a commit with all its 40 digits (0-9, a-f), because a branch or tag may change")
    return revision


def pieces(template: str) -> list[tuple[str, str | None]]:
    """The parts of a template: (literal text, the column after it or None). Raises ValueError."""
    found = []
    for literal, name, form, conversion in Formatter().parse(template):
        if name == "" or form or conversion:
            raise ValueError("a template may contain column names only, `{column}`; write a literal brace twice")
        found.append((literal, name))
    return found


def _a_template(template: str) -> str:
    if not any(name for _, name in pieces(template)):
        raise ValueError("a template must name the columns to join: `{title}. {body}`")
    return template


Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[
    list[Name],
    BeforeValidator(_as_list, json_schema_input_type=Name | list[Name]),
    AfterValidator(no_duplicates),
    Field(min_length=1),
]
"""A list of names; a single name may be written without a list."""
LabelName = Annotated[
    Name, BeforeValidator(lambda value: label_name(value) or value, json_schema_input_type=Name | bool | int | float)
]
"""A label's name. Numbers and booleans, as YAML reads `[0, 1]` and `[true, false]`, become the names that such labels have in
files."""
Format = Literal["csv", "tsv", "jsonl", "parquet"]
Quoting = Literal["minimal", "none"]
Delimiter = Annotated[
    str,
    Field(min_length=1, max_length=1),
    BeforeValidator(lambda value: "\t" if value == "\\t" else value),
    AfterValidator(_a_delimiter),
]
r"""The character between cells. In YAML `'\t'` is two characters and `"\t"` one; both mean the tab."""
Columns = Annotated[list[Name], AfterValidator(no_duplicates), Field(min_length=1)]
Encoding = Annotated[str, AfterValidator(_a_codec)]
Template = Annotated[str, AfterValidator(_a_template)]
Templates = Annotated[
    list[Template],
    BeforeValidator(_as_list, json_schema_input_type=Template | list[Template]),
    Field(min_length=1, max_length=2),
]


class FileOptions(Options):
    """A file that is written differently from the others; what is left out is as in the task's options."""

    file: Name = Field(description="The file's name, as it would stand alone.")
    format: Format | None = Field(None, description="How it is written. Default: by the ending of its name.")
    delimiter: Delimiter | None = Field(None, description="The character between its columns.")
    quoting: Quoting | None = Field(None, description="`none`: quotes are ordinary characters.")
    columns: Columns | None = Field(None, description="The names of its columns, where it has no line with them.")
    encoding: Encoding | None = Field(None, description="How its characters are stored, like latin-1.")


def _by_name_alone(entry: str | FileOptions) -> str | FileOptions:
    """Turns an entry that has only a name into that name, so that it has one spelling and one run id."""
    alone = isinstance(entry, FileOptions) and entry == FileOptions(file=entry.file)
    return entry.file if isinstance(entry, FileOptions) and alone else entry


def _different_files(entries: list[str | FileOptions]) -> list[str | FileOptions]:
    no_duplicates([name_of(entry) for entry in entries])
    return entries


def name_of(entry: str | FileOptions) -> str:
    return entry if isinstance(entry, str) else entry.file


FileEntry = Annotated[
    Annotated[Name, Tag("name")] | Annotated[FileOptions, Tag("mapping")],
    Discriminator(lambda value: "name" if isinstance(value, str) else "mapping"),
    AfterValidator(_by_name_alone),
]
Files = Annotated[
    list[FileEntry],
    BeforeValidator(_as_list, json_schema_input_type=Name | FileOptions | list[Name | FileOptions]),
    AfterValidator(_different_files),
    Field(min_length=1),
]


class TableOptions(Options):
    """Which files to read, how they are written, and what their columns mean."""

    train: Files = Field(
        description="CSV, TSV, JSON or Parquet; several files are one after another. A file that is written otherwise than the "
        "others is a mapping: `{file: dev.csv, delimiter: ';'}`."
    )
    dev: Files | None = Field(None, description="To look at while working.")
    test: Files | None = Field(None, description="To report on.")
    unlabelled: Annotated[list[Literal["dev", "test"]], AfterValidator(no_duplicates)] = Field(
        [], description="Splits without labels: they are predicted but not scored."
    )
    text: Names = Field(description="The columns that the model reads: one or two, or more with `join`.")
    join: Templates | None = Field(
        None,
        description="How columns make one text: `{title}. {body}`; two such templates make a pair of texts.",
    )
    label: Names = Field(
        description="The column of the right answer; of multi-label data, one, or one of 0 and 1 for each label."
    )
    kind: KindName | None = Field(
        None,
        description="Whether an answer is a label, a number or a set of labels. Without: a label, unless they look like "
        "numbers that were measured.",
    )
    labels: Annotated[list[LabelName], AfterValidator(no_duplicates)] | None = Field(
        None,
        min_length=1,
        description="The labels, in order. Default: those of the training rows, numbers by size, words by alphabet.",
    )
    id: Name | None = Field(None, description="A column that identifies rows. Default: their position in the file.")
    slices: Annotated[list[Name], AfterValidator(no_duplicates)] = Field(
        [], description="Columns by whose values scores may be broken down."
    )
    metrics: MetricNames | None = Field(
        None,
        description="The first is primary. Without: accuracy, macro_f1; pearson, spearman, mae; micro_f1, label_f1, accuracy.",
    )
    format: Format | None = Field(None, description="Without: by the end of the file's name.")
    delimiter: Delimiter | None = Field(None, description="Between cells. Without: ',', of TSV a tab.")
    quoting: Quoting | None = Field(
        None,
        description="`minimal`: cells may stand in quotation marks; `none`: a quotation mark is a character like any other. "
        "Without: minimal, of TSV none.",
    )
    columns: Columns | None = Field(None, description="Their names, where the file's first line is a row.")
    encoding: Encoding = Field("utf-8", description="Of CSV, TSV and JSON.")
    separator: str = Field("|", min_length=1, max_length=5, description="Between labels in one cell of multi-label data.")
    missing: Annotated[list[Name], AfterValidator(no_duplicates)] = Field(
        [], description="What cells contain for a missing value, such as NA or null; an empty cell is always missing."
    )
    gaps: Literal["refuse", "drop", "none", "empty"] = Field(
        "refuse",
        description="What becomes of rows whose text or label is missing: `drop` leaves them out, and says how many. `empty`: "
        "a missing text is an empty one; labels must be there. `none`: in multi-label data no label means a set without "
        "labels, and of texts that are joined a missing one is empty.",
    )

    @property
    def task_kind(self) -> Kind:
        return kind_named(self.kind) if self.kind else CLASSIFICATION

    def unlabelled_too(self, split: str) -> str:
        """The value of `unlabelled` with this split added, as YAML."""
        return yaml_value([*self.unlabelled, split])

    @property
    def text_columns(self) -> list[str]:
        """The names of the texts that the model reads: those of `text`, or those that `join` makes."""
        if self.join is None:
            return self.text
        return [JOINED] if len(self.join) == 1 else [f"{JOINED}{number}" for number, _ in enumerate(self.join, start=1)]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        kind = self.task_kind
        if len(self.label) > 1 and not kind.several_labels:
            raise ValueError("label: several columns go with `kind: multilabel`")
        if self.labels is not None and not kind.has_labels:
            raise ValueError(f"labels: a {kind} task has no labels; leave `labels` out")
        if self.labels is not None and len(self.label) > 1:
            raise ValueError("labels: with several label columns, their names are the labels; leave `labels` out")
        if both := sorted({*self.text} & {*self.label}):
            raise ValueError(f"label: {both[0]!r} is read by the model, so it cannot be the label too")
        if both := sorted({*self.text} & {*self.slices}):
            raise ValueError(f"slices: {both[0]!r} is what the model reads; scores are broken down by other columns")
        if taken := sorted(
            {*self.text_columns, *self.slices} & {"id", "label", PLACE} or {*self.slices} & {*self.text_columns}
        ):
            raise ValueError(f"the name {taken[0]!r} is reserved: give the column another one in the file")
        if lacking := [split for split in self.unlabelled if getattr(self, split) is None]:
            raise ValueError(f"unlabelled: no file is named for split {lacking[0]!r}: name one, or leave it out here")
        stated = self.label if len(self.label) > 1 else self.labels
        if stated is not None and not kind.allows(len(stated)):
            bound = (
                f"{kind.min_labels} or more of them" if len(stated) < kind.min_labels else f"{kind.max_labels} of them at most"
            )
            raise ValueError(f"labels: a {kind} has {bound}; here are {len(stated)}")
        if self.gaps == "none" and not kind.several_labels and self.join is None:
            raise ValueError(
                "`gaps: none` is for `kind: multilabel` or `join` only; otherwise leave `gaps` out, or write `gaps: drop` or "
                "`gaps: empty`"
            )
        return self

    @model_validator(mode="after")
    def _joined(self) -> Self:
        if self.join is None:
            if len(self.text) > 2:
                if braced := [name for name in self.text if "{" in name or "}" in name]:
                    raise ValueError(
                        f"text: a model reads one text or a pair; to join {len(self.text)} columns by `join`, which puts their "
                        f"names into braces, first rename column {braced[0]!r} in the data file"
                    )
                columns = yaml_value(" ".join(f"{{{name}}}" for name in self.text))
                raise ValueError(f"text: a model reads one text or a pair; join {len(self.text)} columns by `join: {columns}`")
            return self
        used = [name for template in self.join for _, name in pieces(template) if name]
        if wrong := [name for name in used if name not in self.text]:
            raise ValueError(f"join: {wrong[0]!r} is not a column of `text` ({', '.join(self.text)})")
        if idle := [name for name in self.text if name not in used]:
            raise ValueError(f"join: {idle[0]!r} of `text` is in no template; add it, or take it out of `text`")
        return self


class HubOptions(TableOptions):
    """The options of `hub-dataset`: files of a dataset on the Hugging Face hub, at one commit, named as on its page."""

    path: Annotated[str, AfterValidator(_a_dataset)] = Field(description="The dataset: `owner/name`.")
    revision: Annotated[str, AfterValidator(_a_commit)] = Field(
        description="A commit, all 40 digits, because a branch changes, and results with it."
    )
