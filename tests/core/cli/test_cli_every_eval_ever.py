"""`bakeoff export --to eee`: files in the experiment's folder or another one, and what is told of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import drawn_answers, make_folder
from core.calling import Call
from core.report.test_every_eval_ever import require_valid
from messages import tells

LABELS = np.arange(300) % 3 // 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate("ab")}
    return make_folder(tmp_path / "made", answers, LABELS, baseline="a")


def found(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*.json"))


def test_files_are_written_into_the_experiments_folder_and_a_second_export_replaces_them(folder: Path, call: Call) -> None:
    for _ in range(2):
        code, out, err = call("export", folder, "--to", "eee", "--organization", "Our lab")
        assert (code, err) == (0, "")
        assert tells(out, "2 files ", str(folder / "every-eval-ever"))
    place = folder / "every-eval-ever"
    assert len(found(place)) == 2
    for path in found(place):
        log = require_valid(path, (place / path).read_text(encoding="utf-8"))
        assert log["source_metadata"]["source_organization_name"] == "Our lab"


def test_without_an_organization_it_is_told_and_another_folder_may_be_named(folder: Path, tmp_path: Path, call: Call) -> None:
    code, out, err = call("export", folder, "--to", "eee", "--folder", tmp_path / "other")
    assert code == 0
    assert tells(err, "", "--organization")
    assert tells(out, "2 files ", str(tmp_path / "other"))
    (first, _) = found(tmp_path / "other")
    assert json.loads((tmp_path / "other" / first).read_text())["source_metadata"]["source_organization_name"] == "unknown"
    assert not (folder / "every-eval-ever").exists()


def test_as_json_the_files_are_named(folder: Path, call: Call) -> None:
    code, out, _ = call("export", folder, "--to", "eee", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["tracker"]) == (0, True, "eee")
    assert all((folder / path).is_file() for path in told["written"])
    assert len(told["written"]) == 2


def test_an_option_that_it_does_not_have_is_named_with_the_nearest(folder: Path, call: Call) -> None:
    code, out, err = call("export", folder, "--to", "eee", "--organisation", "Our lab")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert tells(err, "--organisation: ", "'organization'")


def test_nothing_is_written_through_a_link(folder: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "outside").mkdir()
    (folder / "every-eval-ever").symlink_to(tmp_path / "outside")
    code, out, err = call("export", folder, "--to", "eee")
    assert (code, out, found(tmp_path / "outside")) == (2, "", [])
    assert tells(err, "", str(folder / "every-eval-ever"), "symbolic link")


def test_where_nothing_is_scored_nothing_is_written(folder: Path, call: Call) -> None:
    for record in folder.glob("records/*/record.json"):
        record.write_text("{")
    code, out, _ = call("export", folder, "--to", "eee")
    assert (code, out) == (1, "")
    assert not (folder / "every-eval-ever").exists()
