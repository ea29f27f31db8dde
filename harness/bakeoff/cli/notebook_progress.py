"""Progress in a notebook: one output below the cell, drawn anew while runs go on, which stays when they have ended."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from bakeoff.cli.result_line import result_line
from bakeoff.planning.runs import Run
from bakeoff.records.schema import Record
from bakeoff.text.numbers import count, in_seconds, with_decimals
from bakeoff.text.words import escaped

EVERY_SECONDS = 0.5
"""The least time between two drawings, in seconds: each drawing is a message to the browser."""
LINES_SHOWN = 12
"""The height of the list of runs that have ended, in lines; it scrolls."""


def notebook_display() -> Callable[..., Any] | None:
    """IPython's `display`, if this is a notebook's kernel; None in a script, on a terminal, and in IPython on a terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython import display

    found: Callable[..., Any] = display.display
    return found


@dataclass
class Active:
    """A run that is being made, with how far it is."""

    title: str
    phase: str = "starting"
    step: int = 0
    steps: int = 0
    loss: float | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float | None:
        return self.step / self.steps if self.steps else None

    @property
    def state(self) -> str:
        """How far the run is: `train, step 20 of 60, loss 0.6931, about 12 s left`."""
        parts = [self.phase]
        if self.steps:
            parts.append(f"step {self.step:,} of {self.steps:,}")
        if self.loss is not None:
            parts.append(f"loss {with_decimals(self.loss, 4)}")
        if self.step:
            left = (time.monotonic() - self.began) / self.step * (self.steps - self.step)
            parts += [f"about {in_seconds(left)} left"] if left else []
        return ", ".join(parts)


class NotebookProgress:
    """A context in which the output below the cell follows the runs; at its end no run is shown as going on."""

    def __init__(self, display: Callable[..., Any]) -> None:
        """display: IPython's function of this name."""
        self.total = self.done = 0
        self.notes: list[str] = []
        self.ended: list[str] = []
        self.active: dict[str, Active] = {}
        self._drawn = 0.0
        self._display, self._handle = display, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.active:
            self.notes.append(f"stopped: {count(len(self.active), 'run')} did not end; the same call again continues")
            self.active.clear()
        self.draw()

    # --- what it hears ---

    def start(self, *, total: int, done: int) -> None:
        self.total, self.done = total, done
        self.draw()

    def begin(self, run: Run) -> None:
        self.active[run.id] = Active(run.title)
        self.draw()

    def update(self, run: Run, phase: str, step: int, total: int, loss: float | None) -> None:
        active = self.active[run.id]
        active.phase, active.step, active.steps, active.loss = phase, step, total, loss
        if time.monotonic() - self._drawn > EVERY_SECONDS:
            self.draw()

    def end(self, run: Run, record: Record) -> None:
        self.active.pop(run.id)
        self.done += 1
        self.ended.append(f"{run.title}: {result_line(run, record)}")
        self.draw()

    def note(self, line: str) -> None:
        self.notes.append(line)
        self.draw()

    # --- what it shows ---

    def draw(self) -> None:
        """Draws the output: at first below the cell, later in place of what was drawn before."""
        self._drawn = time.monotonic()
        if self._handle is None:
            self._handle = self._display(self, display_id=True)
        else:
            self._handle.update(self)

    @property
    def overall(self) -> str:
        return f"{self.done:,} of {count(self.total, 'run')}" if self.total else ""

    def __repr__(self) -> str:
        active = [f"{one.title}: {one.state}" for one in self.active.values()]
        return "\n".join(map(escaped, filter(None, [*self.notes, *self.ended, *active, self.overall])))

    def _repr_html_(self) -> str:
        parts = [_lines(self.notes)] if self.notes else []
        if self.ended:
            parts.append(
                f'<div style="max-height: {LINES_SHOWN * 1.5}em; overflow-y: auto; font-family: monospace; font-size: 90%">'
                f"{_lines(self.ended)}</div>"
            )
        bars = [(one.title, one.fraction, one.state) for one in self.active.values()]
        if self.total:
            bars.append(("all runs", self.done / self.total, self.overall))
        parts += [f"<table>{''.join(_bar(*bar) for bar in bars)}</table>"] if bars else []
        return "\n".join(parts) or "<div></div>"


def _lines(texts: list[str]) -> str:
    return "".join(f"<div>{html.escape(escaped(text))}</div>" for text in texts)


def _bar(title: str, fraction: float | None, state: str) -> str:
    value = "" if fraction is None else f' value="{fraction:.4f}"'
    bar = f'<progress max="1"{value} style="width: 14em"></progress>'
    cells = (html.escape(escaped(title)), bar, html.escape(escaped(state)))
    return "<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells) + "</tr>"
