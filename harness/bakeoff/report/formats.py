"""What `--json` of `table`, `report` and `gate` prints, with its format number: see `cli/formats.py`."""

from __future__ import annotations

from typing import Literal

from bakeoff.analysis.findings import Comparison
from bakeoff.analysis.gate.gate import Gate


class TableOutput(Comparison):
    """What `bakeoff table --json` and `bakeoff report --json` print: the comparison without the list of declared runs."""

    format: Literal[1] = 1


class GateOutput(Gate):
    """What `bakeoff gate --json` prints."""

    format: Literal[1] = 1


TABLE_FORMAT: int = TableOutput.model_fields["format"].default
GATE_FORMAT: int = GateOutput.model_fields["format"].default
