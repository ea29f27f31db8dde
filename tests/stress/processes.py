"""The processes of an experiment, looked up in /proc: those of one command, and all that carry the folder's name."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

MARK = "BAKEOFF_CACHE"
"""The environment variable by which a process of an experiment is known: its children inherit it, wherever they go."""

COMMAND, SERVER, GUARD, WORKER, DESCENDANT = "command", "fork server", "guard", "worker", "descendant"
FORKED = (SERVER, GUARD, WORKER)
"""Each forked by the one before; the first is started by the command."""


def family(process: int) -> dict[str, list[psutil.Process]]:
    """The living processes of the command with that number by their part in it; none where it has ended."""
    found: dict[str, list[psutil.Process]] = {}
    try:
        command = psutil.Process(process)
        for one in [command, *command.children(recursive=True)]:
            if kind := kind_of(one, command):
                found.setdefault(kind, []).append(one)
    except psutil.Error:  # it has just ended
        return {}
    return found if is_alive(command) else {}


def kind_of(process: psutil.Process, command: psutil.Process) -> str:
    """The part of a process in the command's family; empty for what is none of Bakeoff's, or gone."""
    try:
        if process == command:
            return COMMAND
        line, parent = " ".join(process.cmdline()), process.parent()
    except psutil.Error:
        return ""
    if "resource_tracker" in line or not is_alive(process):
        return ""
    if parent is None or "forkserver" not in line:
        return DESCENDANT
    above = [one for one in process.parents() if one == command or "forkserver" in command_line(one)]
    return FORKED[len(above) - 1] if len(above) <= len(FORKED) else DESCENDANT


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_alive(process: psutil.Process) -> bool:
    """False of a zombie too: it does nothing any more."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def living(cache: Path) -> list[int]:
    """Processes in whose environment the experiment's cache folder stands; zombies have none."""
    word = f"{MARK}={cache}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if int(path.parent.name) != os.getpid() and word in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def seconds_until_gone(cache: Path, *, limit: float) -> float:
    """How long processes of the experiment lived on, `limit` at most."""
    began = time.monotonic()
    while living(cache) and time.monotonic() - began < limit:
        time.sleep(0.02)
    return time.monotonic() - began


def described(process: int) -> str:
    """A process for a person to recognise it."""
    try:
        return f"{process} ({' '.join(psutil.Process(process).cmdline())[:80]})"
    except psutil.Error:
        return f"{process} (gone by now)"
