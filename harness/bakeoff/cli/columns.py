"""Columns as the commands print them: every table on a terminal that is no Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Final

GAP: Final = 2
"""Blanks between two columns."""
NARROWEST: Final = 30
"""So many characters of a line are left to the last column at least, however narrow the terminal is."""
WIDEST: Final = 100_000


def aligned(rows: Sequence[Sequence[str]], justify: str = "l", *, width: int = WIDEST) -> list[str]:
    """Rows of cells as lines. In lines longer than `width` the last cell is wrapped under itself.

    justify: `l` or `r` for each column; the last letter holds for all that follow.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
    *heads, _ = columns = list(zip(*rows, strict=True))
    for number in range(len(columns)):
        letter = justify[min(number, len(justify) - 1)]
        table.add_column(justify="right" if letter == "r" else "left", no_wrap=number < len(heads))
    for row in rows:
        table.add_row(*map(Text, row))
    room = sum(max(map(cell_len, head)) + GAP for head in heads)
    Console(file=(stream := StringIO()), width=max(width, room + NARROWEST), color_system=None).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]
