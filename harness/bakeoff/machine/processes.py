"""Processes of this machine: which live, who descends from whom, by /proc, and the end of all descendants of one. Descendants
and ends on Linux only."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from bakeoff.files import HOST, TEMPORARY_PREFIX

TEMPORARY: Final = re.compile(r"\.tmp-(?P<stem>.+)-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9a-f]{8}")
"""What `files.temporary_name` gives."""


class Maker(NamedTuple):
    """Who made a temporary file or folder, by its name."""

    stem: str
    """What it was to become."""
    here: bool
    """Whether it was made on this machine, since its last boot."""
    alive: bool
    """Whether the process that made it is alive; True where it is another machine's: nobody knows."""


def maker_of(name: str) -> Maker | None:
    """None for a name that `files.temporary_name` does not give."""
    if (parts := TEMPORARY.fullmatch(name)) is None:
        return None
    here = parts["host"] == HOST
    return Maker(parts["stem"], here, not here or lives(int(parts["process"])))


def left_by_the_dead(folder: Path) -> Iterator[tuple[Path, str]]:
    """The temporary files and folders in a folder whose processes, of this machine, are dead; and what each was to become."""
    for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
        if (maker := maker_of(path.name)) is not None and not maker.alive:
            yield path, maker.stem


def start_of(process: int) -> int | None:
    """When a process of this machine began, in clock ticks since the machine did, so that no clock that is set changes it.

    None where the kernel does not say (no Linux), or where no such process is.
    """
    fields = fields_of(process)
    return int(fields[19]) if fields is not None else None  # field 22 of proc(5): `starttime`


def lives(process: int, start: int | None = None) -> bool:
    """Whether this process runs, or is only stopped; with its `start`, one that has its number since does not count."""
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
    """The fields of /proc/PROCESS/stat behind the command's name, which may hold anything: state, parent, ... None where it is
    gone, or where there is no /proc."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return None


PR_SET_PDEATHSIG = 1


PR_SET_CHILD_SUBREAPER = 36
"""prctl(2)."""


LONGEST_SECONDS = 5.0
"""A process that a signal cannot end for so long (it waits for a disk, or is another user's) is left."""


def adopt_orphans() -> None:
    """Descendants of this process whose own parents end become its children, whatever sessions and groups they have made."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """From now on the kernel sends this process a signal when its parent ends, whatever it is doing; it ends at once where that
    one, whose number is given, is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent and is_gone(parent):
        os._exit(1)


def is_gone(process: int) -> bool:
    """Whether it has ended, though nobody may have asked yet how (a zombie)."""
    found = fields_of(process)
    return found is None or found[0] in {"Z", "X"}


def cpu_ticks(process: int) -> int | None:
    """What it has computed so far, in ticks of the kernel's clock (a hundredth of a second, mostly); None where it is gone."""
    found = fields_of(process)
    return None if found is None else int(found[11]) + int(found[12])


def descendants(process: int) -> list[int]:
    """Its living children, their children and so on; zombies are none, but their children are."""
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
    """Kills them, those too that they start meanwhile; `but` names children that stay, with their descendants."""
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
