"""Runs a user's command to its end: without a shell, with limited and masked output, and without leaving any descendants."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final

from bakeoff.files import write_all
from bakeoff.machine.processes import adopting_orphans, descendants, stop_descendants
from bakeoff.text.words import escaped

CHUNK: Final = 2**16
TAIL_BYTES: Final = 4096
"""How many bytes of the end of the output are kept for `last_lines`."""
TAIL_LINES: Final = 3
LONGEST_LINE: Final = 200
"""How many characters of a line are shown."""
GRACE_SECONDS: Final = 5.0
"""Seconds between the signal that asks a process to end and the one that kills it."""
MASK: Final = b"***"
SHORTEST_SECRET: Final = 4
"""Secrets with fewer characters are not masked: they would occur in the output by chance."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """The command's exit code; minus the number of the signal if one ended it."""
    last_lines: str
    """The last lines that the command printed, joined to one line; "" if it printed nothing."""
    left: int
    """How many of the command's descendants still ran when it had ended, and were ended then."""

    @property
    def how(self) -> str:
        """The rest of a sentence: `ended with exit code 3`, `was ended by SIGKILL`."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        try:
            return f"was ended by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"was ended by signal {-self.code}"


def run_command(words: Sequence[str], *, folder: Path, environment: Mapping[str, str], secrets: Iterable[str] = ()) -> Ended:
    """Runs a command in a folder, with this environment and no other, until it ends. Then ends all its descendants, whatever
    sessions and groups they are in: SIGTERM, and SIGKILL after five seconds. On other systems than Linux only its process
    group is ended.

    What the command prints goes to this process's standard output, with each of the secrets masked. Raises OSError if it can't
    be started.
    """
    before = frozenset(descendants(os.getpid())) if sys.platform == "linux" else frozenset()
    with adopting_orphans():
        child = subprocess.Popen(
            words,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert child.stdout is not None
        output = _Output(child.stdout.fileno(), secrets)
        output.start()
        left = 0
        try:
            code = child.wait()
        finally:
            left = _end_all(child, before)
            output.join(GRACE_SECONDS)
    if not output.is_alive():  # something that nobody could end still has it open
        child.stdout.close()
    return Ended(code, output.last_lines(), left)


def _end_all(child: subprocess.Popen[bytes], before: frozenset[int]) -> int:
    """Ends the command, if it still runs, and its descendants. before: this process's descendants that are not the command's.
    Returns how many were ended; 0 on other systems than Linux."""
    if sys.platform == "linux":
        found = stop_descendants(os.getpid(), GRACE_SECONDS, but=before)
        child.poll()
        return found
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    return 0


class _Output(Thread):
    """Copies what a command prints to standard output, with secrets masked, and keeps its end."""

    def __init__(self, descriptor: int, secrets: Iterable[str]) -> None:
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.secrets = [one.encode() for one in sorted(set(secrets), key=len, reverse=True) if len(one) >= SHORTEST_SECRET]
        self.held = max(map(len, self.secrets), default=1) - 1
        """How many bytes wait until more are read, because a secret may begin in them."""
        self.tail = b""

    def run(self) -> None:
        rest = b""
        while content := os.read(self.descriptor, CHUNK):
            rest = self.masked(rest + content)
            cut = len(rest) - self.held
            if cut > 0:
                self.put(rest[:cut])
                rest = rest[cut:]
        self.put(rest)

    def masked(self, content: bytes) -> bytes:
        for secret in self.secrets:
            content = content.replace(secret, MASK)
        return content

    def put(self, content: bytes) -> None:
        self.tail = (self.tail + content)[-TAIL_BYTES:]
        with suppress(OSError):  # nobody reads it; the command goes on all the same
            write_all(1, content)

    def last_lines(self) -> str:
        lines = [line.strip() for line in self.tail.decode(errors="replace").splitlines()]
        shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines if line]
        return " | ".join(escaped(line) for line in shown[-TAIL_LINES:])


def free_port() -> int:
    """The number of a port of this machine on which nothing listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
