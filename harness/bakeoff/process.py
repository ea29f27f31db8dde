"""A worker's process: started from a preloaded fork server, heard through a pipe, ended with its parent."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, StoreError, escaped
from bakeoff.files import Tree
from bakeoff.machine.streams import prepare_streams
from bakeoff.machine.surroundings import shorten_socket_paths
from bakeoff.ranks import ending
from bakeoff.record import OUTPUT_FILE
from bakeoff.tied import COMMAND, end_with_server

Message = dict[str, Any]

WAIT_SECONDS = 0.5
"""How long to wait for a word of a worker before looking after other things."""


def context() -> Any:
    """Linux: a fork server, so that only the first worker pays for imports; elsewhere a fresh interpreter each time."""
    shorten_socket_paths()
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["bakeoff.tied", "bakeoff.preload"])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C while it imports must not end it loudly
    os.environ[COMMAND] = str(os.getpid())
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[COMMAND]
        signal.signal(signal.SIGINT, before)
    return server


@contextmanager
def interrupted_later() -> Iterator[None]:
    """Ctrl-C waits for the end of this: a child that is told half of what to do complains in a traceback."""
    seen: list[tuple[int, Any]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if seen and callable(before):
            before(*seen[0])


def _end_children() -> None:
    """Before multiprocessing waits, at exit, for children that an interrupted caller could not end."""
    for child in multiprocessing.active_children():
        child.kill()


atexit.register(_end_children)


class Worker:
    """A child process that calls `target(say, *arguments)`, where `say` sends a message to this process."""

    def __init__(self, target: Callable[..., None], *arguments: Any, output: Path) -> None:
        """`output` is a folder; the child's stdout and stderr go to a file in it."""
        self.output = output / OUTPUT_FILE
        multiprocess = context()
        self.connection, theirs = multiprocess.Pipe()
        # Not a daemon: a trainer may have children of its own, data loading workers for one.
        self.process = multiprocess.Process(target=_child, args=(theirs, str(self.output), target, arguments), daemon=False)
        try:
            with interrupted_later():
                self.process.start()
        except (EOFError, ConnectionError) as error:
            raise BakeoffError(
                f"no worker can be started ({type(error).__name__}); `python -c 'import bakeoff.preload'` may show why"
            ) from None
        except BaseException:  # Ctrl-C while it started: the child lives already, and ends when its pipe does
            self.connection.close()
            raise
        finally:
            theirs.close()
        self.started = time.monotonic()

    def messages(self, seconds: float) -> list[Message]:
        """What it said, after waiting up to that long for the first word."""
        heard: list[Message] = []
        wait(self.sources(), timeout=seconds)
        try:
            while self.connection.poll():
                heard.append(json.loads(self.connection.recv_bytes()))
        except (EOFError, ConnectionResetError):
            self.process.join(seconds)
        return heard

    def sources(self) -> list[Any]:
        """What becomes ready when it says something or ends, for `multiprocessing.connection.wait`."""
        return [self.connection, self.process.sentinel]

    @property
    def alive(self) -> bool:
        return bool(self.process.is_alive())

    def listen(self) -> list[Message]:
        """All that it says until it ends; raises BakeoffError for an expected error of its."""
        heard: list[Message] = []
        while self.alive:
            heard += self.messages(WAIT_SECONDS)
        heard += self.messages(0)
        for message in heard:
            if "error" in message:
                raise BakeoffError(message["error"])
        return heard

    def end(self) -> None:
        """Kills it if it still runs, and lets go of the pipe."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()

    def last_words(self) -> str:
        """How it ended, for a record: the signal or exit code, and the last line that it printed."""
        how = ending(self.process.exitcode)
        try:
            lines = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{how}: {escaped(lines[-1][:200])}" if lines else how


def _child(connection: Connection, output: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    end_with_server()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the parent decides
    try:
        descriptor = Tree(Path(output).parent).append_to(Path(output))
    except (OSError, StoreError):  # the parent has given up, and its folder with it
        os._exit(1)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    prepare_streams()  # a trainer may print what the encoding lacks, or more than the disk holds
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    lock = threading.Lock()

    def say(message: Message) -> None:
        with lock:
            connection.send_bytes(json.dumps(message).encode())

    try:
        target(say, *arguments)
    except BakeoffError as error:
        say({"error": str(error)})
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _end_with_parent(connection: Connection) -> None:
    """The parent never writes: a word from the pipe can only be its end."""
    try:
        connection.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
