"""Shards of one experiment, made by workers that share nothing but the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, start, wait_until, write_spec

from bakeoff.machine.hardware import usable_threads

HEAD = """
name: shards
tasks: [{name: toy, size: 24}]
models: [tiny-bert]
recipe: {max_steps: 4, batch_size: 4, max_length: 32}
strategies:
"""
STRATEGIES = {"full": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}}
SEARCHED: dict[str, Any] = {
    **STRATEGIES,
    "tuned": {"trainer": "torch-loop", "search": {"learning_rate": [1e-4, 1e-3], "seeds": 1}},
}


def shard(spec: Path, which: str, *more: str) -> tuple[int, dict[str, Any]]:
    done = call("run", spec, "--shard", which, "--json", *more, folder=spec.parent)
    assert done.returncode in (0, 5), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_shards_make_all_runs_once_and_the_plain_command_finds_them_made(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "shards", STRATEGIES, head=HEAD, seeds=3)
    outputs = [shard(spec, f"{number}/3") for number in (3, 1, 2)]
    assert {code for code, _ in outputs} == {0}
    assert sum(output["done_now"] for _, output in outputs) == 6
    assert sum(output["runs"] for _, output in outputs) == 6
    assert not (spec.parent / "table.md").exists(), "a shard writes no tables"
    code, again = shard(spec, "1/3")
    assert (code, again["done_now"], again["already_recorded"]) == (0, 0, again["runs"])
    done = call("run", spec, "--json", folder=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["done_now"]) == (0, 0)
    whole = write_spec(tmp_path / "whole", STRATEGIES, head=HEAD, seeds=3)
    assert call("run", whole, folder=tmp_path).returncode == 0
    one, other = (
        {name: record["weights"] for name, record in records(tmp_path / folder).items()} for folder in ("shards", "whole")
    )
    assert one == other


def test_a_plan_lists_a_shard_with_what_its_runs_take(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=3)
    before = [json.loads(call("plan", spec, "--shard", f"{number}/2", "--json", folder=tmp_path).stdout) for number in (1, 2)]
    assert sum(len(output["runs"]) for output in before) == 6
    assert {run["peak_memory_bytes"] for output in before for run in output["runs"]} == {None}
    assert call("run", spec, "--only", ":0", "--threads", str(usable_threads()), folder=tmp_path).returncode == 0
    after = json.loads(call("plan", spec, "--json", folder=tmp_path).stdout)["runs"]
    todo = [run for run in after if run["state"] == "to do"]
    assert len(todo) == 4
    assert all(run["peak_memory_bytes"] > 2**20 and run["seconds"] > 0 and run["processes"] == 1 for run in todo)


@pytest.mark.slow
def test_with_a_search_each_shard_waits_for_the_trials_of_all(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, SEARCHED, head=HEAD, seeds=2)
    trials = json.loads(call("plan", spec, "--json", folder=tmp_path).stdout)["runs"]
    assert sum(run["trial"] is not None for run in trials) == 2
    shards = [f"{number}/8" for number in range(1, 9)]
    first = {which: shard(spec, which) for which in shards}
    assert {output["phase"] for _, output in first.values()} <= {"trials", "runs"}
    assert sum(output["done_now"] for _, output in first.values() if output["phase"] == "trials") == 2
    waited = [output["missing"] for code, output in first.values() if code == 5]
    assert all(missing and all("tuned:1000" in name for name in missing) for missing in waited)
    made = {which: shard(spec, which) for which in shards}
    assert {(code, output["phase"]) for code, output in made.values()} == {(0, "runs")}
    assert len([*(tmp_path / "records").glob("r1-*")]) == 8, "6 runs, and the trials"
    done = call("run", spec, "--json", folder=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["done_now"]) == (0, 0)


@pytest.mark.long
def test_a_run_that_another_process_makes_is_left_to_it(tmp_path: Path) -> None:
    strategies = {**STRATEGIES, "full": {"trainer": "torch-loop", "recipe": {"max_steps": 4000}}}
    spec = write_spec(tmp_path, strategies, head=HEAD, seeds=1)
    other = start("run", spec, "--only", "full:0", folder=tmp_path)
    wait_until(lambda: [*(tmp_path / "records").glob(".claim-*")])
    code, output = shard(spec, "1/1")
    assert (code, output["held"], output["done_now"]) == (5, ["full:0"], 1)
    assert other.wait(timeout=120) == 0
    assert shard(spec, "1/1")[0] == 0


def test_bad_shards_are_one_line_and_a_changed_file_needs_the_plain_command(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    for wrong in ("3/2", "0/2", "x"):
        done = call("run", spec, "--shard", wrong, folder=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert wrong in done.stderr
    assert not (tmp_path / "records").exists()
    assert shard(spec, "1/2")[0] == 0
    spec.write_text(spec.read_text().replace('"seeds": 1', '"seeds": 2').replace("seeds: 1", "seeds: 2"))
    plan = (tmp_path / "records" / "plan.json").read_bytes()
    done = call("run", spec, "--shard", "2/2", folder=tmp_path)
    assert (done.returncode, "plan.json" in done.stderr) == (2, True)
    assert (tmp_path / "records" / "plan.json").read_bytes() == plan
