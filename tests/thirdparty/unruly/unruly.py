"""A third party's trainer that trains as `torch-loop` does and does something besides, as its option says."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import bakeoff_torch_loop
from bakeoff.plugin import Options, Supports, Trainer, TrainingJob, hookimpl

LOOP = bakeoff_torch_loop.bakeoff_trainers()[0]
LINGERING = "86400.25"
"""The argument of each `sleep` that it leaves behind: by it they are found."""


class Leaving(BaseException):
    """No `Exception`."""


class UnrulyOptions(Options):
    """What it does; and where the experiment's records lie."""

    fault: str
    records: str = ""


class Unruly(Trainer):
    """Trains as it should, and is a bad neighbour."""

    name = "unruly"
    summary = "A built-in trainer with bad manners."
    version = "1"
    supports = Supports(processes=8)
    Options = UnrulyOptions

    def fit(self, job: TrainingJob, options: UnrulyOptions) -> None:
        LOOP.fit(job, LOOP.Options())
        if job.rank in (0, 1):
            act = FAULTS[options.fault]
            act(*[options][: len(inspect.signature(act).parameters)])


def own_folder(options: UnrulyOptions) -> Path:
    """Of the one run that is under way."""
    (folder,) = Path(options.records).glob(".tmp-r1-*")
    return folder


def remove_folder(options: UnrulyOptions) -> None:
    shutil.rmtree(own_folder(options))


def link_folder(options: UnrulyOptions) -> None:
    folder = own_folder(options)
    shutil.rmtree(folder)
    folder.symlink_to(Path(options.records).parent / "elsewhere", target_is_directory=True)


def leave_no_record(options: UnrulyOptions) -> None:
    (own_folder(options) / "record.json").write_text('{"schema_version": 6, "status": "ok"}')
    os._exit(0)


def leave_anothers_record(options: UnrulyOptions) -> None:
    shutil.copy(next(Path(options.records).glob("r1-*/record.json")), own_folder(options))
    os._exit(0)


def leave_a_folder_as_record(options: UnrulyOptions) -> None:
    (own_folder(options) / "record.json" / "record.json").mkdir(parents=True)
    os._exit(0)


def litter(options: UnrulyOptions) -> None:
    folder = own_folder(options)
    (folder / "z link").symlink_to("/etc")
    os.mkfifo(folder / "z fifo")
    (folder / "mod el").mkdir()
    (folder / "mod el" / "x\n").touch()
    (folder / "z empty").mkdir()


def leave_link(options: UnrulyOptions) -> None:
    with suppress(FileExistsError):  # the other rank was faster
        (own_folder(options) / "data").symlink_to("/etc", target_is_directory=True)


def leave_fifo(options: UnrulyOptions) -> None:
    os.mkfifo(own_folder(options) / "fifo")


def litter_and_raise(options: UnrulyOptions) -> None:
    litter(options)
    raise ValueError("so long")


def raise_in_a_copy() -> None:
    if os.fork() == 0:
        raise ValueError("a copy")


def say(words: bytes) -> None:
    """Into each pipe that it finds but its standard streams: that to the command, and that to multiprocessing's tracker."""
    for number in pipes():
        rest = words
        while rest:
            rest = rest[os.write(number, rest) :]


def pipes() -> list[int]:
    found = []
    for number in range(3, 256):
        try:
            flags = int(Path(f"/proc/self/fdinfo/{number}").read_text().split()[3], 8)
            if stat.S_ISFIFO(os.fstat(number).st_mode) and flags & os.O_WRONLY:
                found.append(number)
        except OSError:
            continue
    return found


def close_pipes() -> None:
    for number in pipes():
        os.close(number)


def leave_thread() -> None:
    threading.Thread(target=time.sleep, args=(86400,)).start()


def leave_children() -> None:
    """One in a session of its own, one that a child has started which ends at once, and two that hear no signal but SIGKILL."""
    subprocess.Popen(["/bin/sleep", LINGERING], start_new_session=True)
    subprocess.run(["/bin/sh", "-c", f"sleep {LINGERING} >/dev/null 2>&1 &"], check=True)
    subprocess.Popen(["/bin/sh", "-c", f"trap '' TERM HUP INT; setsid sleep {LINGERING} & wait"])
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(86400)


def kill(number: int) -> None:
    os.kill(number, signal.SIGKILL)
    time.sleep(60)


def grandparent() -> int:
    return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])


def deaf(options: UnrulyOptions) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    Path(options.records).with_name("deaf").touch()
    time.sleep(86400)


def raise_leaving() -> None:
    raise Leaving("so long")


def at_exit(what: Any, *arguments: Any) -> None:
    """When the process ends, after its record is written."""
    Finalize(None, what, args=arguments, exitpriority=1)


def flood() -> None:
    """Prints 100 MB."""
    for number in range(200_000):
        print(f"line {number:06d} of a trainer that says much".ljust(500, "."), flush=number % 1000 == 0)
    print("the last line", flush=True)


FAULTS: dict[str, Any] = {
    # the run fails
    "removes its folder": remove_folder,
    "makes its folder a link": link_folder,
    "leaves no record": leave_no_record,
    "leaves another's record": leave_anothers_record,
    "leaves a folder as record": leave_a_folder_as_record,
    "litters": litter,
    "litters and raises": litter_and_raise,
    "leaves a link": leave_link,
    "leaves a FIFO": leave_fifo,
    "says no JSON": lambda: say(b"hello\n"),
    "says another shape": lambda: say(b"[1]\n"),
    "says an unknown phase": lambda: say(b'{"phase": "lunch", "step": 1, "total": 2, "loss": null, "note": ""}\n'),
    "says what nests deep": lambda: say(b"[" * 200_000 + b"\n"),
    "says a huge step": lambda: say(b'{"phase": "train", "step": 1%s, "total": 1, "loss": null, "note": ""}\n' % (b"0" * 30)),
    "says half a word": lambda: say(b'{"phase": "tr'),
    "says too much": lambda: say(bytes(65 * 2**20)),
    "stops its guard": lambda: (os.kill(os.getppid(), signal.SIGSTOP), os._exit(3)),
    "exits at once": lambda: os._exit(0),
    "exits": lambda: sys.exit(0),
    "raises no exception": raise_leaving,
    "kills its parent": lambda: kill(os.getppid()),
    "kills its server": lambda: kill(grandparent()),
    "is deaf": deaf,
    # the run ends well
    "changes folder": lambda: os.chdir("/"),
    "makes copies of itself": lambda: (os.fork(), os.fork()),
    "raises in a copy": raise_in_a_copy,
    "makes a session": lambda: os.setsid(),
    "closes its pipes": close_pipes,
    "clears its environment": lambda: os.environ.clear(),
    "floods": flood,
    "leaves children": leave_children,
    # and with a remark
    "leaves a thread": leave_thread,
    "exits with 3 at exit": lambda: at_exit(os._exit, 3),
    "segfaults at exit": lambda: at_exit(os.kill, os.getpid(), signal.SIGSEGV),
    "hangs at exit": lambda: at_exit(time.sleep, 86400),
}


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [Unruly()]
