"""Which of two records of a run counts, whichever was first; and that no kill on the way loses a good one."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import declare, failed, make_record

from bakeoff.files import Tree, temporary_name
from bakeoff.records.load import load_experiment
from bakeoff.records.record_files import UNFINISHED, dump
from bakeoff.records.schema import RECORD_FILE, KeptModel, Record
from bakeoff.records.store import Store

GOOD = make_record()
OTHER = make_record(final="another machine's")
FAILURES = {reason: failed(GOOD, reason) for reason in ("diverged", "out of memory", "crashed", "timed out", "error")}
KINDS: dict[str, Record | None] = {
    "good": GOOD,
    "diverged": FAILURES["diverged"],
    "interrupted": failed(GOOD, "interrupted"),
    "damaged": None,
}
"""From the one that counts most to the one that counts least."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "e")


def made(store: Store, record: Record | None) -> Path:
    """The folder of a run that has just ended so; None for a record that cannot be read."""
    folder = store.begin(GOOD.id)
    (folder / RECORD_FILE).write_bytes(b"{" if record is None else dump(record))
    return folder


def publish(store: Store, record: Record | None, **more: Any) -> bool:
    return store.publish(made(store, record), GOOD.id, **more)


def standing(store: Store) -> str:
    record = store.read_in(store.records / GOOD.id)
    return "good" if record.failure is None else record.failure.reason


def left(store: Store) -> list[str]:
    """What lies beside the run's place, by the first word of its name."""
    return sorted(path.name.split("-")[0] for path in store.records.iterdir() if path.name != GOOD.id)


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_the_better_record_counts_whichever_was_first(store: Store, first: str, second: str) -> None:
    assert publish(store, KINDS[first])
    order = [*KINDS]
    wins = order.index(second) < order.index(first)
    assert publish(store, KINDS[second]) is wins
    stands, yields = (second, first) if wins else (first, second)
    if stands != "damaged":
        assert standing(store) == stands
    attempts = ["diverged"] if yields == "diverged" else []
    assert [attempt.reason for attempt in store.attempts().get(GOOD.id, [])] == attempts
    aside = yields == "diverged" or (yields == "damaged" and wins)
    assert left(store) == [".replaced"] * aside


def test_what_a_killed_worker_had_half_written_is_not_published(store: Store) -> None:
    folder = made(store, GOOD)
    for path in (folder / temporary_name("steps.parquet"), folder / temporary_name("model") / "part"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert store.publish(folder, GOOD.id)
    assert [path.name for path in (store.records / GOOD.id).iterdir()] == [RECORD_FILE]


@pytest.mark.parametrize("reason", FAILURES)
@pytest.mark.parametrize("good_first", [True, False])
def test_a_failure_stands_beside_the_good_record_as_an_attempt_that_is_counted_and_shown(
    store: Store, reason: str, good_first: bool
) -> None:
    for record in (GOOD, FAILURES[reason]) if good_first else (FAILURES[reason], GOOD):
        publish(store, record)
    declare(store.folder, [GOOD])
    (record,) = load_experiment([store.folder]).records
    assert (record.status, [attempt.reason for attempt in record.attempts]) == ("ok", [reason])


def test_an_attempt_that_the_record_knows_itself_counts_once(store: Store) -> None:
    publish(store, FAILURES["crashed"])
    publish(store, GOOD)
    known = store.attempts()[GOOD.id]
    again = GOOD.model_copy(update={"attempts": known})
    assert publish(store, again, instead_of=store.mark(GOOD.id))
    publish(store, FAILURES["diverged"])
    declare(store.folder, [GOOD])
    (record,) = load_experiment([store.folder]).records
    assert sorted(attempt.reason for attempt in record.attempts) == ["crashed", "diverged"]


def test_a_good_record_is_not_replaced_by_another(store: Store) -> None:
    publish(store, GOOD)
    assert not publish(store, OTHER)
    assert store.read(GOOD.id).weights == GOOD.weights
    assert left(store) == []


@pytest.mark.parametrize("kind", ["good", "diverged"])
def test_a_record_that_is_made_again_yields_to_one_as_good_and_to_no_worse(store: Store, kind: str) -> None:
    publish(store, KINDS[kind])
    mark = store.mark(GOOD.id)
    assert not publish(store, KINDS["interrupted"], instead_of=mark)
    assert (standing(store), left(store)) == (kind, [])
    again = OTHER if kind == "good" else FAILURES["crashed"]
    assert publish(store, again, instead_of=mark)
    assert standing(store) == ("good" if kind == "good" else "crashed")
    assert left(store) == [".replaced"]


def test_only_the_record_that_was_judged_is_replaced(store: Store) -> None:
    publish(store, FAILURES["crashed"])
    mark = store.mark(GOOD.id)
    publish(store, GOOD)
    assert not publish(store, OTHER, instead_of=mark)
    assert store.read(GOOD.id).weights == GOOD.weights
    assert not publish(store, FAILURES["diverged"], instead_of=mark)
    assert standing(store) == "good"


def test_a_record_that_takes_the_place_while_another_is_taken_out_is_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two publish instead of one failure at the same moment: the second sees the failure, and takes out the first's record."""
    publish(store, FAILURES["crashed"])
    second, take_out, raced = made(store, OTHER), store._take_out, []

    def slowly(*arguments: Any, **more: Any) -> None:
        if not raced:
            raced.append(publish(Store(store.folder), GOOD))
        take_out(*arguments, **more)

    monkeypatch.setattr(store, "_take_out", slowly)
    assert not store.publish(second, GOOD.id)
    assert raced == [True]
    assert store.read(GOOD.id).weights == GOOD.weights
    assert left(store) == [".replaced"]


def killed(action: Callable[[], Any], *, at: int, after: bool) -> bool:
    """Whether a child process was killed at its n-th change of a name (0, 1, ...), just before or after it."""
    child = os.fork()
    if child == 0:
        changes = [0]
        for name in ("move", "remove_folder", "sync", "write"):
            real = getattr(Tree, name)

            def change(self: Tree, *arguments: Any, real: Any = real, **more: Any) -> Any:
                mine, changes[0] = changes[0], changes[0] + 1
                if mine == at and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                found = real(self, *arguments, **more)
                if mine == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return found

            setattr(Tree, name, change)
        try:
            action()
        finally:
            os._exit(0)
    return bool(os.WIFSIGNALED(os.waitpid(child, 0)[1]))


CHANGES = 8
"""More than any publication makes."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("first", ["diverged", "interrupted", "damaged", "good", "made again", None])
def test_no_kill_loses_a_good_record(tmp_path: Path, first: str | None, after: bool) -> None:
    survived = 0
    for at in range(CHANGES):
        store = Store(tmp_path / f"{at}")
        store.tree.make(store.records)
        if first is not None:
            publish(store, GOOD if first == "made again" else KINDS[first])
        mark = store.mark(GOOD.id) if first == "made again" else None

        def act(store: Store = store, mark: Any = mark) -> None:
            publish(store, OTHER, instead_of=mark)

        survived += not killed(act, at=at, after=after)
        store = Store(store.folder)
        store.recover()
        store.sweep()
        assert standing(store) == "good", (at, left(store))
        assert set(left(store)) <= {".replaced"}
    assert 0 < survived < CHANGES


def test_a_record_whose_command_was_killed_before_its_model_was_kept_is_recovered_without_it(store: Store) -> None:
    def die() -> None:
        folder = made(store, GOOD.model_copy(update={"kept": UNFINISHED}))
        (folder / "model").mkdir()
        (folder / "model" / "half").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    store.tree.make(store.records)
    killed(die, at=CHANGES, after=False)
    store.tree.make(store.checkpoints(GOOD.id) / "step-000000001")
    assert store.recover() == [GOOD.id]
    assert not store.checkpoints(GOOD.id).exists()
    kept = store.read(GOOD.id).kept
    assert isinstance(kept, KeptModel)
    assert kept.reason is not None
    assert kept != UNFINISHED
    assert [path.name for path in (store.records / GOOD.id).iterdir()] == [RECORD_FILE]


def test_what_a_living_process_has_not_published_yet_is_its_own(store: Store) -> None:
    folder = made(store, GOOD)
    assert store.recover() == []
    assert folder.is_dir()
    assert not store.has(GOOD.id)


def test_what_was_left_by_another_machine_is_recovered_unless_it_holds_the_claim(store: Store) -> None:
    folder = made(store, GOOD)
    foreign = folder.with_name(f".tmp-{GOOD.id}-00000000-{os.getpid()}-0123abcd")
    folder.rename(foreign)
    (store.records / f".claim-{GOOD.id}").write_text('{"host": "00000000", "process": 1, "token": "theirs"}')
    assert store.recover() == []
    os.utime(store.records / f".claim-{GOOD.id}", (1, 1))
    assert store.recover() == [GOOD.id]
    assert standing(store) == "good"


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ENOTEMPTY])
def test_a_rename_that_succeeds_and_is_reported_as_failed_publishes_all_the_same(
    store: Store, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over NFS, where a request may be sent twice."""
    real = os.rename

    def twice(*names: str, **folders: int) -> None:
        real(*names, **folders)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "rename", twice)
    assert publish(store, FAILURES["crashed"])
    assert publish(store, GOOD)
    assert not publish(store, OTHER)
    assert store.read(GOOD.id).weights == GOOD.weights
    assert [attempt.reason for attempt in store.attempts()[GOOD.id]] == ["crashed"]
    assert left(store) == [".replaced"]


@pytest.mark.parametrize("flaw", ["another run's name", "a file that was altered", "no record"])
def test_only_whole_records_are_recovered(store: Store, flaw: str) -> None:
    def die() -> None:
        folder = made(store, GOOD.model_copy(update={"files": {"steps.parquet": "0" * 64}} if "altered" in flaw else {}))
        (folder / "steps.parquet").write_bytes(b"")
        if flaw == "no record":
            (folder / RECORD_FILE).unlink()
        if flaw == "another run's name":
            folder.rename(folder.with_name(folder.name.replace(GOOD.id, "r1-other")))
        os.kill(os.getpid(), signal.SIGKILL)

    store.tree.make(store.records)
    killed(die, at=CHANGES, after=False)
    assert store.recover() == []
    assert not store.has(GOOD.id)
    assert not store.has("r1-other")


def test_a_folder_that_is_given_up_goes_unless_a_good_record_is_in_it(store: Store) -> None:
    for record in (None, FAILURES["crashed"], failed(GOOD, "interrupted")):
        folder = made(store, record)
        store.drop(folder)
        assert not folder.exists()
    folder = made(store, GOOD)
    store.drop(folder)
    assert folder.is_dir()
