"""The guard: a process between the fork server and a run's process, which kills all descendants of the run's process when that
process ends. Linux only.

    command -> fork server -> guard -> the run's process -> its descendants, in any sessions and groups

To the command the guard is the worker: it kills what the run's process left behind, then ends with the same exit code. It
kills everything on the signal `END`, when the fork server ends (which ends with the command), and when the command closes the
pipe. It limits the size of the file of what they print. If the guard itself is killed, the kernel kills the run's process, and
the fork server kills the rest (`fork_server.end_orphans`).
"""

from __future__ import annotations

import os
import resource
import select
import signal
import traceback
from pathlib import Path
from typing import NoReturn

from bakeoff.errors import StoreError
from bakeoff.machine import parent_death
from bakeoff.machine.output import CappedOutput
from bakeoff.machine.processes import adopt_orphans, end_descendants, end_with
from bakeoff.machine.signals import STOPPING

END = signal.SIGUSR1
"""The signal on which a guard kills everything; one that is never sent to all processes of a command."""

CHUNK = 2**16
"""How many bytes are read from a pipe at a time."""


def fork_guarded(output: Path, pipe: int) -> None:
    """Called in a child of the fork server (`parent_death.SERVER`): makes this process the guard of a child process of its
    own, in which the call returns.

    output: the file for what is printed. pipe: the file descriptor of the writing end of the pipe to the command.
    """
    assert parent_death.SERVER is not None
    own = os.getpid()
    end_with(parent_death.SERVER, END)
    adopt_orphans()
    reading, writing = os.pipe()
    guard = Guard(output, reading, pipe)
    if (child := os.fork()) == 0:
        end_with(own)
        guard.undo()
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        return
    os.close(writing)
    guard.watch(child)


class Guard:
    """Waits until a child process ends, or until there is a reason to kill it; meanwhile copies what is printed to a file."""

    def __init__(self, output: Path, reading: int, pipe: int) -> None:
        try:
            self.output = CappedOutput(output)
        except (OSError, StoreError):  # the command has given up, and its folder with it
            os._exit(1)
        self.reading, self.pipe = reading, pipe
        os.set_blocking(reading, False)
        self.signals, self.wakeup = os.pipe()
        os.set_blocking(self.signals, False)
        os.set_blocking(self.wakeup, False)
        for number in (*STOPPING, signal.SIGCHLD, END):
            if parent_death.HANDLERS.get(number) is not signal.SIG_IGN:  # Ctrl-C is the command's
                signal.signal(number, lambda number, frame: None)
        signal.set_wakeup_fd(self.wakeup, warn_on_full_buffer=False)

    def undo(self) -> None:
        """Called in the child: closes the guard's files and restores the signal handlers from before the fork server."""
        signal.set_wakeup_fd(-1)
        for number in (*STOPPING, signal.SIGCHLD, END):
            signal.signal(number, parent_death.HANDLERS.get(number) or signal.SIG_DFL)
        for descriptor in (self.reading, self.signals, self.wakeup):
            os.close(descriptor)
        self.output.forget()

    def watch(self, child: int) -> NoReturn:
        code = 1
        try:
            code = self.wait(child)
        except Exception:  # whatever failed, the descendants must end
            traceback.print_exc()  # into the fork server's log
        finally:
            end_descendants(os.getpid())
            self.copy(to_the_end=True)
            self.output.close()
            end_as(code)

    def wait(self, child: int) -> int:
        """Waits for the child and returns its exit code; or minus the signal by which everything is to be killed."""
        poll = select.poll()
        poll.register(self.signals, select.POLLIN)
        poll.register(self.reading, select.POLLIN)
        poll.register(self.pipe, 0)  # only whether the command still reads
        while True:
            ready = dict(poll.poll())
            if self.reading in ready and not self.copy():
                poll.unregister(self.reading)
            if self.pipe in ready:
                return -signal.SIGKILL
            if self.signals not in ready:
                continue
            received = set(os.read(self.signals, CHUNK))
            if (code := reap(child)) is not None:
                return code
            if END in received:
                return -signal.SIGKILL
            if stopping := received & set(STOPPING):
                return -min(stopping)

    def copy(self, *, to_the_end: bool = False) -> bool:
        """Copies what was printed to the file. Returns False once no process can print any more. to_the_end: copies all of it;
        else at most `CHUNK` bytes."""
        while True:
            try:
                content = os.read(self.reading, CHUNK)
            except BlockingIOError:
                return True
            if not content:
                return False
            self.output.add(content)
            if not to_the_end:
                return True


def reap(child: int) -> int | None:
    """Collects the exit codes of all children that have ended. Returns the exit code of `child`; None while it is alive."""
    code = None
    while True:
        try:
            number, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if number == 0:
            return code
        if number == child:
            code = os.waitstatus_to_exitcode(status)


def end_as(code: int) -> NoReturn:
    """Ends this process with an exit code; below zero, by the signal of that number."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # one dump is enough
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)
