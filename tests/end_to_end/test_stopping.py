"""A signal that stops a command stops it, whichever of its processes hears it first: runs are interrupted, and none is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from end_to_end.experiments import call, records, write_spec

from bakeoff.machine import fork_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes of a run in /proc")

LATER = 0.03
"""Seconds between the first that hears and the others."""
HEAD = """
name: signals
tasks: [{name: toy, size: 20}]
models: [tiny-bert]
recipe: {epochs: 4000, batch_size: 8, learning_rate: 1e-3, max_length: 32}
strategies:
"""
BOTH = {"trainer-api": {"trainer": "hf-trainer"}, "manual-loop": {"trainer": "torch-loop"}}


def family(folder: Path, runs: int) -> dict[str, list[int]]:
    """The command, its fork server, guards and the processes of runs, once so many runs train; ranks are among the latter."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        server = fork_server.number()
        guards = psutil.Process(server).children() if server is not None else []
        if len(list(folder.glob("records/.tmp-r1-*/output.txt"))) == runs and len(guards) == runs:
            trainings = [child for guard in guards for child in guard.children(recursive=True)]
            if len(trainings) >= runs and all(process.cpu_times().user > 0.5 for process in trainings[:runs]):
                assert server is not None
                return {
                    "the command": [os.getpid()],
                    "the server": [server],
                    "the guard": [process.pid for process in guards],
                    "the run": [process.pid for process in trainings],
                }
        time.sleep(0.05)
    raise AssertionError("no run trains")


def interrupted(folder: Path, strategies: dict[str, Any], send: Callable[[dict[str, list[int]]], None], *more: str) -> int:
    """The exit code of a command to whose processes `send` does something while all its runs train."""
    failed: list[BaseException] = []

    def act() -> None:
        try:
            send(family(folder, len(strategies)))
        except BaseException as error:
            failed.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    spec = write_spec(folder, strategies, head=HEAD)
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    try:
        answer = call("run", spec, "--threads", "1", *more, folder=folder)
    finally:
        thread.join()
    assert not failed, failed
    assert "Traceback" not in answer.stderr
    assert signal.getsignal(signal.SIGTERM) is before
    return answer.returncode


def sending(number: signal.Signals, first: str) -> Callable[[dict[str, list[int]]], None]:
    """Sends the signal to all processes, to those that are named first a moment before the others."""

    def send(processes: dict[str, list[int]]) -> None:
        for part in sorted(processes, key=lambda part: part != first):
            for process in processes[part]:
                if psutil.pid_exists(process):
                    os.kill(process, number)
            if part == first:
                time.sleep(LATER)

    return send


def reasons(folder: Path) -> list[str]:
    return [record["failure"]["reason"] for record in records(folder).values()]


@pytest.mark.parametrize(
    ("number", "first"),
    [
        (signal.SIGTERM, "the run"),
        pytest.param(signal.SIGTERM, "the server", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "the guard", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "the command", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "the run", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "the command", marks=pytest.mark.slow),
    ],
)
def test_whoever_hears_it_first_all_runs_are_interrupted(tmp_path: Path, number: signal.Signals, first: str) -> None:
    assert interrupted(tmp_path, BOTH, sending(number, first), "--jobs", "2") == 130
    assert reasons(tmp_path) == ["interrupted", "interrupted"]
    assert not list((tmp_path / "records").glob(".[tc]*")), "neither .tmp- nor .claim-"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["the run", "the command"])
def test_a_run_of_two_processes_is_interrupted_too(tmp_path: Path, first: str) -> None:
    two = {"two": {"trainer": "torch-loop", "recipe": {"processes": 2}}}
    assert interrupted(tmp_path, two, sending(signal.SIGTERM, first)) == 130
    assert reasons(tmp_path) == ["interrupted"]


def test_a_run_that_a_signal_ends_alone_is_made_again_by_itself(tmp_path: Path) -> None:
    def send(processes: dict[str, list[int]]) -> None:
        os.kill(processes["the run"][0], signal.SIGTERM)

    one = {"manual-loop": BOTH["manual-loop"]}
    assert interrupted(tmp_path, one, send) == 1
    assert reasons(tmp_path) == ["interrupted"]
    (tmp_path / "spec.yaml").write_text((tmp_path / "spec.yaml").read_text())
    assert interrupted(tmp_path, one, send) == 1, "another attempt"
    (record,) = records(tmp_path).values()
    assert [attempt["reason"] for attempt in record["attempts"]] == ["interrupted"]
