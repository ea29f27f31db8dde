"""Two runs at a time against one after another: the quickstart's runs, the machine's cores divided or not."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.timing import say
from end_to_end.experiments import call, records

from bakeoff.machine.hardware import usable_threads

SPEC = Path(__file__).parents[2] / "results" / "quickstart" / "spec.yaml"
ROUNDS = 2


@pytest.mark.timeout(3600)
@pytest.mark.skipif(usable_threads() < 2, reason="one core cannot be divided")
def test_two_jobs_of_half_the_threads_are_no_longer_under_way(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Target: a ratio of at most 1."""
    cores = usable_threads()
    ways = {"one after another": (1, cores), "two at a time": (2, cores // 2)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}

    def turns() -> None:
        for number in range(ROUNDS):
            for name, (jobs, threads) in ways.items():
                folder = tmp_path / f"{name} {number}"
                folder.mkdir()
                shutil.copy(SPEC, folder)
                began = time.perf_counter()
                answer = call("run", folder / SPEC.name, "--jobs", str(jobs), "--threads", str(threads), folder=folder)
                seconds[name].append(round(time.perf_counter() - began, 1))
                assert answer.returncode == 0, answer.stderr
                assert len(records(folder)) == 6

    benchmark.pedantic(turns, rounds=1)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    benchmark.extra_info.update(seconds=seconds, ratio=round(medians["two at a time"] / medians["one after another"], 3))
    say(capsys, json.dumps(benchmark.extra_info, indent=1))
