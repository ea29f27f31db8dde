"""A worker: a child process that calls one function, sends messages through a pipe, and ends with all its descendants."""

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
from weakref import WeakSet

from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files import Tree, temporary_folder, write_all
from bakeoff.machine import fork_server, parent_death
from bakeoff.machine.caller import without_main
from bakeoff.machine.guard import END, fork_guarded
from bakeoff.machine.output import cut, last_line
from bakeoff.machine.processes import descendants, fields_of
from bakeoff.machine.signals import await_own_signal, ending, held_back, was_stopped
from bakeoff.machine.streams import prepare_streams
from bakeoff.text.words import escaped

Message = dict[str, Any]

WAIT_SECONDS = 0.5
"""How many seconds to wait for a worker's message at a time."""

END_SECONDS = 10.0
"""How many seconds a guard may take to kill all processes before it is killed itself."""

LONGEST_MESSAGE = 64 * 2**20
"""The longest message, in bytes."""

CHUNK = 2**16
PROCESS = "process"
"""The key of a worker's first message, which `Worker` handles itself: the id of the process that calls the function."""


DOING = "doing"
"""The key of a message in which a worker says what it does next, in case it does not survive that."""


class MessageError(BakeoffError):
    """Data in a worker's pipe that are no message: other code in the worker's process has written them."""


class Worker:
    """A child process that calls `target(send, *arguments)`; the function `send` sends a message to this process."""

    def __init__(self, target: Callable[..., None], *arguments: Any, output: Path) -> None:
        """output: the file, limited in size, for the child's stdout and stderr. Raises BakeoffError if no process can be
        started."""
        self.output = output.absolute()
        multiprocess = fork_server.context()
        self.connection, theirs = multiprocess.Pipe(duplex=False)
        os.set_blocking(self.connection.fileno(), False)
        self._unread = bytearray()
        self._closed = False
        self.number: int | None = None
        """Process id of the process that calls the function; None until it is known."""
        # Not a daemon: a trainer may have children of its own, data loading workers for one.
        self.process = multiprocess.Process(target=_child, args=(theirs, str(self.output), target, arguments), daemon=False)
        try:
            with held_back(), fork_server.served(), without_main():
                self.process.start()
            STARTED.add(self.process)
        except BaseException:  # Ctrl-C while it started: the child lives already
            if self.process.pid is None:
                self.connection.close()
            else:
                STARTED.add(self.process)
                self.end()
            raise
        finally:
            theirs.close()
        self.started = time.monotonic()

    def messages(self, seconds: float) -> list[Message]:
        """The messages that have arrived, after waiting up to `seconds` for the first. Raises MessageError for anything else
        in the pipe."""
        wait(self.waitables(), timeout=seconds)
        received: list[Message] = []
        for line in self._lines():
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                begins = escaped(line[:40].decode("utf-8", "replace"))
                raise MessageError(f"{len(line)} bytes that the worker wrote into its pipe are not a message: {begins}")
            if self.number is None and type(message.get(PROCESS)) is int:
                self.number = message[PROCESS]
            else:
                received.append(message)
        if self._unguarded:
            cut(self.output)
        return received

    def _lines(self) -> list[bytes]:
        """The complete lines that arrived through the pipe since the last call."""
        while not self._closed:
            try:
                content = os.read(self.connection.fileno(), CHUNK)
            except BlockingIOError:
                break
            self._closed = not content
            self._unread += content
            if len(self._unread) > LONGEST_MESSAGE:
                self._unread.clear()
                raise MessageError(f"over {LONGEST_MESSAGE} bytes in its pipe are not a message")
        *lines, rest = bytes(self._unread).split(b"\n")
        self._unread[:] = rest
        return lines

    def waitables(self) -> list[Any]:
        """Objects to pass to `multiprocessing.connection.wait`; one is ready when the worker sends a message or ends."""
        return [self.process.sentinel] if self._closed else [self.connection, self.process.sentinel]

    @property
    def alive(self) -> bool:
        """Whether the worker, or a descendant of it, is still running."""
        if (alive := bool(self.process.is_alive())) and not self._unguarded:
            self._wake()
        return alive

    def _wake(self) -> None:
        """Continues a guard that somebody has stopped (SIGSTOP), once no process is left to guard; otherwise it would never
        end."""
        number = self.process.pid
        fields = fields_of(number)
        if fields is not None and fields[0] == "T" and not descendants(number):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGCONT)

    def listen(self) -> list[Message]:
        """Waits until the worker ends, and returns all its messages. Raises BakeoffError if the worker reports an expected
        error, and KeyboardInterrupt if it was ended by a signal that this process received too, such as Ctrl-C."""
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
        """Kills the worker with all its descendants, and closes the pipe."""
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
        """Whether the child process calls the function itself, without a guard above it, as the leader of a process group."""
        return self.number is not None and self.number == self.process.pid

    def how_it_ended(self) -> str:
        """How the worker ended, for a record: the signal or exit code, and the last line it printed."""
        how, line = ending(self.process.exitcode), last_line(self.output)
        return f"{how}: {escaped(line[:200])}" if line else how


class EarlyEndError(BakeoffError):
    """A worker ended before it had answered. how: by which signal or exit code. doing: what it was doing, by its last message;
    None if it said nothing."""

    def __init__(self, named: str, how: str, doing: Any) -> None:
        super().__init__(f"{named} ended early: {how}")
        self.how, self.doing = how, doing


def ask_worker(target: Callable[..., None], *arguments: Any, key: str, named: str) -> Message:
    """Starts a worker with one task, waits for its end, and returns its first message with this key. Raises EarlyEndError if
    there is none. named: what the error's message calls the worker. The worker may say what it does next by a message
    `DOING`."""
    with temporary_folder() as folder:
        worker = Worker(target, *arguments, output=folder / "output.txt")
        try:
            heard = worker.listen()
            answer = next((message for message in heard if key in message), None)
            if answer is None:
                doing = [message[DOING] for message in heard if DOING in message]
                raise EarlyEndError(named, worker.how_it_ended(), doing[-1] if doing else None)
            return answer
        finally:
            worker.end()


STARTED: WeakSet[Any] = WeakSet()
"""The processes of all workers of this process, to tell them from other children of a program that calls Bakeoff."""


def _end_children() -> None:
    """Kills, when this process exits, workers that an interrupted caller could not end, before multiprocessing waits for
    them."""
    for child in STARTED.intersection(multiprocessing.active_children()):
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
    """Sends a worker's messages to its parent, one per line. Messages that can't be sent any more are dropped, so that no run
    fails because of them."""

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
    """Without a guard: makes this process the leader of a group, which is killed when it or its parent ends."""
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
