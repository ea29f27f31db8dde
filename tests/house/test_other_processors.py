"""The tests that depend on arithmetic hold on a processor without AVX-512 too: run again with its instructions disabled."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
OFTEN = ("core/statistics", "house/test_published.py")
"""Statistics, published tables."""
SELDOM = (
    "core/analysis",
    "core/kinds",
    "core/parity",
    "core/records",
    "core/report",
    "core/training",
    "house/test_readme.py",
    "house/test_same_numbers.py",
    "plugins/test_trainers.py",
)
"""Whatever else computes."""
CASES = [OFTEN, pytest.param(SELDOM, marks=pytest.mark.long)]

AVX2 = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
SHOWN = (
    "import torch; from numpy._core._multiarray_umath import __cpu_features__ as numpy; "
    "print(torch.backends.cpu.get_cpu_capability(), numpy.get('X86_V4', False))"
)


def test_every_part_is_there() -> None:
    assert [part for part in (*OFTEN, *SELDOM) if not (TESTS / part).exists()] == []


@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variables that disable instructions are of x86 processors")
@pytest.mark.parametrize("parts", CASES, ids=["what computes", "whatever else"])
def test_what_depends_on_arithmetic_holds_with_avx2_alone(parts: tuple[str, ...]) -> None:
    environment = os.environ | AVX2
    shown = subprocess.run([sys.executable, "-c", SHOWN], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["AVX2", "False"], "the instructions are not disabled"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--deselect=tests/simulations",  # shares of a thousand worlds, whatever the rounding
        *(str(TESTS / part) for part in parts),
    ]
    done = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
