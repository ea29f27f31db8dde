"""Several runs at the same time, interrupted runs and their attempts, the trained model kept: the real command."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from end_to_end.experiments import TOY, call, records, sleeper, start, time_is_up, trains, wait_until, write_spec

PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"
TOYBOX = Path(__file__).parents[1] / "thirdparty" / "toybox"
BOTH = {"trainer-api": {"trainer": "hf-trainer"}, "manual-loop": {"trainer": "torch-loop"}}


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TOYBOX), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.slow
def test_jobs_come_to_the_same_records_seed_by_seed(tmp_path: Path) -> None:
    one, two = write_spec(tmp_path / "one", BOTH, seeds=2), write_spec(tmp_path / "two", BOTH, seeds=2)
    alone = call("run", one, "--threads", "1", folder=tmp_path)
    beside = call("run", two, "--jobs", "2", "--threads", "1", folder=tmp_path)
    assert (alone.returncode, beside.returncode) == (0, 0), alone.stderr + beside.stderr
    first, second = records(tmp_path / "one"), records(tmp_path / "two")
    assert {name: (record["weights"], record["scores"]) for name, record in first.items()} == {
        name: (record["weights"], record["scores"]) for name, record in second.items()
    }
    assert {record["environment"]["jobs"] for record in second.values()} == {2}
    seeds = [int(seed) for seed in re.findall(r":(\d): started", beside.stderr)]
    assert len(seeds) == len(second)
    assert seeds == sorted(seeds), "one seed of all strategies, then the next"
    lines = beside.stderr.splitlines()
    ends = [number for number, line in enumerate(lines) if "accuracy" in line]
    starts = [number for number, line in enumerate(lines) if ": started" in line]
    assert starts[1] < ends[0], "the second began before the first had ended"


@pytest.mark.slow
@pytest.mark.parametrize("sent", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_an_interrupted_run_is_a_record_and_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    spec = write_spec(tmp_path / "e", {"sleeps": sleeper(tmp_path)}, run_timeout=600)
    process = start("run", spec, folder=tmp_path)
    wait_until(lambda: trains(tmp_path))
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (record,) = records(tmp_path / "e").values()
    assert (record["status"], record["failure"]["reason"]) == ("failed", "interrupted")
    assert record["cost"]["total_seconds"] > 0.1
    assert record["cost"]["peak_memory_bytes"] > 2**20
    assert not list((tmp_path / "e" / "records").glob(".claim-*"))
    table = call("table", tmp_path / "e", folder=tmp_path)
    assert "interrupted" in table.stdout

    time_is_up(monkeypatch, lambda run: run.seconds > 0.1)
    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 1
    (record,) = records(tmp_path / "e").values()
    assert record["failure"]["reason"] == "timed out"
    assert [attempt["reason"] for attempt in record["attempts"]] == ["interrupted"]
    third = call("run", spec, "--retry", "failed", folder=tmp_path)
    (record,) = records(tmp_path / "e").values()
    assert [attempt["reason"] for attempt in record["attempts"]] == ["interrupted", "timed out"], third.stderr
    assert all(attempt["total_seconds"] > 0.1 for attempt in record["attempts"])


@pytest.mark.parametrize("method", ["full", {"name": "lora", "r": 4}])
def test_a_kept_model_loads_with_plain_transformers_and_predicts_what_is_recorded(tmp_path: Path, method: Any) -> None:
    import torch
    from toybox import Toy
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    spec = write_spec(tmp_path / "e", {"one": {"trainer": "torch-loop", "method": method}}, keep="final")
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (record,) = records(tmp_path / "e").values()
    folder = tmp_path / "e" / "records" / record["id"]
    assert {"model/model.safetensors", "model/config.json", "model/tokenizer.json", "model/README.md"} <= set(record["files"])
    card = (folder / "model" / "README.md").read_text()
    assert f"| test | accuracy | {100 * record['scores']['test']['accuracy']:.2f} points |" in card

    model = AutoModelForSequenceClassification.from_pretrained(folder / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    task = Toy()
    rows = task.load(task.Options(size=20), None)["test"].to_dict()
    columns = task.info(task.Options(size=20)).text_columns
    batch = tokenizer(*(rows[name] for name in columns), truncation=True, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits.numpy()
    recorded = pq.read_table(folder / "predictions.parquet").to_pandas()
    recorded = recorded[recorded["split"] == "test"].set_index("id").loc[rows["id"]]
    np.testing.assert_allclose(logits, np.stack(recorded["logits"]), atol=1e-5)
    assert set(json.loads((folder / "model" / "config.json").read_text())["id2label"].values()) == set(
        task.info(task.Options(size=20)).labels
    )


def test_models_that_were_not_kept_are_told_and_made_again_when_asked(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", {"one": {"trainer": "torch-loop"}})
    assert call("run", spec, folder=tmp_path).returncode == 0
    before = records(tmp_path / "e")["one/0"]
    spec.write_text(spec.read_text() + "keep: final\n")
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "model (`keep: final`" in answer.stderr
    answer = call("run", spec, "--retry", "unkept", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    after = records(tmp_path / "e")["one/0"]
    assert "model/model.safetensors" in after["files"]
    assert (after["weights"], after["attempts"]) == (before["weights"], [])
    assert json.loads((tmp_path / "e" / "records" / after["id"] / "model" / "config.json").read_text())["problem_type"] == (
        "single_label_classification"
    )


def test_verify_names_what_is_damaged_and_run_makes_it_again(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", BOTH, seeds=2)
    assert call("run", spec, folder=tmp_path).returncode == 0
    assert call("verify", tmp_path / "e", folder=tmp_path).stdout == "4 of 4 records are undamaged\n"
    before = records(tmp_path / "e")
    places = [tmp_path / "e" / "records" / record["id"] for record in before.values()]
    (places[0] / "record.json").write_text((places[0] / "record.json").read_text()[:300])
    steps = (places[1] / "steps.parquet").read_bytes()
    (places[1] / "steps.parquet").write_bytes(steps[:-50])
    predictions = bytearray((places[2] / "predictions.parquet").read_bytes())
    predictions[len(predictions) // 2] ^= 1
    (places[2] / "predictions.parquet").write_bytes(predictions)
    answer = call("verify", tmp_path / "e", folder=tmp_path)
    assert answer.returncode == 1
    assert answer.stdout.startswith("1 of 4 records are undamaged\n")
    for place, name in zip(places, ("record.json", "steps.parquet", "predictions.parquet"), strict=False):
        assert re.search(rf"damaged: .*\({place.name}\): .*{name}", answer.stdout)
    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("; archived") == 3
    after = records(tmp_path / "e")
    assert {name: record["weights"] for name, record in after.items()} == {
        name: record["weights"] for name, record in before.items()
    }
    assert call("verify", tmp_path / "e", folder=tmp_path).returncode == 0


def test_data_that_was_edited_between_runs_stops_the_next_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    head = TOY.replace("{name: toy, size: 20}", "toy-file")
    spec = write_spec(tmp_path / "e", {"manual-loop": {"trainer": "torch-loop"}}, head=head)
    data.mkdir(parents=True)
    rows = [f"{'ab'[number % 2]} {number},{number % 2}" for number in range(24)]
    (data / "rows.csv").write_text("\n".join(rows))
    first = call("run", spec, "--data", tmp_path / "data", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    (data / "rows.csv").write_text("\n".join([*rows[:-1], "something else,1"]))
    spec = write_spec(tmp_path / "e", {"manual-loop": {"trainer": "torch-loop"}}, head=head, seeds=2)
    before = sorted(path.name for path in (tmp_path / "e" / "records").iterdir())
    stopped = call("run", spec, "--data", tmp_path / "data", folder=tmp_path)
    assert stopped.returncode == 2
    assert "1 recorded run" in stopped.stderr
    assert "--changed rerun" in stopped.stderr
    assert sorted(path.name for path in (tmp_path / "e" / "records").iterdir()) == before
    rerun = call("run", spec, "--data", tmp_path / "data", "--changed", "rerun", folder=tmp_path)
    assert rerun.returncode == 0, rerun.stderr
    assert len({json.dumps(record["data"]["splits"]) for record in records(tmp_path / "e").values()}) == 1
