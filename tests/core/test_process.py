"""No process of ours lives on without the command that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bakeoff.process import Worker
from bakeoff.tied import COMMAND

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that can end a process with its parent")

HELD_SECONDS = 40


def hold_the_interpreter(say: Callable[[dict[str, Any]], None]) -> None:
    """As a long call of a library in C does that keeps the lock: no thread of this process gets a turn."""
    say({"held": os.getpid()})
    ctypes.PyDLL(None).sleep(HELD_SECONDS)


def command(folder: str) -> None:
    """Starts such a worker and says its number."""
    worker = Worker(hold_the_interpreter, output=Path(folder))
    while not (heard := worker.messages(1.0)):
        assert worker.alive, worker.last_words()
    time.sleep(0.5)  # by now it holds it
    print(heard[0]["held"], flush=True)
    time.sleep(HELD_SECONDS)


def lives(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("killed", ["the command", "the fork server"])
def test_a_worker_that_no_thread_of_its_own_can_end_ends_with_its_command(killed: str, tmp_path: Path) -> None:
    code = f"from test_process import command; command({str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        try:
            os.kill(process.pid if killed == "the command" else psutil.Process(worker).ppid(), signal.SIGKILL)
            until = time.monotonic() + HELD_SECONDS / 2
            while lives(worker) and time.monotonic() < until:
                time.sleep(0.02)
            assert not lives(worker)
        finally:
            process.kill()


@pytest.mark.parametrize("asked", [True, False], ids=["forgotten", "zombie"])
def test_a_fork_server_that_starts_when_its_command_is_gone_ends_before_it_imports_anything(asked: bool) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert gone.stdout is not None
    gone.stdout.read()
    until = time.monotonic() + 20
    while lives(gone.pid) and time.monotonic() < until:
        time.sleep(0.02)
    if asked:
        gone.wait()
    answer = subprocess.run(
        [sys.executable, "-c", "import bakeoff.tied; print('goes on')"],
        env={**os.environ, COMMAND: str(gone.pid)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("", "")
    assert answer.returncode == 1
    gone.wait()


INTERRUPTED = """
import signal, sys
from multiprocessing import popen_forkserver
from pathlib import Path
from bakeoff.process import Worker

class Interrupted:
    def __init__(self, *given, **how):
        self.file = open(*given, **how)
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.file.close()
    def write(self, data):
        signal.raise_signal(signal.SIGINT)  # the child is there and waits to be told what to do
        print("told all", self.file.write(data) == len(data))

popen_forkserver.open = Interrupted
if __name__ == "__main__":
    try:
        Worker(print, output=Path(sys.argv[1]))
    except KeyboardInterrupt:
        print("stopped")
"""


def test_an_interrupt_while_a_worker_starts_comes_when_it_has_started(tmp_path: Path) -> None:
    """A worker that is told half of what to do complained in a traceback."""
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("told all True\nstopped\n", "", 0)
