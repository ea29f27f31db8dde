"""Progress: one live line per run and an overall bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr
from typing import Any

from bakeoff.cli.notebook_progress import NotebookProgress, notebook_display
from bakeoff.cli.output import print_note
from bakeoff.cli.result_line import result_line
from bakeoff.machine.streams import as_it_is, one_line
from bakeoff.planning.runs import Run
from bakeoff.records.schema import Record
from bakeoff.runner.rounds import TimingProgress
from bakeoff.runner.settings import Progress
from bakeoff.text.numbers import count, duration, in_seconds, per_cent, with_decimals
from bakeoff.text.words import escaped


class PlainProgress:
    """Prints a line when a run begins, one every half minute, and one when it ends."""

    EVERY_SECONDS = 30.0

    def __init__(self) -> None:
        self.total = self.done = self.begun = 0
        self._began: dict[str, tuple[int, float]] = {}
        """Run id -> (number of the run, time when it began, by `time.monotonic`)."""
        self._reported: dict[str, float] = {}
        """Run id -> time when its last line was printed."""

    def start(self, *, total: int, done: int) -> None:
        self.total, self.done, self.begun = total, done, done

    def begin(self, run: Run) -> None:
        self.begun += 1
        self._reported[run.id] = time.monotonic()
        self._began[run.id] = self.begun, time.monotonic()
        self.note(f"[{self.begun}/{self.total}] {run.title}: started ({run.id})")

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None:
        now, (number, began) = time.monotonic(), self._began[run.id]
        if now - self._reported[run.id] < self.EVERY_SECONDS:
            return
        self._reported[run.id] = now
        where = f"{phase} step {step}/{total}" if total else phase
        shown = f", loss {with_decimals(loss, 4)}" if loss is not None else ""
        left = (now - began) / step * (total - step) if step else None
        self.note(f"[{number}/{self.total}] {run.title}: {where}{shown}" + (f", about {in_seconds(left)} left" if left else ""))

    def end(self, run: Run, record: Record) -> None:
        self.done += 1
        self.note(f"[{self.done}/{self.total}] {run.title}: {result_line(run, record)}")

    def note(self, line: str) -> None:
        print_note(line)


class LiveProgress:
    """Live lines by rich: each run with phase, step, loss and time left; below them the whole experiment."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(file=as_it_is(sys.stderr)),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.overall = self.bars.add_task("all runs", total=None, detail="")
        self.lines: dict[str, Any] = {}

    def start(self, *, total: int, done: int) -> None:
        self.bars.update(self.overall, total=total, completed=done)

    def begin(self, run: Run) -> None:
        self.lines[run.id] = self.bars.add_task(one_line(run.title), total=None, detail="starting")

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None:
        detail = f"{phase}, loss {with_decimals(loss, 4)}" if loss is not None else phase
        self.bars.update(self.lines[run.id], total=total or None, completed=step, detail=one_line(detail))

    def end(self, run: Run, record: Record) -> None:
        self.bars.remove_task(self.lines.pop(run.id))
        self.bars.advance(self.overall)
        self.note(f"{run.title}: {result_line(run, record)}")

    def note(self, line: str) -> None:
        from rich.text import Text

        self.bars.console.print(Text(one_line(line)))


class Above(io.StringIO):
    """Replaces standard error while live lines are drawn, and prints each complete line above them."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self.note = note
        self.begun = ""

    def write(self, text: str) -> int:
        *whole, self.begun = f"{self.begun}{text}".split("\n")
        for line in whole:
            self.note(line)
        return len(text)

    def close(self) -> None:
        if self.begun:
            self.write("\n")


class OnlyNotes(PlainProgress):
    """Prints cautions, which the user must know, and nothing of how runs go on."""

    def begin(self, run: Run) -> None: ...

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None: ...

    def end(self, run: Run, record: Record) -> None: ...

    def note(self, line: str) -> None:
        if line.startswith("caution: "):
            super().note(line)


@contextmanager
def make_progress(*, shown: bool = True) -> Iterator[Progress]:
    """A context that gives an object to report progress to. It shows progress below the cell of a notebook; in live lines on a
    terminal, in plain lines elsewhere, both on standard error, so that standard output holds only results. shown: False to
    show only cautions."""
    if not shown:
        yield OnlyNotes()
        return
    if (display := notebook_display()) is not None:
        with NotebookProgress(display) as drawn:
            yield drawn
        return
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    live = LiveProgress()
    with live.bars, closing(Above(live.note)) as above, redirect_stderr(above):
        yield live


@contextmanager
def make_notes() -> Iterator[Progress]:
    """The same for commands that make no runs: notes below the cell of a notebook, in plain lines elsewhere."""
    if (display := notebook_display()) is None:
        yield PlainProgress()
        return
    with NotebookProgress(display) as drawn:
        yield drawn


# --- of `bakeoff time` ---------------------------------------------------------------------------------------------------


class PlainTimingProgress:
    """Prints a line when the process of a strategy is started, and one every half minute."""

    EVERY_SECONDS = 30.0

    def __init__(self) -> None:
        self.reported = time.monotonic()

    def prepare(self, title: str, name: str, number: int, total: int) -> None:
        self.note(f"{title}: preparing {name} ({number} of {total})")

    def turn(self, title: str, *, rounds: int, widest: float, name: str, seconds_left: float) -> None:
        if time.monotonic() - self.reported >= self.EVERY_SECONDS:
            self.reported = time.monotonic()
            self.note(f"{title}: {state_of(rounds, widest, name)}; at most {duration(seconds_left)} left")

    def note(self, line: str) -> None:
        print_note(escaped(line))


class LiveTimingProgress(PlainTimingProgress):
    """Shows how far the timing has come in one live line, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self.console = Console(file=as_it_is(sys.stderr))
        self.status = Status("", console=self.console)

    def prepare(self, title: str, name: str, number: int, total: int) -> None:
        self.show(f"{title}: preparing {name} ({number} of {total})")

    def turn(self, title: str, *, rounds: int, widest: float, name: str, seconds_left: float) -> None:
        self.show(f"{title}: {state_of(rounds, widest, name)}; at most {duration(seconds_left)} left")

    def show(self, line: str) -> None:
        from rich.text import Text

        self.status.update(Text(one_line(line)))

    def note(self, line: str) -> None:
        from rich.text import Text

        self.console.print(Text(one_line(line)))


def state_of(rounds: int, widest: float, name: str) -> str:
    """How far the timing has come. widest: half-width of the 95 % interval of the least certain ratio, relative to the ratio;
    name: the strategy of that ratio, empty if all ratios are certain enough."""
    if not name:
        return f"{count(rounds, 'round')}, all ratios certain enough"
    certain = "" if math.isinf(widest) else f", least certain: {name}, ± {per_cent(widest, 1)}"
    return f"{count(rounds, 'round')}{certain}"


@contextmanager
def make_timing_progress() -> Iterator[TimingProgress]:
    """A context that gives an object to report timing to: shown in a live line on a terminal, in plain lines elsewhere, both
    on standard error."""
    if not sys.stderr.isatty():
        yield PlainTimingProgress()
        return
    live = LiveTimingProgress()
    with live.status:
        yield live
