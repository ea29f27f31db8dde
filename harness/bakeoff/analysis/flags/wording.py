"""What a detector hands over, and the words that all of them use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.findings import Board
from bakeoff.records.schema import Record
from bakeoff.text import values as spelling

LISTED = 5
"""So many things are named one by one; of more, the first and a count."""


@dataclass(frozen=True)
class Found:
    """What a detector found; the name of the warning is its detector's."""

    rows: tuple[str, ...]
    what: str
    what_to_do: str
    everywhere: bool = False
    """Whether it concerns the whole report, not one board."""


def shortened(parts: Iterable[str]) -> list[str]:
    """What is beyond the first few becomes a count."""
    words = list(parts)
    return words if len(words) <= LISTED + 1 else [*words[:LISTED], f"{len(words) - LISTED:,} more"]


def listed(parts: Iterable[str]) -> str:
    """`a, b and c`."""
    return spelling.listed(shortened(parts))


def told(clauses: Iterable[str]) -> str:
    """Clauses that have commas of their own: `a; b; 3 more`."""
    return "; ".join(shortened(clauses))


def amount(value: float, board: Board) -> str:
    """A difference with its unit: `1.47 points`, or a number where it has no name."""
    return board.figures.with_unit(value)


def margin_amount(margin: float, board: Board) -> str:
    """A margin with its unit, with the digits that it was declared with."""
    return board.figures.as_declared(margin)


def grouped_by(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Value -> the rows that have it, in their order."""
    found: dict[str, list[str]] = {}
    for row, value in values.items():
        found.setdefault(value, []).append(row)
    return found


def ended_well(ground: Ground) -> dict[str, list[Record]]:
    """Row -> its records that ended well, for each row that has one; the baseline first."""
    baseline = ground.board.baseline
    rows = sorted(ground.records, key=lambda row: row != baseline)
    found = {row: [record for record in ground.records[row] if record.status == "ok"] for row in rows}
    return {row: records for row, records in found.items() if records}


def ranked_together(ground: Ground) -> list[list[str]]:
    """The rows of each group in which rows are ranked against each other."""
    groups: dict[int, list[str]] = {}
    for standing in ground.board.rows:
        groups.setdefault(standing.group, []).append(standing.strategy)
    return list(groups.values())


def spec(ground: Ground) -> str:
    """The experiment's file, for a sentence."""
    return ground.experiment.spec


def run_again(ground: Ground, *options: str) -> str:
    """The command that makes what is missing of the experiment, in backticks."""
    return ground.experiment.commands("run", *options)


def in_new_folder(ground: Ground) -> str:
    """How a changed experiment file is run without harm: in the old folder, what was looked at before the change raises
    changed-after-looking, and records of runs that are declared no more raise undeclared-runs.
    """
    return f"in a new folder: {run_again(ground, '--into', 'FOLDER')}"


def rescore_all(ground: Ground) -> str:
    """The command that scores all recorded predictions anew, in backticks."""
    folders = ground.experiment.folders
    return spelling.listed(
        [f"`{spelling.command('rescore', PurePath(folder))}`" for folder in folders] or ["`bakeoff rescore`"]
    )


def resolve_margin(ground: Ground) -> str:
    """The command that says how many seeds find a difference as large as the board's margin, in backticks; where none is named,
    as large as the largest that was seen."""
    board = ground.board
    seen = max((abs(pair.difference) for pair in board.to_baseline), default=0.0)
    wanted = board.margin if board.margin is not None else seen or 1 / board.unit.scale
    return ground.experiment.commands("plan", "--resolve", spelling.spelt(float(wanted * board.unit.scale)))


def studied(ground: Ground, *parts: str) -> bool:
    """Whether one of these is under test; `recipe` stands for all of its keys."""
    under_test = ground.experiment.declared.under_test
    return any(part in under_test or (part.startswith("recipe.") and "recipe" in under_test) for part in parts)


def and_seeds(row: str, seeds: Sequence[int]) -> str:
    """`loop (seed 3)`."""
    return f"{row} ({'seed' if len(set(seeds)) == 1 else 'seeds'} {spelling.seeds_spelt(seeds)})"
