"""`bakeoff new command train.py`: the adapter of somebody's own script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from core.calling import Call
from messages import tells

from bakeoff.spec.document import read_document

READY = """
import argparse
import lib.losses
from rows import read_rows
parser = argparse.ArgumentParser()
for option in ("--train-file", "--test_file", "--out", "--seed", "--lr", "--patience"):
    parser.add_argument(option)
open("executed", "w").close()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "rows.py").write_text("")
    (tmp_path / "train.py").write_text(READY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trainer_in(experiment: str) -> Any:
    document = read_document(Path(experiment))
    assert not document.flaws
    return document.data["strategies"]["train"]["trainer"]


def test_a_script_that_takes_rows_becomes_a_strategy_by_its_own_options_and_is_not_run(call: Call, folder: Path) -> None:
    before = {*folder.iterdir()}
    code, out, _ = call("new", "command", "train.py")
    assert code == 0
    assert tells(out.splitlines()[-1], "next: bakeoff check ", "train_bakeoff.yaml --build --trust")
    assert {*folder.iterdir()} - before == {folder / "train_bakeoff.yaml"}
    files = ["--train-file", "{train}", "--test_file", "{predict}", "--out", "{predictions}"]
    assert trainer_in("train_bakeoff.yaml") == {
        "name": "command",
        "run": ["python", "train.py", *files, "--seed", "{seed}", "--lr", "{learning_rate}"],
        "code": ["train.py", "lib/", "rows.py"],
        "claims": ["learning_rate"],
    }


def test_for_any_other_script_one_is_written_that_takes_rows_and_works(call: Call, folder: Path) -> None:
    (folder / "train.py").write_text("print('trained')\n")
    code, out, _ = call("new", "command", "train.py")
    assert code == 0
    assert "train_bakeoff.py" in out
    trainer = trainer_in("train_bakeoff.yaml")
    assert trainer["code"] == ["train_bakeoff.py", "train.py"]
    rows = [{"id": 5, "texts": {"text": "a"}, "label": "ja"}, {"id": 7, "texts": {"text": "b"}, "label": "nein"}]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, [*rows, rows[0]])))
    filled = {"{train}": "rows.jsonl", "{predict}": "rows.jsonl", "{predictions}": "answers.jsonl", "{seed}": "3"}
    words = [sys.executable, *(filled.get(word, word) for word in trainer["run"][1:])]
    subprocess.run(words, check=True, timeout=60)
    answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert answers == [{"id": 5, "answer": "ja"}, {"id": 7, "answer": "ja"}]


def test_nothing_is_overwritten_and_half_an_adapter_is_none(call: Call, folder: Path) -> None:
    (folder / "train.py").write_text("print('trained')\n")
    (folder / "train_bakeoff.py").write_text("mine")
    code, out, err = call("new", "command", "train.py")
    assert (code, out) == (2, "")
    assert tells(err, "train_bakeoff.py ", "not overwritten")
    assert (folder / "train_bakeoff.py").read_text() == "mine"
    assert not (folder / "train_bakeoff.yaml").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("train.sh", "true", "train.sh: expected a Python script"),
        ("gone.py", None, "gone.py: "),
        ("broken.py", "a = (\n", "broken.py:1: it is no valid Python"),
    ],
)
def test_what_is_no_script_is_one_sentence(call: Call, folder: Path, name: str, content: str | None, told: str) -> None:
    if content is not None:
        (folder / name).write_text(content)
    code, out, err = call("new", "command", name)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert tells(err, told)
