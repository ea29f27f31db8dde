"""The ratio of two trainers on a quiet machine and beside a second busy process, by `bakeoff time`."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from benchmarks.timed import measure, times_as_fast
from benchmarks.timing import say

SPEC = """
name: crowded
tasks: [{name: docstrings, size: 1200}]
models: [minilm]
seeds: 1
recipe: {batch_size: 8, epochs: 3}
strategies:
  torch-loop: {trainer: torch-loop}
  fast-loop: {trainer: fast-loop}
"""
BUSY = """
import torch
torch.set_num_threads(1)
a = torch.randn(1024, 1024)
while True:
    a @ a
"""
GOAL = 0.05


@contextmanager
def busy() -> Iterator[None]:
    """Somebody else's process, which keeps a core busy, and memory too."""
    other = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        other.kill()
        other.wait()


@pytest.mark.timeout(3600)
def test_a_busy_process_beside_it_hardly_changes_a_ratio(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: within 5 %, in training and in evaluation. Quiet first, then beside it, then quiet again: the two quiet ones say
    how much of a difference is none."""
    found: dict[str, Any] = {}

    def measured(name: str) -> None:
        timing = measure(SPEC, minutes=4, within=0.01, say=lambda line: print(line, file=sys.stderr))
        found[name] = {what: times_as_fast(timing, "fast-loop", "torch-loop", what) for what in ("train", "evaluate")}
        found[name]["load before"] = timing.load

    def all_three() -> None:
        measured("quiet")
        with busy():
            measured("beside a busy process")
        measured("quiet again")

    benchmark.pedantic(all_three, rounds=1)
    quiet = {
        what: math.sqrt(found["quiet"][what]["ratio"] * found["quiet again"][what]["ratio"]) for what in ("train", "evaluate")
    }
    off = {what: found["beside a busy process"][what]["ratio"] / quiet[what] - 1 for what in quiet}
    benchmark.extra_info.update(found, off={what: round(share, 4) for what, share in off.items()}, goal=GOAL)
    say(capsys, json.dumps(benchmark.extra_info, indent=1))
