"""A worker: a process of its own that calls one function, sends messages through a pipe, and ends with all its descendants."""

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
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files import Tree, temporary_folder, write_all
from bakeoff.machine import fork_server, parent_death
from bakeoff.machine.guard import END, fork_guarded
from bakeoff.machine.output import cut, last_line
from bakeoff.machine.processes import descendants, fields_of
from bakeoff.machine.signals import await_own_signal, ending, held_back, was_stopped
from bakeoff.machine.streams import prepare_streams
from bakeoff.text.words import escaped

Message = dict[str, Any]

WAIT_SECONDS = 0.5
"""How long to wait for a message of a worker."""

END_SECONDS = 10.0
"""How long a guard may take to end all processes; after that it is killed itself."""

LONGEST_MESSAGE = 64 * 2**20
"""Bytes of a message."""

CHUNK = 2**16
PROCESS = "process"
"""The key of a worker's first message, which `Worker` keeps to itself: the number of the process that calls the function."""


class MessageError(BakeoffError):
    """What came through a worker's pipe is no message: other code in its process wrote there."""


class Worker:
    """A child process that calls `target(send, *arguments)`, where `send` sends a message to this process."""

    def __init__(self, target: Callable[..., None], *arguments: Any, output: Path) -> None:
        """The child's stdout and stderr go to the file `output`, which stays small. Raises BakeoffError where no process can be
        started."""
        self.output = output.absolute()
        multiprocess = fork_server.context()
        self.connection, theirs = multiprocess.Pipe(duplex=False)
        os.set_blocking(self.connection.fileno(), False)
        self._unread = bytearray()
        self._closed = False
        self.number: int | None = None
        """Of the process that calls the function; None where it is not known yet."""
        # Not a daemon: a trainer may have children of its own, data loading workers for one.
        self.process = multiprocess.Process(target=_child, args=(theirs, str(self.output), target, arguments), daemon=False)
        try:
            with held_back(), fork_server.served():
                self.process.start()
        except BaseException:  # Ctrl-C while it started: the child lives already
            if self.process.pid is None:
                self.connection.close()
            else:
                self.end()
            raise
        finally:
            theirs.close()
        self.started = time.monotonic()

    def messages(self, seconds: float) -> list[Message]:
        """The messages that have arrived, after waiting up to that long for the first; raises MessageError for anything else in
        the pipe."""
        wait(self.waitables(), timeout=seconds)
        received: list[Message] = []
        for line in self._lines():
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                raise MessageError(
                    f"{len(line)} bytes in its pipe are no message: {escaped(line[:40].decode('utf-8', 'replace'))}"
                )
            if self.number is None and type(message.get(PROCESS)) is int:
                self.number = message[PROCESS]
            else:
                received.append(message)
        if self._unguarded:
            cut(self.output)
        return received

    def _lines(self) -> list[bytes]:
        """The lines that have come through the pipe since the last call."""
        while not self._closed:
            try:
                content = os.read(self.connection.fileno(), CHUNK)
            except BlockingIOError:
                break
            self._closed = not content
            self._unread += content
            if len(self._unread) > LONGEST_MESSAGE:
                self._unread.clear()
                raise MessageError(f"over {LONGEST_MESSAGE} bytes in its pipe are no message")
        *lines, rest = bytes(self._unread).split(b"\n")
        self._unread[:] = rest
        return lines

    def waitables(self) -> list[Any]:
        """What becomes ready when it sends a message or ends, for `multiprocessing.connection.wait`."""
        return [self.process.sentinel] if self._closed else [self.connection, self.process.sentinel]

    @property
    def alive(self) -> bool:
        """Whether it, or a descendant of it, runs still."""
        if (alive := bool(self.process.is_alive())) and not self._unguarded:
            self._wake()
        return alive

    def _wake(self) -> None:
        """Lets a guard go on that somebody stopped, once there is nothing left for it to guard: it would never end."""
        number = self.process.pid
        fields = fields_of(number)
        if fields is not None and fields[0] == "T" and not descendants(number):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGCONT)

    def listen(self) -> list[Message]:
        """All its messages until it ends; raises BakeoffError for an expected error of its own, and KeyboardInterrupt where a
        signal has ended it that was for this process too."""
        received: list[Message] = []
        while self.alive:
            received += self.messages(WAIT_SECONDS)
        received += self.messages(0)
        if was_stopped(self.process.exitcode):
            await_own_signal()
        for message in received:
            if "error" in message:
                raise BakeoffError(str(message["error"]))
        return received

    def end(self) -> None:
        """Ends it with all its descendants, and lets go of the pipe."""
        if self.connection.closed:
            return
        with suppress(MessageError):
            self.messages(0)
        if self._unguarded:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, END)
            self.process.join(END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(END_SECONDS)
        if not self._unguarded and self.process.exitcode in (-signal.SIGKILL, None):
            fork_server.end_orphans()
        self.connection.close()

    @property
    def _unguarded(self) -> bool:
        """Whether the process calls the function itself, and leads a group of its own."""
        return self.number is not None and self.number == self.process.pid

    def last_words(self) -> str:
        """How it ended, for a record: the signal or exit code, and the last line that it printed."""
        how, line = ending(self.process.exitcode), last_line(self.output)
        return f"{how}: {escaped(line[:200])}" if line else how


def ask_worker(target: Callable[..., None], *arguments: Any, key: str, named: str) -> Message:
    """The message with this key of a worker that does one thing; raises BakeoffError if it ends without, `named` so."""
    with temporary_folder() as folder:
        worker = Worker(target, *arguments, output=folder / "output.txt")
        try:
            answer = next((message for message in worker.listen() if key in message), None)
            if answer is None:
                raise BakeoffError(f"{named} ended early: {worker.last_words()}")
            return answer
        finally:
            worker.end()


def _end_children() -> None:
    """Before multiprocessing waits, at exit, for children that an interrupted caller could not end."""
    for child in multiprocessing.active_children():
        child.kill()
    fork_server.end_orphans()


atexit.register(_end_children)


def _child(pipe: Connection, output: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    if parent_death.SERVER is not None:
        fork_guarded(Path(output), pipe.fileno())
        fork_server.forget()
    else:
        _lead_group(output)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the parent decides
    prepare_streams()  # a trainer may print what the encoding lacks
    sender = Sender(pipe)
    sender.send({PROCESS: os.getpid()})
    try:
        target(sender.send, *arguments)
    except BakeoffError as error:
        sender.send({"error": str(error)})
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class Sender:
    """Sends a worker's messages to its parent, one a line. What cannot be sent any more is dropped: no run fails for it."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.descriptor = pipe, pipe.fileno()
        self.place = self._place()
        self.lock = threading.Lock()

    def send(self, message: Message) -> None:
        content = json.dumps(message).encode() + b"\n"
        with self.lock, suppress(OSError):
            if self._place() != self.place:  # somebody has closed it, and the number is another file's now
                return
            write_all(self.descriptor, content)

    def _place(self) -> tuple[int, int]:
        found = os.fstat(self.descriptor)
        return found.st_dev, found.st_ino


def _lead_group(output: str) -> None:
    """Where there is no guard: this process leads a group, which ends with it, and with its parent."""
    os.setpgrp()
    try:
        descriptor = Tree(Path(output).parent).append_to(Path(output))
    except (OSError, StoreError):  # the parent has given up, and its folder with it
        os._exit(1)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: Any) -> None:
    parent.join()
    os.killpg(0, signal.SIGKILL)
