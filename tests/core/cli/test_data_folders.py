"""Data folders with names: by `--data NAME=DIR` and the user's configuration, never in what is recorded."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from messages import tells

from bakeoff.cli import bakeoff
from bakeoff.cli.data_folders import DataFolders, data_folders
from bakeoff.cli.inputs import Called, find_paths
from bakeoff.contracts.configured import Configured
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError, DataError, SpecError

ROWS = "q,y\na,no\nb,yes\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of configurations."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BAKEOFF_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config" / "bakeoff").mkdir(parents=True)
    return tmp_path / "config" / "bakeoff"


def folder(place: Path, name: str) -> Path:
    (place / name).mkdir(parents=True, exist_ok=True)
    (place / name / "rows.csv").write_text(ROWS)
    return place / name


def table(train: str) -> Configured:
    registered = load_registry().get("task", "table")
    return Configured(registered, registered.component.Options(train=train, text="q", label="y"))


def file_of(train: str, paths: Paths) -> Path:
    task = table(train)
    return task.registered.component.files(task.options, paths)["train"][0]  # type: ignore[no-any-return]


def test_a_path_that_begins_with_a_name_is_read_from_that_folder(tmp_path: Path, home: Path) -> None:
    mine, other, plain = (folder(tmp_path, name) for name in ("mine", "other", "plain"))
    folder(plain, "tickets")
    paths = find_paths(data_folders([f"tickets={mine}", str(plain)]))
    assert file_of("tickets/rows.csv", paths) == mine / "rows.csv"
    assert file_of("rows.csv", paths) == plain / "rows.csv"
    assert file_of("tickets/rows.csv", find_paths(data_folders([str(plain)]))) == plain / "tickets" / "rows.csv"
    (home / "config.yaml").write_text(f"data: {{tickets: {other}, gone: /nowhere/at/all}}\n")
    assert file_of("tickets/rows.csv", find_paths()) == other / "rows.csv"
    assert file_of("tickets/rows.csv", find_paths(data_folders([f"tickets={mine}"]))) == mine / "rows.csv"
    with pytest.raises(DataError, match="in /nowhere/at/all"):
        file_of("gone/rows.csv", find_paths())
    with pytest.raises(DataError, match="outside its folder"):
        file_of("tickets/../rows.csv", find_paths())


def test_the_place_is_in_no_id_and_no_label(tmp_path: Path) -> None:
    task = table("tickets/rows.csv")
    folder(tmp_path, "mine")
    find_paths(data_folders([f"tickets={tmp_path / 'mine'}"]))
    assert task.identity["options"]["train"] == ["tickets/rows.csv"]
    assert task.label == "table (train=tickets/rows.csv, text=q, label=y)"


def test_glue_may_have_a_folder_of_its_own(tmp_path: Path) -> None:
    task = load_registry().get("task", "glue/mrpc").component
    (tmp_path / "glue-files").mkdir()
    with pytest.raises(DataError, match="glue-files"):
        task.check_available(task.Options(), find_paths(data_folders([f"glue={tmp_path / 'glue-files'}"])))


def test_other_commands_are_told_the_same_folders() -> None:
    told = Called(Path("x.yaml"), Path("out"), DataFolders(Path("a b"), {"t": Path("c")})).again("run", "--retry", "failed")
    shown = ["bakeoff", "run", "x.yaml", "--into", "out", "--data", "a b", "--data", "t=c", "--retry", "failed"]
    assert shlex.split(told) == shown


@pytest.mark.parametrize("given", [["a=/x", "a=/y"], ["/x", "/y"], [""], ["a="], ["a=/nowhere/at/all"], ["/nowhere/at/all"]])
def test_what_names_no_folder_is_refused(given: list[str], tmp_path: Path) -> None:
    with pytest.raises(BakeoffError, match="--data: "):
        find_paths(data_folders(given))


def test_a_path_with_an_equals_sign_is_no_name(tmp_path: Path) -> None:
    assert data_folders(["./a=b", "/x=y"][:1]) == DataFolders(Path("a=b"))
    assert data_folders(["/x=y"]) == DataFolders(Path("/x=y"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data: {a: relative}", "1:8: data.a: "),
        ("data: {'a/b': /x}", "1:8: data.a/b: "),
        ("data: [a]", "1:1: data: "),
        ("dta: {}", "1:1: dta: "),
        ("data: {a: /x}\n- b", "2:1: "),
    ],
)
def test_a_wrong_configuration_is_told_at_its_place(text: str, place: str, home: Path) -> None:
    (home / "config.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        find_paths()
    assert tells(str(caught.value.problems[0]), f"{home / 'config.yaml'}:{place}"), caught.value.problems[0]


def test_a_configuration_of_comments_says_nothing(home: Path) -> None:
    for text in ("", "\n\n", "# data: {a: relative}\n"):
        (home / "config.yaml").write_text(text)
        assert find_paths().named == {}


def test_a_configuration_that_is_no_file_is_told(home: Path) -> None:
    (home / "config.yaml").mkdir()
    with pytest.raises(SpecError, match="folder"):
        find_paths()


def test_commands_take_several_folders(tmp_path: Path) -> None:
    folder(tmp_path, "mine")
    (tmp_path / "spec.yaml").write_text(
        "name: x\ntasks: [{name: table, train: t/rows.csv, test: t/rows.csv, text: q, label: y}]\nmodels: [minilm]\n"
        "strategies: {a: {trainer: torch-loop}, b: {trainer: hf-trainer}}\n"
    )
    with pytest.raises(SpecError, match=r"no file 't/rows\.csv'"):
        CliRunner().invoke(bakeoff, ["check", "spec.yaml"], catch_exceptions=False)
    options = ["--data", f"t={tmp_path / 'mine'}", "--data", "."]
    found = CliRunner().invoke(bakeoff, ["check", "spec.yaml", *options], catch_exceptions=False)
    assert found.exit_code == 0, found.output
