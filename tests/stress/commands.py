"""Commands as the rounds start them: in a process of their own, their output in a file or at a terminal that can be closed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil
from end_to_end.experiments import COMMAND
from stress.processes import family


@dataclass
class Start:
    """How a command is to be started; disturbances change it."""

    arguments: list[str]
    environment: dict[str, str]
    command: Sequence[str] = tuple(COMMAND)
    at: Literal["file", "own terminal", "terminal"] = "file"
    """Where its standard streams lead; it gets a signal when its own terminal is closed, and none from another."""
    clock: Path | None = None
    """The file from which its clock is read, where that is not the machine's."""


@dataclass
class Command:
    """A command under way, and what was done to it."""

    process: subprocess.Popen[bytes]
    output: Path
    """What could be read of its standard output and error."""
    clock: Path | None = None
    close_terminal: Callable[[], None] | None = None
    sent: set[int] = field(default_factory=set)
    """The signals that it got."""
    suspended: list[psutil.Process] = field(default_factory=list)
    """What was stopped and goes on later, also where the command was killed meanwhile."""
    unheard: bool = False
    """Whether its terminal was closed, so that nobody knows what it would have said."""

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """To the command alone, without its family."""
        self.sent.add(number)
        if self.alive:
            self.process.send_signal(number)

    def stop_all(self) -> None:
        """Stops the command and its family, as Ctrl-Z and a closed lid do."""
        for members in family(self.process.pid).values():
            for one in members:
                with contextlib.suppress(psutil.Error):  # it has just ended
                    one.suspend()
                    self.suspended.append(one)

    def continue_all(self) -> None:
        for one in self.suspended:
            with contextlib.suppress(psutil.Error):
                one.resume()
        self.suspended.clear()


def started(start: Start, output: Path) -> Command:
    line = [*start.command, *start.arguments]
    if start.at != "file":
        return _at_a_terminal(line, start, output)
    with output.open("wb") as stream:
        process = subprocess.Popen(line, env=start.environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    return Command(process, output, start.clock)


def _at_a_terminal(line: Sequence[str], start: Start, output: Path) -> Command:
    """The command at a new terminal, of which `output` gets what a person would see until it is closed."""
    ours, theirs = pty.openpty()
    owned = start.at == "own terminal"

    def own() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        line,
        env={**start.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own if owned else None,
    )
    os.close(theirs)
    closing = threading.Event()

    def show() -> None:
        with output.open("wb") as stream:
            while not closing.is_set():
                if select.select([ours], [], [], 0.05)[0]:
                    try:
                        stream.write(os.read(ours, 65536))
                    except OSError:  # nobody is at the other end any more
                        break
        os.close(ours)

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    command = Command(process, output, start.clock)

    def close_terminal() -> None:
        if owned:
            command.sent.add(signal.SIGHUP)
        closing.set()
        shower.join()
        command.unheard, command.close_terminal = True, None

    command.close_terminal = close_terminal
    return command
