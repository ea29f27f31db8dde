"""`bakeoff export`, and what `bakeoff run --export-to` takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from core.calling import Call, Install
from messages import tells

QUICKSTART = Path(__file__).parents[3] / "results" / "quickstart"
NEEDY = """
from bakeoff.plugin import Tracker, hookimpl


class Needy(Tracker):
    name = "needy"
    summary = "Needs what nobody has."
    version = "1"
    needs = {"no_such_module": "needy"}

    def check(self, experiment, options): ...
    def written(self, experiment, options): ...
    def write(self, run, experiment, options): ...


@hookimpl
def bakeoff_trackers():
    return [Needy()]
"""


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(QUICKSTART, tmp_path_factory.mktemp("export") / "quickstart"))


def notes(folder: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(path.read_text()) for path in (folder / "tracked").glob("*.json")]
    return {note["name"]: note for note in found}


def test_all_runs_and_the_summary_are_exported_and_a_second_call_writes_nothing(quickstart: Path, call: Call) -> None:
    code, out, err = call("export", "--to", "notes", quickstart, "--json")
    first = json.loads(out)
    assert (code, err, first["ok"], len(first["written"]), first["summary"]) == (0, "", True, 6, True)
    summary = notes(quickstart)["summary"]
    assert "manual-loop" in str(summary["text"])
    assert "<!doctype html>" in str(summary["files"]).lower()
    log = quickstart / "tracked" / "written.txt"
    before = log.read_text()
    code, out, _ = call("export", "--to", "notes", quickstart)
    assert code == 0
    assert tells(out, "exported to notes: ", "nothing new", "6 ")
    assert log.read_text() == before


def test_a_damaged_record_is_left_out_and_told_by_the_exit_code(tmp_path: Path, call: Call) -> None:
    folder = Path(shutil.copytree(QUICKSTART, tmp_path / "quickstart"))
    damaged = next((folder / "records").glob("r1-*")) / "record.json"
    damaged.write_text("{")
    code, out, err = call("export", "--to", "notes", folder, "--json")
    assert (code, len(json.loads(out)["written"])) == (1, 5)
    assert tells(err, "damaged and left out: ", str(damaged))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "tensorbord"], ("no tracker 'tensorbord'; ", "'tensorboard'")),
        (["--to", "notes", "--truoble", "raises"], ("--truoble: ", "'trouble'")),
        (["--to", "notes", "--trouble", "x"], ("--trouble: 'x'",)),
        (["--to", "notes", "--trouble", "raises", "--trouble", "hangs"], ("--trouble is given 2 times",)),
        (["--to", "notes", "--trouble", "refuses"], ("the service is closed",)),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], told: tuple[str, ...], quickstart: Path, call: Call) -> None:
    code, out, err = call("export", quickstart, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert tells(err, *told)


def test_a_library_that_is_not_installed_is_told_with_the_command_that_installs_it(
    quickstart: Path, install: Install, call: Call
) -> None:
    install("needy", NEEDY)
    for words in (["export", quickstart, "--to", "needy"], ["run", quickstart, "--export-to", "needy"]):
        code, _, err = call(*words)
        assert (code, len(err.splitlines())) == (2, 1)
        assert tells(err, "tracker 'needy' needs needy[needy] ", "install", "needy[needy]")


def test_what_is_no_experiment_is_told(tmp_path: Path, call: Call) -> None:
    (tmp_path / "spec.yaml").write_text("name: x\n")
    for folder in (tmp_path / "missing", tmp_path):
        code, _, err = call("export", folder, "--to", "notes")
        assert (code, len(err.splitlines())) == (2, 1)
        assert str(folder) in err


def test_a_place_that_cannot_be_written_to_is_told(quickstart: Path, tmp_path: Path, call: Call) -> None:
    folder = Path(shutil.copytree(QUICKSTART, tmp_path / "quickstart"))
    (folder / "tracked").write_text("mine")
    code, _, err = call("export", folder, "--to", "notes")
    assert (code, len(err.splitlines())) == (2, 1)
    assert str(folder / "tracked") in err
    assert (folder / "tracked").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--export-to", "note"], ("no tracker 'note'; ", "'notes'")),
        (["--export-to", "notes", "--truoble", "raises"], ("--truoble: ", "'trouble'")),
        (["--export-to", "notes", "--trouble", "x"], ("--trouble: 'x'",)),
    ],
)
def test_run_refuses_before_anything_begins(words: list[str], told: tuple[str, ...], quickstart: Path, call: Call) -> None:
    before = sorted(quickstart.rglob("*"))
    code, out, err = call("run", quickstart, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert tells(err, *told)
    assert sorted(quickstart.rglob("*")) == before


def test_without_a_tracker_run_takes_no_further_options(quickstart: Path, call: Call) -> None:
    code, _, err = call("run", quickstart, "--folder", "x")
    assert code == 2
    assert tells(err.splitlines()[-1], "Error: ", "--folder")
