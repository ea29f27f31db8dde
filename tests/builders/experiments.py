"""Experiments in memory: any, one without a warning, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metric_lookup import facts_of
from bakeoff.errors import StoreError
from bakeoff.kinds import kind_named
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import (
    Declared,
    Imported,
    Record,
)
from builders.declarations import make_declaration
from builders.records import make_control, make_observed, sha256
from builders.runs import METRICS, Runs, drawn_answers, knowing_silence, make_runs


def apart(
    answers: Mapping[str, ArrayLike], labels: ArrayLike, split: str, keywords: Mapping[str, Any]
) -> tuple[Runs, dict[str, Any]]:
    """The runs, and what is declared about them."""
    declared = {name: value for name, value in keywords.items() if name in Declared.model_fields}
    rest = {name: value for name, value in keywords.items() if name not in declared}
    return make_runs(answers, labels, split=split, **rest), {"baseline": next(iter(answers)), "report_on": split, **declared}


def make_experiment(
    answers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    undone: Iterable[Record] = (),
    split: str = "test",
    **keywords: Any,
) -> Experiment:
    """The same experiment without a disk."""
    runs, declared = apart(answers, labels, split, keywords)
    by_id = {record.id: predictions for record, predictions in runs}

    def read(run_id: str) -> Mapping[str, Predictions]:
        if not by_id.get(run_id):
            raise StoreError(f"{run_id} has no predictions")
        return by_id[run_id]

    def steps(run_id: str) -> Any:
        raise StoreError(f"{run_id} has no steps")

    everything = [*(record for record, _ in runs), *undone]
    return Experiment(
        declared=make_declaration(everything, **declared),
        records=tuple(record for record, _ in runs),
        predictions=read,
        steps=steps,
        metrics={run[0].requested.task_label: {metric.name: metric for metric in METRICS} for run in runs},
    )


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


BASELINE, ROW = "trainer-api", "manual-loop"
LABELS = (np.arange(400) % 3 > 0).astype(np.int64)  # 266 of 400 have label 1
SEEDS = 8


def clean_answers(*, accuracy: float = 0.9, seeds: int = SEEDS, seed: int = 2) -> Any:
    """(K, 400)"""
    return drawn_answers(LABELS, seeds=seeds, accuracy=accuracy, seed=seed)


def clean_experiment(rows: Mapping[str, Any] | None = None, *, labels: ArrayLike = LABELS, **keywords: Any) -> Experiment:
    """Clean unless the keywords (make_experiment's) make it otherwise: two rows that differ for sure, eight seeds
    each, with everything observed as it was asked, and a quiet machine.
    """
    given = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers()} if rows is None else rows
    made = sharing_streams(make_experiment(given, labels, **keywords))
    return replace(made, controls=(make_control(), make_control(10.4, moment="after")))


def sharing_streams(made: Experiment) -> Experiment:
    """With everything observed as it was asked: rows that differ in the trainer alone are then paired by seed."""
    return replace(made, records=tuple(map(_observed, made.records)))


def _observed(record: Record) -> Record:
    """As its recipe asks it, with streams that depend on the seed alone."""
    if record.weights is None:
        return record
    rate, seed = record.requested.recipe["learning_rate"], record.requested.seed
    observed = make_observed(
        learning_rate_first=rate,
        learning_rate_peak=rate,
        learning_rate_last=rate / 1377,
        data_order_sha256=sha256(f"order {seed}"),
    )
    weights = record.weights.model_copy(
        update={"head_init_sha256": sha256(f"head {seed}"), "initial_sha256": sha256(f"whole {seed}")}
    )
    return record.model_copy(update={"observed": observed, "weights": weights})


def altered(
    clean: Experiment, part: str, *, row: str | None = ROW, seeds: Iterable[int] | None = None, **changes: Any
) -> Experiment:
    """With a part of some records changed: `observed`, `weights`, `environment`, ...; `""` is the record itself."""

    def change(record: Record) -> Record:
        if (row is not None and record.requested.strategy != row) or (seeds is not None and record.requested.seed not in seeds):
            return record
        if not part:
            return record.model_copy(update=changes)
        return record.model_copy(update={part: getattr(record, part).model_copy(update=changes)})

    return replace(clean, records=tuple(map(change, clean.records)))


def declaring(clean: Experiment, **changes: Any) -> Experiment:
    return replace(clean, declared=clean.declared.model_copy(update=changes))


def importing(clean: Experiment, *rows: Imported) -> Experiment:
    return declaring(clean, imported=list(rows))
