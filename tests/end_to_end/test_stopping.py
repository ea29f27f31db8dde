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
from bakeoff.runner.supervisor import ProgressReport, Seen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes of a run in /proc")

SECONDS = 600.0
"""For all runs to train: they take ten, on an idle machine."""
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


def family(runs: int) -> dict[str, list[int]]:
    """The command, its fork server, guards and the processes of runs; ranks, and the process that waits for them, are among the
    latter."""
    server = fork_server.number()
    assert server is not None
    guards = psutil.Process(server).children()
    assert len(guards) == runs
    return {
        "the command": [os.getpid()],
        "the server": [server],
        "the guard": [guard.pid for guard in guards],
        "the run": [child.pid for guard in guards for child in guard.children(recursive=True)],
    }


def interrupted(folder: Path, strategies: dict[str, Any], send: Callable[[dict[str, list[int]]], None], *more: str) -> int:
    """The exit code of a command to whose processes `send` does something once each run has said that it has made a step."""
    failed: list[BaseException] = []
    train: set[Seen] = set()
    all_train, over = threading.Event(), threading.Event()
    hear = Seen.hear

    def listen(self: Seen, told: ProgressReport) -> None:
        hear(self, told)
        if told.phase == "train" and told.step > 0:
            train.add(self)
        if len(train) == len(strategies):
            all_train.set()

    def act() -> None:
        try:
            assert all_train.wait(SECONDS), "not all runs train"
            if not over.is_set():
                send(family(len(strategies)))
        except BaseException as error:
            failed.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    spec = write_spec(folder, strategies, head=HEAD)
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Seen, "hear", listen)
            answer = call("run", spec, "--threads", "1", *more, folder=folder)
    finally:
        ended_by_itself = not all_train.is_set()
        over.set()
        all_train.set()
        thread.join()
    assert not ended_by_itself, answer.stderr
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
        pytest.param(signal.SIGTERM, "the guard", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, "the command", marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, "the run", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "the command", marks=pytest.mark.slow),
    ],
)
def test_whoever_hears_it_first_all_runs_are_interrupted(tmp_path: Path, number: signal.Signals, first: str) -> None:
    assert interrupted(tmp_path, BOTH, sending(number, first), "--jobs", "2") == 130
    assert reasons(tmp_path) == ["interrupted", "interrupted"]
    assert not list((tmp_path / "records").glob(".[tc]*")), "neither .tmp- nor .claim-"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["the run", pytest.param("the command", marks=pytest.mark.long)])
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
