"""A record is left whatever a plugin's numbers are, and stays small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from core.table_records import make_record

from bakeoff import worker
from bakeoff.components import Metric, TaskInfo
from bakeoff.errors import PluginError, RunError
from bakeoff.metrics import Accuracy
from bakeoff.outcome import capped, message_of
from bakeoff.record import read_record
from bakeoff.request import Request


class Strange(Metric):
    """Gives no number."""

    name = "strange"

    def load(self) -> object:
        return self

    def compute(self, **_: object) -> dict[str, float]:
        return {"strange": float("nan")}


def request(folder: Path) -> Request:
    """Of a run whose task is not installed."""
    return Request(id="r1-0", asked=make_record("a", 0).asked, data=None, cache=folder, device="cpu", threads=1)


def test_a_run_that_cannot_even_begin_leaves_a_record(tmp_path: Path) -> None:
    asked = make_record("a", 0).asked
    gone = asked.model_copy(update={"task": asked.task.model_copy(update={"name": "gone"})})
    record = worker.perform(request(tmp_path).model_copy(update={"asked": gone}), tmp_path)
    assert record.failure is not None
    assert "no task 'gone'" in record.failure.message
    assert read_record(tmp_path) == record


def test_a_record_that_cannot_be_composed_is_left_bare_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OverflowError("a number that is none")

    monkeypatch.setattr(worker, "locate", lambda _: None)
    monkeypatch.setattr(worker, "fine_tune", lambda *_: None)
    monkeypatch.setattr(worker, "compose", broken)
    record = worker.perform(request(tmp_path), tmp_path)
    assert record.failure is not None
    assert record.failure.reason == "error"
    assert "OverflowError: a number that is none" in record.failure.message
    assert json.loads((tmp_path / "record.json").read_text())["status"] == "failed"


def test_a_score_that_is_no_number_is_named() -> None:
    import numpy as np

    info = TaskInfo(
        kind="classification",
        text_columns=("text",),
        labels=("no", "yes"),
        n_outputs=2,
        metrics=(Strange(),),  # type: ignore[abstract]
        primary_metric="strange",
        splits=("train",),
        labelled_splits=("train",),
    )
    with pytest.raises(RunError, match="metric 'strange' gave nan"):
        worker.score(info, np.zeros((2, 2)), [0, 1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"primary_metric": "f1"}, "primary metric 'f1' is none of its metrics"),
        ({"labelled_splits": ("dev",)}, "train must be one of them"),
        ({"labelled_splits": ("train", "more")}, "must be among its splits"),
        ({"n_outputs": 3}, "2 labels and 3 outputs"),
    ],
)
def test_a_task_that_contradicts_itself_is_refused(changes: dict[str, object], words: str) -> None:
    right: dict[str, object] = {
        "kind": "classification",
        "text_columns": ("text",),
        "labels": ("no", "yes"),
        "n_outputs": 2,
        "metrics": (Accuracy(),),
        "primary_metric": "accuracy",
        "splits": ("train", "dev"),
        "labelled_splits": ("train", "dev"),
    }
    TaskInfo(**right)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=words):
        TaskInfo(**{**right, **changes})  # type: ignore[arg-type]


def test_messages_are_one_line_without_control_characters() -> None:
    message = message_of(ValueError("red \x1b[31m text\nand more"))
    assert "\x1b" not in message
    assert "\n" not in message
    assert message.startswith("ValueError: red")


def test_long_lists_are_cut_and_counted() -> None:
    assert capped(["a", "b"]) == ["a", "b"]
    assert capped([str(number) for number in range(150)])[-1] == "and 130 more"
    assert len(capped([str(number) for number in range(150)])) == 21
