"""What the harness costs, and torch-loop against the course's loop as written; minilm on the embedded task, batches of 8."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.timed import measure, times_as_fast
from benchmarks.timing import say
from end_to_end.experiments import call, records

SPEC = """
name: loops
tasks: [{name: docstrings, size: 400}]
models: [minilm]
seeds: 1
recipe: {batch_size: 8, epochs: 3}
strategies:
  course-loop: {trainer: course-loop, recipe: {max_grad_norm: none, fused: false}}
  torch-loop: {trainer: torch-loop}
"""


@pytest.mark.timeout(1200)
def test_torch_loop_is_as_fast_as_the_course_loop(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = {}

    def measured() -> None:
        timing = measure(SPEC, minutes=5, within=0.01, say=lambda line: print(line, file=sys.stderr))
        found.update(times_as_fast(timing, "torch-loop", "course-loop"))

    benchmark.pedantic(measured, rounds=1)
    benchmark.extra_info.update(times_as_fast=found)
    say(capsys, json.dumps(benchmark.extra_info, indent=1))


def test_what_the_harness_adds_to_training(benchmark: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Target: under 1 % of train time; and under 2 s of fixed cost for a run after the first."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: cost\ntasks: [{name: docstrings, size: 1200}]\nmodels: [minilm]\nseeds: 3\n"
        "recipe: {max_steps: 48, batch_size: 8}\nstrategies: {manual-loop: {trainer: torch-loop}}\n"
    )
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(Path(__file__).parents[2] / "harness")], check=False)
    answer = benchmark.pedantic(lambda: call("run", spec, folder=tmp_path), rounds=1)
    assert answer.returncode == 0, answer.stderr
    costs = [record["cost"] for record in records(tmp_path).values()]
    later = sorted(records(tmp_path).values(), key=lambda record: record["requested"]["seed"])[1:]
    fixed = []
    for record in later:
        phases = record["cost"]["phase_seconds"]
        fixed.append(sum(seconds for name, seconds in phases.items() if name not in {"warm-up", "train", "evaluate"}))
    benchmark.extra_info.update(
        harness_share=[round(cost["harness_seconds"] / cost["phase_seconds"]["train"], 5) for cost in costs],
        fixed_seconds_after_the_first=[round(seconds, 2) for seconds in fixed],
        phases=[{name: round(seconds, 2) for name, seconds in record["cost"]["phase_seconds"].items()} for record in later],
    )
    say(capsys, json.dumps(benchmark.extra_info, indent=1))
