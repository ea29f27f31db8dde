"""Thousands of records of an experiment that resolves, written in about a millisecond each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bakeoff.records.record_files import dump
from bakeoff.records.record_files import sealed as with_seal
from bakeoff.records.schema import KIND_KEY, PREDICTIONS_FILE, RECORD_FILE, UNSEALED, Record
from bakeoff.records.store import Store
from builders.records import make_observed, sha256
from builders.runs import drawn_answers, make_run

if TYPE_CHECKING:
    from bakeoff.planning.runs import Plan, Run

LARGE, SMALL = 1725, 100
"""How many examples the runs of the first task predict, and those of each other."""
SEED, ACCURACY, F1 = 424_242, 0.123456789, 0.987654321
ID, FINAL, PREDICTED = "r1-0000000000000000", sha256("final"), sha256("predicted")
"""What stands in a record's template for a run's own values."""


@dataclass(frozen=True)
class Many:
    """An experiment file, and how many records lie beside it."""

    spec: Path
    records: int

    @property
    def folder(self) -> Path:
        return self.spec.parent


def make_many(folder: Path, *, tasks: int = 1, strategies: int = 10, seeds: int = 100, missing: int = 0) -> Many:
    """Records of every run of an experiment on toy tasks, but for the last `missing`, and their declaration. The strategies
    differ in their learning rates; written without the store's syncs, which cost minutes for thousands."""
    from bakeoff.contracts.registry import load_registry  # only here: all tests import this package
    from bakeoff.planning.resolver import resolve
    from bakeoff.runner.experiment import declaration
    from bakeoff.spec.document import read_document

    folder.mkdir(parents=True)
    spec = folder / "spec.yaml"
    spec.write_text(_spec(tasks, strategies, seeds), encoding="utf-8")
    document = read_document(spec)
    plan = resolve(document, load_registry())
    store = Store(folder)
    store.declare(declaration(document, plan))
    written = 0
    for run, content, predictions in _records(plan, seeds):
        if written == len(plan.runs) - missing:
            break
        place = store.records / run.id
        place.mkdir()
        (place / PREDICTIONS_FILE).write_bytes(predictions)
        (place / RECORD_FILE).write_bytes(content)
        written += 1
    return Many(spec, written)


def _spec(tasks: int, strategies: int, seeds: int) -> str:
    rates = [f"{{trainer: torch-loop, recipe: {{learning_rate: {1e-5 * (number + 1):.5f}}}}}" for number in range(strategies)]
    rows = "\n".join(f"  s{number}: {rate}" for number, rate in enumerate(rates))
    return f"""name: many
tasks: [{", ".join(f"{{name: toy, size: {20 + number}}}" for number in range(tasks))}]
models: [tiny-bert]
recipe: {{epochs: 2, batch_size: 8, max_length: 32}}
strategies:
{rows}
under_test: [recipe.learning_rate]
seeds: {seeds}
report_on: test
"""


def _records(plan: Plan, seeds: int) -> Iterator[tuple[Run, bytes, bytes]]:
    """(run, record.json, predictions.parquet) of each run."""
    by_place: dict[tuple[str, str], list[Run]] = {}
    for run in plan.runs:
        by_place.setdefault((run.task.label, run.strategy.name), []).append(run)
    names = list(dict.fromkeys(task for task, _ in by_place))
    rows = list(dict.fromkeys(strategy for _, strategy in by_place))
    for (task, strategy), runs in by_place.items():
        labels = (np.arange(SMALL if names.index(task) else LARGE) % 3 > 0).astype(np.int64)
        number = rows.index(strategy)
        answers = drawn_answers(labels, seeds=seeds, accuracy=0.8 + 0.1 * number / len(rows), wobble=0.4, seed=number + 1)
        template, common = _template(runs[0], labels), _columns(labels)
        for run, given in zip(runs, answers, strict=True):
            predictions = _predictions(common, given)
            yield run, _filled(template, run, given, labels, predictions), predictions


def _template(run: Run, labels: NDArray[Any]) -> bytes:
    """The record of a run with these labels, with sentinels for what is its own."""
    record, _ = make_run(run.strategy.name, 0, labels, labels)
    assert record.weights is not None
    changes: dict[str, Any] = {
        "id": ID,
        "requested": run.requested.model_copy(update={"seed": SEED}),
        "weights": record.weights.model_copy(update={"final_sha256": FINAL}),
        "observed": make_observed(
            learning_rate_first=run.requested.recipe["learning_rate"],
            learning_rate_peak=run.requested.recipe["learning_rate"],
            learning_rate_last=run.requested.recipe["learning_rate"] / 1377,
            data_order_sha256=sha256("order"),
        ),
        "scores": {"test": {"accuracy": ACCURACY, "f1": F1}},
        "files": {PREDICTIONS_FILE: PREDICTED},
    }
    made: Record = record.model_copy(update=changes)
    content = dump(made)
    seal = content.rsplit(b'"', 2)[1]
    return content.replace(seal, UNSEALED.encode())


def _filled(template: bytes, run: Run, given: NDArray[Any], labels: NDArray[Any], predictions: bytes) -> bytes:
    """The record with the run's own values and its own checksum."""
    right = int(((given == 1) & (labels == 1)).sum())
    f1 = 2 * right / int((given == 1).sum() + (labels == 1).sum())
    own = {
        ID: run.id,
        str(SEED): str(run.seed),
        str(ACCURACY): repr(float((given == labels).mean())),
        str(F1): repr(f1),
        FINAL: sha256(run.id),
        PREDICTED: sha256(predictions),
    }
    for sentinel, value in own.items():
        template = template.replace(sentinel.encode(), value.encode())
    return with_seal(template, UNSEALED)


def _columns(labels: NDArray[Any]) -> dict[str, Any]:
    return {
        "split": pa.array(["test"] * len(labels)).dictionary_encode(),
        "id": pa.array([f"test-{number}" for number in range(len(labels))]),
        "label": pa.array(labels),
        "logits": None,
        "tokens": pa.array((np.arange(len(labels)) % 60 + 8).astype(np.int32)),
    }


def _predictions(columns: dict[str, Any], given: NDArray[Any]) -> bytes:
    logits = np.where(np.arange(2) == given[:, None], 1.5, -1.5).astype(np.float32)
    flat = pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * len(given) + 1, 2, dtype=np.int32)), pa.array(logits.ravel()))
    table = pa.table({**columns, "logits": flat}).replace_schema_metadata({KIND_KEY: b"classification"})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
