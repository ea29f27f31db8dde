"""`bakeoff.check` and `bakeoff.plan`: what the commands print, as objects, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from core.calling import Call

import bakeoff
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.spec.given import yaml_text

ROWS = [{"body": f"text {number}", "team": "ab"[number % 2]} for number in range(8)]
DATA = {"train": ROWS, "test": ROWS[:4]}
SPEC: dict[str, Any] = {
    "name": "toy",
    "tasks": [{"name": "table", "text": "body", "label": "team"}],
    "models": ["tiny-bert"],
    "recipe": {"max_steps": 2},
    "strategies": {"full": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}},
    "seeds": 2,
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy" / "toy.yaml"
    path.parent.mkdir()
    path.write_text(yaml_text(SPEC | {"tasks": ["docstrings"]}))
    return path


def test_what_is_printed_is_what_the_commands_print(call: Call, file: Path) -> None:
    assert f"{bakeoff.check(file)!r}\n" == call("check", file)[1]
    assert f"{bakeoff.plan(file)!r}\n" == call("plan", file)[1]
    assert repr(bakeoff.plan(file, only="full:1")) == call("plan", file, "--only", "full:1")[1].rstrip("\n")
    assert f"{bakeoff.plan(file).resolve(2.0)!r}\n" == call("plan", file, "--resolve", "2.0")[1]


def test_rows_are_looked_at_and_nothing_is_written(file: Path) -> None:
    checked = bakeoff.check(SPEC, data=DATA, into="there")
    planned = bakeoff.plan(SPEC, data=DATA, into="there")
    assert [path.name for path in Path.cwd().iterdir()] == ["toy"]
    assert checked.spec.name == "toy"
    assert checked.notes == []
    assert list(planned.runs["name"]) == ["full:0", "head:0", "full:1", "head:1"]
    assert set(planned.runs["state"]) == {"to do"}
    assert (planned.left.runs, planned.left.unknown) == (4, 4)
    assert "there/experiment.yaml" in repr(checked)


def test_errors_are_the_commands_lines(call: Call, file: Path) -> None:
    file.write_text(file.read_text().replace("torch-loop", "torchloop"))
    with pytest.raises(SpecError) as caught:
        bakeoff.check(file)
    assert caught.value.lines == call("check", file)[2].splitlines()
    assert len(caught.value.problems) == 2
    with pytest.raises(BakeoffError, match="--resolve"):
        bakeoff.plan(SPEC | {"strategies": {"full": {"trainer": "torch-loop"}}}, data=DATA).resolve(1.0)


def test_the_columns_of_runs_are_those_of_its_docstring_and_names_are_text_on_the_page(file: Path) -> None:
    planned = bakeoff.plan(SPEC | {"question": "<b>why</b>"}, data=DATA)
    doc = type(planned).__dict__["runs"].__doc__ or ""
    told = [line.split("|")[1:3] for line in doc.splitlines() if line.strip().startswith("| ") and "dtype" not in line]
    assert [(name.strip(), dtype.strip()) for name, dtype in told] == list(planned.runs.dtypes.astype(str).items())
    page = planned._repr_html_()
    assert page.count("<tr") == 5
    assert "<p>" in bakeoff.check(SPEC, data=DATA)._repr_html_()
