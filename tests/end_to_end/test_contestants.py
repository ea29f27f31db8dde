"""Trainers that own their model, of a third party, through the whole of Bakeoff."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import call, records, write_spec

from bakeoff.records.store import Store

pytestmark = pytest.mark.slow

ROTE = str(Path(__file__).parents[1] / "thirdparty" / "rote")
FAULTS = {
    "leaves out": "1 row of 20 without an answer: row ",
    "nan": "has nan as the score of label 'different', which must be a number from 0 to 1",
}
OTHER_KINDS = """
name: kinds
tasks:
  - {name: table, train: rows.csv, dev: rows.csv, test: rows.csv, text: text, label: size, kind: regression}
  - {name: table, train: rows.csv, dev: rows.csv, test: rows.csv, text: text, label: [red, blue], kind: multilabel}
strategies:
"""

NO_MODEL = "name: toy\ntasks: [{name: toy, size: 20}]\nstrategies:\n"


@pytest.fixture(scope="module", autouse=True)
def _rote() -> Iterator[None]:
    """The plugin is installed, here and in child processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROTE)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [ROTE, os.environ.get("PYTHONPATH")])))
        yield


def rote(**options: Any) -> dict[str, Any]:
    return {"trainer": {"name": "rote", **options}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """Contestants of every sort beside a fine-tuned model, with two seeds and a file that asks for what they can't do."""
    folder = tmp_path_factory.mktemp("own")
    strategies = {
        "full": {"trainer": "torch-loop"},
        "rote": rote(watch=str(folder / "watched")),
        "few": {**rote(), "recipe": {"train_examples": 6}},
        "scored": rote(scores=True, dev=True),
        "dice": rote(dice=True),
        "again": {**rote(dice=True, watch=str(folder / "unread")), "recipe": {}},
        "mean": {"trainer": "nearest-mean"},
        **{name.replace(" ", "-"): rote(fault=name) for name in FAULTS},
    }
    path = write_spec(folder, strategies, seeds=2, keep="final", report_on="dev", baseline="full")
    answer = call("run", path, folder=folder)
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr
    return folder, records(folder), answer.stdout + answer.stderr


def predictions(folder: Path, record: dict[str, Any]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(folder / "records" / record["id"] / "predictions.parquet").to_pydict()
    return columns


def test_its_record_tells_what_is_known_and_no_more(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, made, _ = ran
    record = made["rote/0"]
    assert record["status"] == "ok"
    assert (record["weights"], record["observed"], record["selection"], record["kept"]) == (None, None, None, None)
    assert (record["predicted"], record["timed"], record["used_dev"]) == ("answers", "phases", False)
    assert record["requested"]["model"] is None
    assert record["made_from"]["weights"] is None
    assert record["cost"]["phase_seconds"]["train"] > 0
    assert {tuple(row) for row in predictions(folder, record)["logits"]} <= {(0.0, 1.0), (1.0, 0.0)}
    assert made["scored/0"]["predicted"] == "scores"
    assert made["scored/0"]["used_dev"]
    assert made["full/0"]["predicted"] == "logits"


def test_a_model_is_there_where_its_features_are_used(ran: tuple[Path, dict[str, Any], str]) -> None:
    record = ran[1]["mean/0"]
    assert record["status"] == "ok", record["failure"]
    assert record["made_from"]["weights"] == ran[1]["full/0"]["made_from"]["weights"]
    assert max(predictions(ran[0], record)["tokens"]) > 0


def test_labels_to_be_predicted_are_withheld_and_the_seed_is_one_number(ran: tuple[Path, dict[str, Any], str]) -> None:
    once, lines = (
        [line.split(maxsplit=2) for line in (ran[0] / name).read_text().splitlines()] for name in ("watched", "unread")
    )
    assert [line[1:] for line in (*once, *lines)] == [["20", "{None} False"]] * 3
    assert len(once) == 1, "it does not depend on the seed"
    seeds = [int(line[0]) for line in lines]
    assert seeds[0] != seeds[1]
    assert max(seeds) < 2**32


def test_libraries_that_draw_from_global_generators_repeat(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, made, _ = ran
    answers = {name: predictions(folder, made[name])["logits"] for name in ("dice/0", "dice/1", "again/0")}
    assert answers["dice/0"] == answers["again/0"]
    assert answers["dice/0"] != answers["dice/1"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_answer_fails_its_run_with_one_sentence(ran: tuple[Path, dict[str, Any], str], fault: str) -> None:
    failure = ran[1][f"{fault.replace(' ', '-')}/0"]["failure"]
    assert failure["reason"] == "error"
    assert failure["message"].startswith("trainer 'rote' (plugin 'rote' of rote 1.0): `predict_own`, split 'dev': ")
    assert FAULTS[fault] in failure["message"]


def test_what_is_not_known_stands_in_no_output(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, made, printed = ran
    rows = {
        row["strategy"]: row for row in json.loads(call("table", folder, "--json", folder=folder).stdout)["groups"][0]["rows"]
    }
    assert "learning rate" in rows["full"]["recipe"]
    assert not {"learning rate", "batch size", "training length", "precision", "steps"} & rows["rote"]["recipe"].keys()
    store = Store(folder)
    found = {name: store.predictions(store.read(made[f"{name}/0"]["id"]))["dev"] for name in ("rote", "scored")}
    assert found["rote"].probabilities is None
    assert found["scored"].probabilities is not None
    assert "Given the labels of dev, the split that is reported, to choose or to stop by: scored" in " ".join(printed.split())


def test_what_the_file_asks_for_and_it_cannot_do_is_told(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder = ran[0]
    checked = call("check", folder / "spec.yaml", folder=folder)
    assert "`keep: final` keeps no model of this strategy: its trainer owns the model" in checked.stdout + checked.stderr
    for words, told in (
        (["parity", folder / "spec.yaml", "--strategies", "full,rote"], "owns its model and takes no steps"),
        (["predict", "rote:0", folder / "spec.yaml", folder], "its trainer owns the model"),
    ):
        answer = call(*words, folder=folder)
        assert answer.returncode == 2
        assert told in answer.stderr


def test_every_kind_of_task_is_answered(tmp_path: Path) -> None:
    rows = "".join(f"w{number % 3} x,{number % 3}.5,{number % 2},{number % 3 % 2}\n" for number in range(24))
    (tmp_path / "rows.csv").write_text("text,size,red,blue\n" + rows)
    path = write_spec(
        tmp_path, {"rote": rote(), "other": rote(dev=True)}, head=OTHER_KINDS, margin={"pearson": 0.1, "points": 1}
    )
    answer = call("run", path, folder=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_its_files_are_there_when_a_run_is_tried_again_and_gone_at_the_end(tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    path = write_spec(tmp_path, {"rote": rote(fault="dies once", watch=str(watched))}, head=NO_MODEL)
    assert call("run", path, folder=tmp_path).returncode == 1
    assert call("run", path, "--retry", "failed", folder=tmp_path).returncode == 0
    assert [line.rsplit(maxsplit=1)[1] for line in watched.read_text().splitlines()] == ["False", "True"]
    assert not list((tmp_path / "records").glob(".checkpoints-*"))


def test_several_processes_are_refused(tmp_path: Path) -> None:
    path = write_spec(tmp_path, {"rote": {**rote(), "recipe": {"processes": 2}}}, head=NO_MODEL)
    answer = call("check", path, folder=tmp_path)
    assert answer.returncode == 2
    assert "trainer 'rote' (strategy 'rote') trains in 1 process at most" in answer.stderr
