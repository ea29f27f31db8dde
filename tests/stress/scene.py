"""One experiment folder that is disturbed: its file and data, the commands at it, and what is still to be undone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from end_to_end.experiments import start, write_spec
from stress.commands import Command, Start, started
from stress.processes import MARK, WORKER, family

HEAD = """
name: stress
tasks: [toy-file]
models: [tiny-bert]
recipe: {epochs: 24, batch_size: 8, learning_rate: 1e-3, max_length: 32}
strategies:
"""
STRATEGIES = {"trainer-api": {"trainer": "hf-trainer"}, "manual-loop": {"trainer": "torch-loop"}}
WITH_CHILDREN = {"with-children": {"trainer": "leaves-children"}}
"""A trainer that starts processes in sessions of their own and leaves them behind."""

STARTING, WORKING = 5.0, 2.0
"""A disturbance comes up to so many seconds after the one before; two of three up to so many after a worker was seen."""

LOOK_SECONDS = 0.5

HANGS = 300.0
"""Seconds after which a command that nothing disturbs any more is said to hang."""


def steadily() -> random.Random:
    """Draws of a scene in which nothing is drawn."""
    return random.Random(0)  # noqa: S311 - nobody is to be kept from guessing


@dataclass
class Scene:
    """One round: `folder` holds the experiment (`e`), its data and cache, and what its commands printed."""

    folder: Path
    draw: random.Random = field(default_factory=steadily)
    strategies: dict[str, Any] = field(default_factory=lambda: STRATEGIES)
    seeds: int = 2
    keys: dict[str, Any] = field(default_factory=dict)
    """Further keys of the experiment file."""
    options: list[str] = field(default_factory=list)
    """Further words of every command from now on."""
    variant: int = 0
    """Which version of the data is there."""

    commands: list[Command] = field(default_factory=list)
    dressing: list[Callable[[Start], None]] = field(default_factory=list)
    """What changes how a command is started."""
    undoing: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    """What must be undone, and when at the latest."""
    closing: ExitStack = field(default_factory=ExitStack)
    """What must be undone when the round is over."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind of disturbance, what was done) -> how often."""
    signals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind of process, signal) -> how many were sent."""
    excused: list[str] = field(default_factory=list)
    """What was done that may leave a failed record, which only `--retry failed` makes again."""
    look: Callable[[], None] | None = None
    """What looks at the experiment while commands are at work."""
    looked: float = 0.0
    replaced: set[str] = field(default_factory=set)
    """The good records that were asked to be made again, by run id: each may change once."""

    @property
    def experiment(self) -> Path:
        return self.folder / "e"

    @property
    def spec(self) -> Path:
        return self.experiment / "spec.yaml"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def runs(self) -> int:
        return self.seeds * len(self.strategies)

    @property
    def arguments(self) -> list[str]:
        return ["run", str(self.spec), "--data", str(self.folder / "data"), "--threads", "1", *self.options]

    def write(self) -> None:
        """The experiment file and its data."""
        write_spec(self.experiment, self.strategies, head=HEAD, seeds=self.seeds, **self.keys)
        self.write_data(self.variant)

    def write_data(self, variant: int) -> None:
        self.variant = variant
        (self.folder / "data").mkdir(exist_ok=True)
        rows = [f"{'ab'[number % 2]} {number + variant},{number % 2}" for number in range(24)]
        (self.folder / "data" / "rows.csv").write_text("\n".join(rows), encoding="utf-8")

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """An undisturbed command, in a process of its own."""
        process = start(*arguments, folder=self.folder)
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self) -> None:
        """One more command at the folder."""
        start = Start([*self.arguments, "--no-control"], {**os.environ, MARK: str(self.cache)})
        if self.draw.random() < 1 / 2:
            start.arguments += ["--jobs", "2"]
        if self.excused and self.draw.random() < 2 / 3:
            start.arguments += ["--retry", "failed"]
        for dress in self.dressing:
            dress(start)
        self.commands.append(started(start, self.folder / f"output-{len(self.commands)}.txt"))

    def alive(self) -> list[Command]:
        return [command for command in self.commands if command.alive]

    def undo_later(self, seconds: float, undo: Callable[[], None]) -> None:
        """Has something undone in so many seconds, or as soon as nothing more is disturbed."""
        self.undoing.append((time.monotonic() + seconds, undo))

    def undo(self, *, everything: bool = False) -> None:
        due = [one for one in self.undoing if everything or one[0] <= time.monotonic()]
        self.undoing = [one for one in self.undoing if one not in due]
        for _, undo in due:
            undo()

    def sleep(self, seconds: float) -> None:
        """As long as a command lives; what is due meanwhile is undone, and the experiment looked at."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.alive():
            self.undo()
            if self.look is not None and time.monotonic() - self.looked > LOOK_SECONDS:
                self.look()
                self.looked = time.monotonic()
            time.sleep(0.02)

    def await_moment(self) -> None:
        """A random moment: of the whole start, or more often of the time in which a worker is at work."""
        if self.draw.random() < 1 / 3:
            self.sleep(self.draw.uniform(0, STARTING))
            return
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(WORKER in family(one.process.pid) for one in self.alive()):
            if not self.alive():
                return
            self.sleep(0.05)
        self.sleep(self.draw.uniform(0, WORKING))

    def end(self) -> list[str]:
        """Undoes everything, and waits for the commands, most of the time after Ctrl-C; what went wrong."""
        self.undo(everything=True)
        if self.draw.random() < 3 / 4:
            self.sleep(self.draw.uniform(0, STARTING))
            for command in self.alive():
                command.send(signal.SIGINT)
        wrong = []
        self.sleep(HANGS)
        for command in self.commands:
            if command.alive:
                wrong.append(f"a command does not end within {HANGS:.0f} s")
                command.process.kill()
                command.process.wait()
            if command.close_terminal is not None:
                command.close_terminal()
                command.unheard = False  # it had said everything
        return wrong
