"""A worker is heard, whatever comes through its pipe; it ends as its function ends; and nothing of it outlives it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages import tells

from bakeoff.errors import BakeoffError
from bakeoff.machine import fork_server, worker_process
from bakeoff.machine.output import HEAD_BYTES, TAIL_BYTES
from bakeoff.machine.parent_death import COMMAND
from bakeoff.machine.worker_process import MessageError, Worker, ask_worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that can end a process with its parent")

DEADLINE = 30.0
"""Seconds for what takes a moment on an idle machine."""
PLACES = os.pathsep.join([*map(str, (Path(__file__).parent, Path(__file__).parents[2])), os.environ.get("PYTHONPATH", "")])
"""Where a command of its own finds this file, and what it imports from the tests' root."""


def wait_until(happened: Callable[[], Any]) -> bool:
    """Whether it happens before the deadline."""
    until = time.monotonic() + DEADLINE
    while not (found := bool(happened())) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def hold_the_interpreter(say: Callable[[dict[str, Any]], None], marker: str) -> None:
    """As a long call of a library in C does that keeps the lock: no thread of this process gets a turn once the marker is
    there."""
    say({"held": os.getpid()})
    ctypes.PyDLL(None).system(f"touch '{marker}'; exec sleep 600".encode())


def leave_children(say: Any) -> None:
    """One child in a session of its own, which hears no signal but SIGKILL, and one whose own parent has ended."""
    deaf = ["/bin/sh", "-c", "trap '' TERM HUP INT; echo; sleep 600; sleep 600"]
    child = subprocess.Popen(deaf, start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read(1)
    orphan = subprocess.run(["/bin/sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True)
    say({"left": [child.pid, int(orphan.stdout), os.getpid(), os.getppid()]})


def leave_children_and_stay(say: Any) -> None:
    leave_children(say)
    time.sleep(600)


def leave_children_in_the_group(say: Any) -> None:
    """Where only the group is known."""
    child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM HUP INT; sleep 600; sleep 600"])
    say({"left": [child.pid, os.getpid(), os.getppid()]})
    time.sleep(600)


def write_raw(say: Any, content: bytes) -> None:
    """Into its own pipe, as the code of others may."""
    while content:
        content = content[os.write(say.__self__.descriptor, content) :]
    time.sleep(600)


def close_the_pipe(say: Any, path: str) -> None:
    """And opens a file that gets the pipe's number."""
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), say.__self__.descriptor)
    say({"lost": True})


def end_by(say: Any, code: int) -> None:
    print("the last line", flush=True)
    if code < 0:
        os.kill(os.getpid(), -code)
        time.sleep(600)
    os._exit(code)


def print_much(say: Any, megabytes: int) -> None:
    for _ in range(megabytes):
        print(("x" * 99 + "\n") * 10_000, end="", flush=True)
    say({"printed": True})
    time.sleep(600)


def fork_by_a_server(say: Any) -> None:
    """As a data loader with `multiprocessing_context="forkserver"` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([])
    child = context.Process(target=time.sleep, args=(600,))
    child.start()
    say({"left": [child.pid, os.getpid()]})
    time.sleep(600)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts a worker that is ended after the test."""
    started: list[Worker] = []

    def start(*arguments: Any) -> Worker:
        started.append(Worker(*arguments, output=tmp_path / "output.txt"))
        return started[-1]

    yield start
    for worker in started:
        worker.end()


def first_word(worker: Worker) -> Any:
    while worker.alive:
        if heard := worker.messages(1.0):
            return heard[0]
    raise AssertionError(worker.how_it_ended())


def await_end_of(*numbers: int) -> list[int]:
    """Those of the processes that are alive after some seconds."""
    wait_until(lambda: not any(map(lives, numbers)))
    return [number for number in numbers if lives(number)]


def command(folder: str) -> None:
    """Starts such a worker and says its number."""
    marker = Path(folder) / "held"
    worker = Worker(hold_the_interpreter, str(marker), output=Path(folder) / "output.txt")
    number = first_word(worker)["held"]
    assert wait_until(marker.exists)
    print(number, flush=True)
    time.sleep(600)


def lives(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["the command", "the fork server"])
def test_a_worker_that_no_thread_of_its_own_can_end_ends_with_its_command(killed: str, tmp_path: Path) -> None:
    code = f"from test_worker_process import command; command({str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": PLACES}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        try:
            os.kill(process.pid if killed == "the command" else psutil.Process(worker).ppid(), signal.SIGKILL)
            assert await_end_of(worker) == []
        finally:
            process.kill()


@pytest.mark.parametrize("asked", [True, False], ids=["forgotten", "zombie"])
def test_a_fork_server_that_starts_when_its_command_is_gone_ends_before_it_imports_anything(asked: bool) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert gone.stdout is not None
    gone.stdout.read()
    assert await_end_of(gone.pid) == []
    if asked:
        gone.wait()
    answer = subprocess.run(
        [sys.executable, "-c", "import bakeoff.machine.parent_death; print('goes on')"],
        env={**os.environ, COMMAND: f"{gone.pid}:2"},
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
from bakeoff.machine.worker_process import Worker

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
        Worker(print, output=Path(sys.argv[1], "output.txt"))
    except KeyboardInterrupt:
        print("stopped")
"""


def test_an_interrupt_while_a_worker_starts_comes_when_it_has_started(tmp_path: Path) -> None:
    """A worker that is told half of what to do complained in a traceback."""
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("told all True\nstopped\n", "", 0)


SHOUTING = """
import os
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

def shout(say):
    rest = b"a:b:c:d\\nREGISTER:/no-such:semaphore\\nx\\xff\\n" * 100
    while rest:
        rest = rest[os.write(resource_tracker.getfd(), rest):]
    say({"left": SharedMemory(create=True, size=8).name})
"""
TRACKED = """
import os, signal, sys
from multiprocessing import resource_tracker
from pathlib import Path
from bakeoff.machine.worker_process import Worker
from shouting import shout

if __name__ == "__main__":
    for number in range(2):
        worker = Worker(shout, output=Path(sys.argv[1], f"{number}.txt"))
        (heard,) = worker.listen()
        print(heard["left"], worker.process.exitcode, flush=True)
        if number == 0:
            os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)
            os.waitpid(resource_tracker._resource_tracker._pid, 0)
"""


@pytest.mark.slow
def test_what_a_worker_tells_the_tracker_of_shared_memory_is_printed_nowhere(tmp_path: Path) -> None:
    """Nor that somebody has killed it: both were tracebacks and warnings of multiprocessing's on the command's stderr. What
    the last worker left is removed all the same."""
    (tmp_path / "script.py").write_text(TRACKED)
    (tmp_path / "shouting.py").write_text(SHOUTING)  # a worker does not import the script
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    paths = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=paths)
    (first, code), (second, other) = (line.split() for line in done.stdout.splitlines())
    Path("/dev/shm", first).unlink(missing_ok=True)  # noqa: S108 - its tracker was killed
    assert (done.stderr, code, other, done.returncode) == ("", "0", "0", 0)
    assert wait_until(lambda: not Path("/dev/shm", second).exists())  # noqa: S108


@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"[1]\n", b"null\n", b"\xff\xfe\n", b"\n", b'{"a": 1} 2\n', b"9" * 5000 + b"\n", bytes(4) + b"\n"],
    ids=["a word", "a list", "null", "no text", "nothing", "more", "a number of 5000 digits", "zeros"],
)
def test_what_is_no_message_is_an_error_that_can_be_told(begin: Callable[..., Worker], content: bytes) -> None:
    worker = begin(write_raw, content)
    with pytest.raises(MessageError, match="are not a message"):
        first_word(worker)
    worker.end()
    assert not worker.alive


def test_a_message_of_a_gigabyte_is_not_taken_in(begin: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "LONGEST_MESSAGE", 2**20)
    worker = begin(write_raw, b"9" * 2**22)
    with pytest.raises(MessageError, match="over 1048576 bytes"):
        first_word(worker)


def test_half_a_message_is_waited_for_and_blocks_nobody(begin: Callable[..., Worker]) -> None:
    worker = begin(write_raw, b'\x00\x00\x00\x20{"phase": "tr')
    began = time.monotonic()
    while worker.number is None:
        worker.messages(0.1)
    assert worker.messages(0.2) == []
    assert time.monotonic() - began < DEADLINE


def test_a_worker_that_closes_its_pipe_writes_into_no_other_file(begin: Callable[..., Worker], tmp_path: Path) -> None:
    worker = begin(close_the_pipe, str(tmp_path / "file"))
    assert worker.listen() == []
    assert worker.process.exitcode == 0, worker.how_it_ended()
    assert (tmp_path / "file").read_bytes() == b""


ENDS = [0, 3, 255, *(-number for number in (signal.SIGSEGV, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGABRT))]


@pytest.mark.parametrize("code", ENDS)
def test_it_ends_as_the_process_that_calls_the_function(begin: Callable[..., Worker], code: int) -> None:
    if code == -signal.SIGHUP and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        pytest.skip("nohup: a process that ignores SIGHUP is not ended by it")
    worker = begin(end_by, code)
    worker.process.join(DEADLINE)
    assert worker.process.exitcode == code
    assert worker.how_it_ended().endswith(": the last line")


def test_the_process_that_is_weighed_is_not_its_guard(begin: Callable[..., Worker]) -> None:
    worker = begin(leave_children_and_stay)
    own, guard = first_word(worker)["left"][2:]
    assert (worker.number, worker.process.pid) == (own, guard)
    assert own != guard


# --- what is left of it ------------------------------------------------------------------------------------------------------


def test_children_end_with_a_worker_that_ends(begin: Callable[..., Worker]) -> None:
    worker = begin(leave_children)
    left = first_word(worker)["left"]
    worker.process.join(DEADLINE)
    assert worker.process.exitcode == 0
    assert [number for number in left if lives(number)] == [], "before anybody learns of its end"


@pytest.mark.parametrize(
    "by", ["end", "its guard told", "its guard killed", "itself killed", "the pipe closed", "a server of its own"]
)
def test_children_end_with_a_worker_that_is_ended(begin: Callable[..., Worker], by: str) -> None:
    worker = begin(fork_by_a_server if by == "a server of its own" else leave_children_and_stay)
    left = first_word(worker)["left"]
    assert all(map(lives, left))
    match by:
        case "its guard told":
            os.kill(worker.process.pid, signal.SIGTERM)
        case "its guard killed":
            os.kill(worker.process.pid, signal.SIGKILL)
        case "itself killed":
            os.kill(left[2], signal.SIGKILL)
        case "the pipe closed":
            worker.connection.close()
    if by in ("its guard told", "itself killed", "the pipe closed"):
        assert await_end_of(*left) == []
    worker.process.join(0.5)
    worker.end()
    assert await_end_of(*left) == []


def test_a_worker_whose_guard_is_killed_takes_no_other_with_it(begin: Callable[..., Worker]) -> None:
    one, other = begin(leave_children_and_stay), begin(leave_children_and_stay)
    left, stay = first_word(one)["left"], first_word(other)["left"]
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.join(DEADLINE)
    one.end()
    assert await_end_of(*left) == []
    assert [number for number in stay if not lives(number)] == []


@pytest.mark.parametrize("killed", ["the command", pytest.param("the fork server", marks=pytest.mark.slow)])
def test_children_end_with_the_command(killed: str, tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from test_worker_process import *\n"
        f"worker = Worker(leave_children_and_stay, output=Path({str(tmp_path / 'output.txt')!r}))\n"
        "print(*first_word(worker)['left'], flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": PLACES}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = [int(word) for word in process.stdout.readline().split()]
        try:
            os.kill(process.pid if killed == "the command" else psutil.Process(left[3]).ppid(), signal.SIGKILL)
            assert await_end_of(*left) == []
        finally:
            process.kill()


def test_where_there_is_no_guard_the_group_ends(begin: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(fork_server, "context", lambda: multiprocessing.get_context("spawn"))
    worker = begin(leave_children_in_the_group)
    *left, parent = first_word(worker)["left"]
    assert parent == os.getpid()
    assert worker.number == worker.process.pid
    worker.end()
    assert await_end_of(*left) == []


# --- what it prints ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "elsewhere"])
def test_much_that_is_printed_fills_no_disk_while_it_runs(
    begin: Callable[..., Worker], guarded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not guarded:
        monkeypatch.setattr(fork_server, "context", lambda: multiprocessing.get_context("spawn"))
    worker = begin(print_much, 20)
    assert first_word(worker) == {"printed": True}
    worker.messages(0)
    assert (tmp_path / "output.txt").stat().st_size <= 2 * (HEAD_BYTES + TAIL_BYTES)
    worker.end()
    content = (tmp_path / "output.txt").read_bytes()
    assert len(content) <= 2 * (HEAD_BYTES + TAIL_BYTES)
    assert b"bytes were left out here" in content
    assert content.startswith(b"xxx")
    assert worker.how_it_ended() == f"killed by SIGKILL (by the system for lack of memory, or by somebody): {'x' * 99}"


# --- where none can be started -----------------------------------------------------------------------------------------------

STARTING = """
import os, resource, sys
from pathlib import Path
from bakeoff.errors import BakeoffError
from bakeoff.machine import fork_server
from bakeoff.machine.worker_process import Worker

fork_server.IDLE_POLLS, fork_server.LONGEST_IMPORT = 40, 4.0
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), -1))
try:
    Worker(print, output=Path(sys.argv[1]))
except BakeoffError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("datasets", "limit", "said"),
    [
        (
            "import time; time.sleep(3600)",
            "",
            "the imports do not finish; `python -c 'import bakeoff.machine.preload'",
        ),
        ("while True: pass", "", "the imports do not finish; `python -c"),
        ("1 / 0", "", "ZeroDivisionError: division by zero; `python -c"),
        ("raise SystemExit(0)", "", "SystemExit: 0; `python -c"),
        ("raise ImportError('half\\nof it')", "", "of it; `python -c"),
        ("import os; os.abort()", "", "it ended without a message; `python -c"),
        (
            "bytearray(2**30)",
            str(2**30),
            "a process may have 1.0 GiB of memory (`ulimit -v`), and the libraries that",
        ),
    ],
    ids=["hangs", "spins", "raises", "exits", "is not there", "aborts", "has no room"],
)
def test_imports_that_fail_or_hang_are_one_line(datasets: str, limit: str, said: str, tmp_path: Path) -> None:
    """The fork server imports `datasets`: here one that a test has written."""
    (tmp_path / "datasets.py").write_text(datasets)
    words = [sys.executable, "-c", STARTING, str(tmp_path / "output.txt"), *filter(None, [limit])]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert tells(done.stdout, "no worker", f": {said}")
    assert (done.stdout.count("\n"), done.stderr, done.returncode) == (1, "", 0)


BEGUN = """
from bakeoff.machine import fork_server

fork_server.begin()
print(fork_server.number())
"""


def test_a_fork_server_that_was_begun_is_not_waited_for_and_ends_with_its_command(tmp_path: Path) -> None:
    (tmp_path / "datasets.py").write_text("import time; time.sleep(3600)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BEGUN], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert await_end_of(int(done.stdout)) == []


def answer(send: Any, key: str) -> None:
    send({"something else": 0})
    send({key: 42})


def test_a_worker_is_asked_for_one_message() -> None:
    assert ask_worker(answer, "answer", key="answer", named="the question")["answer"] == 42
    with pytest.raises(BakeoffError, match=r"ended early: exit code 0"):
        ask_worker(answer, "no answer", key="answer", named="the question")
