"""`bakeoff log`: what a run printed, whichever attempt at it, in one line each and nothing that moves a terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import clean_answers, failed, make_folder, make_record, write_run
from builders.experiments import LABELS
from core.calling import Call
from messages import tells

from bakeoff.files import temporary_name
from bakeoff.machine.output import keep_ends
from bakeoff.records.store import Store

HOSTILE = b"step 1\rstep 2\rstep 3\n\x1b[2Jgone\n::error::no\n\xff\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "e", {name: clean_answers(seeds=2, seed=number) for number, name in enumerate("ab")}, LABELS)


def place(folder: Path, name: str) -> Path:
    strategy, seed = name.split(":")
    run = next(run for run in Store(folder).declared().runs if (run.strategy, run.seed) == (strategy, int(seed)))
    return Store(folder).records / run.id


def test_what_a_run_printed_is_shown_line_by_line_and_escaped(call: Call, folder: Path) -> None:
    (place(folder, "a:0") / "output.txt").write_bytes(HOSTILE)
    code, out, err = call("log", "a:0", folder)
    assert (code, err) == (0, "")
    head, where, *lines = out.splitlines()
    assert tells(head, "a:0 (r1-", "succeeded; began ")
    assert where.startswith("--- output (")
    assert lines == ["step 3", "\\x1b[2Jgone", "\\x3a:error::no", "\N{REPLACEMENT CHARACTER}"]
    assert call("log", place(folder, "a:0").name, folder) == (code, out, err)


def test_a_run_that_printed_nothing_says_so(call: Call, folder: Path) -> None:
    assert "it printed nothing" in call("log", "b:1", folder)[1]


def test_where_several_runs_fit_they_are_listed(call: Call, folder: Path) -> None:
    code, out, err = call("log", "a", folder)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["a:0", "a:1"]
    assert tells(err, "", "2 runs; ", "`bakeoff log a:0 ")
    assert len(call("log", ":1", folder)[1].splitlines()) == 2


@pytest.mark.parametrize("name", ["a:7", "c:0", "../e", "..", "", "r1-0", "plan.json"])
def test_what_is_no_run_is_an_error(call: Call, folder: Path, name: str) -> None:
    code, out, err = call("log", "--", name, folder)
    assert (code, out) == (2, "")
    assert err.startswith("no run ")


def test_earlier_attempts_and_the_one_that_runs_are_shown(call: Call, folder: Path) -> None:
    store, own = Store(folder), place(folder, "a:0")
    for number, reason in enumerate(("crashed", "timed out")):
        path = store.records / f".replaced-{own.name}-0000000{number}"
        write_run(store, failed(make_record("x", 9), reason), {})
        (made,) = set(store.recorded_ids()) - {run.id for run in store.declared().runs}
        (store.records / made).rename(path)
        (path / "output.txt").write_text(f"attempt {number}\n")
    _, out, err = call("log", "a:0", folder)
    assert ("attempt" in out, tells(err, "", "2 earlier attempts ", "--earlier ")) == (False, True)
    _, out, err = call("log", "a:0", folder, "--earlier")
    assert (out.count("attempt 0\n"), out.count("attempt 1\n"), out.count("archived: failed"), err) == (1, 1, 2, "")
    running = store.records / temporary_name(own.name)
    running.mkdir()
    (running / "output.txt").write_text("going on\n")
    assert tells(call("log", "a:0", folder)[1], "a:0 (", "running", "going on")


def test_what_a_killed_command_left_is_shown(call: Call, folder: Path) -> None:
    store, own = Store(folder), place(folder, "a:0")
    shutil.rmtree(own)
    host = temporary_name("x").split("-")[2]
    left = store.records / f".tmp-{own.name}-{host}-4194303-00000000"
    left.mkdir()
    (left / "output.txt").write_text("so far\n")
    code, out, _ = call("log", "a:0", folder)
    assert (code, tells(out, "", "unfinished: ", "killed"), "so far" in out) == (0, True, True)


def test_a_link_in_the_place_of_the_output_is_not_followed(call: Call, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (place(folder, "a:0") / "output.txt").symlink_to(tmp_path / "secret")
    _, out, _ = call("log", "a:0", folder)
    assert "symbolic link" in out
    assert "--- output" in out
    assert "secret\n" not in out.replace("/secret", "")


def test_beginning_and_end_of_what_a_good_run_printed_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "output.txt"
    path.write_bytes(b"first" + b"x" * 200_000 + b"last")
    keep_ends(path)
    content = path.read_bytes()
    assert (content[:5], content[-4:], b"134473 bytes were left out" in content) == (b"first", b"last", True)
    assert len(content) < 2**16 + 100
    path.write_bytes(b"short")
    keep_ends(path)
    assert path.read_bytes() == b"short"
    path.write_bytes(b"")
    keep_ends(path)
    assert not path.exists()
    path.symlink_to(tmp_path / "nowhere")
    keep_ends(path)
    assert not path.is_symlink()
