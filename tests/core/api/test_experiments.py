"""`bakeoff.run` up to its first run: where results go, what is refused, and what is left when nothing could start."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import make_declaration, make_record

import bakeoff
from bakeoff.cli import run as command
from bakeoff.errors import BakeoffError, SpecError, StoreError
from bakeoff.records.store import Store
from bakeoff.spec.given import yaml_text

ROWS = [{"body": f"text {number}", "team": "ab"[number % 2]} for number in range(8)]
SPEC: dict[str, Any] = {
    "name": "toy",
    "tasks": [{"name": "table", "text": "body", "label": "team"}],
    "models": ["tiny-bert"],
    "recipe": {"max_steps": 2},
    "strategies": {"full": {"trainer": "torch-loop"}},
    "seeds": 1,
}
DATA = {"train": ROWS, "test": ROWS[:4]}


@pytest.fixture(autouse=True)
def nothing_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The runs are those that would be made: what `make` was called with."""
    asked: list[Any] = []

    def make(document: Any, plan: Any, store: Store, settings: Any, progress: Any) -> Any:
        asked.append((document, plan, store, settings))
        if store.folder.name == "refused":
            raise SpecError([document.problem(("tasks", 0), "its rows are odd")])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "make", make)
    monkeypatch.chdir(tmp_path)
    return asked


def asked_of(nothing_trains: list[Any], *arguments: Any, **more: Any) -> Any:
    with pytest.raises(KeyboardInterrupt):
        bakeoff.run(*arguments, **more)
    return nothing_trains[-1]


def test_results_go_to_a_folder_of_the_experiments_name_or_beside_its_file(nothing_trains: list[Any], tmp_path: Path) -> None:
    assert asked_of(nothing_trains, SPEC, data=DATA)[2].folder == Path("toy")
    assert asked_of(nothing_trains, SPEC, data=DATA, into="there")[2].folder == Path("there")
    file = tmp_path / "own" / "toy.yaml"
    file.parent.mkdir()
    file.write_text(yaml_text(SPEC | {"tasks": ["docstrings"]}))
    assert asked_of(nothing_trains, file)[2].folder == file.parent


def test_settings_are_those_of_the_call_and_relative_files_lie_in_the_working_directory(
    nothing_trains: list[Any], tmp_path: Path
) -> None:
    *_, settings = asked_of(nothing_trains, SPEC, data=DATA, jobs=2, threads=1, changed="mix", retry="failed", control=False)
    assert (settings.jobs, settings.threads, settings.changed, settings.retry, settings.control) == (
        2,
        1,
        "mix",
        "failed",
        False,
    )
    assert settings.paths.beside == tmp_path
    assert settings.paths.given == tmp_path / "toy"


def test_only_some_of_the_runs_are_made(nothing_trains: list[Any]) -> None:
    _, plan, *_ = asked_of(nothing_trains, SPEC | {"seeds": 3}, data=DATA, only=":2")
    assert plan.only is not None
    with pytest.raises(BakeoffError, match="fulll"):
        bakeoff.run(SPEC, data=DATA, only="fulll")


def test_where_nothing_could_start_no_rows_are_left(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="odd"):
        bakeoff.run(SPEC, data=DATA, into="refused")
    assert not list(tmp_path.iterdir())
    (tmp_path / "refused").mkdir()
    with pytest.raises(SpecError, match="odd"):
        bakeoff.run(SPEC, data=DATA, into="refused")
    assert not list((tmp_path / "refused").iterdir())


def test_rows_of_an_experiment_that_has_begun_stay(nothing_trains: list[Any], tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    store.declare(make_declaration([make_record("full", 0)], name="toy", spec_file="experiment.yaml"))
    asked_of(nothing_trains, SPEC, data=DATA)
    assert len(list((tmp_path / "toy" / "rows").iterdir())) == 2


def test_the_folder_of_another_experiment_is_refused_before_rows_are_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    store.declare(make_declaration([make_record("other", 0)], name="other", spec_file="other.yaml"))
    with pytest.raises(StoreError, match="other"):
        bakeoff.run(SPEC, data=DATA)
    assert not (tmp_path / "toy" / "rows").exists()


def test_a_file_does_not_lie_in_the_folder_of_results_from_given_rows(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(yaml_text(SPEC))
    with pytest.raises(StoreError, match="into="):
        bakeoff.run("toy.yaml", data=DATA, into=".")


def test_names_of_results_are_no_names_of_experiments(tmp_path: Path) -> None:
    (tmp_path / "table.md").write_text(yaml_text(SPEC | {"tasks": ["docstrings"]}))
    with pytest.raises(BakeoffError, match="rename"):
        bakeoff.run(tmp_path / "table.md")


@pytest.mark.parametrize("name", ["check", "compare", "load", "plan", "run"])
def test_each_function_is_one_that_help_and_completion_know(name: str) -> None:
    function = getattr(bakeoff, name)
    assert name in dir(bakeoff)
    assert inspect.isfunction(function)
    assert (function.__doc__ or "").strip()
    assert all(given.annotation is not inspect.Parameter.empty for given in inspect.signature(function).parameters.values())
    documented = [given for given in inspect.signature(function).parameters if f"        {given}: " in (function.__doc__ or "")]
    assert documented == list(inspect.signature(function).parameters) or name in {"load", "compare"}


def test_the_import_loads_neither_what_trains_nor_what_compares() -> None:
    heavy = ("torch", "transformers", "datasets", "evaluate", "pandas", "scipy", "pydantic", "click", "numpy")
    code = f"import sys, bakeoff; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
