"""The fork server: it imports once what all runs need, and every worker is a fork of it. Linux only; elsewhere each worker is a
fresh interpreter."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Final

from bakeoff.errors import BakeoffError, escaped
from bakeoff.files import nameless_file
from bakeoff.machine.output import last_line
from bakeoff.machine.parent_death import COMMAND
from bakeoff.machine.process_tree import cpu_ticks, end_descendants
from bakeoff.machine.surroundings import shorten_socket_paths

LOOK_SECONDS = 5.0
IDLE_LOOKS = 12
"""A server that has not computed anything at so many looks in a row, while a worker is waited for, hangs in an import."""

LIMITS: Final = {resource.RLIMIT_AS: "ulimit -v", resource.RLIMIT_DATA: "ulimit -d"}
NEEDED_GIB = 3
"""Of address space, for the imports and a small model."""


@cache
def _log() -> Any:
    """What the server prints: a file without a name, which is gone with this process."""
    return nameless_file(Path(tempfile.gettempdir()))


def context() -> Any:
    """Where processes come from: on Linux a fork server, so that only the first worker pays for imports; elsewhere a fresh
    interpreter each time."""
    shorten_socket_paths()
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["bakeoff.machine.parent_death", "bakeoff.machine.first_imports"])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C while it imports must not end it loudly
    os.environ[COMMAND] = f"{os.getpid()}:{_log().fileno()}"
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[COMMAND]
        signal.signal(signal.SIGINT, before)
    return server


def _state() -> Any:
    """What multiprocessing knows of the server."""
    return forkserver._forkserver


def number() -> int | None:
    """The server's; None where there is none."""
    found: int | None = _state()._forkserver_pid
    return found


def forget() -> None:
    """In a worker: what it forks by a server of its own descends from it, and not from the server of its command."""
    server = _state()
    if (descriptor := server._forkserver_alive_fd) is not None:
        os.close(descriptor)
    server.__init__()


@contextmanager
def served() -> Iterator[None]:
    """Within it a worker is started; raises BakeoffError with the reason where the server ends meanwhile, or hangs."""
    done = threading.Event()
    if (server := number()) is not None:
        threading.Thread(target=_end_where_it_hangs, args=(server, done), daemon=True).start()
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise BakeoffError(f"no worker can be started: {_reason(error)}") from None
    finally:
        done.set()


def _end_where_it_hangs(server: int, done: threading.Event) -> None:
    looks, computed = 0, cpu_ticks(server)
    while not done.wait(LOOK_SECONDS):
        now = cpu_ticks(server)
        looks, computed = (looks + 1 if now == computed else 0), now
        if looks == IDLE_LOOKS:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)
            return


def _reason(error: Exception) -> str:
    """Why the server is gone: a limit of memory that is too low, the last line that it printed."""
    said = escaped(last_line(Path(f"/proc/self/fd/{_log().fileno()}"))[:200]) or type(error).__name__
    for limit, command in LIMITS.items():
        allowed = resource.getrlimit(limit)[0]
        if allowed != resource.RLIM_INFINITY and allowed < NEEDED_GIB * 2**30:
            return (
                f"a process may have {allowed / 2**30:.1f} GiB of memory (`{command}`), and the libraries that train need "
                f"about {NEEDED_GIB}; raise the limit ({said})"
            )
    return f"{said}; `python -c 'import bakeoff.preload'` may show more"


def end_orphans() -> None:
    """Ends what a worker left whose guard was killed: the server has adopted it, and so it is none of the workers that this
    process knows."""
    if (server := number()) is not None:
        known = frozenset(child.pid for child in multiprocessing.active_children() if child.pid is not None)
        end_descendants(server, but=known)
