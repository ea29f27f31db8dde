"""The fork server: a process that imports once what all runs need, and from which every worker is forked. Linux only;
elsewhere each worker is a new interpreter."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import forkserver, resource_tracker, spawn, util
from pathlib import Path
from typing import Any, Final

from bakeoff.errors import BakeoffError
from bakeoff.files import nameless_file
from bakeoff.machine.output import last_line
from bakeoff.machine.parent_death import COMMAND, READY
from bakeoff.machine.processes import cpu_ticks, end_descendants, is_gone
from bakeoff.machine.signals import in_main_thread
from bakeoff.machine.surroundings import shorten_socket_paths
from bakeoff.text.numbers import gibibytes
from bakeoff.text.words import escaped

POLL_SECONDS = 0.05
IDLE_POLLS = 1200
"""A server that used no processor time in this many polls in a row hangs in an import. So does one that has computed for this
many seconds:"""
LONGEST_IMPORT = 120.0
LONGEST_IMPORT_WITH_LIMIT = 20.0
"""The same in seconds where memory is limited: libraries keep trying to get more."""

LIMITS: Final = {resource.RLIMIT_AS: "ulimit -v", resource.RLIMIT_DATA: "ulimit -d"}
NEEDED_GIB = 3
"""Address space that the imports and a small model need, in GiB."""


TRACK: Final = """
import os
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
from multiprocessing.resource_tracker import main
main({})
"""
"""The program of the resource tracker; the braces stand for the file descriptor of its end of the pipe."""

IMPORTED: Final[set[int]] = set()
"""Process ids of the fork servers of this process whose imports are done."""


@cache
def _log() -> Any:
    """An unnamed file for what the server prints; it is deleted with this process."""
    return nameless_file(Path(tempfile.gettempdir()))


def context() -> Any:
    """The multiprocessing context for starting workers: on Linux a fork server, so that the imports are made only once;
    elsewhere new interpreters. Waits for the server's imports, and raises BakeoffError if they fail."""
    begin()
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    if (server := number()) is not None and server not in IMPORTED:
        _await_imports(server)
        IMPORTED.add(server)
    return multiprocessing.get_context("forkserver")


def begin() -> None:
    """Starts the fork server on Linux, if there is none, without waiting for its imports, so that the caller can do something
    else meanwhile. Environment variables that libraries read when they are imported must have been set before."""
    shorten_socket_paths()
    _start_tracker()
    if sys.platform != "linux":
        return
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["bakeoff.machine.parent_death", "bakeoff.machine.first_imports"])
    os.environ[COMMAND] = f"{os.getpid()}:{_log().fileno()}"
    try:
        with _ignoring_interrupts():
            forkserver.ensure_running()
    finally:
        del os.environ[COMMAND]


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """A context in which a child process inherits that Ctrl-C is ignored: during its imports Ctrl-C would end it with a
    traceback."""
    if not in_main_thread():  # no other may set a handler; the child sets it as its first step
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start_tracker() -> None:
    """Starts multiprocessing's resource tracker as multiprocessing would, but discards what it prints.

    The process of each run has the pipe to the tracker, which prints a traceback for whatever a plugin writes there. A tracker
    that was killed is replaced without a warning.
    """
    tracker: Any = resource_tracker._resource_tracker
    with tracker._lock:
        if tracker._fd is not None:
            if tracker._check_alive():
                return
            os.close(tracker._fd)
            with suppress(ChildProcessError):
                os.waitpid(tracker._pid, 0)
            tracker._fd = tracker._pid = None
        reading, writing = os.pipe()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # inherited, until it ignores them
        try:
            flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
            python = os.fsencode(spawn.get_executable())
            tracker._pid = util.spawnv_passfds(python, [python, *flags, "-c", TRACK.format(reading)], [reading])
            tracker._fd = writing
        except BaseException:
            os.close(writing)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(reading)


def _await_imports(server: int) -> None:
    """Waits for the server's imports. Raises BakeoffError if they fail or hang; a signal that stops the command interrupts
    this."""
    idle = computed = 0
    limit = LONGEST_IMPORT_WITH_LIMIT if _memory_limit() else LONGEST_IMPORT
    try:
        while _last_words() != READY:
            before, computed = computed, cpu_ticks(server) or computed
            idle = idle + 1 if computed == before else 0
            if is_gone(server):
                raise _refusal(_last_words() or "it ended without a message")
            if idle >= IDLE_POLLS or computed / os.sysconf("SC_CLK_TCK") > limit:
                raise _refusal("the imports do not finish")
            time.sleep(POLL_SECONDS)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
        raise


def _last_words() -> str:
    return escaped(last_line(Path(f"/proc/self/fd/{_log().fileno()}"))[:200])


def _memory_limit() -> str:
    """This process's memory limit as text, if it is less than the imports need; else empty."""
    for limit, command in LIMITS.items():
        allowed = resource.getrlimit(limit)[0]
        if allowed != resource.RLIM_INFINITY and allowed < NEEDED_GIB * 2**30:
            return f"{gibibytes(allowed)} of memory (`{command}`)"
    return ""


def _refusal(why: str) -> BakeoffError:
    if limit := _memory_limit():
        needs = f"the libraries that train need about {NEEDED_GIB}; raise the limit"
        return BakeoffError(f"no worker processes can start: a process may have {limit}, and {needs} ({why})")
    return BakeoffError(f"no worker processes can start: {why}; `python -c 'import bakeoff.machine.preload'` may show more")


def _state() -> Any:
    """multiprocessing's own object that holds the state of the fork server."""
    return forkserver._forkserver


def number() -> int | None:
    """The process id of the fork server; None if there is none."""
    found: int | None = _state()._forkserver_pid
    return found


def stop() -> None:
    """Ends the fork server, if there is one. The next worker starts another."""
    server = _state()
    if server._forkserver_pid is not None:
        with suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)  # else it waits for all who have its pipe
        with suppress(ChildProcessError):
            server._stop()
        _log.cache_clear()  # its last line says that the imports are done


def forget() -> None:
    """Called in a worker: forgets the command's fork server, so that processes that the worker forks by a server of its own
    descend from the worker."""
    server = _state()
    if (descriptor := server._forkserver_alive_fd) is not None:
        os.close(descriptor)
    server.__init__()


@contextmanager
def served() -> Iterator[None]:
    """A context in which a worker is started. Raises BakeoffError if the fork server ends meanwhile."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise _refusal(f"the fork server, their parent, has ended ({type(error).__name__}): repeat the command") from None


def end_orphans() -> None:
    """Kills what is left of workers that were killed themselves: their child processes, which the fork server has adopted, and
    which are no workers of this command."""
    if (server := number()) is not None:
        known = frozenset(child.pid for child in multiprocessing.active_children() if child.pid is not None)
        end_descendants(server, but=known)
