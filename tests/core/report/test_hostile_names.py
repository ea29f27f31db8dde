"""Whatever a stranger calls things, it is shown as text: on the terminal, in tables for people and for spreadsheets."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from builders import EVERYTHING, HOSTILE, Renamer, hostile_folder
from core.calling import Call, Install
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.cli import main
from bakeoff.machine.streams import one_line, write_json
from bakeoff.text.words import is_shown

GROUPS = [
    [EVERYTHING],
    *(
        pytest.param((*HOSTILE[first:], *HOSTILE[:first]), marks=pytest.mark.long if first % 42 else pytest.mark.slow)
        for first in range(0, len(HOSTILE), 14)
    ),
]


def driving(said: str) -> list[str]:
    """Characters that a terminal would obey or hide, and lines that a service would obey."""
    found = [repr(one) for one in said if one != "\n" and not one.isprintable()]
    return found + [line for line in said.split("\n") if line.strip().startswith("::") or "##[" in line or "##vso[" in line]


@pytest.fixture(scope="module", params=GROUPS, ids=lambda names: str(HOSTILE.index(names[0])) if len(names) > 1 else "all")
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two experiments of the same names, each of which another group has in another place."""
    place = tmp_path_factory.mktemp("hostile")
    return [hostile_folder(place / name, Renamer(request.param)) for name in ("a\x1b]0;x\x07", "b")]


VERBS = (
    *(("table",), ("table", "--beside", "OTHER"), ("table", "--json"), ("report",), ("report", "--json"), ("verify",)),
    ("export", "--to", "notes"),
    *(
        ("gate", "--against", "OTHER"),
        ("gate", "--against", "OTHER", "--json"),
        ("rescore", "--metric", "accuracy", "--slices", "--calibration"),
    ),
    *(
        ("rescore", "--metric", "accuracy", "--json"),
        ("rescore", "--metric", "\x1b[31mmc"),
        ("rescore", "--split", "\x1b[31mts"),
    ),
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_name_drives_the_terminal(call: Call, folders: list[Path], verb: tuple[str, ...]) -> None:
    words = [folders[1] if word == "OTHER" else word for word in verb]
    code, out, err = call(words[0], folders[0], *words[1:])
    assert code in (0, 1, 2, 3), err
    assert driving(out + err) == []
    assert len(out + err) > 40


@pytest.mark.parametrize("verb", [("table",), ("gate", "--against", "OTHER"), ("plugins",)], ids=" ".join)
def test_pages_that_are_fitted_to_a_terminal_drive_none(
    folders: list[Path], verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Terminal()
    words = [verb[0], *([] if verb[0] == "plugins" else [str(folders[0])]), *verb[1:]]
    words = [str(folders[1]) if word == "OTHER" else word for word in words]
    for name, value in (("COLUMNS", "60"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bakeoff", *words])
    monkeypatch.setattr(sys, "stdout", said)
    with pytest.raises(SystemExit):
        main()
    assert driving(said.getvalue()) == []
    assert len(said.getvalue()) > 400


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of which one record was altered, one is a link, and three that nobody asked for are none at all."""
    folder = hostile_folder(tmp_path_factory.mktemp("damaged") / "c\x1b[31m\u202e", Renamer(HOSTILE, 3))
    first, second, *_ = sorted(folder.glob("records/r1-*"))
    (first / "record.json").write_text((first / "record.json").read_text().replace('"seed":', '"seed": '))
    (second / "record.json").unlink()
    (second / "record.json").symlink_to("\x1b[31mnowhere")
    for name in ("r1-\x1b[31m", "r1-00ff", ".replaced-\x9b"):
        (folder / "records" / name).mkdir()
    return folder


@pytest.mark.parametrize(
    "verb",
    [("verify",), ("table",), ("report",), ("gate", "--against", "OTHER"), ("rescore", "--metric", "accuracy")],
    ids=" ".join,
)
def test_what_is_said_of_damage_drives_no_terminal(call: Call, damaged: Path, tmp_path: Path, verb: tuple[str, ...]) -> None:
    other = hostile_folder(tmp_path / "other", Renamer(HOSTILE, 3)) if "OTHER" in verb else tmp_path
    _, out, err = call(verb[0], damaged, *(other if word == "OTHER" else word for word in verb[1:]))
    assert driving(out + err) == []
    assert out.count("damaged") + err.count("damaged") >= 2
    assert "c\\x1b[31m\\u202e" in out + err


@pytest.fixture(scope="module")
def own_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment file beside rows whose columns, labels, slices and texts have hostile names."""
    folder = tmp_path_factory.mktemp("own\x1b]0;x\x07")
    rows = [
        {COLUMN: f"{HOSTILE[number % len(HOSTILE)]} {number}", LABEL: LABELS[number % 2], SLICE: HOSTILE[number % 30], EXTRA: 1}
        for number in range(120)
    ]
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "spec.yaml").write_text(SPEC)
    return folder


COLUMN, LABEL, SLICE, EXTRA = "sentence\u202e", "label\u200b", "\u2066genre", "more\x1b]0;x\x07"
LABELS = ["::error::yes\x1b[2J", "no\r\u2066[red]"]
SPEC = f"""\
name: mine
tasks: [{{name: table, train: train.jsonl, test: test.jsonl, text: {json.dumps(COLUMN)}, label: {json.dumps(LABEL)},
  slices: [{json.dumps(SLICE)}]}}]
models: [tiny-bert]
recipe: {{max_steps: 2, batch_size: 4, learning_rate: 5e-5}}
strategies: {{a: {{trainer: torch-loop}}, b: {{trainer: torch-loop, recipe: {{batch_size: 8}}}}}}
baseline: a
seeds: 1
report_on: test
"""
SHOW = ("show", "task", "table", "--data", "FOLDER", "--option", "train=train.jsonl", "--option", "test=test.jsonl")


def options(**given: str) -> list[str]:
    return [word for key, value in given.items() for word in ("--option", f"{key}={json.dumps(value)}")]


SOURCES = {
    "all is right": ([*SHOW, *options(text=COLUMN, label=LABEL, slices=[SLICE])], 0),  # type: ignore[arg-type]
    "as JSON": ([*SHOW, "--json", *options(text=COLUMN, label=LABEL)], 0),
    "a column": ([*SHOW, *options(text=COLUMN[:-2], label=LABEL)], 2),
    "a column far off": ([*SHOW, *options(text="zzz\x1b[31m", label=LABEL)], 2),
    "a class": (
        [*SHOW, *options(text=COLUMN, label=LABEL), "--option", 'metrics=[{name: f1, positive: "no\\r\\u2066[rd]"}]'],
        2,
    ),
    "a key": ([*SHOW, "--option", "te\x1b[31mxt=x"], 2),
    "a task": (["show", "task", "ta\x1b[31mble"], 2),
    "a file": ([*SHOW, "--option", 'train="tr\\x1b[31m.jsonl"'], 2),
    "plan": (["plan", "SPEC"], 0),
    "plan as JSON": (["plan", "SPEC", "--json"], 0),
    "check": (["check", "SPEC"], 0),
    "resolve": (["plan", "SPEC", "--resolve", "1"], 0),
    "no file": (["check", "no\x1b]0;x\x07\u202e.yaml"], 2),
    "parity": (["parity", "SPEC", "--strategies", "\x1b[31ma,b"], 2),
    "verb": (["run\x1b]0;x\x07"], 2),
    "no verb of show": (["show", "\x1b[31m\ntask"], 2),
    "option": (["run", "--x\x1b[31m\n::error::x"], 2),
    "choice": (["run", "SPEC", "--device", "\x1b[31m\n::error::x"], 2),
    "too many": (["verify", "a", "b\x1b[31m\n::error::x"], 2),
    "number": (["run", "SPEC", "--jobs", "\x9b\n::error::x"], 2),
    "allow": (["report", "FOLDER", "--allow", "\x1bS1"], 2),
    "explain": (["explain", "\x1bS1"], 2),
    "no folder": (["verify", "\x1b[31m\n::error::x"], 2),
    "new": (["new", "task", "\x1b[31m"], 2),
}


@pytest.mark.parametrize("case", SOURCES)
def test_no_file_and_no_word_of_the_command_line_drives_the_terminal(call: Call, own_rows: Path, case: str) -> None:
    words, expected = SOURCES[case]
    places = {"SPEC": own_rows / "spec.yaml", "FOLDER": own_rows}
    code, out, err = call(*(places.get(word, word) for word in words))
    assert driving(out + err) == []
    assert (code, bool(out), bool(err)) == (expected, not expected, bool(expected)), out + err


def test_plugins_and_schema_show_no_name_raw(call: Call, install: Install, tmp_path: Path) -> None:
    install("acme-ml", "raise ImportError('a\\x1b[2J\\n::error::b')", entry_points="[bakeoff]\nac\x1b[31m\u202eme = acme_ml\n")
    for words in (["plugins"], ["plugins", "--json"], ["schema"], ["show", "task", "acme"]):
        _, out, err = call(*words)
        assert driving(out + err) == [], words


ANY = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(':#[ \x1b\x7f\n\\"vso\u3164')), max_size=20)


@given(ANY)
def test_any_text_is_one_line(text: str) -> None:
    line = one_line(text)
    assert driving(line) == []
    assert is_shown(line)
    assert line == text or not is_shown(text) or "::" in text or "##" in text


@given(
    st.recursive(ANY | st.floats(allow_nan=False), lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=5)
)
def test_any_json_says_what_it_said(value: Any) -> None:
    for ascii_only in (True, False):
        stream = io.StringIO()
        write_json(stream, json.dumps(value, indent=1, ensure_ascii=ascii_only))
        assert driving(stream.getvalue()) == []
        assert json.loads(stream.getvalue()) == value


ON_A_TERMINAL = """
import logging, sys, time, types, warnings
from bakeoff.cli.progress import make_progress
from bakeoff.cli.output import print_result
from bakeoff.machine.streams import prepare_streams

prepare_streams(escaping=True)
NAMES = eval(sys.argv[1])
with make_progress() as progress:
    progress.start(total=len(NAMES), done=0)
    for number, name in enumerate(NAMES):
        run = types.SimpleNamespace(id=str(number), title=name)
        progress.begin(run)
        progress.update(run, name, 1, 2, 0.5)
        progress.note(f"note {name}")
        warnings.warn(f"warning {name}")
        logging.error(f"log {name}")
        progress.bars.refresh()
        progress.bars.remove_task(progress.lines.pop(run.id))
for name in NAMES:
    print(f"print {name}")
    print(f"print {name}", file=sys.stderr)
print_result("bold", style="bold")
"""


def test_a_real_terminal_gets_no_more_than_the_codes_that_draw_it() -> None:
    """What libraries print by themselves is escaped too, while lines are live and afterwards."""
    ours, theirs = os.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, repr(HOSTILE)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "24"},
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    assert done.wait() == 0, said[-2000:]
    text = said.decode().replace("\r", "")
    assert text.count("\x1b[1mbold\x1b[0m") == 1
    plain = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]", "", text)
    assert "\x1b[31m" not in text, "red is nobody's colour here"
    assert driving(plain) == []
    for what in ("note", "warning", "log", "print"):
        assert plain.count(f"{what} \\x1b]0;owned\\x07title") >= 1, what
    assert plain.count("[red]rich[/red]") >= len(("title", "phase", "note", "warning", "log", "print", "print"))


@pytest.mark.long
def test_runs_of_such_rows_are_made_and_reported(call: Call, own_rows: Path) -> None:
    spec = own_rows / "spec.yaml"
    for words in (["check", spec, "--build"], ["run", spec, "--no-control"], ["parity", spec], ["report", own_rows]):
        code, out, err = call(*words)
        assert code == (1 if words[0] == "parity" else 0), err
        assert driving(out + err) == [], words
    assert "\\u202e" in (own_rows / "table.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_in_a_strangers_folder_drives_no_terminal(call: Call, own_rows: Path, damaged: Path) -> None:
    code, out, err = call("run", own_rows / "spec.yaml", "--into", damaged, "--no-control")
    assert driving(out + err) == []
    assert code in (0, 2), err
    assert "c\\x1b[31m\\u202e" in out + err
