"""`bakeoff run --export-to`: runs are exported while others train, and no trouble of a tracker reaches them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, sleeper, start, trains, wait_until, write_spec
from end_to_end.test_sharding import HEAD, STRATEGIES
from messages import tells

from bakeoff.cli import following
from bakeoff.text.values import command

pytestmark = pytest.mark.slow
ONE = {"full": STRATEGIES["full"]}


def notes(folder: Path) -> dict[str, dict[str, Any]]:
    """What the tracker has, by name."""
    found = [json.loads(path.read_text()) for path in (folder / "tracked").glob("*.json")]
    return {note["name"]: note for note in found}


def test_runs_and_the_summary_are_exported_and_a_later_run_adds_its_own(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ONE, head=HEAD, seeds=1)
    done = call("run", spec, "--export-to", "notes", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(notes(tmp_path)) == {"full:0", "summary"}
    assert notes(tmp_path)["full:0"]["steps"]["train/loss"] == 4
    assert tells(done.stderr.splitlines()[-1], "exported to notes: ", "1 run", "summary")
    write_spec(tmp_path, ONE, head=HEAD, seeds=2)
    assert call("run", spec, "--export-to", "notes", folder=tmp_path).returncode == 0
    written = (tmp_path / "tracked" / "written.txt").read_text().splitlines()
    assert sorted(written) == ["full:0", "full:1", "summary", "summary"]


def test_a_run_is_exported_while_the_next_one_trains_and_a_kill_leaves_no_process(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {**ONE, "sleeps": sleeper(tmp_path)}, head=HEAD, seeds=1)
    process = start("run", spec, "--export-to", "notes", folder=tmp_path)
    wait_until(lambda: trains(tmp_path) and "full:0" in notes(tmp_path), seconds=120)
    assert (follower := followers_of(tmp_path)), "it is a process of its own"
    assert {os.getpriority(os.PRIO_PROCESS, process) for process in follower} == {19}
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not followers_of(tmp_path), seconds=30)
    assert "summary" not in notes(tmp_path)


def followers_of(folder: Path) -> list[int]:
    """The processes that export the experiment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if all(any(part in word for word in words) for part in (b"bakeoff.cli.following", str(folder).encode())):
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    "trouble", ["hangs", "exits", *(pytest.param(one, marks=pytest.mark.long) for one in ("raises", "refuses", "prints"))]
)
def test_no_trouble_of_a_tracker_reaches_the_runs(trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE_SECONDS", 10.0)
    spec = write_spec(tmp_path, ONE, head=HEAD, seeds=2)
    done = call("run", spec, "--export-to", "notes", "--trouble", trouble, "--after", "1", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done_now"] == 2
    assert {record["status"] for record in records(tmp_path).values()} == {"ok"}
    lines = [line for line in done.stderr.splitlines() if line.startswith(("export to notes", "exported to notes"))]
    assert len(lines) == 1, "one line, whatever goes wrong and however often"
    continues = command("export", tmp_path, "--to", "notes", "--trouble", trouble, "--after", 1)
    begins, *parts = ("exported to notes: ", "2 runs", "summary") if trouble == "prints" else ("export to notes: ", continues)
    assert tells(lines[0], begins, *parts)
    again = call("export", tmp_path, "--to", "notes", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert set(notes(tmp_path)) == {"full:0", "full:1", "summary"}


def test_shards_export_their_own_runs_and_no_summary(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, STRATEGIES, head=HEAD, seeds=2)
    exported = set[str]()
    for which in ("1/2", "2/2"):
        before = set(records(tmp_path))
        done = call("run", spec, "--shard", which, "--export-to", "notes", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        now = set(notes(tmp_path))
        assert {name.replace(":", "/") for name in now - exported} == set(records(tmp_path)) - before
        exported = now
    assert exported == {"full:0", "full:1", "head:0", "head:1"}
    assert call("run", spec, "--export-to", "notes", folder=tmp_path).returncode == 0
    assert set(notes(tmp_path)) == {*exported, "summary"}
    assert len((tmp_path / "tracked" / "written.txt").read_text().splitlines()) == 5
