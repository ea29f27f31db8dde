"""Records on disk: whole or not at all; what an experiment declares; what the dead left half-made."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from builders import declared_run, make_control, make_declaration, make_record, make_timing
from messages import tells
from pydantic import ValidationError

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import HOST
from bakeoff.records.schema import SCHEMA_VERSION, Declared
from bakeoff.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "experiment")


def filled(store: Store, run_id: str, content: str = "{}") -> Path:
    folder = store.begin(run_id)
    (folder / "record.json").write_text(content)
    return folder


def dead_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_is_no_record_until_it_is_published(store: Store) -> None:
    folder = filled(store, "r1-a")
    assert not store.has("r1-a")
    assert store.recorded_ids() == []
    assert store.publish(folder, "r1-a")
    assert store.has("r1-a")
    assert store.recorded_ids() == ["r1-a"]


def test_the_first_to_publish_wins(store: Store) -> None:
    first, second = filled(store, "r1-a", '{"by": 1}'), filled(store, "r1-a", '{"by": 2}')
    assert store.publish(second, "r1-a")
    assert not store.publish(first, "r1-a")
    assert json.loads((store.records / "r1-a" / "record.json").read_text()) == {"by": 2}
    assert sorted(path.name for path in store.records.iterdir()) == ["r1-a"]


def test_a_sweep_takes_what_the_dead_left_and_nothing_else(store: Store) -> None:
    mine = store.begin("r1-a")
    dead = dead_process()
    left = store.records / f".tmp-r1-b-{HOST}-{dead}-0123abcd"
    left.mkdir()
    file = store.folder / f".tmp-table.md-{HOST}-{dead}-0123abcd"
    file.touch()
    elsewhere = store.records / f".tmp-r1-b-0000aaaa-{dead}-0123abcd"
    elsewhere.mkdir()
    store.sweep()
    assert mine.is_dir()
    assert not left.exists()
    assert not file.exists()
    assert elsewhere.is_dir(), "another machine's process may live under that number"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        (f'{{"schema_version": {SCHEMA_VERSION}}}', "id"),
        ('{"schema_version": 99}', "schema version"),
        ("\x00\xff", "damaged"),
    ],
)
def test_a_damaged_record_is_named_and_the_others_stand(store: Store, content: str, words: str) -> None:
    store.publish(filled(store, "r1-a", content), "r1-a")
    records, damaged = store.read_all()
    assert records == []
    (sentence,) = damaged
    assert "r1-a" in sentence
    assert words in sentence
    assert "\n" not in sentence


def test_a_folder_without_an_experiment_says_so(store: Store) -> None:
    with pytest.raises(StoreError, match=r"is not the folder of an experiment.*records/plan\.json"):
        store.declared()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_was_moved_or_replaced_is_written_to_no_more(store: Store, replaced: bool) -> None:
    store.declare(with_seeds(0))
    store.require_place()
    moved = store.folder.rename(store.folder.with_name("moved"))
    if replaced:
        Store(store.folder).declare(with_seeds(0))
    with pytest.raises(StoreError, match="moved, deleted or replaced"):
        store.require_place()
    assert not replaced or Store(store.folder).declared().seal == Store(moved).declared().seal
    Store(moved).require_place()


def with_seeds(*seeds: int) -> Declared:
    """A declaration of these seeds; ids are their numbers."""
    return make_declaration(declared_run(f"r1-{seed}", seed=seed) for seed in seeds)


def test_seeds_added_after_a_look_are_kept_in_the_history(store: Store) -> None:
    store.declare(with_seeds(0, 1))
    store.publish(filled(store, "r1-0"), "r1-0")
    store.declare(with_seeds(0, 1, 2))
    (look,) = store.declared().history
    assert (look.seeds, look.recorded) == ({"a": [0, 1]}, 1)
    store.publish(filled(store, "r1-1"), "r1-1")
    store.declare(with_seeds(0, 1, 2, 3))
    assert [(look.seeds["a"], look.recorded) for look in store.declared().history] == [([0, 1], 1), ([0, 1, 2], 2)]
    assert [run.seed for run in store.declared().runs] == [0, 1, 2, 3]


def test_seeds_changed_before_the_first_record_are_no_look(store: Store) -> None:
    store.declare(with_seeds(0))
    store.declare(with_seeds(0, 1))
    assert store.declared().history == []


def test_an_unchanged_declaration_is_not_written_again(store: Store) -> None:
    store.declare(with_seeds(0))
    store.publish(filled(store, "r1-0"), "r1-0")
    store.declare(with_seeds(0, 1))
    before = (store.plan_file.read_bytes(), store.plan_file.stat().st_mtime_ns)
    store.declare(with_seeds(0, 1))
    assert (store.plan_file.read_bytes(), store.plan_file.stat().st_mtime_ns) == before


@pytest.mark.parametrize("locks", [True, False], ids=["", "no locks"])
def test_two_commands_that_declare_at_once_lose_no_entry_of_the_history(
    store: Store, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two processes sets the margin ten times, and each entry goes on where the one before ended."""
    if not locks:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    store.declare(with_seeds(0))
    store.publish(filled(store, "r1-0"), "r1-0")
    context = get_context("fork")
    ready = context.Barrier(2)

    def declare(first: int) -> None:
        own = Store(store.folder)
        ready.wait(10)
        for number in range(first, first + 10):
            own.declare(with_seeds(0).model_copy(update={"margin": {"points": float(number)}}))

    both = [context.Process(target=declare, args=(first,)) for first in (10, 30)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    changes = [change for entry in store.declared().history for change in entry.changes]
    assert len(changes) == 20
    assert [change.before for change in changes[1:]] == [change.after for change in changes[:-1]]
    assert [path.name for path in store.records.iterdir() if path.name.startswith(".")] == []


def no_locks(*_: Any) -> None:
    raise OSError(errno.ENOLCK, "this file system has no locks")


def test_a_plan_that_another_machine_is_writing_is_left_and_not_waited_for_without_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.declare(with_seeds(0))
    before = store.plan_file.read_bytes()
    claim = store.records / ".claim-plan"
    claim.write_text(json.dumps({"host": "elsewhere", "process": 1, "token": "theirs"}))
    monkeypatch.setattr("bakeoff.records.claims.PATIENCE_SECONDS", 0.1)
    with pytest.raises(StoreError) as refused:
        store.declare(with_seeds(0, 1))
    assert tells(str(refused.value), str(store.plan_file), "5 min")
    assert store.plan_file.read_bytes() == before
    os.utime(claim, (1, 1))
    store.declare(with_seeds(0, 1))
    assert [run.seed for run in store.declared().runs] == [0, 1]


def test_another_question_keeps_the_history_and_adds_nothing(store: Store) -> None:
    store.declare(with_seeds(0))
    store.publish(filled(store, "r1-0"), "r1-0")
    store.declare(with_seeds(0, 1))
    store.declare(with_seeds(0, 1).model_copy(update={"question": "Another?"}))
    assert (len(store.declared().history), store.declared().question) == (1, "Another?")


def test_the_newest_timing_of_a_group_replaces_the_one_before_and_others_stay(store: Store) -> None:
    records = [make_record("trainer-api"), make_record("loop", trainer="torch-loop")]
    store.tree.make(store.records)
    assert store.timings() == []
    first, other = (make_timing(records, {"trainer-api": 0.2, "loop": 0.1}, task=task) for task in ("mrpc", "rte"))
    second = first.model_copy(update={"seconds": 1.0})
    for timing in (first, other, second):
        store.add_timing(timing)
    assert store.timings() == [other, second]
    store.costs_file.write_text("{")
    with pytest.raises(DamageError, match=r"costs\.json is damaged"):
        store.timings()
    store.add_timing(first)
    assert store.timings() == [first], "what is damaged is replaced"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"baseline": "nobody"}, "baseline"),
        ({"timed": []}, "timed"),
        ({"measured": "yesterday"}, "measured"),
    ],
)
def test_a_timing_that_can_not_be_is_refused(changes: dict[str, Any], what: str) -> None:
    made = make_timing([make_record("trainer-api")], {"trainer-api": 0.2})
    with pytest.raises(ValidationError, match=what):
        type(made).model_validate(made.model_dump() | changes)


def test_control_runs_come_back_in_order_and_torn_ones_are_left_out(store: Store) -> None:
    store.declare(with_seeds(0))
    assert store.controls() == ([], [])
    first, second = (make_control(moment=moment, started="2026-01-01T10:00:00+00:00") for moment in ("before", "after"))
    third = make_control(session="0", started="2026-01-02T10:00:00+00:00")
    for one in (third, second, first):
        store.add_control(one)
    (store.records / "control-t-before.json").write_text("{")
    found, (damaged,) = store.controls()
    assert [one.model_copy(update={"seal": first.seal}) for one in found] == [first, second, third]
    assert damaged.startswith(f"{store.records / 'control-t-before.json'} is damaged")
    assert store.recorded_ids() == []
