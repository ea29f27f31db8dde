"""Answers, and runs that gave them with their predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metrics import F1, Accuracy, MeanAbsoluteError
from bakeoff.contracts.task import TaskInfo
from bakeoff.kinds import CLASSIFICATION, Kind
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import (
    PREDICTIONS_FILE,
    Record,
    Split,
)
from bakeoff.records.silent_metrics import silent_metrics
from builders.records import failed, make_record, sha256

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


def score_of(metric: Accuracy | F1, answers: NDArray[Any], labels: NDArray[Any]) -> float:
    numerator, denominator = metric.ratio_terms(answers, labels)
    return float(numerator.sum() / denominator.sum()) if denominator.sum() else 0.0


Runs = list[tuple[Record, dict[str, Predictions]]]


def make_run(
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


def make_runs(
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
            record, predictions = make_run(strategy, seed, row, labels, split=split, slices=slices, **keywords)
            if seed in set((failing or {}).get(strategy, ())):
                runs.append((failed(record), {}))
            else:
                runs.append((record, predictions))
    return runs


def task_info(
    labels: Sequence[str] = ("no", "yes"),
    *,
    kind: Kind = CLASSIFICATION,
    metrics: Sequence[Metric] = (),
    splits: Sequence[str] = ("train", "test"),
    **more: Any,
) -> TaskInfo:
    """What a task says of itself: texts with two labels, scored by accuracy; of numbers by their mean absolute error."""
    chosen = tuple(metrics) or ((Accuracy(),) if kind.has_labels else (MeanAbsoluteError(),))
    names = tuple(labels) if kind.has_labels else ()
    facts: dict[str, Any] = {
        "kind": kind,
        "text_columns": ("text",),
        "labels": names,
        "n_outputs": len(names) or 1,
        "metrics": chosen,
        "primary_metric": chosen[0].name,
        "splits": tuple(splits),
        "labelled_splits": tuple(splits),
    }
    return TaskInfo(**facts | more)
