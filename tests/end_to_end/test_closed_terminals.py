"""A terminal that is closed while runs train, and output that nobody reads: the real command."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from end_to_end.experiments import COMMAND, environment, records, write_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a terminal sends to whom is Linux's"),
]
LONGER = {"epochs": 40, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32}
SECONDS = 240
HEAD = "name: toy\ntasks: [{name: toy, size: 20}]\nmodels: [tiny-bert]\nstrategies:\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path, {"manual-loop": {"trainer": "torch-loop"}}, head=HEAD, seeds=2, recipe=LONGER)


def under_way(folder: Path) -> bool:
    return bool(list(folder.glob("records/.tmp-r1-*/output.txt")))


def wait_for(what: Callable[[], bool], *, shown: int | None = None) -> None:
    """Until it is so; `shown` is a terminal's descriptor, which is read meanwhile: who writes to a full one waits."""
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)
        if shown is not None:
            with suppress(BlockingIOError):
                os.read(shown, 2**16)


def on_a_terminal(line: str, folder: Path) -> tuple[int, int]:
    """A shell with job control on a terminal of its own, which is given this line: its number, the terminal's descriptor."""
    child, master = pty.fork()
    if child == 0:
        os.execve("/bin/bash", ["bash", "--norc", "-i"], {**environment(folder), "PS1": "", "TERM": "xterm"})  # noqa: S606
    os.write(master, f"{line}\n".encode())
    os.set_blocking(master, False)
    return child, master


@pytest.mark.parametrize(
    "line",
    [*(pytest.param(line, marks=pytest.mark.long) for line in ("{} & disown", "nohup {} & sleep 1")), "{}"],
    ids=["disowned", "nohup", "in front"],
)
def test_a_terminal_that_is_closed_while_a_run_trains(line: str, spec: Path, tmp_path: Path) -> None:
    command = f"cd {tmp_path}; " + line.format(f"{COMMAND[0]} run {spec} --threads 1 --no-control")
    shell, master = on_a_terminal(command, tmp_path)
    wait_for(lambda: under_way(tmp_path), shown=master)
    os.close(master)
    os.waitpid(shell, 0)
    wait_for(lambda: bool(records(tmp_path)) and not list(tmp_path.glob("records/.claim-*")))
    ended = [record["failure"] and record["failure"]["reason"] for record in records(tmp_path).values()]
    if line == "{}":
        assert ended[-1] == "interrupted"
        assert ended.count("interrupted") == 1
    else:
        wait_for(lambda: len(records(tmp_path)) == 2)
        assert [record["status"] for record in records(tmp_path).values()] == ["ok", "ok"]


@pytest.mark.parametrize(
    "line",
    ["{} 2>&1 | head -1", *(pytest.param(line, marks=pytest.mark.long) for line in ("{} 2>&1 | (sleep 1)", "{} 2>/dev/full"))],
)
def test_output_that_nobody_reads(line: str, spec: Path, tmp_path: Path) -> None:
    words = line.format(f"{COMMAND[0]} run {spec} --threads 1 --no-control")
    subprocess.run(["/bin/sh", "-c", words], env=environment(tmp_path), stdout=subprocess.DEVNULL, check=False, timeout=SECONDS)
    assert [record["status"] for record in records(tmp_path).values()] == ["ok", "ok"]
