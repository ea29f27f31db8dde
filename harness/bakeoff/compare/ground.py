"""All that is known of a board when it is judged: what flags are raised from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakeoff.compare.experiment import Experiment
from bakeoff.compare.findings import Board
from bakeoff.compare.outputs import Outputs
from bakeoff.record import Record


@dataclass(frozen=True)
class Ground:
    """A board with what it was made from."""

    experiment: Experiment
    records: Mapping[str, Sequence[Record]]
    """Strategy -> its records on this board, ended well or not, in the order of seeds."""
    outputs: Outputs
    board: Board
