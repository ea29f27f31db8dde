"""What a verb prints: results on standard output, everything else on standard error. Each call prints lines, whatever text
is in them: `machine.streams` is the door.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.machine.streams import write_json, write_line
from bakeoff.text.values import command

if TYPE_CHECKING:
    from bakeoff.records.experiment import Experiment


NAMED = 10
"""So many things of one kind are named; the rest are counted."""


def say(*lines: str, style: str = "", end: str = "\n") -> None:
    """Prints a result, an item a line; a style (`bold`, `yellow`) only on a terminal."""
    for line in lines:
        write_line(sys.stdout, line, style=style, end=end)


def say_json(text: str) -> None:
    """Prints JSON."""
    write_json(sys.stdout, text)


def tell(*lines: str) -> None:
    """Prints what is no result: a warning, an error, how it goes."""
    for line in lines:
        write_line(sys.stderr, line)


def tell_damage(*experiments: Experiment) -> None:
    """Names on standard error what of these experiments could not be used, and what to do: whatever else the verb prints."""
    from bakeoff.records.experiment import left_out

    for experiment in experiments:
        found = left_out(experiment)
        found += [f"not used: {sentence}" for sentence in experiment.unusable]
        if not found:
            continue
        for sentence in found[:NAMED]:
            tell(sentence)
        if len(found) > NAMED:
            tell(f"... and {len(found) - NAMED} more")
        for folder, spec in zip(experiment.folders, experiment.specs, strict=True):
            verify, again = command("verify", Path(folder)), command("run", Path(folder) / spec)
            tell(f"`{verify}` names all that is damaged; `{again}` sets it aside and makes these runs again")


def say_page(page: str) -> None:
    """Prints Markdown, on a terminal cut to its width."""
    from bakeoff.report.text.terminal import fitted

    say(*(fitted(page, columns()) if sys.stdout.isatty() else page).removesuffix("\n").split("\n"))


def columns() -> int:
    """Of the terminal; 120 where there is none."""
    return shutil.get_terminal_size((120, 24)).columns
