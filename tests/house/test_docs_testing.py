"""docs/testing-a-plugin.md: the tests that it shows are collected, and pass, for the package of the page before it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff import testing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing-a-plugin.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "tests" / "thirdparty" / "bakeoff-questions"


@pytest.mark.slow
def test_the_tests_on_the_page_run_and_pass(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_questions.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_questions.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    promises = [name for contract in (testing.TaskContract, testing.MethodContract) for name in dir(contract)]
    counts = dict(re.findall(r"(\d+) (passed|skipped)", done.stdout))
    assert sum(map(int, counts)) == sum(name.startswith("test_") for name in promises)


def test_every_contract_is_on_the_page() -> None:
    for name in testing.__all__:
        if name.endswith("Contract") and name != "Contract":
            assert f"| `{name}` |" in PAGE
