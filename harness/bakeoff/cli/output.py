"""Prints a command's results on standard output and everything else on standard error, one item per line, through
`machine.streams`; aligns tables on terminals; writes files atomically."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bakeoff.errors import StoreError
from bakeoff.files import Tree
from bakeoff.machine.streams import write_json, write_line
from bakeoff.text.values import command
from bakeoff.text.words import shown_path

if TYPE_CHECKING:
    from bakeoff.analysis.findings import Comparison
    from bakeoff.records.experiment import Experiment


MOST_NAMED: Final = 10
"""At most so many damaged records are listed; the rest are counted."""
GAP: Final = "  "
"""Blanks between two columns."""
NARROWEST: Final = 30
"""The last column is at least so wide, in characters, however narrow the terminal is."""
WIDEST: Final = 100_000


def print_result(*lines: str, style: str = "", end: str = "\n") -> None:
    """Prints lines on standard output. style: `bold` or `yellow`, on terminals only."""
    for line in lines:
        write_line(sys.stdout, line, style=style, end=end)


def print_json(text: str) -> None:
    write_json(sys.stdout, text)


def print_note(*lines: str) -> None:
    """Prints lines that are not results (warnings, errors, progress) on standard error."""
    for line in lines:
        write_line(sys.stderr, line)


def print_damage(*experiments: Experiment, again: Callable[[str], str] = lambda line: line) -> None:
    """Lists, on standard error, the records of these experiments that can't be used, and what to do about them. again:
    rewrites the commands in a line before it is printed."""
    from bakeoff.records.experiment import left_out

    for experiment in experiments:
        found = left_out(experiment)
        found += [f"not used: {sentence}" for sentence in experiment.unusable]
        if not found:
            continue
        print_note(*found[:MOST_NAMED])
        if len(found) > MOST_NAMED:
            print_note(f"... and {len(found) - MOST_NAMED} more")
        for folder, spec in zip(experiment.folders, experiment.specs, strict=True):
            verify, run = command("verify", Path(folder)), command("run", Path(folder) / spec)
            print_note(again(f"`{verify}` lists all that is damaged; `{run}` archives it and reruns these runs"))


def print_markdown(page: str) -> None:
    """Prints Markdown; on a terminal, lines are cut at its width."""
    from bakeoff.report.text.terminal import fitted

    print_result(*(fitted(page, terminal_width()) if sys.stdout.isatty() else page).removesuffix("\n").split("\n"))


def print_brief(comparison: Comparison, *more: str) -> None:
    """Prints a comparison so that it fits on one screen. more: lines to print at its end."""
    from bakeoff.report.text.brief import Strong, write_brief

    for line in write_brief(comparison, terminal_width(), more=more):
        print_result(line, style="bold" if isinstance(line, Strong) else "")


def terminal_width() -> int:
    """The terminal's width in characters; 120 without a terminal."""
    return shutil.get_terminal_size((120, 24)).columns


def aligned(rows: Sequence[Sequence[str]], justify: str = "l", *, width: int = WIDEST) -> list[str]:
    """Rows of cells as aligned lines. In lines longer than `width` the last cell is wrapped.

    justify: `l` or `r` for each column; the last letter applies to all further columns.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bakeoff.text.markdown import padded

    *heads, _ = columns = list(zip(*rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    if sum(widths) + len(GAP) * len(heads) <= width and all(cell.isprintable() for row in rows for cell in row):
        sides = [_side(justify, number) for number in range(len(columns))]
        found = ([padded(*cell) for cell in zip(row, widths, sides, strict=True)] for row in rows)
        return [GAP.join(cells).rstrip() for cells in found]  # rich takes a millisecond a row
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, len(GAP), 0, 0))
    for number in range(len(columns)):
        table.add_column(justify=_side(justify, number), no_wrap=number < len(heads))
    for row in rows:
        table.add_row(*map(Text, row))
    room = sum(widths[:-1]) + len(GAP) * len(heads)
    Console(file=(stream := StringIO()), width=max(width, room + NARROWEST), color_system=None).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def _side(justify: str, column: int) -> Literal["left", "right"]:
    return "right" if justify[min(column, len(justify) - 1)] == "r" else "left"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Writes files (path within the folder -> content), each atomically."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{shown_path(folder)} is a file, not a folder to write into")
    tree = Tree(folder)
    for name, text in files.items():
        try:
            tree.make((folder / name).parent)
            tree.write(folder / name, text.encode())
        except OSError as error:  # it may name a temporary file, which is gone
            raise StoreError(f"{shown_path(folder / name)} cannot be written: {error.strerror}") from None
