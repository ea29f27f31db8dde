"""Previews a task's data for `bakeoff show task`: splits, labels, lengths, the majority baseline, some examples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.fields import Part
from bakeoff.contracts.model import Encoding, Prepared
from bakeoff.contracts.recipe import LONGEST_INPUT, Options, Recipe
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.contracts.unit import Unit
from bakeoff.errors import BakeoffError, DataError, SpecError
from bakeoff.spec.document import Document
from bakeoff.text.words import escaped
from bakeoff.training.assembly import load
from bakeoff.training.data_checks import data_checks, describe_data
from bakeoff.training.input_length import length_in

QUANTILES = (0.5, 0.9, 0.95, 0.99)


class TokenLengths(Part):
    """Lengths of a split's examples in tokens, special tokens included."""

    quantiles: dict[str, int]
    """`50%`, `90%`, ... -> the length that this share of examples does not exceed."""
    longest: int
    share_cut: float
    """Share of examples that are longer than `max_length`, 0 to 1."""


class SplitPreview(Part):
    """What a preview says about one split."""

    examples: int
    labelled: bool
    labels: dict[str, int]
    slices: dict[str, dict[str, int]]
    """slice column -> value -> number of examples that have it."""
    tokens: TokenLengths | None
    majority_baseline: dict[str, float] | None
    """metric -> score of always predicting the most frequent label of `train`; None for splits that are not predicted."""


class Preview(Part):
    """All that `bakeoff show task` prints."""

    task: str
    summary: str
    version: str
    origin: str
    kind: str
    columns: dict[str, str]
    text_columns: list[str]
    labels: list[str]
    metrics: list[str]
    """The primary metric first."""
    units: dict[str, Unit]
    """metric -> its unit."""
    sources: dict[str, str]
    data_checks: list[str]
    """Oddities of the rows, a sentence each."""
    splits: dict[str, SplitPreview]
    model: str | None
    """The model whose tokenizer measured the lengths."""
    max_length: int
    examples: list[dict[str, str]]


def preview(task: Configured, model: Configured | None, places: Paths, *, examples: int) -> Preview:
    """Loads and describes the task. Raises DataError or ModelError, within seconds if data or model are not available."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # the libraries read these when they are imported
    for name in ("HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_NO_ADVISORY_WARNINGS"):
        os.environ.setdefault(name, "1")
    component = task.registered.component
    task.check_available(places)
    if model is not None:
        model = replace(model, options=model.options_at(places))
        model.check_available(places)
    loaded = load(component, task.options_at(places), places)
    info, columns, data = loaded.info, loaded.splits, describe_data(loaded)
    cut = length_in(Recipe())
    prepared = model.registered.component.prepare(info, model.options, Encoding(LONGEST_INPUT, "longest")) if model else None
    lengths = _token_lengths(prepared, info, columns) if prepared else {}
    some = range(min(examples, data.splits["train"].examples))
    prompts = prepared.prompts({name: columns["train"][name][: len(some)] for name in info.text_columns}) if prepared else None
    return Preview(
        task=task.name,
        summary=component.summary,
        version=component.version,
        origin=str(task.registered.origin),
        kind=info.kind.name,
        columns={name: type(values[0]).__name__ for name, values in columns["train"].items()},
        text_columns=list(info.text_columns),
        labels=list(info.labels),
        units={metric.name: metric.unit for metric in info.metrics},
        metrics=sorted((metric.name for metric in info.metrics), key=lambda name: name != info.primary_metric),
        sources=data.source_versions,
        data_checks=data_checks(info, columns),
        splits={
            name: SplitPreview(
                examples=split.examples,
                labelled=split.labelled,
                labels=info.kind.label_counts(columns[name]["label"], info.labels) if split.labelled else {},
                slices={column: _value_counts(columns[name][column]) for column in info.slice_columns},
                tokens=_summary(lengths[name], cut) if name in lengths else None,
                majority_baseline=data.majority_baseline.get(name),
            )
            for name, split in data.splits.items()
        },
        model=model.label if model else None,
        max_length=cut,
        examples=[_example(info, columns["train"], row, prompts) for row in some],
    )


def texts_of(task: Configured, places: Paths, split: str, ids: Collection[str], fingerprint: str) -> dict[str, dict[str, str]]:
    """Id -> column -> text, of the split's examples with these ids. Raises DataError if data are not available, or their rows
    are not those with this fingerprint."""
    task.check_available(places)
    loaded = load(task.registered.component, task.options_at(places), places)
    columns = loaded.splits.get(split)
    if columns is None or loaded.fingerprint(columns) != fingerprint:
        raise DataError(f"{task.label}: the rows of {split} here are not those that the runs predicted, so no text is shown")
    wanted = [row for row, name in enumerate(columns["id"]) if name in ids]
    return {columns["id"][row]: {name: str(columns[name][row]) for name in loaded.info.text_columns} for row in wanted}


# --- which task and model ------------------------------------------------------------------------------------------------


def chosen(registry: Registry, kind: str, name: str, options: Mapping[str, Any], where: str) -> Configured:
    """The installed component with these options. where: what messages call the options. Raises BakeoffError, which says what
    is wrong, if there is no such component, or if it can't have these options."""
    registered = registry.get(kind, name)
    if needs := registered.told_needs:
        raise BakeoffError(f"{kind} '{name}' {needs}")
    schema: type[Options] = registered.component.Options
    try:
        return Configured(registered, schema.model_validate(dict(options)))
    except ValidationError as error:
        problems = Document(where, dict(options), {}).problems_of(error, model=schema)
        raise SpecError(problems) from None


def default_model(registry: Registry) -> Configured | None:
    """The first installed model that needs no option and lacks no library, to measure lengths by its tokenizer; None without
    one."""
    for name in registry.names("model"):
        registered = registry.get("model", name)
        schema: type[Options] = registered.component.Options
        if not registered.needs and not any(field.is_required() for field in schema.model_fields.values()):
            return Configured(registered, schema())
    return None


# --- its parts -----------------------------------------------------------------------------------------------------------


def _token_lengths(
    prepared: Prepared, info: TaskInfo, columns: Mapping[str, Mapping[str, Sequence[Any]]]
) -> dict[str, list[int]]:
    """split -> length of each example in tokens; empty for a model that does not read tokens."""
    lengths = {}
    for name in info.splits:
        rows = prepared.encode({column: columns[name][column] for column in info.text_columns})
        if rows and "input_ids" in rows[0]:
            lengths[name] = [len(row["input_ids"]) for row in rows]
    return lengths


def _summary(lengths: list[int], cut: int) -> TokenLengths:
    values = np.quantile(lengths, QUANTILES, method="higher")  # a length that some example has
    return TokenLengths(
        quantiles={f"{quantile:.0%}": int(value) for quantile, value in zip(QUANTILES, values, strict=True)},
        longest=max(lengths),
        share_cut=sum(length > cut for length in lengths) / len(lengths),
    )


def _value_counts(values: Sequence[Any]) -> dict[str, int]:
    return dict(sorted(Counter(map(str, values)).items(), key=lambda item: (-item[1], item[0])))


def _example(info: TaskInfo, columns: Mapping[str, Sequence[Any]], row: int, prompts: Sequence[str] | None) -> dict[str, str]:
    """id, texts and label of one row, and the prompt that is made of it if there is one, as text that is safe to print."""
    shown = {name: columns[name][row] for name in ("id", *info.text_columns)}
    shown["label"] = info.kind.label_in_words(columns["label"][row], info.labels)
    if prompts is not None:
        shown["prompt"] = prompts[row]
    return {name: escaped(value) for name, value in shown.items()}
