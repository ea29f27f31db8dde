"""The table of disturbances."""

from __future__ import annotations

from stress.clocks import JumpingClocks
from stress.disks import FullDisks
from stress.disturbance import Disturbance
from stress.edits import EditedData
from stress.signals import Signals
from stress.suspension import Suspension
from stress.terminals import ClosedTerminals
from stress.together import Together

DISTURBANCES: dict[str, Disturbance] = {
    one.name: one
    for one in (Signals(), Together(), Suspension(), ClosedTerminals(), FullDisks(), JumpingClocks(), EditedData())
}
