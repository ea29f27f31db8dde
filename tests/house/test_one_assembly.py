"""A run is put together in one place: whatever trains goes through `training/assembly.py`."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

CORE = Path(__file__).parents[2] / "harness" / "bakeoff"
ASSEMBLY = "training/assembly.py"
STAGES = {
    "StepSchedule": {ASSEMBLY},
    "Examples": {ASSEMBLY},
    "encode": {ASSEMBLY, "training/preview.py", "parity/trace.py"},
    "training_rows": {ASSEMBLY},
    "make_ready": {ASSEMBLY, "runner/preflight.py"},
    "encode_rows": {ASSEMBLY, "runner/preflight.py"},
    "require_same_sources": {ASSEMBLY},
    "describe_data": {ASSEMBLY, "training/preview.py"},
}
"""A step in which a run is put together -> the modules that take it by name."""
ASSEMBLERS = {
    "training/worker.py",
    "training/rehearsal.py",
    "parity/trace.py",
    "testing/bench.py",
    "training/run_in_turns.py",
}
"""Whoever trains: each gets its run from `assemble`, and its job from the run."""


@functools.cache
def called(path: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))


def callers(name: str) -> set[str]:
    return {path.relative_to(CORE).as_posix() for path in CORE.rglob("*.py") if name in called(path)}


def test_each_stage_of_a_run_is_called_in_one_place() -> None:
    for name, places in STAGES.items():
        assert callers(name) <= places, f"{name}: take the run that `assemble` gives, or go through its stages"


def test_a_run_without_steps_is_assembled_in_one_place_too() -> None:
    assert callers("assemble_for_own_model") == {"training/own_run.py"}
    assert callers("own_job") == {"training/own_run.py", "training/rehearsal.py"}


def test_whoever_trains_has_its_run_assembled() -> None:
    assert callers("assemble") == ASSEMBLERS
    assert callers("Job") | callers("TracedJob") | callers("BenchJob") == set(), "`Assembly.job` makes jobs"
