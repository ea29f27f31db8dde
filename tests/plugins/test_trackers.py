"""TensorBoard, MLflow and W&B by their real libraries, offline: what `bakeoff export` writes is read back."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, write_spec
from end_to_end.test_sharding import HEAD, STRATEGIES
from messages import tells

from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.text.values import command
from bakeoff_trackers.mlflow_tracker import distinct, without_secrets
from bakeoff_trackers.run_folders import folder_name
from bakeoff_trackers.wandb_tracker import SETTINGS

QUICKSTART = Path(__file__).parents[2] / "results" / "quickstart"
OFFLINE = {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:1"}
"""A key and an address that nobody has."""


@pytest.fixture(autouse=True)
def no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WANDB", "MLFLOW"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(QUICKSTART, tmp_path / "quickstart"))


def export(folder: Path, *words: str) -> Any:
    """What `bakeoff export --json` prints."""
    done = call("export", folder, *words, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def some_run(folder: Path) -> tuple[Record, Any]:
    """A record and its steps."""
    store = Store(folder)
    record = store.read_all()[0][0]
    return record, store.steps(record)


def scores_of(record: Record) -> dict[str, float]:
    return {f"{split}/{metric}": score for split, scores in record.scores.items() for metric, score in scores.items()}


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Name -> size and time of modification of each file."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


# --- TensorBoard ---


@pytest.mark.slow
def test_tensorboard_reads_every_step_the_scores_the_settings_and_the_summary(folder: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    answer = export(folder, "--to", "tensorboard")
    assert (len(answer["written"]), answer["summary"]) == (6, True)
    record, steps = some_run(folder)
    place = folder / "tracked" / "tensorboard" / "quickstart"
    (own,) = place.glob(f"{record.requested.strategy}/{record.requested.seed}-{record.id}")
    read = accumulator.EventAccumulator(str(own), size_guidance={"scalars": 0}).Reload()
    loss = read.Scalars("train/loss")
    assert [(event.step, event.value) for event in loss] == list(
        zip(steps["step"].to_pylist(), steps["loss"].to_pylist(), strict=True)
    )
    assert loss[-1].wall_time - loss[0].wall_time == pytest.approx(steps["seconds"][-1].as_py() - steps["seconds"][0].as_py())
    for name, score in scores_of(record).items():
        (event,) = read.Scalars(name)
        assert (event.value, event.step) == (pytest.approx(score), loss[-1].step)
    settings = pytest.importorskip("tensorboard.plugins.hparams.metadata").parse_session_start_info_plugin_data(
        read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    assert settings.hparams["learning_rate"].number_value == record.requested.recipe["learning_rate"]
    assert settings.hparams["trainer"].string_value == record.requested.trainer.name
    summary = accumulator.EventAccumulator(str(place / "summary" / "all-runs")).Reload()
    (told,) = summary.Tensors("summary")
    assert "manual-loop" in told.tensor_proto.string_val[0].decode()
    assert (place / "summary" / "all-runs" / "report.html").read_text().lower().startswith("<!doctype html>")


@pytest.mark.slow
def test_tensorboard_gets_nothing_twice_and_old_runs_beside_others_in_one_folder(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    common = tmp_path / "all"
    export(folder, "--to", "tensorboard", "--folder", str(common))
    before = files_in(common)
    again = export(folder, "--to", "tensorboard", "--folder", str(common))
    assert (again["written"], again["already"], again["summary"]) == ([], 6, False)
    assert files_in(common) == before
    shutil.rmtree(next(common.glob("*/manual-loop/0-*")))
    assert export(folder, "--to", "tensorboard", "--folder", str(common))["written"] == ["manual-loop:0"]


def test_no_two_names_become_one_folder_or_one_metric_and_none_leads_elsewhere() -> None:
    names = ["a/b", "a-b", "a b", "..", ".", "", "-", "a" * 300, "a" * 301, "é", "è", "f1 (a)", "f1 a", "f1/a", "../f1", "/f1"]
    for found in ([folder_name(name) for name in names], list(distinct(names).values())):
        assert len(set(found)) == len(names)
        assert all(name and len(name) <= 250 and not name.startswith("/") for name in found)
        assert not [name for name in found if ".." in name.split("/") or "." in name.split("/")]
    assert folder_name("full@64") == "full@64"
    assert distinct(["train/loss"]) == {"train/loss": "train/loss"}


# --- MLflow ---


@pytest.mark.slow
def test_mlflow_knows_every_step_the_scores_the_settings_and_the_page(folder: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    answer = export(folder, "--to", "mlflow")
    assert (len(answer["written"]), answer["summary"]) == (6, True)
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'tracked' / 'mlflow.db'}")
    found = client.get_experiment_by_name("quickstart")
    runs = {run.data.tags["bakeoff.key"]: run for run in client.search_runs([found.experiment_id])}
    assert len(runs) == 7
    record, steps = some_run(folder)
    run = runs[record.id]
    asked = record.requested
    assert (run.info.run_name, run.info.status) == (f"{asked.strategy}:{asked.seed}", "FINISHED")
    tags = {"strategy": asked.strategy, "seed": str(asked.seed), "task": "docstrings (size=2500)", "kind": "run"}
    assert run.data.tags.items() >= tags.items()
    assert run.data.params["learning_rate"] == str(asked.recipe["learning_rate"])
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert {(point.step, point.value) for point in history} == {
        *zip(steps["step"].to_pylist(), steps["loss"].to_pylist(), strict=True)
    }
    assert len(history) == len(steps)
    for name, score in scores_of(record).items():
        assert run.data.metrics[name.replace("(", "").replace(")", "")] == score, "MLflow takes no brackets"
    page = client.download_artifacts(runs["summary"].info.run_id, "report.html")
    assert Path(page).read_text().lower().startswith("<!doctype html>")
    assert "manual-loop" in runs["summary"].data.tags["mlflow.note.content"]
    again = export(folder, "--to", "mlflow")
    assert (again["written"], again["already"], again["summary"]) == ([], 6, False)
    assert len(client.search_runs([found.experiment_id])) == 7
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == len(steps)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 does not answer "),
        ("postgresql://me:secret@127.0.0.1:1/runs", "postgresql://127.0.0.1:1/runs does not answer "),
        ("sqlite:////dev/null/x/runs.db", "/dev/null/x/runs.db cannot be written: "),
    ],
)
def test_where_mlflow_cannot_write_is_one_line_at_once(uri: str, told: str, folder: Path) -> None:
    pytest.importorskip("mlflow")
    done = call("export", folder, "--to", "mlflow", "--uri", uri, folder=folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert tells(done.stderr, told)
    assert "secret" not in done.stderr


@pytest.mark.slow
def test_a_database_that_leads_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.touch()
    (folder / "tracked").mkdir()
    (folder / "tracked" / "mlflow.db").symlink_to(elsewhere)
    done = call("export", folder, "--to", "mlflow", folder=folder)
    assert (done.returncode, len(done.stderr.splitlines()), elsewhere.read_bytes()) == (2, 1, b"")
    assert tells(done.stderr, str(folder / "tracked" / "mlflow.db"))
    (folder / "tracked" / "mlflow.db").unlink()
    export(folder, "--to", "mlflow")
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))
    done = call("export", copied, "--to", "mlflow", folder=folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert tells(done.stderr, str(copied / "tracked" / "mlflow.db"), str(folder))


def test_no_message_has_a_password() -> None:
    assert without_secrets("a https://me:secret@host/x and mysql+x://u@h") == "a https://host/x and mysql+x://h"


@pytest.mark.slow
def test_an_experiment_goes_on_without_its_tracker(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    spec = write_spec(tmp_path, {"full": STRATEGIES["full"]}, head=HEAD, seeds=1)
    words = ("--export-to", "mlflow", "--uri", "http://127.0.0.1:1", "--export-to", "tensorboard")
    done = call("run", spec, *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "mlflow" in line]
    continues = command("export", tmp_path, "--to", "mlflow", "--uri", "http://127.0.0.1:1")
    assert tells(line, "export to mlflow: http://127.0.0.1:1 ", continues)
    if (tmp_path / "tracked").exists():  # tensorboard is installed
        assert [*(tmp_path / "tracked").glob("tensorboard/shards/full/0-*/events*")]


# --- Weights & Biases ---


@pytest.mark.slow
def test_wandbs_offline_runs_hold_every_step_and_nothing_of_the_machine(folder: Path) -> None:
    pytest.importorskip("wandb")
    answer = export(folder, "--to", "wandb", "--project", "tried", "--entity", "us")
    assert (len(answer["written"]), answer["summary"]) == (6, True)
    record, steps = some_run(folder)
    (own,) = (folder / "tracked" / "wandb").glob(f"offline-run-*-{record.id}-*")
    found = list(logged_in(own))
    kinds = Counter(one.WhichOneof("record_type") for one in found)
    assert not {"output", "output_raw", "files", "stats", "artifact"} & set(kinds), "no console, no code, no machine"
    (run,) = [one.run for one in found if one.WhichOneof("record_type") == "run"][:1]
    asked = record.requested
    assert (run.project, run.entity, run.run_group, run.job_type) == ("tried", "us", "quickstart", asked.strategy)
    assert run.display_name == f"{asked.strategy}:{asked.seed}"
    assert {"task: docstrings (size=2500)", f"seed: {asked.seed}"} <= set(run.tags)
    assert not run.HasField("git")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["learning_rate"] == asked.recipe["learning_rate"]
    rows = [values_of(one.history) for one in found if one.WhichOneof("record_type") == "history"]
    assert [row["train/loss"] for row in rows if "train/loss" in row] == pytest.approx(steps["loss"].to_pylist())
    first, last = rows[0]["_timestamp"], [row for row in rows if "train/loss" in row][-1]["_timestamp"]
    assert last - first == pytest.approx(steps["seconds"][-1].as_py() - steps["seconds"][0].as_py(), abs=1e-3)
    summary = {
        item.key or ".".join(item.nested_key): json.loads(item.value_json)
        for one in found
        if one.WhichOneof("record_type") == "summary"
        for item in one.summary.update
    }
    assert summary.items() >= scores_of(record).items()
    assert (folder / "tracked" / "wandb").glob("offline-run-*-summary-*/files/media/html/report*.html")
    before = files_in(folder / "tracked")
    again = export(folder, "--to", "wandb", "--project", "tried", "--entity", "us")
    assert (again["written"], again["already"], again["summary"]) == ([], 6, False)
    assert files_in(folder / "tracked") == before


def logged_in(folder: Path) -> Iterator[Any]:
    """The records of a run's file of W&B: blocks of 32 KiB, with parts of records that have a header of 7 bytes each."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("*.wandb")
    data, at, part = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 2**15 - at % 2**15 < 7:  # no header fits into the rest of the block
            at += 2**15 - at % 2**15
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        part, at = part + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            yield record
            part = b""


def values_of(history: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in history.item}


@pytest.mark.slow
def test_an_upload_without_a_network_is_one_line_and_the_run_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    here = folder.parent / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for _ in range(2):
        done = call("export", folder, "--to", "wandb", "--upload", "yes", folder=folder)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert tells(done.stderr, "`wandb sync` ", str(folder / "tracked" / "wandb"), "WANDB_API_KEY")
        assert len([*(folder / "tracked" / "wandb").glob("offline-run-*")]) == 1, "it is written once"
        assert not [*here.iterdir()], "no log of W&B's is left where the command was called"
    assert len(export(folder, "--to", "wandb")["written"]) == 5


def test_every_setting_of_wandb_exists() -> None:
    wandb = pytest.importorskip("wandb")
    wandb.Settings(**SETTINGS)  # refuses what it does not know
