"""Processes of this machine, read from /proc: which are alive, which descend from which, and how to kill all descendants of
one (Linux)."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from bakeoff.files import HOST, TEMPORARY_PREFIX

TEMPORARY: Final = re.compile(r"\.tmp-(?P<stem>.+)-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9a-f]{8}")
"""Matches the names that `files.temporary_name` returns."""


class Maker(NamedTuple):
    """The process that made a temporary file or folder, read from the file's name."""

    stem: str
    """The name that the file was to get in the end."""
    here: bool
    """Whether the file was made on this machine since its last boot."""
    alive: bool
    """Whether that process is alive; True for a process of another machine, since that cannot be known."""


def maker_of(name: str) -> Maker | None:
    """The process that made a temporary file, from the file's name; None for a name that is not from
    `files.temporary_name`."""
    if (parts := TEMPORARY.fullmatch(name)) is None:
        return None
    here = parts["host"] == HOST
    return Maker(parts["stem"], here, not here or lives(int(parts["process"])))


def left_by_the_dead(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yields the temporary files and folders in `folder` whose processes were on this machine and are dead, each with the name
    it was to get."""
    for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
        if (maker := maker_of(path.name)) is not None and not maker.alive:
            yield path, maker.stem


def start_of(process: int) -> int | None:
    """When a process began, in clock ticks since boot, so that setting the clock does not change it.

    None if the kernel does not say (other systems than Linux), or if there is no such process.
    """
    fields = fields_of(process)
    return int(fields[19]) if fields is not None else None  # field 22 of proc(5): `starttime`


def lives(process: int, start: int | None = None) -> bool:
    """Whether this process exists and is not a zombie. start: from `start_of`, to exclude a later process with the same
    number."""
    if process <= 0:  # `kill` takes these for groups
        return False
    try:
        with suppress(PermissionError):  # another user's
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    fields = fields_of(process)
    if fields is None:
        return True
    return fields[0] not in {"Z", "X"} and start in {None, int(fields[19])}


def fields_of(process: int) -> list[str] | None:
    """The fields of /proc/PROCESS/stat after the command's name (state, parent, ...); None if the process is gone, or there is
    no /proc."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return None


PR_SET_PDEATHSIG = 1


PR_SET_CHILD_SUBREAPER = 36


PR_GET_CHILD_SUBREAPER = 37
"""Numbers of the operations of prctl(2)."""


LONGEST_SECONDS = 5.0
"""How many seconds to wait for killed processes to end; a process may wait for a disk or belong to another user."""


def adopt_orphans() -> None:
    """Makes descendants of this process its children when their own parents end, whatever sessions and groups they are in."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """A context in which this process adopts orphans, as by `adopt_orphans`; without effect on other systems than Linux."""
    if sys.platform != "linux":
        yield
        return
    before, libc = ctypes.c_int(), ctypes.CDLL(None)
    libc.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
    adopt_orphans()
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, before.value)


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Has the kernel send this process a signal when its parent ends; it ends at once if that parent (process id `parent`)
    is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent and is_gone(parent):
        os._exit(1)


def is_gone(process: int) -> bool:
    """Whether the process has ended, even if its exit code has not been collected (a zombie)."""
    found = fields_of(process)
    return found is None or found[0] in {"Z", "X"}


def cpu_ticks(process: int) -> int | None:
    """Processor time that the process has used, in ticks (mostly hundredths of a second); None if it is gone."""
    found = fields_of(process)
    return None if found is None else int(found[11]) + int(found[12])


def descendants(process: int) -> list[int]:
    """Process ids of all living descendants of the process; zombies are left out, but not their children."""
    children: dict[int, list[int]] = defaultdict(list)
    dead = set()
    with os.scandir("/proc") as entries:
        for number in [int(entry.name) for entry in entries if entry.name.isdigit()]:
            if (found := fields_of(number)) is not None:
                children[int(found[1])].append(number)
                if found[0] in {"Z", "X"}:
                    dead.add(number)
    below, todo = [], [process]
    while todo:
        todo += (more := children[todo.pop()])
        below += more
    return [number for number in below if number not in dead]


def end_descendants(process: int, *, but: frozenset[int] = frozenset()) -> None:
    """Kills all descendants of the process, also those started meanwhile. but: process ids of children that stay, with their
    descendants."""
    until = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < until:
        spared = {*but, *(number for one in but for number in descendants(one))}
        found = [number for number in descendants(process) if number not in spared]
        if not found:
            return
        for number in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.01)


def stop_descendants(process: int, grace_seconds: float, *, but: frozenset[int] = frozenset()) -> int:
    """Asks all descendants of the process to end (SIGTERM), waits at most `grace_seconds`, and kills those that are left. The
    exit codes of this process's children among them are collected, so that they leave no zombies. but: as for
    `end_descendants`. Returns how many descendants there were."""
    spared = {*but, *(number for one in but for number in descendants(one))}
    found = {number for number in descendants(process) if number not in spared}
    for number in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGTERM)
    seen, until = set(found), time.monotonic() + grace_seconds
    while found and time.monotonic() < until:
        time.sleep(0.01)
        found = {number for number in descendants(process) if number not in spared}
        seen |= found
    end_descendants(process, but=but)
    for number in seen:
        with suppress(ChildProcessError):
            os.waitpid(number, os.WNOHANG)
    return len(seen)
