"""An experiment is found by its file or by its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakeoff.errors import BakeoffError
from bakeoff.spec.location import experiment_file, experiment_files, experiment_folder

SPEC = "name: a\ntasks: [x]\nmodels: [y]\nstrategies: {}\n"


def test_the_only_experiment_file_of_a_folder_is_found_among_others(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "compose.yaml").write_text("services:\n  tasks: 1\n", encoding="utf-8")
    (tmp_path / ".replaced-mine.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "notes.txt").write_text(SPEC, encoding="utf-8")
    (tmp_path / "folder.yaml").mkdir()
    assert experiment_file(tmp_path) == tmp_path / "mine.yml"


def test_a_broken_experiment_file_is_still_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC + "seeds: [", encoding="utf-8")
    assert experiment_files(tmp_path) == [tmp_path / "a.yaml"]


@pytest.mark.parametrize(("names", "told"), [([], "bakeoff init"), (["a.yaml", "b.yaml"], "a.yaml and ")])
def test_none_or_several_are_an_error(tmp_path: Path, names: list[str], told: str) -> None:
    for name in names:
        (tmp_path / name).write_text(SPEC, encoding="utf-8")
    with pytest.raises(BakeoffError, match=told):
        experiment_file(tmp_path)


def test_a_file_stands_for_its_folder_and_what_is_not_there_for_itself(tmp_path: Path) -> None:
    file, missing = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text(SPEC, encoding="utf-8")
    assert [experiment_folder(path) for path in (file, tmp_path, missing)] == [tmp_path, tmp_path, missing]
    assert [experiment_file(path) for path in (file, missing)] == [file, missing]
