"""Which processes of this machine live."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from bakeoff.files import HOST

TEMPORARY: Final = re.compile(r"\.tmp-(?P<stem>.+)-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9a-f]{8}")
"""What `files.temporary_name` gives."""


class Maker(NamedTuple):
    """What the name of a temporary file or folder tells."""

    stem: str
    """What it was to become."""
    here: bool
    """Whether it was made on this machine, since its last boot."""
    alive: bool
    """Whether the process that made it is alive; True where it is another machine's: nobody knows."""


def maker_of(name: str) -> Maker | None:
    """None for a name that `files.temporary_name` does not give."""
    if (told := TEMPORARY.fullmatch(name)) is None:
        return None
    here = told["host"] == HOST
    return Maker(told["stem"], here, not here or lives(int(told["process"])))


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
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
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
