"""Declared looks with real processes: undisturbed, killed at any moment, several runs at once, two commands, and searches."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import TOY, call, records, start, wait_until, write_spec

from bakeoff.records.store import Store

HEAD = """
name: toy
tasks: [{name: temper, size: 320, noise: 0.05}]
models: [{name: tiny-bert, layers: 1, dropout: 0.0}]
recipe: {epochs: 2, batch_size: 8, learning_rate: 2e-3, max_length: 16}
under_test: [trainer]
margin: 8
strategies:
"""
ROWS: dict[str, Any] = {
    "base": {"trainer": "right"},
    "twin": {"trainer": {"name": "right", "marker": "unused"}},
    "again": {"same_as": "base", "replicate": 1},
}
"""The twin makes the same predictions: it is decided at the first look."""
LOOKS = {"looks": [3, 5]}


def write(folder: Path) -> Path:
    return write_spec(folder, ROWS, head=HEAD, seeds=LOOKS)


def result(folder: Path) -> dict[str, Any]:
    """What the records hold, and what the table says of them."""
    with (folder / "table.csv").open() as stream:
        verdicts = {row["strategy"]: (row["verdict"], row["p"], row["difference"]) for row in csv.DictReader(stream)}
    return {name: (record["weights"], record["scores"]) for name, record in records(folder).items()} | {"verdicts": verdicts}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment, run once without disturbance."""
    folder = tmp_path_factory.mktemp("looks") / "whole"
    answer = call("run", write(folder), folder=folder.parent)
    assert answer.returncode == 0, answer.stderr
    (folder / "stderr.txt").write_text(answer.stderr)
    (folder / "stdout.txt").write_text(answer.stdout)
    return folder


@pytest.mark.slow
def test_runs_are_made_look_by_look_and_only_while_they_can_decide(whole: Path) -> None:
    found, declared = records(whole), Store(whole).declared()
    assert {name for name in found if name.startswith("twin")} == {"twin/0", "twin/1", "twin/2"}
    assert {name for name in found if name.startswith("base")} == {f"base/{seed}" for seed in range(5)}
    assert (declared.looks, len(declared.runs), declared.history) == ([3, 5], 15, [])
    plan, first = whole / "records" / "plan.json", min((whole / "records").glob("r1-*"), key=lambda path: path.stat().st_mtime)
    assert plan.stat().st_mtime < first.stat().st_mtime
    seeds = [int(seed) for seed in re.findall(r":(\d): started", (whole / "stderr.txt").read_text())]
    assert max(seeds[:9]) == 2
    assert min(seeds[9:]) == 3
    assert re.search(r"look 1 of 2, at 3 seeds: 9 runs of base, twin and again", (whole / "stderr.txt").read_text())
    assert f"{len(found)} runs of at most 15: {len(found)} done now" in (whole / "stdout.txt").read_text()
    assert "missing-runs" not in (whole / "table.md").read_text()
    again = call("run", whole / "spec.yaml", folder=whole.parent)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"all {len(found)} runs are recorded")
    assert "checking that" not in again.stderr


@pytest.mark.long
def test_killed_again_and_again_it_ends_with_the_same_runs_and_verdicts(whole: Path, tmp_path: Path) -> None:
    spec = write(tmp_path / "cut")
    for most in (2, 8, 10):
        process = start("run", spec, folder=tmp_path, start_new_session=True)
        wait_until(lambda most=most: len(list((tmp_path / "cut" / "records").glob("r1-*"))) >= most)  # type: ignore[misc]
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert len(records(tmp_path / "cut")) < len(records(whole))
    assert call("run", spec, folder=tmp_path).returncode == 0
    assert result(tmp_path / "cut") == result(whole)


@pytest.mark.long
def test_two_commands_with_several_runs_at_once_come_to_the_same(whole: Path, tmp_path: Path) -> None:
    spec = write(tmp_path / "both")
    both = [start("run", spec, "--jobs", "2", "--threads", "1", folder=tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert result(tmp_path / "both") == result(whole)
    done = [int(re.search(r"(\d+) done now", out)[1]) if "done now" in out else 0 for out, _ in said]  # type: ignore[index]
    assert sum(done) == len(records(whole)), "no run is made twice"


@pytest.mark.slow
def test_trials_of_searches_come_before_the_first_look(tmp_path: Path) -> None:
    search = {"learning_rate": [1e-3, 3e-3], "seeds": 1}
    rows = {"base": {"trainer": "right"}, "other": {"trainer": "hf-trainer"}}
    head = TOY.replace("learning_rate: 1e-3, ", "")
    spec = write_spec(tmp_path, rows, head=head, search=search, seeds=LOOKS)
    planned = json.loads(call("plan", spec, "--json", folder=tmp_path).stdout)
    assert len(planned["runs"]) == 4
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    seeds = [int(seed) for seed in re.findall(r":(\d+)(?: \(trial: [^)]*\))?: started", answer.stderr)]
    assert set(seeds[:4]) == {1000}
    assert set(seeds[4:10]) == {0, 1, 2}
    declared = Store(tmp_path).declared()
    assert (declared.looks, declared.history) == ([3, 5], [])
    assert declared.seeds == {"base": [0, 1, 2, 3, 4], "other": [0, 1, 2, 3, 4]}


@pytest.mark.slow
def test_more_looks_after_the_last_withhold_the_verdicts(whole: Path, tmp_path: Path) -> None:
    spec = write(tmp_path / "more")
    shutil.copytree(whole / "records", tmp_path / "more" / "records")
    spec.write_text(spec.read_text().replace("[3, 5]", "[3, 5, 6]"))
    assert call("run", spec, folder=tmp_path).returncode == 0
    (earlier,) = Store(tmp_path / "more").declared().history
    assert [change.what for change in earlier.changes] == ["looks"]
    verdicts = result(tmp_path / "more")["verdicts"]
    assert verdicts["again"][:2] == ("withheld", "")
    assert verdicts["twin"][0] == "identical"
    page = " ".join((tmp_path / "more" / "table.md").read_text().split())
    assert "pilot" in page
    assert "first: 6" in page
