"""`bakeoff submit`, `status` and `cancel`, with the engine `local`: real processes in the background."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, sleeper, trains, wait_until, write_spec
from end_to_end.test_sharding import HEAD, SEARCHED, STRATEGIES
from messages import tells

from bakeoff.records.submissions import read_submission


def submit(spec: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return call("submit", spec, "--to", "local", "--threads", "1", *more, folder=spec.parent)


def status(spec: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    done = call("status", spec, "--json", folder=spec.parent)
    return done.returncode, {run["name"]: run for run in json.loads(done.stdout)["runs"]}


def states(spec: Path) -> dict[str, str]:
    return {name: run["state"] for name, run in status(spec)[1].items()}


def queue_of(spec: Path, number: int = 1) -> int:
    """The process of a submission's queue."""
    return int(read_submission(spec.parent / "submitted" / str(number)).jobs[0].handle.split(":")[1].partition(".")[0])


# --- what is refused ---


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of which nothing is run."""
    return write_spec(tmp_path_factory.mktemp("tried"), STRATEGIES, head=HEAD, seeds=2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "lokal"], ("no engine 'lokal'", "did you mean 'local'")),
        (["--to", "local", "--partition", "main"], ("--partition: ", "local")),
        (["--to", "local", "--threads", "1000"], ("--threads 1000: ", "CPU cores")),
        (["--to", "slurm", "--partitoin=main"], ("--partitoin: ", "did you mean 'partition'")),
        (["--to", "slurm", "--partition", "a", "--partition", "b"], ("--partition is given 2 times",)),
        (["--to", "local", "--only", "full:7"], ("--only: ",)),
        (["--to", "ray", "--address", "127.0.0.1:1"], ()),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(tried: Path, words: list[str], told: tuple[str, ...]) -> None:
    done = call("submit", tried, *words, folder=tried.parent)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not told or tells(done.stderr, *told)
    assert not (tried.parent / "submitted" / "1").exists()


@pytest.mark.parametrize("words", [["--time", "soon"], ["--time", "0m"], ["--bundle", "0"], ["--partition"], []])
def test_a_wrong_option_is_a_usage_error(tried: Path, words: list[str]) -> None:
    done = call("submit", tried, *(["--to", "local"] if words else []), *words, folder=tried.parent)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_a_cluster_without_its_commands_is_told(tried: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = call("submit", tried, "--to", "slurm", "--time", "5m", folder=tried.parent)
    assert done.returncode == 2
    assert tells(done.stderr, "there is no ", "`sbatch` ")


def test_a_dry_run_shows_the_jobs_and_writes_nothing(tried: Path) -> None:
    before = sorted(tried.parent.rglob("*"))
    done = submit(tried, "--bundle", "3", "--dry-run")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2, "4 runs in bundles of 3"
    assert all(" bakeoff run " in line and " --threads 1 " in line for line in lines)
    assert sorted(tried.parent.rglob("*")) == before


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    words = [sys.executable, "-P", "-m", "bakeoff.runner.job", str(tmp_path / "nowhere"), "0", "true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert str(tmp_path / "nowhere") in done.stderr


# --- what is made ---


@pytest.mark.slow
def test_jobs_make_all_runs_and_the_last_one_writes_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(tmp_path / "e", STRATEGIES, head=HEAD, seeds=2)
    monkeypatch.chdir(spec.parent)
    done = call("submit", "--to", "local", "--threads", "1", "--bundle", "2", "--at-once", "2", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["submitted"]) == 4
    again = submit(spec, "--json")
    assert json.loads(again.stdout)["submitted"] == {}, "all runs have a job"
    assert len(json.loads(again.stdout)["live"]) == 4
    wait_until((spec.parent / "table.md").is_file, seconds=120)
    assert status(spec)[0] == 0
    assert {*states(spec).values()} == {"recorded"}
    made = {name: record["weights"] for name, record in records(spec.parent).items()}
    whole = write_spec(tmp_path / "whole", STRATEGIES, head=HEAD, seeds=2)
    assert call("run", whole, folder=tmp_path).returncode == 0
    assert made == {name: record["weights"] for name, record in records(whole.parent).items()}
    assert submit(spec).returncode == 0
    assert [path.name for path in (spec.parent / "submitted").iterdir() if path.name.isdecimal()] == ["1"]


@pytest.mark.long
def test_a_search_is_followed_phase_by_phase(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, SEARCHED, head=HEAD, seeds=1)
    done = submit(spec, "--bundle", "8", "--follow")
    assert done.returncode == 0, done.stderr
    phases = [read_submission(tmp_path / "submitted" / number).phase for number in ("1", "2")]
    assert phases == ["trials", "runs"]
    assert (tmp_path / "table.md").is_file()
    assert {*states(spec).values()} == {"recorded"}


@pytest.mark.long
def test_cancelled_runs_are_interrupted_and_submitted_again(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path), **STRATEGIES}, head=HEAD, seeds=1)
    assert submit(spec).returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=120)
    assert states(spec) == {"sleeps:0": "running", "full:0": "waiting", "head:0": "waiting"}
    assert status(spec)[0] == 5
    assert call("cancel", spec, "--only", "sleeps", "--only", "full", folder=tmp_path).returncode == 0
    wait_until(lambda: states(spec) == {"sleeps:0": "to do", "full:0": "to do", "head:0": "recorded"}, seconds=120)
    code, runs = status(spec)
    assert (code, "cancelled" in runs["full:0"]["reason"]) == (5, True)
    assert records(tmp_path)["sleeps/0"]["failure"]["reason"] == "interrupted"
    done = submit(spec, "--only", "full", "--json")
    assert len(json.loads(done.stdout)["submitted"]) == 1
    wait_until(lambda: states(spec)["full:0"] == "recorded", seconds=120)


@pytest.mark.long
def test_a_queue_that_was_killed_is_told_and_its_runs_are_submitted_again(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path), **STRATEGIES}, head=HEAD, seeds=1)
    assert submit(spec, "--only", "sleeps", "--only", "full").returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=120)
    os.kill(queue_of(spec), signal.SIGKILL)
    wait_until(lambda: {*states(spec).values()} == {"ended", "to do"}, seconds=120)
    assert str(queue_of(spec)) in status(spec)[1]["full:0"]["reason"]
    wait_until(lambda: "sleeps/0" in records(tmp_path), seconds=60)  # its job was asked to end
    assert len(json.loads(submit(spec, "--only", "full", "--json").stdout)["submitted"]) == 1
    wait_until(lambda: states(spec)["full:0"] == "recorded", seconds=120)


@pytest.mark.slow
def test_a_job_runs_nothing_else_than_was_trusted(tmp_path: Path) -> None:
    script = tmp_path / "answer.py"
    script.write_text(
        "import json, sys\nfolder, out = sys.argv[1:]\nwith open(out, 'w') as file:\n"
        "    for line in open(folder):\n        file.write(json.dumps({'id': json.loads(line)['id'], 'answer': 0}) + chr(10))\n"
    )
    own = {"name": "command", "run": ["python", "answer.py", "{predict}", "{predictions}"], "code": ["answer.py"]}
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path), "own": {"trainer": own}}, head=HEAD, seeds=1)
    assert submit(spec, "--only", "own").returncode == 2, "nobody has agreed"
    assert submit(spec, "--trust", "--only", "sleeps", "--only", "own").returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=120)
    spec.write_text(spec.read_text() + "# edited\n")  # an edit of the code makes another run
    assert call("cancel", spec, "--only", "sleeps", folder=tmp_path).returncode == 0
    wait_until(lambda: states(spec)["own:0"] == "ended", seconds=120)
    assert tells(status(spec)[1]["own:0"]["reason"], "exit code 2 ", "submit it again")
    assert "own/0" not in records(tmp_path)
