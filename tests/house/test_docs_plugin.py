"""docs/writing-a-plugin.md shows the package in tests/thirdparty literally, and what it says of it is so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "thirdparty" / "bakeoff-questions"
INFO = PACKAGE / "bakeoff_questions-1.0.dist-info"
PAGE = (ROOT / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The page's only code block in that language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def commands() -> list[list[str]]:
    """The page's `bakeoff` commands, as words."""
    lines = [line.removeprefix("$ ").split() for line in block("console").splitlines()]
    return [words for words in lines if words[0] == "bakeoff"]


def bakeoff(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command, in the folder where the package lies, with the package on the path in place of pip's work."""
    return subprocess.run(
        [sys.executable, "-c", "from bakeoff.cli import main; main()", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])},
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("language", "file"), [("toml", "pyproject.toml"), ("python", "bakeoff_questions.py"), ("yaml", "questions.yaml")]
)
def test_the_page_shows_the_package_literally(language: str, file: str) -> None:
    assert block(language) == (PACKAGE / file).read_text(encoding="utf-8")


def test_the_dist_info_says_what_pip_would_write() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    metadata = Parser().parsestr((INFO / "METADATA").read_text())
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    assert metadata.get_all("Requires-Dist") == project["dependencies"]
    entry_points = ConfigParser(delimiters=("=",))
    entry_points.read(INFO / "entry_points.txt")
    assert {group: dict(entry_points[group]) for group in entry_points.sections()} == project["entry-points"]


def test_the_page_is_one_page_without_places_of_this_machine() -> None:
    assert len(PAGE.splitlines()) < 255
    assert str(ROOT) not in PAGE


def test_the_lines_that_the_page_shows_are_what_plugins_prints() -> None:
    done = bakeoff("plugins")
    assert done.returncode == 0, done.stderr
    printed = [re.sub(r"  +", "  ", line) for line in done.stdout.splitlines()]  # other plugins may need wider columns
    for line in block("text").splitlines():
        assert re.sub(r"  +", "  ", line) in printed


def test_the_sentences_that_the_page_promises_stand_in_the_registry() -> None:
    """Their tests are in tests/core/contracts/test_registry.py; here, that the page tells them in the same words."""
    tests = (ROOT / "tests" / "core" / "contracts" / "test_registry.py").read_text(encoding="utf-8")
    for sentence in (
        "no hook 'bakeoff_task'; did you mean 'bakeoff_tasks'?",
        "bakeoff_tasks lacks the decorator @hookimpl (from bakeoff.plugin)",
        "bakeoff_tasks must return a list of bakeoff.plugin.Task objects; it returned nothing",
        "uninstall all but one",
    ):
        assert sentence in PAGE
        assert sentence in tests


@pytest.mark.slow
def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    """Word by word; only `run` writes elsewhere, on one thread, for the machine may be busy."""
    for words in commands():
        extra = ["--into", str(tmp_path), "--threads", "1"] if words[1] == "run" else []
        done = bakeoff(*words[1:], *extra)
        assert done.returncode == 0, f"{words}: {done.stderr}"
    records = [json.loads(path.read_text()) for path in tmp_path.glob("records/*/record.json")]
    assert len(records) == 6
    for record in records:
        assert record["status"] == "ok"
        assert record["requested"]["task"]["distribution"] == "bakeoff-questions"
        assert record["environment"]["software"]["bakeoff-questions"] == "1.0"
        assert record["cost"]["steps"] == 250
        assert record["scores"]["test"]["accuracy"] > record["data"]["majority_baseline"]["test"]["accuracy"]
    assert {record["requested"]["strategy"] for record in records} == {"full", "frozen"}


def test_a_pair_of_lines_never_crosses_splits_and_ids_are_unique(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(PACKAGE)
    from bakeoff_questions import Questions, QuestionsOptions

    from bakeoff.plugin import Paths

    splits = Questions().load(QuestionsOptions(marks=True), Paths(None, tmp_path))
    ids = {name: list(split["id"]) for name, split in splits.items()}
    assert {name: len(numbers) for name, numbers in ids.items()} == {"train": 768, "dev": 96, "test": 96}
    pairs = {name: {number.split("-")[0] for number in numbers} for name, numbers in ids.items()}
    assert sum(map(len, pairs.values())) == len(set().union(*pairs.values())) == 480
    assert all(line.endswith(".?"[label]) for line, label in zip(splits["dev"]["line"], splits["dev"]["label"], strict=True))
