"""The files of examples/ run as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from end_to_end.experiments import call

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def test_there_are_three() -> None:
    assert [path.stem for path in EXAMPLES] == ["loop-and-trainer", "lora-or-full", "your-own-rows"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_wrong_is_found_in_an_example(path: Path, tmp_path: Path) -> None:
    answer = call("check", path, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_it_stands(path: Path, tmp_path: Path) -> None:
    answer = call("run", path, "--into", tmp_path / "e", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    records = [json.loads(found.read_text()) for found in (tmp_path / "e" / "records").glob("r1-*/record.json")]
    assert len(records) >= 4
    assert {record["status"] for record in records} == {"ok"}
    assert (tmp_path / "e" / "table.md").is_file()
