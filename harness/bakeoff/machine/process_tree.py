"""Who descends from whom, by /proc; and the end of all descendants of a process. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections import defaultdict
from contextlib import suppress

from bakeoff.machine.processes import fields_of

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
