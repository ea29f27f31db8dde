"""`bakeoff submit --to slurm` on a real Slurm of one node: SLURM_CONF names its configuration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import COMMAND, call, records, sleeper, trains, wait_until, write_spec
from end_to_end.test_sharding import HEAD, STRATEGIES
from end_to_end.test_submitting import states, status
from messages import tells

from bakeoff.records.submissions import read_submission

pytestmark = pytest.mark.long
MINUTES = 6 * 60.0
"""Slurm holds a job that was requeued for two minutes."""


@pytest.fixture(autouse=True)
def node() -> Iterator[str]:
    """The node's name; afterwards it takes jobs again, and none is left."""
    if shutil.which("sbatch") is None or "SLURM_CONF" not in os.environ:
        pytest.skip("no Slurm here: no sbatch on PATH, or SLURM_CONF is not set")
    name = slurm("sinfo", "--noheader", "--format=%n").split()[0]
    yield name
    slurm("scancel", "--name=bakeoff-shards", may_fail=True)
    slurm("scontrol", "update", f"node={name}", "state=resume", may_fail=True)


def slurm(*words: str, may_fail: bool = False) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert may_fail or done.returncode == 0, done.stderr
    return done.stdout


def submit(spec: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ("--to", "slurm", "--threads", "1", "--memory", "1", *(() if "--time" in more else ("--time", "20m")), *more)
    return call("submit", spec, *words, folder=spec.parent)


def jobs(spec: Path, number: int = 1) -> dict[str, str]:
    """Id of a run -> the handle of its job."""
    return {run: job.handle for job in read_submission(spec.parent / "submitted" / str(number)).jobs for run in job.runs}


def wait_for(spec: Path, wanted: dict[str, str], seconds: float = MINUTES) -> dict[str, dict[str, Any]]:
    """Waits until the runs are in these states; returns what `status` says of them."""
    wait_until(lambda: states(spec) == wanted, seconds=seconds)
    return status(spec)[1]


def test_twelve_runs_as_an_array_and_then_the_tables(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=6)
    preview = submit(spec, "--at-once", "2", "--dry-run")
    assert "#SBATCH --array=0-11%2" in preview.stdout
    assert submit(spec, "--at-once", "2").returncode == 0
    wait_until((tmp_path / "table.md").is_file, seconds=MINUTES)
    assert status(spec)[0] == 0
    assert len(records(tmp_path)) == 12
    assert sorted(path.stem for path in (tmp_path / "submitted" / "1").glob("job-*.log")) == sorted(
        f"job-{n}" for n in range(12)
    )
    notes = [json.loads(path.read_text()) for path in (tmp_path / "submitted" / "1").glob("job-*.json")]
    assert [note["code"] for note in notes] == [0] * 12


def test_cancelled_by_slurm_while_running_and_while_pending(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path), **STRATEGIES}, head=HEAD, seeds=1)
    assert submit(spec, "--at-once", "1").returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=MINUTES)
    handles = {name: status(spec)[1][name]["job"].split()[1] for name in ("sleeps:0", "full:0")}
    slurm("scancel", handles["full:0"])
    slurm("scancel", handles["sleeps:0"])
    runs = wait_for(spec, {"sleeps:0": "ended", "full:0": "ended", "head:0": "recorded"})
    assert records(tmp_path)["sleeps/0"]["failure"]["reason"] == "interrupted"
    assert runs["sleeps:0"]["reason"]
    done = submit(spec, "--only", "full", "--json")
    assert len(json.loads(done.stdout)["submitted"]) == 1
    wait_until(lambda: states(spec)["full:0"] == "recorded", seconds=MINUTES)


def test_a_drained_node_makes_jobs_wait_and_status_says_why(tmp_path: Path, node: str) -> None:
    slurm("scontrol", "update", f"node={node}", "state=drain", "reason=tried")
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    assert submit(spec).returncode == 0
    runs = wait_for(spec, {"full:0": "waiting", "head:0": "waiting"}, seconds=60)
    assert runs["full:0"]["reason"]
    slurm("scontrol", "update", f"node={node}", "state=resume")
    wait_for(spec, {"full:0": "recorded", "head:0": "recorded"})


def test_a_node_that_goes_down_gives_its_jobs_back_and_they_are_made_later(tmp_path: Path, node: str) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)}, head=HEAD, seeds=1)
    assert submit(spec).returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=MINUTES)
    slurm("scontrol", "update", f"node={node}", "state=down", "reason=tried")
    wait_for(spec, {"sleeps:0": "waiting"})
    (tmp_path / "trains").unlink()
    slurm("scontrol", "update", f"node={node}", "state=resume", may_fail=True)  # it may be back by itself
    wait_until(lambda: trains(tmp_path), seconds=MINUTES)
    assert states(spec) == {"sleeps:0": "running"}
    assert call("cancel", spec, folder=tmp_path).returncode == 0
    wait_for(spec, {"sleeps:0": "to do"})


def test_a_requeued_job_waits_and_is_not_taken_for_ended(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)}, head=HEAD, seeds=1)
    assert submit(spec).returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=MINUTES)
    (handle,) = jobs(spec).values()
    slurm("scontrol", "requeue", handle)
    wait_for(spec, {"sleeps:0": "waiting"}, seconds=90)
    assert json.loads(submit(spec, "--json").stdout)["submitted"] == {}
    assert call("cancel", spec, folder=tmp_path).returncode == 0
    wait_for(spec, {"sleeps:0": "to do"})


def test_a_run_longer_than_its_time_limit_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    head = HEAD.replace("max_steps: 4", "max_steps: 30000, learning_rate: 1e-5")
    spec = write_spec(tmp_path, {"full": {"trainer": "torch-loop"}}, head=head, seeds=1, checkpoint_every=500)
    assert submit(spec, "--time", "3m").returncode == 0
    wait_for(spec, {"full:0": "ended"})
    assert records(tmp_path)["full/0"]["failure"]["reason"] == "interrupted"
    assert submit(spec, "--time", "20m").returncode == 0
    wait_for(spec, {"full:0": "recorded"}, seconds=3 * MINUTES)
    record = records(tmp_path)["full/0"]
    assert [attempt["reason"] for attempt in record["attempts"]] == ["interrupted"]
    assert record["resumed_at"][0] > 0


def test_what_squeue_lists_by_the_users_own_settings_does_not_matter(
    tmp_path: Path, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm("scontrol", "update", f"node={node}", "state=drain", "reason=tried")
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    assert submit(spec).returncode == 0
    assert json.loads(submit(spec, "--json").stdout)["submitted"] == {}
    assert call("cancel", spec, folder=tmp_path).returncode == 0
    assert {*states(spec).values()} == {"to do"}


def test_two_submissions_at_once_submit_each_run_once(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=2)
    words = [*COMMAND, "submit", str(spec), "--to", "slurm", "--threads", "1", "--time", "20m", "--memory", "1"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    codes = [one.wait(timeout=120) for one in both]
    assert 0 in codes
    assert {*codes} <= {0, 2}, "the other one is refused, or finds all submitted"
    places = [path for path in (tmp_path / "submitted").iterdir() if path.name.isdecimal()]
    runs = [run for place in places for job in read_submission(place).jobs if job.handle for run in job.runs]
    assert len(runs) == len({*runs}) == 4
    wait_until(lambda: {*states(spec).values()} == {"recorded"}, seconds=MINUTES)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--partition", "mian"], ("--partition: ", "did you mean 'main'")),
        (["--threads", "999"], ("--threads 999: ",)),
        (["--gpus", "1"], ("--gpus 1: ",)),
        (["--sbatch=--no-such-option"], ("`sbatch` failed: ",)),
        (["--memory", "9000"], ("`sbatch` failed: ",)),
        (["--time", "2m"], ("--time: ", "3m ")),
    ],
)
def test_what_the_cluster_has_not_is_one_line(tmp_path: Path, words: list[str], told: tuple[str, ...]) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    done = submit(spec, *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert tells(done.stderr, *told)
    assert {*states(spec).values()} == {"to do"}


def test_a_time_limit_is_asked_for_where_nothing_can_be_estimated(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "alone", STRATEGIES, head=HEAD, seeds=1)  # the folders beside others may have like runs
    done = call("submit", spec, "--to", "slurm", "--threads", "1", folder=tmp_path)
    assert done.returncode == 2
    assert tells(done.stderr, "--time is needed: ")
