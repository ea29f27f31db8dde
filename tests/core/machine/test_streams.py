"""Every verb on standard streams that are not UTF-8, full, closed or left by their reader: plain characters, an exit code."""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from builders import drawn_answers, make_folder
from end_to_end.experiments import COMMAND

from bakeoff.machine.streams import PLAIN_ERRORS, plain

ROOT = Path(__file__).parents[3]
LABELS = np.arange(120) % 3 // 2
STRANGE = "Is 日本 é better?"

ROUNDS = """
import functools, json, os, sys
import bakeoff.contracts.registry
from bakeoff.cli import main

# Half of the time of most lines.
bakeoff.contracts.registry.load_registry = functools.cache(bakeoff.contracts.registry.load_registry)

def is_now(number, name, place):
    # the stream goes where Python finds it at its start; one that is closed is None
    if place == "closed":
        os.close(number)
        stream = None
    else:
        descriptor = LEFT if place == "left" else os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        stream = open(number, "w", encoding="ascii", errors="strict" if number == 1 else "backslashreplace", closefd=False)
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)
    return stream

reading, LEFT = os.pipe()
os.close(reading)
codes = []
for out, err, lines in json.loads(sys.argv[1]):
    first, ended = (is_now(1, "stdout", out), is_now(2, "stderr", err)), []
    for words in lines:
        sys.stdout, sys.stderr, sys.argv = *first, ["bakeoff", *words]
        try:
            main()
        except SystemExit as end:
            ended.append(end.code)
    codes.append(ended)
with open(CODES, "w") as file:
    json.dump(codes, file)
"""
"""Performs rounds of command lines, each round on streams of its own, in one process; the exit codes go to a file."""

PLAIN_C = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "HF_HUB_OFFLINE": "1"}
"""The environment of a machine that knows ASCII alone."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("streams")
    answers = {name: drawn_answers(LABELS, seeds=3, accuracy=0.8, seed=number) for number, name in enumerate(("a", "b"))}
    for name in ("one", "two"):
        make_folder(place / name, answers, LABELS, question=STRANGE, gate={"quality": "-1.0 points"})
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
    ("export", "one", "--to", "notes"): 0,
    ("rescore", "one", "--metric", "mcc"): 0,
    ("plan", "quickstart/spec.yaml"): 0,
    ("plan", "quickstart/spec.yaml", "--resolve", "1"): 0,
    ("check", "quickstart/spec.yaml"): 0,
    ("plugins",): 0,
    ("plugins", "--json"): 0,
    ("verify", "one"): 1,  # made-up records have made-up ids
    ("schema",): 0,
    ("explain",): 0,
    ("new", "task", "another", "--folder", "FRESH"): 0,
    ("show", "task", "docstrings", "--option", "size=1"): 2,
    ("parity", "quickstart/spec.yaml", "--strategies", "a,b"): 2,
    ("doctor", "--no-control"): 0,
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

Codes = dict[tuple[str, ...], int]


@dataclass(frozen=True)
class Performed:
    """What the rounds gave: command line -> exit code on each pair of streams, and what was printed."""

    ascii: Codes
    full: Codes
    closed: Codes
    left: Codes
    neither: Codes
    printed: bytes
    told: bytes
    told_when_full: str
    unchanged: bool
    """Whether no record was written into."""


@pytest.fixture(scope="module")
def performed(folder: Path) -> Performed:
    full = "/dev/full" if Path("/dev/full").exists() else "closed"
    wanted = {
        "ascii": ("out", "err", VERBS),
        "full": (full, "err-of-full", VERBS),
        "closed": ("closed", "closed", QUICK),
        "left": ("left", full, QUICK),
        "neither": (full, "left", dict(list(QUICK.items())[-2:])),
    }
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    rounds = [
        (out, err, [[f"fresh-{name}" if word == "FRESH" else word for word in verb] for verb in verbs])
        for name, (out, err, verbs) in wanted.items()
    ]
    words = [sys.executable, "-c", ROUNDS.replace("CODES", repr("codes.json")), json.dumps(rounds)]
    subprocess.run(words, cwd=folder, timeout=300, check=False, env={**os.environ, **PLAIN_C})
    ended = json.loads((folder / "codes.json").read_text())
    codes = {name: dict(zip(verbs, own, strict=True)) for (name, (_, _, verbs)), own in zip(wanted.items(), ended, strict=True)}
    return Performed(
        **codes,
        printed=(folder / "out").read_bytes(),
        told=(folder / "err").read_bytes(),
        told_when_full=(folder / "err-of-full").read_text(),
        unchanged={path: path.read_bytes() for path in folder.rglob("*.parquet")} == before,
    )


def test_what_the_encoding_lacks_is_plain(performed: Performed) -> None:
    assert performed.ascii == VERBS
    printed, told = performed.printed.decode("ascii"), performed.told.decode("ascii")
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


def test_a_closed_stream_is_no_error_and_nothing_else_takes_its_number(performed: Performed, folder: Path) -> None:
    assert performed.closed == QUICK
    assert performed.unchanged
    whole = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "bakeoff"]
    codes = {
        words: subprocess.run([*whole, *words], cwd=folder, check=False, timeout=60).returncode
        for words in (("--version",), ("tabel",))
    }
    assert codes == {("--version",): 0, ("tabel",): 2}


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@needs_full
def test_a_full_output_is_one_line_and_exit_code_2(performed: Performed) -> None:
    codes = performed.full
    assert {verb: code for verb, code in codes.items() if verb not in SILENT} == dict.fromkeys(set(VERBS) - SILENT, 2)
    assert {verb: codes[verb] for verb in SILENT} == {verb: VERBS[verb] for verb in SILENT}
    lines = performed.told_when_full.splitlines()
    assert lines.count("standard output cannot be written: No space left on device") == len(VERBS) - len(SILENT)
    assert "Traceback" not in "".join(lines)


@needs_full
def test_neither_a_reader_that_has_left_nor_a_full_standard_error_changes_an_exit_code(performed: Performed) -> None:
    assert performed.left == QUICK
    assert performed.neither.items() <= QUICK.items()
    assert performed.neither


def test_a_full_pipe_that_does_not_block_is_waited_for(folder: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    child = subprocess.Popen([sys.executable, "-m", "bakeoff", "schema"], stdout=writing, cwd=folder)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert json.loads(stream.read())["title"]
    assert child.wait(timeout=60) == 0


PRINTING = """
import json, os, sys
from multiprocessing import Pipe
from bakeoff.machine.worker_process import _child

def train(say):
    print("\\xe9 \\xb7 \\u65e5", flush=True)
    print("\\xe9 \\xb7 \\u65e5", file=sys.stderr, flush=True)
    say({"ended": "well"})

ours, theirs = Pipe(duplex=False)
_child(theirs, sys.argv[1], train, ())
words = [json.loads(line) for line in os.read(ours.fileno(), 1000).splitlines()]
sys.exit(0 if words == [{"process": os.getpid()}, {"ended": "well"}] else 1)
"""


@pytest.mark.parametrize("output", ["out.txt", pytest.param("/dev/full", marks=needs_full)])
def test_what_a_trainer_prints_never_ends_its_run(tmp_path: Path, output: str) -> None:
    place = tmp_path / output
    subprocess.run([sys.executable, "-c", PRINTING, place], env={**os.environ, **PLAIN_C}, check=True, timeout=60)
    if place.is_file():
        assert place.read_bytes() == b"\\xe9 - \\u65e5\n" * 2


@pytest.mark.parametrize("door", [[*COMMAND, "worker"], [sys.executable, "-m", "bakeoff.worker"]], ids=["command", "module"])
@pytest.mark.parametrize("stream", [pytest.param("2>/dev/full", marks=needs_full), "<&- >&- 2>err"])
def test_a_worker_without_a_request_says_so_wherever_its_streams_go(tmp_path: Path, stream: str, door: list[str]) -> None:
    (tmp_path / "é.json").write_text("{}")
    words = [*door, "é.json", "out"]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {stream}', "sh", *words],
        cwd=tmp_path,
        env={**os.environ, **PLAIN_C},
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    if "err" in stream:
        assert re.fullmatch(rb".*\.json is not a request: id: Field required\n", (tmp_path / "err").read_bytes())


def test_the_package_is_a_command_too() -> None:
    words = [sys.executable, "-m", "bakeoff"]
    done = subprocess.run([*words, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("bakeoff, version ")
    assert subprocess.run([*words, "tabel"], capture_output=True, check=False, timeout=60).returncode == 2


def test_an_interrupt_while_the_command_is_imported_is_no_traceback(tmp_path: Path) -> None:
    """`click` is imported by `bakeoff.cli`: here it is where Ctrl-C comes."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    answer = subprocess.run(
        [sys.executable, "-c", "from bakeoff.__main__ import main; main()"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, b"", b"")
