"""How soon the command line answers. Targets: `--help` 0.25 s, the other verbs 1 s; a test elsewhere holds what they import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SPEC = Path(__file__).parents[2] / "results" / "quickstart" / "spec.yaml"
BAKEOFF = str(Path(sys.executable).with_name("bakeoff"))


@pytest.mark.parametrize(
    ("arguments", "target_seconds"),
    [(["--help"], 0.25), (["plugins"], 1.0), (["check", str(SPEC)], 1.0), (["plan", str(SPEC)], 1.0), (["schema"], 1.0)],
    ids=["help", "plugins", "check", "plan", "schema"],
)
def test_the_command_line_answers_soon(benchmark: Any, arguments: list[str], target_seconds: float) -> None:
    benchmark.extra_info["target_seconds"] = target_seconds
    result = benchmark.pedantic(
        lambda: subprocess.run([BAKEOFF, *arguments], capture_output=True, check=True), rounds=9, warmup_rounds=1
    )
    assert result.stdout
