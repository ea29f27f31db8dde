"""Imported by the fork server alone, before anything else: ends it when its parent ends.

By itself it would notice only when its imports are done, which takes seconds. Linux only.
"""

import ctypes
import signal

PR_SET_PDEATHSIG = 1
"""prctl(2)."""

ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
