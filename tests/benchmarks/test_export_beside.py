"""`bakeoff run --export-to` beside plain `bakeoff run`: what the process that exports takes from the training."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from benchmarks.timing import say
from end_to_end.experiments import call, records

from bakeoff.machine.hardware import usable_threads

SPEC = Path(__file__).parents[2] / "results" / "quickstart" / "spec.yaml"
ROUNDS = 3
WAYS = {"plain": (), "exported": ("--export-to", "tensorboard")}


@pytest.mark.timeout(3600)
def test_training_takes_no_longer_while_runs_are_exported(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quickstart's six runs, which train on all cores: seconds of training of each over those of the same run without an
    export. Target: a median ratio of at most 1.02."""
    pytest.importorskip("tensorboard")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}

    def turns() -> None:
        for number in range(ROUNDS):
            for way, options in WAYS.items():
                folder = tmp_path / f"{way} {number}"
                folder.mkdir()
                shutil.copy(SPEC, folder)
                done = call("run", folder / SPEC.name, *options, "--threads", str(usable_threads()), folder=folder)
                assert done.returncode == 0, done.stderr
                assert (folder / "tracked").is_dir() == bool(options)
                found[way].append({run: record["cost"]["phase_seconds"]["train"] for run, record in records(folder).items()})

    benchmark.pedantic(turns, rounds=1)
    ratios = [
        exported[run] / plain[run] for plain, exported in zip(found["plain"], found["exported"], strict=True) for run in plain
    ]
    benchmark.extra_info.update(
        seconds={way: statistics.median(second for one in rounds for second in one.values()) for way, rounds in found.items()},
        ratio=round(statistics.median(ratios), 3),
        quartiles=[round(value, 3) for value in statistics.quantiles(ratios)[::2]],
    )
    say(capsys, json.dumps(benchmark.extra_info, indent=1))
