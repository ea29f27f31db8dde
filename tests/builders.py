"""What tests build records, predictions, controls, declarations, experiments and their folders with: nothing is trained.

`make_record` is a run that succeeded, `make_run` the same with predictions; `make_experiment` puts runs together in memory,
`make_folder` on disk, each from answers; `make_folder_of` writes records without predictions. `clean_experiment` is one without
a warning, and `altered`, `declaring`, `importing` change it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from bakeoff.contracts.metric import Metric, MetricFacts
from bakeoff.contracts.metric_lookup import facts_of
from bakeoff.contracts.metrics import F1, Accuracy
from bakeoff.errors import StoreError
from bakeoff.files import Tree
from bakeoff.kinds import CLASSIFICATION, kind_named
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.record_files import dump
from bakeoff.records.schema import (
    PHASES,
    PREDICTIONS_FILE,
    RECORD_FILE,
    STEPS_FILE,
    UNSEALED,
    ComponentOrigin,
    Control,
    Cost,
    Data,
    Declared,
    DeclaredRun,
    Environment,
    Failure,
    Imported,
    Observed,
    ObservedGroup,
    Record,
    Requested,
    Split,
    Weights,
)
from bakeoff.records.silent_metrics import silent_metrics
from bakeoff.records.store import Store
from bakeoff.training.record_writer import write_predictions

RECIPE = {"epochs": 3, "max_steps": None, "batch_size": 8, "learning_rate": 5e-5, "fused": True, "betas": [0.9, 0.999]}
MAJORITY = {"dev": {"accuracy": 0.6838235, "f1": 0.8122271}, "test": {"accuracy": 0.6649275, "f1": 0.7987465}}
SOFTWARE = {"python": "3.11.7", "torch": "2.13.0"}
METRICS = (Accuracy(), F1(1))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def component(name: str, *, version: str = "1", **options: Any) -> ComponentOrigin:
    return ComponentOrigin(name=name, version=version, distribution="bakeoff", distribution_version="0.1.0", options=options)


def run_id(strategy: str, seed: int, *, task: str = "glue/mrpc", model: str = "minilm") -> str:
    return f"r1-{sha256(f'{task} {model} {strategy} {seed}')[:16]}"


def make_record(
    strategy: str = "trainer-api",
    seed: int = 0,
    *,
    task: str = "glue/mrpc",
    task_version: str = "1",
    model: str = "minilm",
    trainer: ComponentOrigin | str = "hf-trainer",
    method: ComponentOrigin | str = "full",
    recipe: dict[str, Any] | None = None,
    test_accuracy: float = 0.85,
    test_data: str = "test",
    splits: Sequence[str] = ("dev", "test"),
    train_seconds: float = 690.0,
    peak_memory_mib: int = 1000,
    final: str | None = None,
    torch: str = "2.13.0",
    hardware: str = "AMD EPYC, 2 threads",
    owns: Sequence[str] = (),
) -> Record:
    """A run that ended well, with dev scores of 0.8 and 0.86, and F1 0.05 above the accuracy on test."""
    scores = {"dev": {"accuracy": 0.8, "f1": 0.86}, "test": {"accuracy": test_accuracy, "f1": test_accuracy + 0.05}}
    return Record(
        id=run_id(strategy, seed, task=task, model=model),
        status="ok",
        failure=None,
        started="2026-11-23T08:51:39+00:00",
        requested=Requested(
            experiment="mrpc",
            strategy=strategy,
            task_label=task,
            model_label=model,
            task=component(task, version=task_version),
            model=component(model),
            method=component(method) if isinstance(method, str) else method,
            trainer=component(trainer) if isinstance(trainer, str) else trainer,
            recipe=RECIPE | (recipe or {}),
            seed=seed,
            replicate=0,
            select="last-epoch",
        ),
        environment=Environment(
            software=SOFTWARE | {"torch": torch},
            hardware=hardware,
            threads=2,
            device="cpu",
            processor="AMD EPYC",
            memory_bytes=2**34,
            system="Linux x86_64",
            jobs=1,
        ),
        data=_data({"train": "train", "dev": "dev", "test": test_data}, labelled=("train", *splits)),
        weights=Weights(
            parameters_total=22_713_986,
            parameters_trainable=22_713_986,
            newly_initialised=["classifier.bias", "classifier.weight"],
            head_init_sha256=sha256("head"),
            initial_sha256=sha256("initial"),
            final_sha256=sha256(final or f"{strategy} {seed}"),
            lineage=[],
            trained_bytes=None,
        ),
        observed=None,
        scores={split: scores[split] for split in splits},
        selection=None,
        evaluation_difference=0.0,
        cost=Cost(
            phase_seconds=dict.fromkeys(PHASES, 1.0) | {"warm-up": 0.0, "train": train_seconds, "evaluate": 12.0, "save": 2.0},
            total_seconds=train_seconds + 18,
            steps=1377,
            train_samples_per_second=11_004 / train_seconds,
            evaluate_samples_per_second=177.75,
            peak_memory_bytes=peak_memory_mib * 2**20,
            peak_device_memory_bytes=None,
            energy_joules=None,
            energy_note="unmeasured: this machine has no RAPL counter",
            flops=None,
            flops_note="not counted",
            harness_seconds=0.5,
        ),
        attempts=[],
        resumed_at=[],
        trainer_owns=list(owns),
        files={},
    )


def _data(texts: dict[str, str], labelled: Sequence[str]) -> Data:
    sizes = {"train": 3668, "dev": 408, "test": 1725}
    return Data(
        kind="classification",
        labels=["not_equivalent", "equivalent"],
        splits={
            name: Split(examples=sizes[name], labelled=name in labelled, fingerprint=sha256(text))
            for name, text in texts.items()
        },
        metrics=[MetricFacts(name=name, higher_is_better=True, version="1") for name in ("accuracy", "f1")],
        primary_metric="accuracy",
        source_versions={},
        majority_baseline=MAJORITY,
        overlap=dict.fromkeys(MAJORITY, 0),
    )


def failed(record: Record, reason: Any = "crashed", message: str = "it is gone") -> Record:
    """The same run, had it failed before its data were read."""
    return record.model_copy(
        update={
            "status": "failed",
            "failure": Failure(reason=reason, message=message, phase="train"),
            "data": None,
            "weights": None,
            "scores": {},
            "cost": None,
        }
    )


def lasting(cost: Cost, seconds: float) -> Cost:
    """The cost of a run that took so long, all of it in training."""
    return cost.model_copy(update={"phase_seconds": dict.fromkeys(PHASES, 0.0) | {"train": seconds}, "total_seconds": seconds})


def make_control(milliseconds: float = 10.0, **changes: Any) -> Control:
    """A control run before the runs of a session."""
    facts = {
        "session": "one",
        "moment": "before",
        "started": "2026-11-23T08:00:00+00:00",
        "hardware": "AMD EPYC, 2 threads",
        "threads": 2,
        "milliseconds": milliseconds,
        "spread": 0.01,
        "repetitions": 40,
        "peak_flops": {},
    }
    return Control(**facts | changes)


def make_observed(**changes: Any) -> Observed:
    """What `make_record`'s recipe comes to, as it was observed."""
    group = ObservedGroup(tensors=41, elements=2_000, weight_decay=0.0, betas=[0.9, 0.999], eps=1e-8, fused=True, lr_scale=1.0)
    facts: dict[str, Any] = {
        "optimizer": "AdamW",
        "optimizer_steps": 1377,
        "groups": [group],
        "learning_rate_first": RECIPE["learning_rate"],
        "learning_rate_peak": RECIPE["learning_rate"],
        "learning_rate_last": RECIPE["learning_rate"] / 1377,
        "warmup_steps": 0,
        "gradient_norms_measured": 100,
        "gradient_norm_median": 0.8,
        "gradient_norm_max": 1.0,
        "clipped_at": 1.0,
        "examples_seen": 11_004,
        "tokens_seen": 500_000,
        "padded_tokens_seen": 600_000,
        "data_order_sha256": sha256("order"),
    }
    return Observed(**facts | changes)


def sealed(plain: dict[str, Any]) -> bytes:
    """A record, plan or control run as a file with the checksum that is right for it, where it has one."""
    if "seal" not in plain:
        return json.dumps(plain).encode()
    content = json.dumps(plain | {"seal": UNSEALED}).encode()
    return content.replace(UNSEALED.encode(), hashlib.sha256(content).hexdigest().encode())


# --- declarations -----------------------------------------------------------------------------------------------------------


def make_declaration(records: Iterable[Record], **changes: Any) -> Declared:
    """Declares these runs; what the records call the strategy is its name."""
    runs = [
        DeclaredRun(
            id=record.id,
            task=record.requested.task_label,
            model=record.requested.model_label,
            strategy=record.requested.strategy,
            seed=record.requested.seed,
        )
        for record in records
    ]
    facts = {
        "name": "mrpc",
        "question": "Does a hand-written loop match the Trainer API?",
        "spec_file": "spec.yaml",
        "baseline": "trainer-api",
        "report_on": "test",
        "margin": 1.0,
        "under_test": ["trainer"],
        "gate": {},
        "imported": [],
        "trials": {},
        "searches": {},
        "history": [],
    }
    facts |= changes
    if not isinstance(facts["margin"], dict):
        facts["margin"] = {"points": facts["margin"]}
    return Declared(**facts, runs=runs)


def declare(folder: Path, records: Iterable[Record], **changes: Any) -> None:
    """Writes the declaration of these runs."""
    Tree(folder).write(Store(folder).plan_file, dump(make_declaration(records, **changes)))


def make_bare_declaration(name: str, *ids: str) -> Declared:
    runs = [DeclaredRun(id=run_id, task="t", model="m", strategy="a", seed=seed) for seed, run_id in enumerate(ids)]
    return Declared(
        name=name,
        question="",
        spec_file="spec.yaml",
        baseline="a",
        report_on="test",
        margin={"points": 1.0},
        under_test=[],
        gate={},
        imported=[],
        trials={},
        searches={},
        history=[],
        runs=runs,
    )


# --- answers and predictions ------------------------------------------------------------------------------------------------


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


# --- experiments ------------------------------------------------------------------------------------------------------------


def _apart(
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


def make_folder(
    folder: Path,
    answers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    undone: Iterable[Record] = (),
    split: str = "test",
    **keywords: Any,
) -> Path:
    """Writes `records/` as `bakeoff run` does: record.json, predictions.parquet, plan.json.

    Keywords are those of make_runs and the fields of Declared; the first strategy is the baseline. `undone` are declared and
    not recorded.
    """
    runs, declared = _apart(answers, labels, split, keywords)
    store = Store(folder)
    store.records.mkdir(parents=True)
    for record, predictions in runs:
        write_run(store, record, predictions)
    declare(folder, [*(record for record, _ in runs), *undone], **declared)
    return folder


def make_folder_of(folder: Path, records: Iterable[Record], *, undone: Iterable[Record] = (), **declared: Any) -> Path:
    """A folder that holds these records, and declares them and those that are still to be done."""
    store = Store(folder)
    there = list(records)
    store.records.mkdir(parents=True)
    for record in there:
        fresh = store.begin(record.id)
        (fresh / RECORD_FILE).write_bytes(dump(record))
        assert store.publish(fresh, record.id)
    declare(folder, [*there, *undone], **declared)
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


# --- a run's files in full --------------------------------------------------------------------------------------------------


SIZES = {"train": 100, "dev": 30, "test": 20, "blind": 10}
ROWS = 60
STEPS = 12
Copied = tuple[Path, Path, Record]
"""An experiment's folder, the folder of one record in it, and that record."""


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", **options)
    return stream.getvalue()


def make_whole_run(folder: Path, strategy: str, seed: int) -> Record:
    """A run's files, and a record that fits them: dev and test have labels, blind has none."""
    draw = np.random.default_rng([seed, len(strategy)])
    splits = {
        name: {
            "id": [f"{name}-{number}" for number in range(size)],
            "label": [None if name == "blind" else int(number % 2) for number in range(size)],
            "part": ["web" if number % 3 else "app" for number in range(size)],
        }
        for name, size in SIZES.items()
        if name != "train"
    }
    logits = {name: draw.normal(size=(SIZES[name], 2)).astype(np.float32) for name in splits}
    encoded = {name: [{"input_ids": range(number % 7 + 1)} for number in range(SIZES[name])] for name in splits}
    write_predictions(folder / PREDICTIONS_FILE, logits, splits, encoded, ("part",), CLASSIFICATION)
    (folder / STEPS_FILE).write_bytes(parquet(make_steps()))
    made = make_record(strategy, seed)
    assert made.data is not None
    assert made.cost is not None
    sizes = {
        name: Split(examples=size, labelled=name != "blind", fingerprint=hashlib.sha256(name.encode()).hexdigest())
        for name, size in SIZES.items()
    }
    cost: Cost = made.cost.model_copy(update={"steps": STEPS})
    return made.model_copy(update={"data": made.data.model_copy(update={"splits": sizes, "silent": {}}), "cost": cost})


def make_steps() -> pa.Table:
    numbers = np.arange(STEPS)
    return pa.table(
        {
            "step": pa.array(numbers, pa.int32()),
            "loss": pa.array(1 / (numbers + 1), pa.float32()),
            "learning_rate": pa.array(1e-5 * (STEPS - numbers), pa.float64()),
            "grad_norm": pa.array([1.0, None, *[2.0] * (STEPS - 2)], pa.float32()),
            "seconds": pa.array(numbers * 0.5, pa.float32()),
        }
    )


def seal_files(folder: Path, record: Record) -> None:
    """Checksums that fit whatever lies there."""
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (PREDICTIONS_FILE, STEPS_FILE)}
    (folder / RECORD_FILE).write_bytes(dump(record.model_copy(update={"files": files})))


# --- a clean experiment, and what may be wrong with it ----------------------------------------------------------------------


BASELINE, ROW = "trainer-api", "manual-loop"
LABELS = (np.arange(400) % 3 > 0).astype(np.int64)  # 266 of 400 have label 1
SEEDS = 8


def clean_answers(*, accuracy: float = 0.9, seeds: int = SEEDS, seed: int = 2) -> Any:
    """(K, 400)"""
    return drawn_answers(LABELS, seeds=seeds, accuracy=accuracy, seed=seed)


def clean_experiment(rows: Mapping[str, Any] | None = None, **keywords: Any) -> Experiment:
    """Clean unless the keywords (make_experiment's) make it otherwise: two rows that differ for sure, eight seeds
    each, with everything observed as it was asked, and a quiet machine.
    """
    given = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers()} if rows is None else rows
    made = make_experiment(given, LABELS, **keywords)
    return replace(
        made, records=tuple(map(_observed, made.records)), controls=(make_control(), make_control(10.4, moment="after"))
    )


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


def published(
    name: str = "theirs", *, source: str = "a model card", split: str = "test", seeds: int = 1, **scores: float
) -> Imported:
    return Imported(name=name, source=source, split=split, scores=scores, seeds=seeds, task=None)


def importing(clean: Experiment, *rows: Imported) -> Experiment:
    return declaring(clean, imported=list(rows))
