"""The files of examples/ run as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def test_there_are_three() -> None:
    assert [path.stem for path in EXAMPLES] == ["loop-and-trainer", "lora-or-full", "your-own-rows"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_wrong_is_found_in_an_example(path: Path, tmp_path: Path) -> None:
    answer = call("check", path, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cache the examples share."""
    return tmp_path_factory.mktemp("examples")


def cases(*, long: set[str]) -> list[Any]:
    return [pytest.param(path, id=path.stem, marks=pytest.mark.long if path.stem in long else ()) for path in EXAMPLES]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_it_stands(path: Path, shared: Path) -> None:
    folder = shared / path.stem
    answer = call("run", path, "--into", folder, folder=shared)
    assert answer.returncode == 0, answer.stderr
    records = [json.loads(found.read_text()) for found in (folder / "records").glob("r1-*/record.json")]
    assert len(records) >= 4
    assert {record["status"] for record in records} == {"ok"}
    assert (folder / "table.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("path", cases(long={"loop-and-trainer"}))
def test_each_strategy_of_an_example_can_be_built(path: Path, shared: Path) -> None:
    """The quicker kin of the test above; the quickstart trains what loop-and-trainer does, in full."""
    answer = call("check", path, "--build", folder=shared)
    assert answer.returncode == 0, answer.stderr
