"""A record is left whatever a plugin's numbers are, and stays small."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_record, task_info

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.model import Prepared
from bakeoff.contracts.task import Row
from bakeoff.errors import PluginError, RunError
from bakeoff.machine.memory_energy import peak_memory_bytes
from bakeoff.records.record_files import read_record
from bakeoff.records.schema import capped
from bakeoff.training import evaluation, worker
from bakeoff.training.data_checks import overlaps
from bakeoff.training.record_writer import message_of
from bakeoff.training.request import Request


class Strange(Metric):
    """Gives no number."""

    name = "strange"

    def load(self) -> object:
        return self

    def compute(self, **_: object) -> dict[str, float]:
        return {"strange": float("nan")}


def request(folder: Path) -> Request:
    """Of a run whose task is not installed."""
    return Request(id="r1-0", requested=make_record("a", 0).requested, data=None, cache=folder, device="cpu", threads=1)


def test_a_run_that_cannot_even_begin_leaves_a_record(tmp_path: Path) -> None:
    asked = make_record("a", 0).requested
    gone = asked.model_copy(update={"task": asked.task.model_copy(update={"name": "gone"})})
    record = worker.perform(request(tmp_path).model_copy(update={"requested": gone}), tmp_path)
    assert record.failure is not None
    assert "no task 'gone'" in record.failure.message
    assert read_record(tmp_path).model_copy(update={"seal": record.seal}) == record


def test_a_record_that_cannot_be_composed_is_left_bare_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OverflowError("a number that is none")

    monkeypatch.setattr(worker, "import_all", lambda _: {})
    monkeypatch.setattr(worker, "run_main_line", lambda *_: None)
    monkeypatch.setattr(worker, "compose", broken)
    record = worker.perform(request(tmp_path), tmp_path)
    assert record.failure is not None
    assert record.failure.reason == "error"
    assert "OverflowError: a number" in record.failure.message
    assert json.loads((tmp_path / "record.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("leave", "what"),
    [
        (lambda folder: (folder / "a b").touch(), "'a b' in the run's folder is a file with a name that no record can hold"),
        (lambda folder: (folder / "x\x1b\n").touch(), r"'x\x1b\n' in the run's folder is a file with a name that"),
        (lambda folder: (folder / "a.txt").symlink_to(__file__), "'a.txt' in the run's folder is a symbolic link"),
        (lambda folder: (folder / "a").symlink_to("/nowhere"), "'a' in the run's folder is a symbolic link"),
        (lambda folder: os.mkfifo(folder / "pipe"), "'pipe' in the run's folder is a named pipe (FIFO)"),
        (lambda folder: (folder / "more" / "empty").mkdir(parents=True), "'more/empty' in the run's folder is an empty folder"),
        (lambda folder: (folder / "record.json" / "a").mkdir(parents=True), "'record.json' in the run's folder is a folder in"),
    ],
    ids=["a blank", "controls", "a link to a file", "a link to nowhere", "a FIFO", "an empty folder", "a record's place"],
)
@pytest.mark.parametrize("raising", [False, True])
def test_what_no_record_can_name_fails_its_run_and_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Path], None], what: str, raising: bool
) -> None:
    """A run that failed for another reason keeps that one."""

    def litter(*_: object) -> None:
        (tmp_path / "steps.parquet").touch()
        leave(tmp_path)
        if raising:
            raise OverflowError("too much")

    monkeypatch.setattr(worker, "import_all", lambda _: {})
    monkeypatch.setattr(worker, "run_main_line", litter)
    record = worker.perform(request(tmp_path), tmp_path)
    assert record.failure is not None
    assert record.failure.reason == "error"
    if raising:
        assert record.failure.message.startswith("OverflowError: too much")
    else:
        assert record.failure.message.startswith(what)
        assert "trainer hf-trainer" in record.failure.message
    assert {path.name for path in tmp_path.iterdir()} == {"record.json", *record.files}
    assert list(record.files) == ["traceback.txt"] * raising
    assert read_record(tmp_path).failure == record.failure


def test_a_score_that_is_no_number_is_named() -> None:
    info = task_info(metrics=[Strange()])  # type: ignore[abstract]
    with pytest.raises(RunError, match="metric 'strange' gave nan"):
        evaluation.score(info, np.zeros((2, 2)), [0, 1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"primary_metric": "f1"}, "primary metric 'f1' is not one of its metrics"),
        ({"labelled_splits": ("dev",)}, "must include train"),
        ({"labelled_splits": ("train", "more")}, "must be among its splits"),
        ({"n_outputs": 3}, "2 labels and 3 outputs"),
    ],
)
def test_a_task_that_contradicts_itself_is_refused(changes: dict[str, object], words: str) -> None:
    right = task_info(splits=("train", "dev"))
    with pytest.raises(PluginError, match=words):
        replace(right, **changes)  # type: ignore[arg-type]


PAIRS = task_info(text_columns=("one", "two"), splits=("train", "dev", "extra"), labelled_splits=("train", "dev"))


def test_examples_that_read_like_one_to_train_on_are_counted() -> None:
    splits = {
        "train": {"one": ["A cat", "a dog", "x"], "two": ["sat  down", "ran", "y"]},
        "dev": {
            "one": ["a CAT ", "a dog", "ran", "a cat", "a cat"],
            "two": ["sat\tdown", "ran", "a dog", "sat down", "satdown"],
        },
        "extra": {"one": ["a dog"], "two": ["ran"]},
    }
    assert overlaps(PAIRS, splits) == {"dev": 3, "extra": 1}, (
        "columns keep their places; splits without labels are predicted too"
    )


class Predictor(Prepared):
    """Answers with the example's number, and with noise where its network has some."""

    def encode(self, columns: object) -> list[Row]:
        raise NotImplementedError

    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        import torch

        return {"input_ids": torch.tensor([[float(row["input_ids"][0])] for row in examples])}

    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        return model(batch["input_ids"].repeat(1, 2))


@pytest.mark.parametrize(("noisy", "right"), [(False, True), (True, False)])
def test_a_model_that_answers_at_random_is_found_out(noisy: bool, right: bool) -> None:
    import torch

    class Forgetful(torch.nn.Module):
        """Keeps its dropout while it is evaluated."""

        def forward(self, values: Any) -> Any:
            return torch.nn.functional.dropout(values, 0.5, training=noisy)

    network, device = Forgetful(), torch.device("cpu")
    encoded = {"dev": [{"input_ids": [number] * (1 + number % 7)} for number in range(1, 100)]}
    logits = {"dev": evaluation.predict(Predictor(), network, encoded["dev"], device)}
    difference = evaluation.repeat_first_batch(Predictor(), network, encoded, logits, device)
    assert difference is not None
    assert (difference == 0.0) is right


def test_logits_that_are_no_numbers_have_no_difference() -> None:
    import torch

    network, device = torch.nn.Identity(), torch.device("cpu")
    encoded = {"dev": [{"input_ids": [1]}]}
    nothing = {"dev": np.full((1, 2), np.nan, dtype=np.float32)}
    assert evaluation.repeat_first_batch(Predictor(), network, encoded, nothing, device) is None


def test_messages_are_one_line_without_control_characters() -> None:
    message = message_of(ValueError("red \x1b[31m text\nand more"))
    assert "\x1b" not in message
    assert "\n" not in message
    assert message.startswith("ValueError: red")


def test_long_lists_are_cut_and_counted() -> None:
    assert capped(["a", "b"]) == ["a", "b"]
    assert capped([str(number) for number in range(150)])[-1] == "and 130 more"
    assert len(capped([str(number) for number in range(150)])) == 21


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak can only be started anew on Linux")
def test_what_is_made_of_a_trained_model_is_no_memory_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "thirdparty" / "planted")
    from bakeoff_planted_bench import plan_of, requests_of

    large, describe = 2**29, worker.describe_weights

    def describe_with_a_copy(*arguments: Any) -> Any:
        np.ones(large, dtype=np.int8)
        return describe(*arguments)

    monkeypatch.setattr(worker, "describe_weights", describe_with_a_copy)
    (tmp_path / "run").mkdir()
    request = requests_of(plan_of(tmp_path, "{one: {trainer: torch-loop}}"))["one"]
    record = worker.perform(request, tmp_path / "run")
    assert record.cost is not None
    assert record.cost.peak_memory_bytes < peak_memory_bytes() - large / 2
