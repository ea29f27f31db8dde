"""Predicts new rows by a model that a run has kept, as the run itself predicted its splits: the same reading of texts, the same
batches, the same labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakeoff.contracts.metric import Floats
from bakeoff.contracts.model import Encoding
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.task import NewRows, TaskInfo
from bakeoff.errors import ModelError, PluginError, StoreError
from bakeoff.files import read_regular
from bakeoff.machine import hardware
from bakeoff.machine.file_hashes import digest_of
from bakeoff.records.record_files import MOST_OF_A_TEXT
from bakeoff.records.schema import MODEL_FOLDER, MOST_LABELS, Record
from bakeoff.records.store import Store
from bakeoff.text.words import quoted
from bakeoff.toolkit.row_files import read_row_file
from bakeoff.training.assembly import components
from bakeoff.training.evaluation import predict
from bakeoff.training.own_run import WHY_NOT_KEPT
from bakeoff.training.request import Request


@dataclass(frozen=True)
class Predictions:
    """The answers to new rows, in their order."""

    ids: Sequence[str]
    answers: Any
    """Label numbers, sets of labels, or numbers, by the kind of the task."""
    words: list[str]
    """The answers as a person writes them: names of labels, or numbers as text."""
    labels: tuple[str, ...]
    """The names of all labels; empty for a regression."""
    logits: Any
    """(n, n_outputs), float32."""
    probabilities: Floats | None
    """(n, labels); None for kinds of task without probabilities."""
    notes: list[str]


def require_kept(store: Store, record: Record, name: str, again: str) -> Path:
    """The folder of the model that the run kept, after a check that none of its files changed. Raises StoreError if the run
    kept no model, or a file changed. again: the command that repeats the run and keeps its model, for the message."""
    kept = [file for file in record.files if file.startswith(f"{MODEL_FOLDER}/")]
    if not kept:
        why = "failed" if record.failure else f"kept no model ({record.kept.reason})" if record.kept else "kept no model"
        if record.owns_model:
            raise StoreError(f"run {name} kept no model: {WHY_NOT_KEPT}")
        raise StoreError(
            f"run {name} {why}: write `keep: final` into the experiment file, then `{again}` makes it with its model"
        )
    store.check(record.id)
    return store.records / record.id / MODEL_FOLDER


def predict_rows(request: Request, record: Record, folder: Path, path: Path, registry: Registry) -> Predictions:
    """The answers of the model in `folder`, which `record` kept, to the rows of the file at `path`.

    Raises DataError for a file that can't be read, ModelError and PluginError where the model can't be loaded here.
    """
    parts = components(request, registry, trains=False)
    task, model, trainer = (parts[kind].registered.component for kind in ("task", "model", "trainer"))
    options = {kind: part.options for kind, part in parts.items()}
    info = with_labels(task.info(options["task"]), record, folder)
    rows: NewRows = task.read_rows(options["task"], path, request.places) or read_row_file(path, info.text_columns)
    device = hardware.pick_device(request.device, threads=request.threads)
    import bakeoff.machine.preload  # noqa: F401 - the libraries that train, with their settings

    length = request.recipe.max_length if record.max_length is None else record.max_length
    if isinstance(length, str):
        raise StoreError("the run's record does not tell the length that `max_length: auto` came to")
    encoding = Encoding(length, request.recipe.padding)
    prepared = model.prepare_saved(folder, info, options["model"], encoding)
    key, recorded = prepared.tokenizer_key(), record.made_from.tokenizer
    if key is not None and recorded is not None and digest_of(key) != recorded:
        raise ModelError(f"the tokenizer of model {quoted(model.name)} is not the one that the run read its texts by")
    network = prepared.load_saved(folder, device)
    with trainer.fast_inference(network):
        logits = predict(prepared, network, prepared.encode(rows.texts), device)
    if logits.shape[1] != info.n_outputs:
        raise PluginError(
            f"the model gives {logits.shape[1]} outputs for each row, and task {quoted(task.name)} has {info.n_outputs}"
        )
    answers = info.kind.answers(logits)
    return Predictions(
        ids=rows.ids,
        answers=answers,
        words=[info.kind.label_in_words(answer, info.labels) for answer in answers],
        labels=info.labels,
        logits=logits,
        probabilities=info.kind.probabilities(logits),
        notes=[*rows.notes, *changed_versions(record, parts)],
    )


def with_labels(info: TaskInfo, record: Record, folder: Path) -> TaskInfo:
    """The task with the label names that the run had, which its data may have given. Raises StoreError if they are not found in
    the task, the record or the kept model."""
    if not info.kind.has_labels:
        return info
    named = record.data.labels if record.data and len(record.data.labels) <= MOST_LABELS else []
    for labels in (list(info.labels), named, saved_labels(folder)):
        known = record.made_from.labels
        if labels and (known is None or digest_of(labels) == known):
            return replace(info, labels=tuple(labels), n_outputs=info.kind.n_outputs(len(labels)))
    raise StoreError("the label names that the run had are found neither in its task, nor in its record, nor in its kept model")


def saved_labels(folder: Path) -> list[str]:
    """The names of the labels that a model of transformers has in its configuration; empty for others."""
    for place in (folder / "config.json", folder / "base" / "config.json"):
        with suppress(OSError, ValueError, AttributeError, KeyError):
            named = json.loads(read_regular(place, at_most=MOST_OF_A_TEXT))["id2label"]
            return [str(named[str(number)]) for number in range(len(named))]
    return []


def changed_versions(record: Record, parts: Any) -> list[str]:
    """A sentence for each component that has another version here than in the run."""
    found = []
    for kind in ("task", "model", "trainer"):
        then, now = getattr(record.requested, kind).version, parts[kind].registered.component.version
        if then != now:
            found.append(f"{kind} {parts[kind].name} is version {now} here, and the run had {then}")
    return found
