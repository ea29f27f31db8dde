"""Imported by the fork server alone: the heavy imports of a run, or the server's end with the reason in its log.

Left to itself, the server passes over some errors of an import, and each worker would meet them again, or hang in a library
of which half is there.
"""

from __future__ import annotations

import os
import sys
import traceback

from bakeoff.machine.parent_death import READY
from bakeoff.machine.streams import write_line

try:
    import bakeoff.machine.preload  # noqa: F401
except BaseException:  # MemoryError, SystemExit: whatever it is, nothing can be trained
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
write_line(sys.stderr, READY)
sys.stderr.flush()
