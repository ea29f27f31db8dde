"""All that is known of a board when it is judged: what warnings are raised from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakeoff.analysis.findings import Board
from bakeoff.analysis.outputs import Outputs
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Record


@dataclass(frozen=True)
class Ground:
    """A board with what it was made from."""

    experiment: Experiment
    records: Mapping[str, Sequence[Record]]
    """Strategy -> its records on this board, ended well or not, in the order of seeds."""
    outputs: Outputs
    board: Board
