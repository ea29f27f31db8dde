"""The notebook-like script of docs/ runs, and shows what the published records hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "notebook.py"


@pytest.fixture(scope="module")
def shown() -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", str(SCRIPT)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_script_prints_the_answers_of_the_published_experiments(shown: str) -> None:
    from bakeoff import compare, load

    for folders in (["quickstart"], ["quickstart", "mrpc-trainers"]):
        answer = compare(load(*(ROOT / "results" / folder for folder in folders))).answer
        assert answer
        assert answer in shown


def test_the_script_shows_every_library_of_the_embedded_task(shown: str) -> None:
    for library in ("networkx", "numpy", "pandas", "scikit-learn", "scipy", "sympy"):
        assert len(re.findall(rf"^{library}\s+[\d.]+\s+[\d.]+$", shown, re.MULTILINE)) == 2, library


def test_the_script_is_made_of_cells_that_explain_themselves() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert len([cell for cell in cells if cell.startswith(" [markdown]")]) >= 8
    assert {"runs", "steps", "predictions", "leaderboard", "pairs", "warnings", "slices"} <= set(re.findall(r"\.(\w+)\b", text))
