"""The course's chapter as a notebook: it runs from top to bottom, and what it claims is so."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

import pytest
from messages import tells

import bakeoff

NOTEBOOK = Path(__file__).parents[2] / "docs" / "course.ipynb"
MADE_UP = {
    "rows": """
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

def made(count, first):
    kinds = [number % 3 > 0 for number in range(first, first + count)]
    return {"sentence1": [f"the {'red' if kind else 'blue'} thing {number}" for number, kind in enumerate(kinds, first)],
            "sentence2": [f"a red thing, {number}" for number in range(first, first + count)],
            "label": list(map(int, kinds)), "idx": list(range(count))}

features = Features({"sentence1": Value("string"), "sentence2": Value("string"), "idx": Value("int32"),
                     "label": ClassLabel(names=["not_equivalent", "equivalent"])})
rows = DatasetDict({"train": Dataset.from_dict(made(40, 0), features=features),
                    "validation": Dataset.from_dict(made(30, 40), features=features),
                    "test": Dataset.from_dict(made(30, 70), features=features)})
""",
    "parameters": """
MODEL = {"name": "tiny-bert", "layers": 1}
LENGTH = {"max_steps": 4}
SEEDS = 2
""",
}
"""Tag of a cell -> what stands in its place."""


def read() -> Any:
    return pytest.importorskip("nbformat").read(NOTEBOOK, as_version=4)


def code_of(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def test_the_notebook_is_valid_has_no_outputs_and_calls_every_function() -> None:
    notebook = read()
    pytest.importorskip("nbformat").validate(notebook)
    assert [cell.outputs for cell in notebook.cells if cell.cell_type == "code" and cell.outputs] == []
    assert {tag for cell in notebook.cells for tag in cell.metadata.get("tags", ())} == set(MADE_UP)
    called = {node.attr for node in ast.walk(ast.parse(code_of(notebook))) if isinstance(node, ast.Attribute)}
    functions = {name for name in dir(bakeoff) if callable(getattr(bakeoff, name))}
    assert functions <= called
    assert not re.search(r"/(home|root|work|tmp)/", NOTEBOOK.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_notebook_runs_and_its_claims_hold(tmp_path: Path) -> None:
    notebook = read()
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", ()):
            cell.source = MADE_UP[tag].strip()
    notebook.cells.append(pytest.importorskip("nbformat").v4.new_code_cell(CLAIMS))
    client = pytest.importorskip("nbclient").NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=os.environ | {"HF_HUB_OFFLINE": "1"})
    ours = [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.metadata.get("tags")]
    shown = [output for cell in ours for output in cell.outputs]
    printed = [output.text for output in shown if output.output_type in ("error", "stream")]
    assert len(printed) == 1, printed
    assert tells(printed[0], "all 6 runs")
    pages = [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]  # progress among them
    assert len(pages) >= 8
    assert {"table.md", "records", "rows", "experiment.yaml"} <= {path.name for path in (tmp_path / "mrpc-twice").iterdir()}


CLAIMS = """
assert (losses["same-loop"] == losses["trainer-api"]).all()
assert (losses["chapter-loop"] != losses["trainer-api"]).any()
assert list(done.leaderboard["strategy"]) and set(scores.columns) == {"trainer-api", "chapter-loop", "same-loop"}
"""
