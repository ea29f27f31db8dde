"""The labels of a kept model's answers are those of its run, however many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import make_record, task_info

from bakeoff.contracts.task import TaskInfo
from bakeoff.errors import StoreError
from bakeoff.kinds import REGRESSION
from bakeoff.machine.file_hashes import digest_of
from bakeoff.records.schema import MadeFrom, Record, capped
from bakeoff.training.predicting import with_labels

MANY = [f"topic {number}" for number in range(30)]
OPEN = task_info((), n_outputs=0)


def record(labels: list[str]) -> Record:
    made = make_record("a", 0)
    assert made.data is not None
    data = made.data.model_copy(update={"labels": capped(labels)})
    return made.model_copy(update={"data": data, "made_from": MadeFrom(labels=digest_of(labels))})


def saved(folder: Path, labels: list[str]) -> Path:
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}))
    return folder


def labels_of(info: TaskInfo, made: Record, folder: Path) -> tuple[tuple[str, ...], int]:
    found = with_labels(info, made, folder)
    return found.labels, found.n_outputs


def test_few_labels_are_in_the_record(tmp_path: Path) -> None:
    assert labels_of(OPEN, record(["b", "a"]), tmp_path) == (("b", "a"), 2)


def test_many_are_beside_the_model(tmp_path: Path) -> None:
    assert labels_of(OPEN, record(MANY), saved(tmp_path, MANY)) == (tuple(MANY), 30)
    (tmp_path / "config.json").unlink()
    (tmp_path / "base").mkdir()
    saved(tmp_path / "base", MANY)
    assert labels_of(OPEN, record(MANY), tmp_path) == (tuple(MANY), 30)


def test_others_than_the_run_s_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="that the run had"):
        with_labels(OPEN, record(MANY), saved(tmp_path, MANY[::-1]))
    with pytest.raises(StoreError, match="that the run had"):
        with_labels(OPEN, record(MANY), tmp_path / "nowhere")


def test_a_regression_needs_none(tmp_path: Path) -> None:
    assert labels_of(task_info(kind=REGRESSION), record([]), tmp_path) == ((), 1)
