"""`bakeoff run`, with real worker processes: what it leaves, skips, survives and refuses."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from core.calling import counted_parses
from end_to_end.experiments import (
    COMMAND,
    call,
    records,
    say_otherwise,
    sleeper,
    start,
    time_is_up,
    trains,
    wait_until,
    write_spec,
)
from messages import tells

from bakeoff.records.schema import PHASES

BOTH = {"trainer-api": {"trainer": "hf-trainer"}, "manual-loop": {"trainer": "torch-loop"}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment: two trainers, two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        parses = counted_parses(patch)
        answer = call("run", write_spec(folder, BOTH, seeds=2), folder=folder)
    assert set(parses.values()) == {1}, "each record is read once, from its worker to the table"
    assert len(parses) == 4
    assert answer.returncode == 0, answer.stderr
    return folder


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_run_leaves_a_whole_record(finished: Path) -> None:
    found = records(finished)
    assert sorted(found) == ["manual-loop/0", "manual-loop/1", "trainer-api/0", "trainer-api/1"]
    for record in found.values():
        folder = finished / "records" / record["id"]
        assert (folder / "record.json").stat().st_size <= 8192
        assert sorted(record["files"]) == ["predictions.parquet", "steps.parquet"]
        for name, digest in record["files"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert {path.name for path in folder.iterdir()} == {"record.json", *record["files"]}


def test_predictions_of_every_labelled_split_but_train_are_kept(finished: Path) -> None:
    record = records(finished)["manual-loop/0"]
    table = pq.read_table(finished / "records" / record["id"] / "predictions.parquet").to_pandas()
    assert table.groupby("split", observed=True).size().to_dict() == {"dev": 20, "test": 30}
    assert table["id"].is_unique
    assert {len(logits) for logits in table["logits"]} == {2}
    for split, scores in record["scores"].items():
        rows = table[table["split"] == split]
        right = [int(logits[1] > logits[0]) == label for logits, label in zip(rows["logits"], rows["label"], strict=True)]
        assert scores["accuracy"] == pytest.approx(sum(right) / len(right))
    assert set(table["slice:start"]) <= {
        "red",
        "green",
        "blue",
        "dog",
        "cat",
        "house",
        "tree",
        "river",
        "stone",
        "cloud",
        "table",
        "window",
    }


def test_the_data_are_looked_at_for_what_is_trained_on(finished: Path) -> None:
    from toybox import Toy, ToyOptions

    splits = Toy().load(ToyOptions(size=20), None)  # type: ignore[arg-type]  # it looks at no place
    trained = set(zip(splits["train"]["first"], splits["train"]["second"], strict=True))
    expected = {
        name: sum(pair in trained for pair in zip(splits[name]["first"], splits[name]["second"], strict=True))
        for name in ("dev", "test")
    }
    for record in records(finished).values():
        assert record["data"]["overlap"] == expected
        assert record["evaluation_difference"] == 0.0
        assert record["selection"] is None


def test_steps_are_kept(finished: Path) -> None:
    record = records(finished)["trainer-api/0"]
    table = pq.read_table(finished / "records" / record["id"] / "steps.parquet").to_pandas()
    assert list(table["step"]) == list(range(6))  # 20 rows in batches of 8, twice
    assert table["learning_rate"].iloc[0] == 1e-3
    assert table["learning_rate"].is_monotonic_decreasing
    assert table["seconds"].is_monotonic_increasing
    assert table["grad_norm"].le(1.0001).all()


def test_phases_add_up_to_the_total(finished: Path) -> None:
    for record in records(finished).values():
        phases, total = record["cost"]["phase_seconds"], record["cost"]["total_seconds"]
        assert tuple(phases) == PHASES
        assert sum(phases.values()) == pytest.approx(total, rel=0.01)
        assert all(phases[name] > 0 for name in ("load", "encode", "build", "warm-up", "train", "evaluate", "save"))


def test_the_recipe_is_observed_at_the_optimizer(finished: Path) -> None:
    for record in records(finished).values():
        observed = record["observed"]
        assert observed["optimizer"] == "AdamW"
        assert observed["optimizer_steps"] == 6
        assert (observed["learning_rate_first"], observed["learning_rate_peak"]) == (1e-3, 1e-3)
        assert [(group["eps"], group["betas"], group["fused"]) for group in observed["groups"]] == [
            (1e-8, [0.9, 0.999], True)
        ] * 2
        assert observed["examples_seen"] == 40
        assert observed["padded_tokens_seen"] >= observed["tokens_seen"] > 0


def test_both_trainers_are_identical_to_the_bit(finished: Path) -> None:
    found = records(finished)
    for seed in (0, 1):
        one, other = found[f"trainer-api/{seed}"], found[f"manual-loop/{seed}"]
        assert one["weights"] == other["weights"]
        assert one["observed"]["data_order_sha256"] == other["observed"]["data_order_sha256"]
        assert one["scores"] == other["scores"]
    assert found["trainer-api/0"]["weights"]["final_sha256"] != found["trainer-api/1"]["weights"]["final_sha256"]


def test_where_it_ran_and_where_parts_came_from(finished: Path) -> None:
    record = records(finished)["trainer-api/0"]
    assert {"python", "torch", "transformers", "bakeoff", "toybox"} <= set(record["environment"]["software"])
    assert record["requested"]["task"]["distribution"] == "toybox"
    assert record["requested"]["trainer"]["distribution"] == "bakeoff"
    assert record["cost"]["peak_memory_bytes"] > 100 * 2**20


def test_recorded_runs_are_skipped(finished: Path) -> None:
    before = files(finished / "records")
    answer = call("run", finished / "spec.yaml", folder=finished)
    assert answer.returncode == 0
    assert "all 4 runs" in answer.stderr + answer.stdout
    assert files(finished / "records") == before


def test_a_new_seed_runs_alone(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    before = files(tmp_path / "copy" / "records")
    write_spec(tmp_path / "copy", BOTH, seeds=[0, 1, 7])
    assert call("run", tmp_path / "copy" / "spec.yaml", folder=tmp_path).returncode == 0
    (look,) = json.loads((tmp_path / "copy" / "records" / "plan.json").read_text())["history"]
    assert (look["seeds"], look["recorded"]) == ({"manual-loop": [0, 1], "trainer-api": [0, 1]}, 4)
    after = files(tmp_path / "copy" / "records")
    assert {name: digest for name, digest in after.items() if name in before and "plan.json" not in name} == {
        name: digest for name, digest in before.items() if "plan.json" not in name
    }
    assert sorted(records(tmp_path / "copy")) == sorted(f"{name}/{seed}" for name in BOTH for seed in (0, 1, 7))


def test_another_experiment_does_not_mix_into_the_folder(finished: Path, tmp_path: Path) -> None:
    other = write_spec(tmp_path, BOTH, seeds=1)
    other.write_text(other.read_text().replace("name: toy\n", "name: other\n").replace("size: 20", "size: 21"))
    before = files(finished)
    answer = call("run", other, "--into", finished, folder=tmp_path)
    assert answer.returncode == 2
    assert "--into" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert files(finished) == before


def test_other_instructions_of_the_processor_stop_the_run(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    for path in (tmp_path / "copy" / "records").glob("r1-*/record.json"):
        own = json.loads(path.read_text())["environment"]["instructions"]
        say_otherwise(path, f'"instructions": "{own}"', '"instructions": "VSX"')
    write_spec(tmp_path / "copy", BOTH, seeds=3)
    answer = call("run", tmp_path / "copy" / "spec.yaml", folder=tmp_path)
    assert answer.returncode == 2
    assert re.search(r"instruction set VSX there, \w+ here", answer.stderr)
    assert "--changed" in answer.stderr
    assert len(records(tmp_path / "copy")) == 4


def test_another_environment_stops_the_run(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    for path in (tmp_path / "copy" / "records").glob("r1-*/record.json"):
        say_otherwise(path, '"torch": "2.', '"torch": "1.')
    write_spec(tmp_path / "copy", BOTH, seeds=3)
    answer = call("run", tmp_path / "copy" / "spec.yaml", folder=tmp_path)
    assert answer.returncode == 2
    assert re.search(r"torch 1\..* there, 2\..* here", answer.stderr)
    assert "--changed" in answer.stderr
    mixed = call("run", tmp_path / "copy" / "spec.yaml", "--changed", "mix", folder=tmp_path)
    assert mixed.returncode == 0, mixed.stderr
    assert len(records(tmp_path / "copy")) == 6


@pytest.mark.slow
def test_runs_are_added_on_another_class_of_hardware_only_if_both_are_declared(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    here = records(finished)["manual-loop/0"]["environment"]["hardware"]
    for path in (tmp_path / "copy" / "records").glob("r1-*/record.json"):
        say_otherwise(path, f'"hardware": "{here}"', '"hardware": "H100"')
    run = ("run", write_spec(tmp_path / "copy", BOTH, seeds=3))
    assert tells(call(*run, folder=tmp_path).stderr.splitlines()[-1], "", "H100 there", here)
    write_spec(tmp_path / "copy", BOTH, seeds=3, hardware=["H100"])
    refused = call(*run, folder=tmp_path)
    assert refused.returncode == 2
    assert tells(refused.stderr.splitlines()[-1], "", "spec.yaml:", "hardware: ", here, "'H100'")
    write_spec(tmp_path / "copy", BOTH, seeds=3, hardware=["H100", here])
    mixed = call(*run, folder=tmp_path)
    assert mixed.returncode == 0, mixed.stderr
    assert len(records(tmp_path / "copy")) == 6
    table = json.loads(call("table", tmp_path / "copy", "--json", folder=tmp_path).stdout)
    assert "machine-changed" in {warning["name"] for warning in table["warnings"]}
    assert len({row["ranking"] for row in table["groups"][0]["rows"]}) == 1


def test_a_damaged_record_is_set_aside_and_made_again(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    before = records(tmp_path / "copy")
    torn, empty = before["manual-loop/0"]["id"], before["trainer-api/1"]["id"]
    (tmp_path / "copy" / "records" / torn / "record.json").write_text('{"schema_version": 5')
    (tmp_path / "copy" / "records" / empty / "record.json").unlink()
    answer = call("run", tmp_path / "copy" / "spec.yaml", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    after = records(tmp_path / "copy")
    assert {name: record["weights"] for name, record in after.items()} == {
        name: record["weights"] for name, record in before.items()
    }
    assert answer.stderr.count("; archived") == 2
    kept = [path.name for path in (tmp_path / "copy" / "records").glob(".replaced-*")]
    assert sorted(name.rsplit("-", 1)[0] for name in kept) == sorted(f".replaced-{run}" for run in (torn, empty))


def test_a_record_of_a_newer_bakeoff_is_left_alone(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    path = tmp_path / "copy" / "records" / records(finished)["manual-loop/0"]["id"] / "record.json"
    path.write_text(path.read_text().replace('"schema_version": 6', '"schema_version": 7'))
    before = files(tmp_path / "copy")
    answer = call("run", tmp_path / "copy" / "spec.yaml", folder=tmp_path)
    assert (answer.returncode, len(answer.stderr.splitlines())) == (2, 1)
    assert "schema version '7'" in answer.stderr
    assert files(tmp_path / "copy") == before


def test_good_records_stay_where_a_rerun_could_not_start(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    for path in (tmp_path / "copy" / "records").glob("r1-*/record.json"):
        say_otherwise(path, '"torch": "2.', '"torch": "1.')
    before = files(tmp_path / "copy")
    answer = call("run", tmp_path / "copy" / "spec.yaml", "--changed", "rerun", "--data", tmp_path / "nowhere", folder=tmp_path)
    assert answer.returncode == 2
    assert files(tmp_path / "copy") == before


# --- what goes wrong -----------------------------------------------------------------------------------------------------

WRONG = {
    "raises": ("error", "ZeroDivisionError: a bug in two lines"),
    "exits": ("crashed", "exit code 7: last words of a plugin"),
    "segfaults": ("crashed", "killed by SIGSEGV"),
    "one-short": (
        "error",
        "trainer 'one-short' (plugin 'toybox' of toybox 1.0) returned from `fit` after 5 steps, and the job asked for 6",
    ),
    "diverges": ("diverged", "the loss was not finite at step"),
    "out-of-memory": ("out of memory", "can't allocate memory"),
    "evaluates-otherwise": ("error", "trainer 'evaluates-otherwise' (plugin 'toybox' of toybox 1.0) changes the evaluation"),
    "swallows": ("error", "trainer 'swallows' (plugin 'toybox' of toybox 1.0) swallowed an exception"),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, Any]], Path, int]:
    """An experiment whose strategies all go wrong but the last; of those that end, one learns nothing."""
    folder = tmp_path_factory.mktemp("failures")
    strategies: dict[str, Any] = {name: {"trainer": name} for name in [*WRONG, "right"]}
    strategies["collapses"] = {"trainer": "right", "recipe": {"learning_rate": 0.5}}
    answer = call("run", write_spec(folder, strategies), folder=folder)
    return records(folder), folder, answer.returncode


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_a_record_with_its_reason(name: str, failures: tuple[dict[str, dict[str, Any]], Path, int]) -> None:
    record = failures[0][f"{name}/0"]
    reason, words = WRONG[name]
    assert record["status"] == "failed"
    assert record["failure"]["reason"] == reason
    assert words in record["failure"]["message"]
    assert "\n" not in record["failure"]["message"]
    assert record["scores"] == {}


def test_json_names_what_failed(failures: tuple[dict[str, dict[str, Any]], Path, int]) -> None:
    _, folder, _ = failures
    answer = call("run", folder / "spec.yaml", "--json", folder=folder)
    found = json.loads(answer.stdout)
    assert (answer.returncode, found["ok"], found["format"]) == (1, False, 1)
    assert {one["strategy"]: one["reason"] for one in found["failed"]} == {name: reason for name, (reason, _) in WRONG.items()}
    assert (found["done_now"], found["already_recorded"], found["needed"]) == (0, len(WRONG) + 2, len(WRONG) + 2)
    assert len(found["take"]) == 1


def test_each_failure_keeps_what_was_measured_and_is_counted_in_its_row(
    failures: tuple[dict[str, dict[str, Any]], Path, int],
) -> None:
    found, folder, _ = failures
    for name in WRONG:
        cost = found[f"{name}/0"]["cost"]
        assert cost["total_seconds"] > 0, name
        assert cost["phase_seconds"]["build"] > 0, name
        assert cost["peak_memory_bytes"] > 100 * 2**20, name
    rows = pd.read_csv(folder / "table.csv").set_index("strategy")
    assert {name: rows.loc[name, "failures"] for name in [*WRONG, "right", "collapses"]} == {
        **dict.fromkeys(WRONG, 1),
        "right": 0,
        "collapses": 0,
    }


def test_a_run_that_learns_nothing_ends_well_and_is_told(failures: tuple[dict[str, dict[str, Any]], Path, int]) -> None:
    found, folder, _ = failures
    record = found["collapses/0"]
    assert record["status"] == "ok"
    predictions = pq.read_table(folder / "records" / record["id"] / "predictions.parquet").to_pandas()
    assert predictions["logits"].map(np.argmax).nunique() == 1, "it gives one answer to all"
    told = " ".join((folder / "table.md").read_text().split())
    assert tells(told, "", "collapsed-runs (caution): ", "collapses 1 of 1", "5 %)")


def test_the_experiment_goes_on_after_failures(failures: tuple[dict[str, dict[str, Any]], Path, int]) -> None:
    found, _, code = failures
    assert found["right/0"]["status"] == "ok"
    assert code == 1


def test_failed_records_have_every_key(failures: tuple[dict[str, dict[str, Any]], Path, int]) -> None:
    found, _, _ = failures
    assert {tuple(record) for record in found.values()} == {tuple(found["right/0"])}


def test_an_unexpected_exception_keeps_its_traceback_beside_the_record(
    failures: tuple[dict[str, dict[str, Any]], Path, int],
) -> None:
    found, folder, _ = failures
    text = (folder / "records" / found["raises/0"]["id"] / "traceback.txt").read_text()
    assert "toybox.py" in text
    assert "traceback.txt" in found["raises/0"]["files"]


def test_a_run_that_takes_too_long_is_ended_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)}, run_timeout=600.0)
    time_is_up(monkeypatch, lambda _: trains(tmp_path))
    assert call("run", spec, folder=tmp_path).returncode == 1
    failure = records(tmp_path)["sleeps/0"]["failure"]
    assert (failure["reason"], failure["phase"]) == ("timed out", "train")
    assert "600 s" in failure["message"]


def test_failures_are_retried_when_asked(tmp_path: Path) -> None:
    marker = str(tmp_path / "marker")
    spec = write_spec(tmp_path, {"flaky": {"trainer": {"name": "flaky", "marker": marker}}})
    assert call("run", spec, folder=tmp_path).returncode == 1
    assert records(tmp_path)["flaky/0"]["failure"]["message"].startswith("RuntimeError: the first attempt")
    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 1, "a failure is recorded: without --retry it stays"
    assert call("run", spec, "--retry", "failed", folder=tmp_path).returncode == 0
    assert records(tmp_path)["flaky/0"]["status"] == "ok"


def test_what_cannot_load_stops_before_the_first_run(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, BOTH)
    spec.write_text(spec.read_text().replace("size: 20", "size: 20, missing: true"))
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    assert "spec.yaml:3:" in answer.stderr
    assert "box is empty" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["spec.yaml"], "nothing is written"


# --- kills and twins -----------------------------------------------------------------------------------------------------


def processes_with(word: str) -> list[int]:
    """Living processes whose environment holds the word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_a_killed_run_leaves_no_worker_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strategies = {"sleeps": sleeper(tmp_path), "right": {"trainer": "right"}}
    spec = write_spec(tmp_path, strategies)
    process = start("run", spec, folder=tmp_path)
    wait_until(lambda: trains(tmp_path))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    cache = f"BAKEOFF_CACHE={tmp_path}"
    wait_until(lambda: not processes_with(cache), seconds=30)
    assert records(tmp_path) == {}
    time_is_up(monkeypatch, lambda run: run.run.strategy.name == "sleeps")
    answer = call("run", write_spec(tmp_path, strategies, run_timeout=600.0), folder=tmp_path)
    assert answer.returncode == 1
    assert {name: record["status"] for name, record in records(tmp_path).items()} == {"sleeps/0": "failed", "right/0": "ok"}
    assert not [path.name for path in (tmp_path / "records").iterdir() if path.name.startswith((".tmp", ".claim"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sign",
    [
        pytest.param("records/.tmp-r1-*", id="while the worker starts", marks=pytest.mark.long),
        pytest.param("trains", id="while it trains"),
    ],
)
def test_ctrl_c_stops_with_one_line(sign: str, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)})
    process = start("run", spec, folder=tmp_path, start_new_session=True)
    wait_until(lambda: list(tmp_path.glob(sign)))
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "same command again" in err
    assert {record["failure"]["reason"] for record in records(tmp_path).values()} <= {"interrupted"}
    assert not [path.name for path in (tmp_path / "records").iterdir() if path.name.startswith((".tmp", ".claim"))]


@pytest.mark.long
def test_two_at_once_record_every_run_once(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, BOTH, seeds=2)
    twins = [start("run", spec, folder=tmp_path) for _ in range(2)]
    answers = [twin.communicate(timeout=600) for twin in twins]
    assert [twin.returncode for twin in twins] == [0, 0], answers
    assert len(records(tmp_path)) == 4
    ended = [line for _, err in answers for line in err.splitlines() if "accuracy dev" in line]
    assert len(ended) == 4, "a run was made twice"


@pytest.mark.slow
def test_the_worker_is_a_command_for_schedulers(finished: Path, tmp_path: Path) -> None:
    import subprocess

    from bakeoff.training.request import Request

    record = records(finished)["manual-loop/0"]
    request = Request(
        id=record["id"],
        requested=record["requested"],
        data=None,
        cache=tmp_path,
        device="cpu",
        threads=record["environment"]["threads"],
    )
    (tmp_path / "request.json").write_text(request.model_dump_json())
    subprocess.run([*COMMAND, "worker", tmp_path / "request.json", tmp_path / "out"], check=True)
    again = json.loads((tmp_path / "out" / "record.json").read_text())
    assert again["weights"] == record["weights"], "another process, the same bits"
