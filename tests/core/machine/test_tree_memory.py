"""Peak memory of a process's descendants, together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bakeoff.machine.tree_memory import TreeMemory

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="it is read from /proc")
def test_the_peak_is_that_of_all_descendants_together() -> None:
    inner = f"held = b'x' * (60 * {MIB}); import time; time.sleep(0.4)"
    outer = f"import subprocess, sys; held = b'x' * (40 * {MIB}); subprocess.run([sys.executable, '-c', {inner!r}])"
    with TreeMemory() as memory:
        subprocess.run([sys.executable, "-c", outer], check=True)
    assert memory.peak_bytes is not None
    assert 100 * MIB < memory.peak_bytes < 180 * MIB


def test_without_descendants_nothing_is_known() -> None:
    with TreeMemory() as memory:
        pass
    assert memory.peak_bytes is None
