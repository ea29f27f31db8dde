"""Every verb on standard streams that are not UTF-8, full, closed or left by their reader: plain characters, an exit code."""

from __future__ import annotations

import ast
import codecs
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.compare.made_records import drawn_answers, make_experiment_folder

import bakeoff.cli
from bakeoff.cli.streams import PLAIN_ERRORS, plain

ROOT = Path(__file__).parents[2]
LABELS = np.arange(120) % 3 // 2
STRANGE = "Is 日本 é better?"

EVERY_VERB = """
import json, sys
from bakeoff.cli import main

first, codes = (sys.stdout, sys.stderr), []
for words in json.loads(sys.argv[1]):
    sys.stdout, sys.stderr, sys.argv = *first, ["bakeoff", *words]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)
open(CODES, "w").write(json.dumps(codes))
"""
"""Performs the command lines of its argument in one process; their exit codes go to a file."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("streams")
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate(("a", "b"))}
    for name in ("one", "two"):
        make_experiment_folder(place / name, answers, LABELS, question=STRANGE, gate={"quality": "-1.0 points"})
    shutil.copytree(ROOT / "results" / "quickstart", place / "quickstart", ignore=shutil.ignore_patterns("*.html"))
    (place / "wrong.yaml").write_text("name: w\nseeds: 0\n")
    (place / "worse.yaml").write_text(f"name: w\nstrategies: {{ {'é' * 3}: 1 }}\n", encoding="utf-8")
    return place


VERBS: dict[tuple[str, ...], int] = {
    ("--help",): 0,
    ("--version",): 0,
    ("run", "--help"): 0,
    ("run", "quickstart/spec.yaml"): 0,
    ("table", "one"): 0,
    ("table", "one", "--beside", "two"): 0,
    ("report", "one", "--strict", "--json"): 4,
    ("gate", "one", "--against", "two"): 3,
    ("rescore", "one", "--metric", "mcc"): 0,
    ("plan", "quickstart/spec.yaml"): 0,
    ("plan", "quickstart/spec.yaml", "--resolve", "1"): 0,
    ("check", "quickstart/spec.yaml"): 0,
    ("plugins",): 0,
    ("plugins", "--json"): 0,
    ("verify", "one"): 0,
    ("schema",): 0,
    ("new", "task", "another", "--folder", "FRESH"): 0,
    ("show", "task", "docstrings", "--option", "size=1"): 2,
    ("parity", "quickstart/spec.yaml", "--strategies", "a,b"): 2,
    ("check", "worse.yaml"): 2,
    ("check", "wrong.yaml"): 2,
    ("table", "nowhere"): 2,
    ("tabel",): 2,
    ("table",): 2,
}
"""Command line -> its exit code where all streams are as they should be."""

SILENT = {("check", "worse.yaml"), ("check", "wrong.yaml"), ("table", "nowhere"), ("tabel",), ("table",)}
"""Those that print on standard error only."""
SILENT |= {verb for verb in VERBS if verb[0] in ("show", "parity")}

QUICK = {verb: code for verb, code in VERBS.items() if verb[0] in ("table", "gate", "check", "tabel")}


def perform(folder: Path, tmp_path: Path, verbs: list[tuple[str, ...]], **streams: Any) -> dict[tuple[str, ...], int]:
    """Every verb's exit code; the streams are `subprocess.run`'s, `close` are numbers of streams that are closed before."""
    codes, close = tmp_path / "codes.json", streams.pop("close", ())
    fresh = [[str(tmp_path / "fresh") if word == "FRESH" else word for word in verb] for verb in verbs]
    words = [sys.executable, "-c", EVERY_VERB.replace("CODES", repr(str(codes))), json.dumps(fresh)]
    shell = " ".join(["exec", '"$@"', *(f"{number}>&-" for number in close)])
    subprocess.run(["/bin/sh", "-c", shell, "sh", *words], cwd=folder, timeout=120, check=False, **streams)
    return dict(zip(verbs, json.loads(codes.read_text()), strict=True))


def test_what_the_encoding_lacks_is_plain(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        assert perform(folder, tmp_path, list(VERBS), stdout=out, stderr=err, env=environment) == VERBS
    printed, told = ((tmp_path / name).read_bytes().decode("ascii") for name in ("out", "err"))
    assert "Traceback" not in told
    assert printed.count("Is \\u65e5\\u672c \\xe9 better?") == 1
    assert "Is \\u65e5\\u672c \\u00e9 better?" in printed, "JSON stays JSON"
    assert "mrpc - minilm" in printed
    assert "\\xe9\\xe9\\xe9" in told


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "é · 81.2 ± 0.3 ★ 日 ✅"),
        ("latin-1", "é · 81.2 ± 0.3 * \\u65e5 [pass]"),
        ("cp437", "é · 81.2 ± 0.3 * \\u65e5 [pass]"),
        ("ascii", "\\xe9 - 81.2 +- 0.3 * \\u65e5 [pass]"),
        ("shift-jis", "\\xe9 - 81.2 ± 0.3 ★ 日 [pass]"),
    ],
)
def test_only_what_the_encoding_lacks_is_replaced(encoding: str, shown: str) -> None:
    codecs.register_error(PLAIN_ERRORS, plain)
    assert "é · 81.2 ± 0.3 ★ 日 ✅".encode(encoding, PLAIN_ERRORS).decode(encoding) == shown
    assert "\udce9".encode(encoding, PLAIN_ERRORS) == b"\\udce9", "of a file's name that is no text"


def test_a_closed_stream_is_no_error_and_nothing_else_takes_its_number(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    assert perform(folder, tmp_path, list(QUICK), close=(0, 1, 2), capture_output=True) == QUICK
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@needs_full
def test_a_full_output_is_one_line_and_exit_code_2(folder: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full, (tmp_path / "err").open("w") as err:
        codes = perform(folder, tmp_path, list(VERBS), stdout=full, stderr=err)
    assert {verb: code for verb, code in codes.items() if verb not in SILENT} == dict.fromkeys(set(VERBS) - SILENT, 2)
    assert {verb: codes[verb] for verb in SILENT} == {verb: VERBS[verb] for verb in SILENT}
    lines = (tmp_path / "err").read_text().splitlines()
    assert lines.count("standard output cannot be written: No space left on device") == len(VERBS) - len(SILENT)
    assert "Traceback" not in "".join(lines)


@needs_full
def test_neither_a_reader_that_has_left_nor_a_full_standard_error_changes_an_exit_code(folder: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("w") as full:
        assert perform(folder, tmp_path, list(QUICK), stdout=writing, stderr=full) == QUICK
        assert perform(folder, tmp_path, list(QUICK)[-2:], stdout=full, stderr=writing) == dict(list(QUICK.items())[-2:])
    os.close(writing)


def test_a_full_pipe_that_does_not_block_is_waited_for(folder: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    child = subprocess.Popen([sys.executable, "-m", "bakeoff", "schema"], stdout=writing, cwd=folder)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert json.loads(stream.read())["title"]
    assert child.wait(timeout=60) == 0


def test_the_package_is_a_command_too() -> None:
    words = [sys.executable, "-m", "bakeoff"]
    done = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("bakeoff, version ")
    assert subprocess.run([*words, "tabel"], capture_output=True, check=False, timeout=60).returncode == 2


def test_verbs_print_by_say_and_tell_alone() -> None:
    """Whatever else is printed would not be safe."""
    for path in Path(bakeoff.cli.__file__).parent.glob("*.py"):
        if path.name == "saying.py":
            continue
        calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"} & set(calls), path.name
