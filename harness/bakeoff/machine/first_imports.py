"""Imported by the fork server only: makes a run's heavy imports; if they fail, ends the server with the reason in its log.

Without this the server would ignore some import errors, and each worker would then meet them again, or hang in a half-imported
library.
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
