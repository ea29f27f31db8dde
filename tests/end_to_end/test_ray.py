"""`bakeoff submit --to ray` on a real local cluster of two nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, sleeper, trains, wait_until, write_spec
from end_to_end.test_sharding import HEAD, STRATEGIES
from end_to_end.test_submitting import states
from messages import tells

pytestmark = pytest.mark.long
SECONDS = 180.0


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of two nodes, of one core each; the second has two GPUs, as far as it says."""
    utils = pytest.importorskip("ray.cluster_utils")
    made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
    made.other = made.add_node(num_cpus=1, num_gpus=2)
    yield made
    made.shutdown()


def submit(spec: Path, cluster: Any, *more: str) -> Any:
    words = ("--to", "ray", "--address", cluster.address, "--threads", "1", "--memory", "0.5", *more)
    return call("submit", spec, *words, folder=spec.parent)


def test_runs_are_tasks_of_the_cluster_and_then_the_tables_come(tmp_path: Path, cluster: Any) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=2)
    assert submit(spec, cluster).returncode == 0
    wait_until((tmp_path / "table.md").is_file, seconds=SECONDS)
    assert {*states(spec).values()} == {"recorded"}
    assert len(records(tmp_path)) == 4


def test_a_node_that_is_killed_takes_its_run_with_it_and_the_same_command_makes_it(tmp_path: Path, cluster: Any) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path), **STRATEGIES}, head=HEAD, seeds=1)
    assert submit(spec, cluster, "--only", "sleeps", "--gpus", "1").returncode == 0  # so that it is on the second node
    wait_until(lambda: trains(tmp_path), seconds=SECONDS)
    cluster.remove_node(cluster.other, allow_graceful=False)
    wait_until(lambda: states(spec)["sleeps:0"] == "ended", seconds=SECONDS)
    wait_until(lambda: "sleeps/0" in records(tmp_path), seconds=60)
    assert records(tmp_path)["sleeps/0"]["failure"]["reason"] == "interrupted"
    assert submit(spec, cluster, "--only", "full").returncode == 0
    wait_until(lambda: states(spec)["full:0"] == "recorded", seconds=SECONDS)


def test_a_cancelled_task_leaves_no_process(tmp_path: Path, cluster: Any) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)}, head=HEAD, seeds=1)
    assert submit(spec, cluster).returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=SECONDS)
    assert call("cancel", spec, folder=tmp_path).returncode == 0
    wait_until(lambda: states(spec)["sleeps:0"] == "to do", seconds=SECONDS)
    wait_until(lambda: not processes_of(tmp_path), seconds=60)


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder, but for the queue."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and "bakeoff_engines.ray_queue" not in words and int(path.parent.name) != os.getpid():
            found.append(words)
    return found


def test_a_head_that_ends_ends_what_ran(tmp_path: Path, cluster: Any) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)}, head=HEAD, seeds=1)
    assert submit(spec, cluster).returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=SECONDS)
    cluster.shutdown()
    wait_until(lambda: states(spec)["sleeps:0"] == "ended", seconds=SECONDS)
    wait_until(lambda: not processes_of(tmp_path), seconds=60)
    (tmp_path / "trains").unlink()
    again = pytest.importorskip("ray.cluster_utils").Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        assert submit(spec, again).returncode == 0
        wait_until(lambda: trains(tmp_path), seconds=SECONDS)
        assert call("cancel", spec, folder=tmp_path).returncode == 0
    finally:
        again.shutdown()


@pytest.mark.parametrize(("gpus", "seen"), [("0", ""), ("1", "0"), ("2", "0,1")])
def test_a_task_sees_the_gpus_that_it_asked_for(tmp_path: Path, cluster: Any, gpus: str, seen: str) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)}, head=HEAD, seeds=1)
    assert submit(spec, cluster, "--gpus", gpus).returncode == 0
    wait_until(lambda: trains(tmp_path), seconds=SECONDS)
    (job,) = [path for path in Path("/proc").glob("[0-9]*") if is_job_of(path, tmp_path)]
    variables = dict(one.split("=", 1) for one in (job / "environ").read_text(errors="replace").split("\0") if "=" in one)
    assert variables["CUDA_VISIBLE_DEVICES"] in ({seen} if gpus != "1" else {"0", "1"})
    os.kill(int(job.name), signal.SIGTERM)
    wait_until(lambda: states(spec)["sleeps:0"] == "ended", seconds=SECONDS)


def is_job_of(process: Path, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"bakeoff.runner.job" in words and str(folder).encode() in b" ".join(words)


def test_what_no_node_has_is_told_with_what_there_is(tmp_path: Path, cluster: Any) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    done = submit(spec, cluster, "--gpus", "3")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert tells(done.stderr, "no node of ", "1 CPU, 3 GPU", "2 GPU")


def test_a_port_where_no_cluster_answers_is_told_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    began = time.monotonic()
    done = call("submit", spec, "--to", "ray", "--address", "127.0.0.1:1", folder=tmp_path)
    assert done.returncode == 2
    assert tells(done.stderr, "no Ray cluster ", "127.0.0.1:1")
    assert time.monotonic() - began < 20, "ray.init would try for 45 s"
    assert json.loads(call("status", spec, "--json", folder=tmp_path).stdout)["runs"][0]["state"] == "to do"


def test_a_port_where_something_else_answers_is_told(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=1)
    words = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path) as other:
        try:
            assert other.stdout is not None
            port = other.stdout.readline().split("port ")[1].split()[0]
            done = call("submit", spec, "--to", "ray", "--address", f"127.0.0.1:{port}", folder=tmp_path)
        finally:
            other.kill()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"127.0.0.1:{port}" in done.stderr
