"""Experiments whose answers are given example by example: in memory for what computes, on disk for what reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from core.table_records import declaration_of, declare, failed, make_record, sha256
from numpy.typing import ArrayLike, NDArray

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metric_lookup import facts_of
from bakeoff.contracts.metrics import F1, Accuracy
from bakeoff.errors import StoreError
from bakeoff.kinds import kind_named
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.record_files import dump
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE, Declared, Record, Split
from bakeoff.records.silent_metrics import silent_metrics
from bakeoff.records.store import Store
from bakeoff.training.record_writer import write_predictions

METRICS = (Accuracy(), F1(1))


def right_by_pattern(labels: ArrayLike, right: ArrayLike) -> NDArray[np.int64]:
    """Answers (K, N) of two labels that are right where `right` (K, N) is true."""
    truth = np.asarray(labels)
    return np.where(np.asarray(right, dtype=bool), truth, 1 - truth)


def drawn_answers(
    labels: ArrayLike, *, seeds: int, accuracy: float, wobble: float = 0.1, seed: int = 0, hardness_seed: int = 99
) -> NDArray[np.int64]:
    """Answers (K, N) that hang together over seeds and strategies as those of real runs do.

    Every example has a hardness of its own (the same for every call with one `hardness_seed`); each run knows the easiest
    share `accuracy` of them, and draws anew which with a chance of `wobble` each.
    """
    truth = np.asarray(labels)
    hardness = np.random.default_rng(hardness_seed).random(len(truth))
    generator = np.random.default_rng(seed)
    fresh = generator.random((seeds, len(truth)))
    known = np.where(generator.random((seeds, len(truth))) < wobble, fresh, hardness) < accuracy
    return right_by_pattern(truth, known)


def made_run(
    strategy: str,
    seed: int,
    answers: ArrayLike,
    labels: ArrayLike,
    *,
    split: str = "test",
    slices: Mapping[str, Sequence[str]] | None = None,
    **record: Any,
) -> tuple[Record, dict[str, Predictions]]:
    """A run that gave these answers (N,) on one split, and its predictions; other keywords are make_record's."""
    truth, given = np.asarray(labels), np.asarray(answers)
    outputs = max(2, int(max(truth.max(), given.max())) + 1)
    predictions = Predictions(
        ids=tuple(f"{split}-{number}" for number in range(len(truth))),
        labels=truth,
        logits=np.where(np.arange(outputs) == given[:, None], 1.5, -1.5).astype(np.float32),
        tokens=np.arange(len(truth), dtype=np.int64) % 60 + 8,
        slices={name: tuple(values) for name, values in (slices or {}).items()},
    )
    made = make_record(strategy, seed, **record)
    assert made.data is not None
    constant = np.full_like(truth, np.bincount(truth).argmax())
    data = made.data.model_copy(
        update={
            "labels": [f"label {number}" for number in range(outputs)],
            "splits": {"train": made.data.splits["train"], split: _split(record.get("test_data", split), truth)},
            "overlap": {split: 0},
            "majority_baseline": {split: {metric.name: score_of(metric, constant, truth) for metric in METRICS}},
        }
    )
    scores = {split: {metric.name: score_of(metric, given, truth) for metric in METRICS}}
    files = {PREDICTIONS_FILE: sha256(f"predictions of {made.id}")}
    made = made.model_copy(update={"data": data, "scores": scores, "files": files})
    return knowing_silence(made, {split: predictions}, METRICS), {split: predictions}


def _split(text: str, labels: NDArray[Any]) -> Split:
    return Split(examples=len(labels), labelled=True, fingerprint=sha256(f"{text} {labels.tolist()}"))


def score_of(metric: Accuracy | F1, answers: NDArray[Any], labels: NDArray[Any]) -> float:
    numerator, denominator = metric.ratio_terms(answers, labels)
    return float(numerator.sum() / denominator.sum()) if denominator.sum() else 0.0


Runs = list[tuple[Record, dict[str, Predictions]]]


def made_runs(
    answers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    seeds: Mapping[str, Sequence[int]] | None = None,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    train_seconds: Mapping[str, Sequence[float]] | None = None,
    failing: Mapping[str, Iterable[int]] | None = None,
    split: str = "test",
    slices: Mapping[str, Sequence[str]] | None = None,
) -> Runs:
    """Runs of strategies with answers (K, N) each, interleaved by nothing: one strategy after the other.

    `seeds`, `train_seconds`: strategy -> one for each of K (default: 0 to K-1; make_record's). `records`: strategy -> keywords
    of make_record. `failing`: strategy -> seeds whose run failed instead.
    """
    runs: Runs = []
    for strategy, rows in answers.items():
        table = np.atleast_2d(np.asarray(rows))
        for number, row in enumerate(table):
            seed = (seeds or {}).get(strategy, range(len(table)))[number]
            keywords = dict((records or {}).get(strategy, {}))
            if train_seconds and strategy in train_seconds:
                keywords["train_seconds"] = train_seconds[strategy][number]
            record, predictions = made_run(strategy, seed, row, labels, split=split, slices=slices, **keywords)
            if seed in set((failing or {}).get(strategy, ())):
                runs.append((failed(record), {}))
            else:
                runs.append((record, predictions))
    return runs


def make_experiment_folder(
    folder: Path,
    answers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    undone: Iterable[Record] = (),
    split: str = "test",
    **keywords: Any,
) -> Path:
    """Writes `records/` as `bakeoff run` does: record.json, predictions.parquet, plan.json.

    Keywords are those of made_runs and the fields of Declared; the first strategy is the baseline. `undone` are declared and
    not recorded.
    """
    runs, declared = _apart(answers, labels, split, keywords)
    store = Store(folder)
    store.records.mkdir(parents=True)
    for record, predictions in runs:
        write_run(store, record, predictions)
    declare(folder, [*(record for record, _ in runs), *undone], **declared)
    return folder


def write_run(store: Store, record: Record, predictions: Mapping[str, Predictions]) -> None:
    """The run's folder: record.json and, where there are any, predictions.parquet."""
    fresh = store.begin(record.id)
    files = fill(fresh, predictions) if predictions else {}
    (fresh / RECORD_FILE).write_bytes(dump(record.model_copy(update={"files": files})))
    assert store.publish(fresh, record.id)


def fill(folder: Path, predictions: Mapping[str, Predictions]) -> dict[str, str]:
    """predictions.parquet by the harness's own writer; its checksum."""
    path = folder / PREDICTIONS_FILE
    write_predictions(
        path,
        {split: found.logits for split, found in predictions.items()},
        {split: {"id": found.ids, "label": found.labels.tolist(), **found.slices} for split, found in predictions.items()},
        {split: [{"input_ids": range(int(length))} for length in found.tokens] for split, found in predictions.items()},
        tuple(next(iter(predictions.values())).slices),
        next(iter(predictions.values())).kind,
    )
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}


def _apart(
    answers: Mapping[str, ArrayLike], labels: ArrayLike, split: str, keywords: Mapping[str, Any]
) -> tuple[Runs, dict[str, Any]]:
    """The runs, and what is declared about them."""
    declared = {name: value for name, value in keywords.items() if name in Declared.model_fields}
    rest = {name: value for name, value in keywords.items() if name not in declared}
    return made_runs(answers, labels, split=split, **rest), {"baseline": next(iter(answers)), "report_on": split, **declared}


def make_experiment_in_memory(
    answers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    undone: Iterable[Record] = (),
    split: str = "test",
    **keywords: Any,
) -> Experiment:
    """The same experiment without a disk."""
    runs, declared = _apart(answers, labels, split, keywords)
    by_id = {record.id: predictions for record, predictions in runs}

    def read(run_id: str) -> Mapping[str, Predictions]:
        if not by_id.get(run_id):
            raise StoreError(f"{run_id} has no predictions")
        return by_id[run_id]

    def steps(run_id: str) -> Any:
        raise StoreError(f"{run_id} has no steps")

    everything = [*(record for record, _ in runs), *undone]
    return Experiment(
        declared=declaration_of(everything, **declared),
        records=tuple(record for record, _ in runs),
        predictions=read,
        steps=steps,
        metrics={run[0].requested.task_label: {metric.name: metric for metric in METRICS} for run in runs},
    )


def knowing_silence(record: Record, splits: Mapping[str, Predictions], metrics: Sequence[Metric]) -> Record:
    """The record without figures of metrics that say nothing on the splits that it predicted."""
    assert record.data is not None
    silent = silent_metrics(metrics, {name: found.labels for name, found in splits.items()}, record.data.labels)

    def speaking(scores: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return {
            split: {name: one for name, one in found.items() if name not in silent.get(split, {})}
            for split, found in scores.items()
        }

    data = record.data.model_copy(update={"silent": silent, "majority_baseline": speaking(record.data.majority_baseline)})
    return record.model_copy(update={"data": data, "scores": speaking(record.scores)})


def scored_by(made: Experiment, metric: Metric, *, kind: str, truth: ArrayLike, given: Mapping[str, ArrayLike]) -> Experiment:
    """The same runs on another kind of data: `given` (K, N) numbers, or logits (K, N, n_outputs), scored by one metric."""
    labels, old = np.asarray(truth), made.predictions
    by_id: dict[str, Mapping[str, Predictions]] = {}
    records = []
    place: dict[str, int] = {}
    for record in made.records:
        name = record.requested.strategy
        logits = np.asarray(given[name])[place.setdefault(name, 0)].astype(np.float32).reshape(len(labels), -1)
        place[name] += 1
        by_id[record.id] = {
            split: replace(found, labels=labels, logits=logits, kind=kind_named(kind))
            for split, found in old(record.id).items()
        }
        ((split, found),) = by_id[record.id].items()
        assert record.data is not None
        facts = facts_of(metric).model_copy(update={"unit": metric.unit})
        data = record.data.model_copy(
            update={
                "kind": kind,
                "labels": record.data.labels if kind_named(kind).has_labels else [],
                "metrics": [facts],
                "primary_metric": metric.name,
                "majority_baseline": {split: {}},
            }
        )
        scores = {split: {metric.name: metric.score(found.kind.answers(found.logits), labels)}}
        record = record.model_copy(update={"data": data, "scores": scores})
        records.append(knowing_silence(record, by_id[record.id], [metric]))
    task = made.records[0].requested.task_label
    metrics = {task: {metric.name: metric}}
    return replace(made, records=tuple(records), predictions=by_id.__getitem__, metrics=metrics)
