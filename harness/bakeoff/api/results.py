"""The records of an experiment as DataFrames: what `bakeoff.load` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bakeoff.api.building import NUMBER, TEXT, WHOLE, frame, safe, stacked, table
from bakeoff.cli.inputs import indexed_store
from bakeoff.errors import BakeoffError
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import DeclaredRun, Record
from bakeoff.text.numbers import count
from bakeoff.text.words import did_you_mean, escaped

RUN = {"run": TEXT, "task": TEXT, "model": TEXT, "strategy": TEXT, "seed": WHOLE}

RUN_COLUMNS = RUN | {
    "experiment": TEXT,
    "status": TEXT,
    "reason": TEXT,
    "started": TEXT,
    "trainer": TEXT,
    "method": TEXT,
    "hardware": TEXT,
    "steps": WHOLE,
    "train_seconds": NUMBER,
    "evaluate_seconds": NUMBER,
    "total_seconds": NUMBER,
    "peak_memory_bytes": WHOLE,
}
PREDICTION_COLUMNS = RUN | {
    "split": TEXT,
    "id": TEXT,
    "label": NUMBER,
    "answer": NUMBER,
    "confidence": NUMBER,
    "tokens": WHOLE,
}
STEP_COLUMNS = RUN | {"step": WHOLE, "loss": NUMBER, "learning_rate": NUMBER, "grad_norm": NUMBER, "seconds": NUMBER}


MOST_PRINTED = 60
"""A table with more rows is printed without those in the middle."""


def read(*folders: str | Path, pool: bool = False) -> Results:
    """As `bakeoff.load`."""
    return Results(load_experiment([indexed_store(Path(folder)) for folder in folders], pool=pool))


@dataclass(frozen=True, repr=False)
class Results:
    """An experiment's records as tables. `experiment` is the object that they are made from."""

    experiment: Experiment

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row for each run that the experiment declares.

        | column | dtype | unit, meaning |
        |---|---|---|
        | run | string | the run's id |
        | task | string | |
        | model | string | |
        | strategy | string | |
        | seed | Int64 | |
        | experiment | string | the run's experiment, if several were loaded |
        | status | string | ok, failed or missing |
        | reason | string | why the run failed |
        | started | string | UTC, ISO 8601 |
        | trainer | string | |
        | method | string | |
        | hardware | string | hardware class: processor and threads, or accelerator |
        | steps | Int64 | optimizer steps |
        | train_seconds | float64 | s |
        | evaluate_seconds | float64 | s |
        | total_seconds | float64 | s |
        | peak_memory_bytes | Int64 | bytes |

        After these, a column `SPLIT_METRIC` (float64, the metric's own unit) for every predicted split and metric.
        """
        by_id = {record.id: record for record in self.experiment.records}
        scores = dict.fromkeys(
            f"{split}_{metric}"
            for record in self.experiment.records
            for split, found in _reported_first(record, self.experiment.declared.report_on)
            for metric in found
        )
        rows = [self._run(run, by_id.get(run.id)) for run in self.experiment.declared.runs]
        return frame(rows, RUN_COLUMNS | dict.fromkeys(scores, NUMBER))

    def predictions(self, split: str | None = None, *, strategy: str | None = None) -> pd.DataFrame:
        """One row for each successful run and example of a split, by default the reported one; of all strategies or of one.

        | column | dtype | unit, meaning |
        |---|---|---|
        | run | string | the run's id |
        | task | string | |
        | model | string | |
        | strategy | string | |
        | seed | Int64 | |
        | split | string | |
        | id | string | the example's id |
        | label | float64 | index of the right label; for regression, the value; for several labels, the sum of 2^index |
        | answer | float64 | index of the label with the largest logit; for regression, the value; for several, as above |
        | confidence | float64 | probability of the answer, 0 to 1; for classification only |
        | tokens | Int64 | length of the encoded input |

        After these, a column `slice_NAME` (string) for every column that a task declares for slices. Raises StoreError where
        predictions are missing or damaged.
        """
        wanted = split or self.experiment.declared.report_on
        found = [(run, self._split_of(run, wanted)) for run in self._successful(strategy)]
        slices = dict.fromkeys(f"slice_{column}" for _, one in found for column in one.slices)
        columns = PREDICTION_COLUMNS | dict.fromkeys(slices, TEXT)
        return stacked([_predicted(run, wanted, one) for run, one in found], columns)

    def steps(self, *, strategy: str | None = None) -> pd.DataFrame:
        """One row for each optimizer step of each successful run; of all strategies or of one. A run whose trainer owns its
        model has none.

        | column | dtype | unit, meaning |
        |---|---|---|
        | run | string | the run's id |
        | task | string | |
        | model | string | |
        | strategy | string | |
        | seed | Int64 | |
        | step | Int64 | from 0 |
        | loss | float64 | mean of the batch |
        | learning_rate | float64 | |
        | grad_norm | float64 | global 2-norm as the optimizer received it; missing where it was not measured |
        | seconds | float64 | s since the first step began |
        """
        observed = {record.id for record in self.experiment.records if not record.owns_model}
        runs = [run for run in self._successful(strategy) if run.id in observed]
        return stacked([_of_run(run) | self.experiment.steps(run.id).to_pydict() for run in runs], STEP_COLUMNS)

    def _run(self, run: DeclaredRun, record: Record | None) -> dict[str, Any]:
        row = _of_run(run) | {"experiment": self.experiment.source.get(run.strategy, ""), "status": "missing"}
        if record is None:
            return row
        row |= {
            "status": record.status,
            "reason": record.failure.reason if record.failure else "",
            "started": record.started,
            "trainer": record.requested.trainer.name,
            "method": record.requested.method.name,
            "hardware": record.environment.hardware,
        }
        if (cost := record.cost) is not None:
            row |= {
                "steps": cost.steps,
                "train_seconds": record.train_seconds,
                "evaluate_seconds": record.evaluate_seconds,
                "total_seconds": record.total_seconds,
                "peak_memory_bytes": record.peak_memory_bytes,
            }
        return row | {f"{split}_{metric}": score for split, found in record.scores.items() for metric, score in found.items()}

    def _successful(self, strategy: str | None) -> list[DeclaredRun]:
        runs = self.experiment.declared.runs
        names = {run.strategy for run in runs}
        if strategy is not None and strategy not in names:
            raise BakeoffError(did_you_mean("strategy", strategy, names))
        ended = {record.id for record in self.experiment.records if record.status == "ok"}
        return [run for run in runs if run.id in ended and strategy in (None, run.strategy)]

    def _split_of(self, run: DeclaredRun, split: str) -> Predictions:
        predictions = self.experiment.predictions(run.id)
        if split not in predictions:
            raise BakeoffError(did_you_mean("predicted split", split, predictions))
        return predictions[split]

    def __repr__(self) -> str:
        declared, counts = self.experiment.declared, self.runs["status"].value_counts()
        states = ", ".join(f"{counts[state]} {state}" for state in ("ok", "failed", "missing") if state in counts)
        shown = [
            name for name in self.runs if name in {"strategy", "seed", "status", "train_seconds"} or name not in RUN_COLUMNS
        ]
        table = self.runs[shown].to_string(index=False, na_rep="", max_rows=MOST_PRINTED)
        return "\n".join(
            [f"{escaped(declared.name)}: {count(len(self.runs), 'run')} ({states})", *map(escaped, table.split("\n"))]
        )

    def _repr_html_(self) -> str:
        declared = self.experiment.declared
        return f"<p><b>{safe(declared.name)}</b>: {safe(declared.question)}</p>\n{table(self.runs)}"


def _of_run(run: DeclaredRun) -> dict[str, Any]:
    return {"run": run.id, "task": run.task, "model": run.model, "strategy": run.strategy, "seed": run.seed}


def _reported_first(record: Record, split: str) -> Iterator[tuple[str, Mapping[str, float]]]:
    yield from sorted(record.scores.items(), key=lambda item: item[0] != split)


def _predicted(run: DeclaredRun, split: str, found: Predictions) -> dict[str, Any]:
    probabilities = found.probabilities
    return (
        _of_run(run)
        | {
            "split": split,
            "id": found.ids,
            "label": found.labels,
            "answer": found.kind.answers(found.logits),
            "confidence": None if probabilities is None else probabilities.max(axis=1),
            "tokens": found.tokens,
        }
        | {f"slice_{column}": values for column, values in found.slices.items()}
    )
