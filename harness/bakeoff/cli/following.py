"""`bakeoff run --export-to`: exports while runs are made, by a process of its own for each tracker.

Nothing that a run does waits for these processes. They have the lowest priority, get what is recorded and nothing else, and
tell what goes wrong in one line; the exit code of the command does not depend on them. When all runs have ended they are
killed, and others at the command's own priority write the rest and the summary.

Such a process performs `main`; what it writes on standard output are lines for the user. A follower ends when its standard
input is closed.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Thread
from typing import IO, Final

from bakeoff.cli.export import notes, summary_of
from bakeoff.cli.inputs import indexed_store
from bakeoff.cli.output import print_note
from bakeoff.contracts.from_words import Words, component_from_words, key_of, options_of
from bakeoff.contracts.registry import Registry, load_registry
from bakeoff.errors import BakeoffError
from bakeoff.files import write_all
from bakeoff.machine.processes import end_with
from bakeoff.planning.shards import Shard, shard_named
from bakeoff.report.exporting import Exported, Exporter
from bakeoff.text.numbers import count, duration
from bakeoff.text.values import command, listed
from bakeoff.text.words import did_you_mean, escaped, first_line

POLL_SECONDS: Final = 2.0
"""How long a follower rests after a pass over the records, at least."""
RESTS: Final = 20
"""It rests at least so many times as long as the pass took."""
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 30.0, 600.0
"""How long it waits after an error until it tries again: twice as long each time."""
PATIENCE_SECONDS: Final = 120.0
"""How long the command waits, after it has shown its results, until the rest is written to all trackers."""
PROGRAM: Final = "import os, sys; os.nice({priority}); from bakeoff.cli.following import main; main(sys.argv[1])"
"""The program of a process: it takes its priority, from 0 to 19, the lowest, before it imports anything."""
LOWEST: Final = 19
JOIN_SECONDS: Final = 5.0
"""How long to wait for the last lines of a process that has ended."""


@dataclass(frozen=True)
class Order:
    """What a process is to do, as it gets it."""

    folder: str
    """The experiment's folder."""
    tracker: str
    given: Mapping[str, Sequence[str]]
    """The tracker's options, as on the command line."""
    shard: str = ""
    """`I/N`, where only that shard's runs are to be written, and no summary; empty for all runs."""
    last: bool = False
    """Whether all runs have ended: the rest is to be written, with the summary, and no more is to come."""
    quiet: bool = False
    """Whether the user was told of an error before."""

    @property
    def again(self) -> str:
        """The command that writes what is missing."""
        options = [word for name, values in self.given.items() for value in values for word in (f"--{name}", value)]
        return command("export", Path(self.folder), "--to", self.tracker, *options)


# --- in the command ---


def orders_of(registry: Registry, names: Sequence[str], given: Words, folder: Path, shard: Shard | None) -> list[Order]:
    """An order for each tracker that is named. given: the options of all of them; each tracker gets those that it has. Raises
    as `component_from_words`, and BakeoffError for an option that none of them has."""
    known = {name: options_of(registry.get("tracker", name).component) for name in dict.fromkeys(names)}
    fields = {key_of(option) for options in known.values() for option in options}
    for option in given:
        if key_of(option) not in fields:
            what = f"option of tracker {listed(known)}"
            raise BakeoffError(f"--{option}: {did_you_mean(what, option, {name for own in known.values() for name in own})}")
    orders = []
    for name, options in known.items():
        own = {option: values for option, values in given.items() if key_of(option) in map(key_of, options)}
        component_from_words(registry, "tracker", name, own)  # refuses wrong values now
        orders.append(Order(str(folder), name, own, str(shard or "")))
    return orders


class Followers:
    """The processes of one command."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self.orders = list(orders)
        self.tell: Callable[[str], None] = print_note
        """Shows a line to the user; called from other threads."""
        self._running: list[Running] = []

    @contextmanager
    def told_by(self, tell: Callable[[str], None]) -> Iterator[None]:
        """A context in which lines are shown by another function."""
        self.tell = tell
        try:
            yield
        finally:
            self.tell = print_note

    def begin(self) -> None:
        """Starts a follower for each order."""
        self._start(self.orders, LOWEST)

    def finish(self) -> None:
        """Has the rest written to all trackers, and waits for that for a while; Ctrl-C ends the waiting."""
        told = {one.order.tracker for one in self._running if one.has_told}
        self.stop()
        last = [replace(order, last=True, quiet=order.tracker in told) for order in self.orders]
        self._start(last, 0)
        until = time.monotonic() + PATIENCE_SECONDS
        try:
            for one in self._running:
                if (why := one.ended_by(until)) and not one.order.quiet:
                    self.tell(f"export to {one.order.tracker}: {why}; `{one.order.again}` continues")
        except KeyboardInterrupt:  # whoever does not wait any longer has all runs and tables
            self.tell("export stopped; `bakeoff export` continues")
        self.stop()

    def stop(self) -> None:
        """Ends all processes at once; what they have begun, the next export writes again."""
        for one in self._running:
            one.end()
        self._running.clear()

    def _start(self, orders: Sequence[Order], priority: int) -> None:
        """Starts a process for each order."""
        for order in orders:
            try:
                self._running.append(Running(order, self._show, priority=priority))
            except OSError as error:  # no process, no memory: the runs may go on all the same
                self.tell(f"export to {order.tracker}: {error.strerror}; `{order.again}` writes the runs")

    def _show(self, line: str) -> None:
        with suppress(Exception):  # a display that fails is no reason to read no further
            self.tell(line)


class Running:
    """One process, with the same environment and working directory."""

    def __init__(self, order: Order, tell: Callable[[str], None], *, priority: int) -> None:
        """tell: is called with each line for the user. priority: 0 is that of the command, `LOWEST` the lowest."""
        self.order, self.has_told = order, False
        self._tell = tell
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM.format(priority=priority), json.dumps(asdict(order))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for the command; in a session of its own a priority would not count
        )
        assert self._process.stdout is not None
        self._reader = Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            self.has_told = True
            self._tell(line.decode(errors="replace").rstrip("\n"))

    def ended_by(self, until: float) -> str:
        """Waits for its end, by `time.monotonic` until then. Returns what is wrong if it did not end well; else empty."""
        try:
            code = self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"not all is written after {duration(PATIENCE_SECONDS)}"
        self._reader.join(JOIN_SECONDS)
        return "its process ended unexpectedly" if code else ""

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(JOIN_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def following(orders: Sequence[Order]) -> Iterator[Followers]:
    """A context in which a follower performs each order; at its end none is left."""
    followers = Followers(orders)
    try:
        followers.begin()
        yield followers
    finally:
        followers.stop()


# --- in the process ---


def main(text: str) -> None:
    """Performs the order, which is JSON."""
    if sys.platform == "linux":
        end_with(os.getppid())
    output = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no line for the user

    def say(line: str) -> None:
        with suppress(OSError):  # the command has ended
            write_all(output, f"{escaped(line)}\n".encode())

    order = Order(**json.loads(text))
    if order.last:
        write_rest(order, say)
    else:
        follow(order, say, is_open)


def is_open(seconds: float) -> bool:
    """Waits; returns whether standard input is still open then, to which nothing is written. It returns at once when it is
    closed."""
    return not select.select([0], [], [], seconds)[0]


def write_rest(order: Order, say: Callable[[str], None]) -> None:
    """Writes what is missing, and the summary."""
    follower = Follower(order)
    if why := follower.trouble():
        if not order.quiet:
            say(f"export to {order.tracker}: {why}; `{order.again}` continues")
        return
    for line in (*notes(follower.done), follower.in_words()):
        say(line)


def follow(order: Order, say: Callable[[str], None], goes_on: Callable[[float], bool]) -> None:
    """Makes a pass over the records again and again, resting in between by `goes_on`, until that returns False. Of errors only
    the first is told."""
    follower, pause, told = Follower(order), POLL_SECONDS, False
    while goes_on(pause):
        begun = time.monotonic()
        if why := follower.trouble():
            if not told:
                say(f"export to {order.tracker}: {why}; the experiment goes on, and `{order.again}` writes what is missing")
            told, pause = True, min(max(2 * pause, RETRY_SECONDS), LONGEST_RETRY_SECONDS)
        else:
            pause = max(POLL_SECONDS, RESTS * (time.monotonic() - begun))


class Follower:
    """What one follower has done so far."""

    def __init__(self, order: Order) -> None:
        self.order, self.done = order, Exported()
        self.store = indexed_store(Path(order.folder))
        self.exporter: Exporter | None = None

    def trouble(self) -> str:
        """Makes a pass over the records. Returns what went wrong, on one line; else empty."""
        try:
            self.take_up()
        except BakeoffError as error:
            return str(error)
        except Exception as error:  # whatever a tracker or its library raises, the experiment goes on
            return f"{type(error).__name__}: {first_line(error)}"
        return ""

    def take_up(self) -> None:
        """Writes what was recorded since the last pass; in the end also the summary, unless the runs are a shard's."""
        if not self.store.plan_file.is_file():  # nothing is recorded yet
            return
        exporter = self.exporter = self.exporter or self.opened()
        exporter.export(self.done)
        if self.order.last and not self.order.shard:
            exporter.summarise(self.done, summary_of(self.store))

    def opened(self) -> Exporter:
        tracker, options = component_from_words(load_registry(), "tracker", self.order.tracker, self.order.given)
        shard = shard_named(self.order.shard) if self.order.shard else None
        return Exporter(self.store, tracker, options, takes=shard.has if shard else always)

    def in_words(self) -> str:
        """What the tracker has now, in one line."""
        if self.exporter is None:
            return f"exported to {self.order.tracker}: nothing is recorded"
        runs = count(len(self.done.written) + self.done.already, "run")
        summary = "" if self.order.shard else " and the summary"
        return f"exported to {self.order.tracker}: {runs}{summary}; see {self.exporter.shown()}"


def always(run_id: str) -> bool:
    return True
