"""Rows or a model that are changed while an experiment is under way: the run fails with one line, and is made of no mixture."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, start
from end_to_end.test_changed import edited, make_model, other_tokenizer, other_weights, renamed_label, rows, spec

from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.planning.resolver import resolve
from bakeoff.records.provenance import as_plain, facts_of_sources
from bakeoff.records.schema import RECORD_FILE, Record
from bakeoff.runner.settings import Settings, request_of
from bakeoff.spec.document import read_document
from bakeoff.training.request import Request
from bakeoff.training.worker import perform


def make(folder: Path) -> Path:
    (folder / "e").mkdir()
    (folder / "e" / "train.csv").write_text(rows(24))
    (folder / "e" / "dev.csv").write_text(rows(12, 100))
    make_model(folder / "model")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A run of the same rows and model, elsewhere."""
    folder = make(tmp_path_factory.mktemp("whole"))
    return run(request(folder), folder)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make(tmp_path)


def request(folder: Path) -> Request:
    plan = resolve(read_document(spec(folder)), load_registry())
    settings = Settings(paths=Paths(None, folder / "cache", folder / "e"), device="cpu", threads=1)
    return request_of(plan.runs[0], settings)


def run(asked: Request, folder: Path) -> Record:
    (folder / "run").mkdir()
    return perform(asked, folder / "run")


def failed(record: Record, folder: Path) -> str:
    """Why; nothing but the record is left."""
    assert (record.status, record.scores, record.files) == ("failed", {}, {})
    assert [path.name for path in (folder / "run").iterdir()] == [RECORD_FILE]
    assert record.failure is not None
    assert record.failure.reason == "error"
    return record.failure.message


def other_dev(folder: Path) -> None:
    edited(folder / "e" / "dev.csv", "number 103,", "number 9,")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_dev, "the rows of dev"),
        (renamed_label, "the names of labels"),
        (other_weights, "the weights"),
        (other_tokenizer, "the tokenizer"),
    ],
)
def test_what_changed_since_the_preflight_is_not_trained_on(
    change: Callable[[Path], None], what: str, made: Path, whole: Record
) -> None:
    asked = request(made).model_copy(update={"sources": as_plain(facts_of_sources(whole))})
    change(made)
    message = failed(run(asked, made), made)
    assert message.startswith("changed since this `bakeoff run` began: ")
    assert what in message
    assert message.endswith("; restore it, or start the command again")


def test_what_did_not_change_since_the_preflight_is_trained_on(made: Path, whole: Record) -> None:
    found = run(request(made).model_copy(update={"sources": as_plain(facts_of_sources(whole))}), made)
    assert (found.status, found.made_from, found.weights) == ("ok", whole.made_from, whole.weights)


def test_rows_that_are_written_while_they_are_read_are_not_trained_on(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff_table import Table

    load = Table.load

    def load_and_edit(self: Any, options: Any, places: Paths) -> Any:
        found = load(self, options, places)
        edited(made / "e" / "train.csv", "number 3,", "number 4,")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Table, "load", load_and_edit)
        message = failed(run(request(made), made), made)
    assert message.endswith("train.csv was changed while it was read; repeat the command when it is complete")
    (made / "run" / RECORD_FILE).unlink()
    (made / "run").rmdir()
    again = run(request(made), made)
    assert again.status == "ok"
    fresh = request(made).model_copy(update={"cache": made / "other"})
    (made / "run").rename(made / "first")
    assert run(fresh, made).made_from == again.made_from


def test_weights_that_are_written_while_they_are_read_are_not_trained_on(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff_hub_models import HubModel

    build = HubModel.build

    def build_and_replace(self: Any, *arguments: Any) -> Any:
        found = build(self, *arguments)
        other_weights(made)
        return found

    monkeypatch.setattr(HubModel, "build", build_and_replace)
    message = failed(run(request(made), made), made)
    assert message.endswith("model.safetensors was changed while it was read; repeat the command when it is complete")


@pytest.mark.long
def test_rows_that_are_edited_while_the_command_runs_stop_the_seeds_that_are_left(made: Path) -> None:
    path = spec(made, seeds=3, steps=40)
    process = start("run", path, "--jobs", "1", "--threads", "1", folder=made)
    while process.poll() is None and not list((made / "e").glob("records/r1-*/record.json")):
        time.sleep(0.01)
    edited(made / "e" / "train.csv", "number 3,", "number 4,")
    _, err = process.communicate()
    assert process.returncode == 1, err
    found = records(made / "e")
    assert found["manual-loop/0"]["status"] == "ok"
    assert found["manual-loop/2"]["status"] == "failed"
    assert found["manual-loop/2"]["failure"]["message"].startswith("changed since this `bakeoff run` began: ")
    prints = {record["data"]["splits"]["train"]["fingerprint"] for record in found.values() if record["status"] == "ok"}
    assert len(prints) == 1
    again = call("run", path, "--retry", "failed", "--changed", "rerun", folder=made)
    assert again.returncode == 0, again.stderr
    prints = {record["data"]["splits"]["train"]["fingerprint"] for record in records(made / "e").values()}
    assert len(prints) == 1
