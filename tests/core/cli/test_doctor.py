"""`bakeoff doctor` says what is here and what to do about what is missing, in text that can be pasted."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from core.calling import Install
from messages import tells

from bakeoff import __version__
from bakeoff.cli.doctor import doctor, without_home


def told(*options: str) -> dict[str, list[str]]:
    """Name -> its lines, remedies among them."""
    answer = CliRunner().invoke(doctor, ["--no-control", *options], catch_exceptions=False)
    assert answer.exit_code == 0
    found: dict[str, list[str]] = {}
    name = ""
    for line in answer.output.splitlines():
        name = line[2:13].strip() or name
        found.setdefault(name, []).append(line[13:].strip())
    return found


def test_versions_hardware_and_components_are_told() -> None:
    lines = told()
    assert lines["bakeoff"] == [__version__]
    assert "torch 2." in lines["software"][0]
    assert "cores usable" in lines["processor"][0]
    assert "fp32" in lines["device"][0]
    assert {"docstrings", "glue/mrpc"} <= set(lines["tasks"][0].split(", "))
    assert "docstrings" in lines["ready"][0].split(", ")
    assert "can be written" in lines["here"][0]


def test_a_folder_of_data_that_is_not_there_has_a_remedy(tmp_path: Path) -> None:
    lines = told("--data", str(tmp_path / "nowhere"))
    assert "no folder" in lines["data"][0]
    assert tells(lines["data"][1], "-> ", "existing folder")


def test_a_broken_plugin_and_a_missing_extra_are_told(install: Install) -> None:
    install("acme-ml", "import nothing_of_that_name")
    needy = install(
        "needy",
        """
        from bakeoff.plugin import Options, Trainer, hookimpl

        class Needy(Trainer):
            name, summary, version = "needy", "Needs what is not here.", "1"
            needs = {"nothing_of_that_name": "golden"}

            def fit(self, job, options): ...

        @hookimpl
        def bakeoff_trainers():
            return [Needy()]
        """,
    )
    size = (needy / "needy.py").stat().st_size
    (needy / "needy-1.0.dist-info" / "RECORD").write_text(f"needy.py,,{size}\n")
    older = needy / "needy-0.9.dist-info"
    older.mkdir()
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 0.9\n")
    lines = told()
    assert tells(lines["installed"][0], "needy ", "2 versions: ")
    assert any("acme-ml" in line and "is broken" in line for line in lines["plugin"])
    assert tells(lines["extra"][0], "needy[golden] ", "trainer needy")
    assert lines["extra"][1].endswith("pip install 'needy[golden]'")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("BAKEOFF_CACHE", str(file / "cache"))
    lines = told()
    assert "-> choose another" in lines["cache"][1]


def test_nobodys_home_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert without_home("/home/somebody/data") == "~/data"
