"""All figures of the calibration in one table, with Monte-Carlo errors.

    cd tests && ../.venv/bin/python -m simulations.table ../results/calibration [EXPERIMENTS]

writes `table.md`: each cell from 2,000 experiments, unless said otherwise. It takes an hour on one core; the same number of
experiments gives the same figures.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from simulations.cells import CELLS, SEEDS, Cell, Measured

EXPERIMENTS = 2000


def bound(cell: Cell) -> str:
    ends = [f"at least {cell.low:g}"] * (cell.low > 0) + [f"at most {cell.high:g}"] * math.isfinite(cell.high)
    return ", ".join(ends) or "none"


def render(found: Mapping[Cell, Measured], experiments: int) -> str:
    """Markdown: a section for each question, a row for each world, accuracy and number of examples, a column for each number
    of seeds. A figure beyond its bound is bold."""
    lines = [
        "# How often the primary rule errs, and decides",
        "",
        f"Shares of {experiments:,} simulated experiments, and ratios of them, with their Monte-Carlo standard errors, made by",
        "`make calibration`. The worlds are described in `tests/worlds.py`, the questions in `tests/simulations/cells.py`.",
        "A figure beyond its bound is bold; `docs/statistics.md` tells of them under its known limits.",
        *([f"{len(found):,} of {len(CELLS):,} cells are here; the others were not drawn."] if len(found) < len(CELLS) else []),
    ]
    for question, cells in groupby(found, key=lambda cell: cell.question):
        lines += ["", f"## {question[0].upper()}{question[1:]}", ""]
        rows: dict[tuple[str, float, int], dict[int, str]] = {}
        bounds: dict[tuple[str, float, int], dict[str, None]] = {}
        for cell in cells:
            figure = str(found[cell]) if cell.holds(found[cell]) else f"**{found[cell]}**"
            place = cell.world, cell.accuracy, cell.examples
            rows.setdefault(place, {})[cell.seeds] = figure
            bounds.setdefault(place, {})[bound(cell)] = None
        seeds = [k for k in SEEDS if any(k in row for row in rows.values())]
        lines += ["| world | accuracy | examples | " + " | ".join(f"{k} seeds" for k in seeds) + " | bound |"]
        lines += ["|---|---:|---:|" + "---:|" * len(seeds) + "---|"]
        for (world, accuracy, examples), row in rows.items():
            figures = " | ".join(row.get(k, "") for k in seeds)
            told = "; ".join(bounds[world, accuracy, examples])
            lines.append(f"| {world} | {100 * accuracy:g} % | {examples:,} | {figures} | {told} |")
    return "\n".join(lines) + "\n"


def main(folder: str, experiments: str = str(EXPERIMENTS)) -> None:
    n, found, place = int(experiments), dict[Cell, Measured](), Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(CELLS, 1):
        found[cell] = cell.measure(n)
        mark = "" if cell.holds(found[cell]) else "  BEYOND ITS BOUND"
        print(f"{number}/{len(CELLS)}  {found[cell]}  {cell.name}{mark}", flush=True)
    (place / "table.md").write_text(render(found, n), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
