"""Exports of records: each run once, what changed again, what is missing next time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from toybox import Notes, NotesOptions

from bakeoff.contracts.tracker import SUMMARY, TrackedRun
from bakeoff.records.record_files import dump
from bakeoff.records.schema import RECORD_FILE, Failure, Record
from bakeoff.records.store import Store
from bakeoff.report.exporting import Exported, Exporter

QUICKSTART = Path(__file__).parents[3] / "results" / "quickstart"
NAMES = [f"{strategy}:{seed}" for strategy in ("manual-loop", "trainer-api") for seed in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(QUICKSTART, tmp_path / "quickstart"))


def exporter(folder: Path, **options: Any) -> Exporter:
    return Exporter(Store(folder), Notes(), NotesOptions(**options))


def exported(folder: Path, **options: Any) -> Exported:
    done = Exported()
    exporter(folder, **options).export(done)
    return done


def calls(folder: Path) -> list[str]:
    """The name of the run of each call of `write`."""
    file = folder / "tracked" / "written.txt"
    return file.read_text().splitlines() if file.exists() else []


def notes(folder: Path) -> dict[str, Any]:
    """What the tracker has, by name."""
    found = [json.loads(path.read_text()) for path in (folder / "tracked").glob("*.json")]
    return {note["name"]: note for note in found}


def change(folder: Path, name: str, **update: Any) -> Record:
    """Rewrites the record of a run, with another seal."""
    path = folder / "records" / notes(folder)[name]["key"] / RECORD_FILE
    record = Record.model_validate_json(path.read_bytes()).model_copy(update=update)
    path.write_bytes(dump(record))
    return record


def test_every_run_is_written_once_with_all_its_steps(folder: Path) -> None:
    assert sorted(exported(folder).written) == NAMES
    for name, note in notes(folder).items():
        steps = Store(folder).read(note["key"]).cost.steps  # type: ignore[union-attr]
        assert note["steps"]["train/loss"] == steps > 10, name
    again = exported(folder)
    assert (again.written, again.already) == ([], 6)
    assert sorted(calls(folder)) == NAMES
    assert (folder / "tracked" / ".gitignore").read_text() == "*\n"


def test_what_was_repeated_or_is_new_is_written_by_the_same_follower(folder: Path) -> None:
    kept = folder / "kept"
    one = next((folder / "records").glob("r1-*"))
    one.rename(kept)
    follower, done = exporter(folder), Exported()
    follower.export(done)
    assert len(done.written) == 5
    kept.rename(one)
    follower.export(done)
    assert sorted(done.written) == NAMES
    changed = change(folder, "manual-loop:1", process_notes=["it is another record now"])
    follower.export(done)
    assert calls(folder)[6:] == ["manual-loop:1"]
    digest = json.loads((folder / "records" / changed.id / RECORD_FILE).read_text())["seal"]
    assert notes(folder)["manual-loop:1"]["digest"] == digest
    follower.export(done)
    assert len(calls(folder)) == 7


def test_interrupted_runs_wait_and_damaged_ones_are_told_once(folder: Path) -> None:
    exported(folder)
    failure = Failure(reason="interrupted", message="by Ctrl-C", phase="train")
    change(folder, "manual-loop:0", status="failed", failure=failure, scores={})
    damaged = folder / "records" / notes(folder)["manual-loop:1"]["key"] / RECORD_FILE
    damaged.write_text("{")
    follower, done = exporter(folder), Exported()
    for _ in range(2):
        follower.export(done)
    assert (done.written, done.already) == ([], 4)
    (sentence,) = done.damaged
    assert str(damaged) in sentence


def test_an_export_that_ended_in_the_middle_goes_on(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        exported(folder, trouble="raises", after=2)
    assert len(notes(folder)) == 2
    again = exported(folder)
    assert (len(again.written), again.already) == (4, 2)
    assert sorted(calls(folder)) == NAMES


def test_a_run_that_another_export_is_writing_is_left_to_it(folder: Path) -> None:
    run_id = next((folder / "records").glob("r1-*")).name
    other = Store(folder).claims
    assert other.take(f"export-notes-{run_id}")
    follower, done = exporter(folder), Exported()
    follower.export(done)
    assert (len(done.written), done.held) == (5, 1)
    other.release(f"export-notes-{run_id}")
    follower.export(done)
    assert (len(done.written), done.held) == (6, 0)
    assert not [*(folder / "records").glob(".claim-*")]


def test_only_the_runs_that_it_takes_are_written(folder: Path) -> None:
    one = next((folder / "records").glob("r1-*")).name
    done = Exported()
    Exporter(Store(folder), Notes(), NotesOptions(), takes=lambda run_id: run_id == one).export(done)
    assert [note["key"] for note in notes(folder).values()] == [one]


def test_the_summary_is_written_again_only_when_something_it_reads_changed(folder: Path) -> None:
    made: list[int] = []

    def summary(records: Mapping[str, Record], digest: str) -> TrackedRun:
        made.append(len(records))
        return TrackedRun(SUMMARY, digest, SUMMARY, SUMMARY, 0.0, 0.0)

    def summarised() -> bool:
        follower, done = exporter(folder), Exported()
        follower.export(done)
        follower.summarise(done, summary)
        return done.summary

    assert summarised()
    assert not summarised()
    assert made == [6]
    change(folder, "manual-loop:1", process_notes=["it is another record now"])
    assert summarised()
    assert (made, calls(folder).count(SUMMARY)) == ([6, 6], 2)
