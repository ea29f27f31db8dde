"""A search as a user runs it: trials, the choice, the reported runs; interrupted, at once by two, and where trials fail."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, start, wait_until, write_spec
from messages import tells

from bakeoff.records.store import Store

RATES = {"search": {"learning_rate": [1e-3, 3e-3], "seeds": 2}}
ROWS = {"loop": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}}


def trial_scores(folder: Path) -> dict[tuple[str, float], list[float]]:
    """(strategy, learning rate) -> dev accuracy of its trials, from the records themselves."""
    found: dict[tuple[str, float], list[float]] = {}
    for path in (folder / "records").glob("r1-*/record.json"):
        record = json.loads(path.read_text())
        if record["requested"]["seed"] >= 1000:
            key = (record["requested"]["strategy"], record["requested"]["recipe"]["learning_rate"])
            found.setdefault(key, []).append(record["scores"]["dev"]["accuracy"])
    return found


def reported_rates(folder: Path) -> dict[str, set[float]]:
    """Strategy -> learning rates of its reported runs."""
    rates: dict[str, set[float]] = {}
    for name, record in records(folder).items():
        strategy, _, seed = name.partition("/")
        if int(seed) < 1000:
            rates.setdefault(strategy, set()).add(record["requested"]["recipe"]["learning_rate"])
    return rates


def check_choice(folder: Path) -> None:
    scores = trial_scores(folder)
    rates_of = reported_rates(folder)
    for strategy in {name for name, _ in scores}:
        (rate,) = rates_of[strategy]
        means = {other: sum(found) / len(found) for (name, other), found in scores.items() if name == strategy}
        assert len(means) == 2
        assert means[rate] == max(means.values())


def test_trials_choose_and_are_told_apart_from_what_is_reported(tmp_path: Path) -> None:
    rows: dict[str, Any] = {**ROWS, "fixed": {"trainer": "hf-trainer", "search": "none"}}
    spec = write_spec(tmp_path, rows, seeds=1, **RATES)
    planned = call("plan", spec, folder=tmp_path)
    assert "9 runs; 9" in planned.stdout
    assert "2 more runs" in planned.stdout
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert tells(answer.stdout, "11 runs: ", "11 done now")
    check_choice(tmp_path)
    whole = (tmp_path / "table.md").read_text()
    (line,) = [line for line in whole.splitlines() if line.startswith("| fixed") and "hf-trainer" in line]
    assert "untuned" in line
    page = " ".join(whole.split())
    assert "fixed is untuned." in page
    assert "| tuning" in page
    assert page.count("best of 2") == 2
    assert "The searches' runs took" in page
    declared = Store(tmp_path).declared()
    assert declared.history == [], "a choice is no change of seeds"
    assert {run.seed for run in declared.runs} == {0}, "trials never count as seeds"
    again = call("run", spec, folder=tmp_path)
    assert tells(again.stdout, "all 11 runs ")
    planned = call("plan", spec, folder=tmp_path)
    assert "11 runs; nothing" in planned.stdout
    assert "chosen on dev" in planned.stdout
    data = json.loads(call("plan", spec, "--json", folder=tmp_path).stdout)
    assert (data["waiting"], sum(run["trial"] is not None for run in data["runs"])) == (0, 8)
    only = [word for run in data["runs"] for word in ("--only", run["id"])]
    one_by_one = json.loads(call("plan", spec, "--json", *only, folder=tmp_path).stdout)
    assert {run["id"] for run in one_by_one["runs"]} == {run["id"] for run in data["runs"]}, "also those that a search chose"
    report = call("report", tmp_path, folder=tmp_path)
    assert report.returncode == 0, report.stderr
    assert "How configurations were chosen" in (tmp_path / "report.html").read_text()


@pytest.mark.long
def test_killed_among_its_trials_it_goes_on_and_chooses_the_same(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        write_spec(folder, ROWS, seeds=1, **RATES)
    assert call("run", whole / "spec.yaml", folder=tmp_path).returncode == 0
    process = start("run", cut / "spec.yaml", folder=tmp_path, start_new_session=True)
    wait_until(lambda: len(list((cut / "records").glob("r1-*"))) >= 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert len(records(cut)) < len(records(whole))
    assert call("run", cut / "spec.yaml", folder=tmp_path).returncode == 0
    assert reported_rates(cut) == reported_rates(whole)
    assert records(cut).keys() == records(whole).keys()


@pytest.mark.long
def test_two_at_once_on_one_folder_record_every_run_once(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ROWS, seeds=1, **RATES)
    both = [start("run", spec, folder=tmp_path) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert len(list((tmp_path / "records").glob("r1-*"))) == 10
    check_choice(tmp_path)


def test_a_configuration_that_diverges_is_ruled_out_and_the_other_is_reported(tmp_path: Path) -> None:
    spec = write_spec(
        tmp_path, {"loop": {"trainer": "torch-loop"}}, seeds=1, search={"learning_rate": [1e30, 1e-3], "seeds": 1}
    )
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "failed: diverged" in answer.stderr
    assert reported_rates(tmp_path) == {"loop": {1e-3}}
    assert "1 failed" in (tmp_path / "table.md").read_text()


def test_where_all_diverge_that_row_is_not_run_the_rest_is_and_the_exit_code_says_so(tmp_path: Path) -> None:
    rows = {
        "loop": {"trainer": "torch-loop", "search": {"learning_rate": [1e30], "seeds": 1}},
        "fixed": {"trainer": "hf-trainer"},
    }
    answer = call("run", write_spec(tmp_path, rows, seeds=1), folder=tmp_path)
    assert answer.returncode == 1
    assert "loop: no configuration" in answer.stderr
    assert set(reported_rates(tmp_path)) == {"fixed"}


@pytest.mark.long
def test_repeated_searches_are_made_look_by_look_and_each_seed_runs_its_own_choice(tmp_path: Path) -> None:
    """Killed among the trials of a later look, it goes on to the same."""
    rows = {"loop": ROWS["loop"], "fixed": {"trainer": "torch-loop", "method": "head-only", "search": "none"}}
    search = {"learning_rate": [1e-3, 3e-3], "seeds": 1, "repeat": 4}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        write_spec(folder, rows, seeds={"looks": [3, 4]}, margin=50, search=search, baseline="fixed")
    answer = call("run", whole / "spec.yaml", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    declared = Store(whole).declared()
    done = records(whole)
    made = {int(name.partition("/")[2]) for name in done if name.startswith("loop/")}
    assert {1000, 1001, 1002} <= made, "a search of its own for each of the three seeds"
    assert (1003 in made) == (3 in made), "a fourth search only where the second look is needed"
    chosen = {choice.search: choice.values["learning_rate"] for choice in declared.searches["loop"].chosen}
    rates = {seed: done[f"loop/{seed}"]["requested"]["recipe"]["learning_rate"] for seed in made if seed < 1000}
    assert rates == chosen
    assert declared.history == []
    process = start("run", cut / "spec.yaml", folder=tmp_path, start_new_session=True)
    wait_until(lambda: len(list((cut / "records").glob("r1-*"))) >= 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert call("run", cut / "spec.yaml", folder=tmp_path).returncode == 0
    assert records(cut).keys() == done.keys()
    assert Store(cut).declared().searches == declared.searches


@pytest.mark.slow
def test_a_damaged_record_of_a_reported_run_is_made_again(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"loop": {"trainer": "torch-loop"}}, seeds=1, search={"learning_rate": [1e-3], "seeds": 1})
    assert call("run", spec, folder=tmp_path).returncode == 0
    again = call("run", spec, folder=tmp_path)
    assert again.stdout.startswith("all 2 runs are recorded")
    assert "checking that" not in again.stderr
    reported = records(tmp_path)["loop/0"]["id"]
    (tmp_path / "records" / reported / "predictions.parquet").write_bytes(b"no parquet")
    assert "1 done now" in call("run", spec, folder=tmp_path).stdout
    assert "no record that" not in (tmp_path / "table.md").read_text()
