"""Records on disk: whole or not at all, first wins, claims of the dead are taken over."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bakeoff.errors import StoreError
from bakeoff.record import Declared
from bakeoff.store import CLAIM_STALE_SECONDS, Store, write_atomically


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


def test_only_one_process_holds_a_claim(store: Store) -> None:
    store.begin("r1-a")
    assert not store.is_claimed("r1-a")
    assert store.claim("r1-a")
    assert store.is_claimed("r1-a")
    assert not store.claim("r1-a")
    store.release("r1-a")
    assert not store.is_claimed("r1-a")
    assert store.claim("r1-a")


def write_claim(store: Store, *, host: str, process: int, age_seconds: float) -> None:
    store.records.mkdir(parents=True, exist_ok=True)
    path = store.records / ".claim-r1-a"
    path.write_text(json.dumps({"host": host, "process": process, "start": 0}))
    then = time.time() - age_seconds
    os.utime(path, (then, then))


def test_a_dead_process_of_this_machine_loses_its_claim_at_once(store: Store) -> None:
    write_claim(store, host=socket.gethostname(), process=dead_process(), age_seconds=0)
    assert not store.is_claimed("r1-a")
    assert store.claim("r1-a")


def test_another_machine_keeps_its_claim_while_it_gives_signs(store: Store) -> None:
    write_claim(store, host="elsewhere", process=dead_process(), age_seconds=CLAIM_STALE_SECONDS / 2)
    assert not store.claim("r1-a")


def test_another_machine_loses_its_claim_after_a_minute_of_silence(store: Store) -> None:
    write_claim(store, host="elsewhere", process=os.getpid(), age_seconds=CLAIM_STALE_SECONDS + 1)
    assert store.claim("r1-a")


def test_a_touch_keeps_a_claim_fresh(store: Store) -> None:
    write_claim(store, host="elsewhere", process=1, age_seconds=CLAIM_STALE_SECONDS + 1)
    store.touch("r1-a")
    assert not store.claim("r1-a")


def test_a_sweep_takes_what_the_dead_left_and_nothing_else(store: Store) -> None:
    mine = store.begin("r1-a")
    left = store.records / f".tmp-r1-b-{dead_process()}-0123abcd"
    left.mkdir()
    store.sweep()
    assert mine.is_dir()
    assert not left.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema_version": 1}', "id"),
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
    with pytest.raises(StoreError, match=r"holds no experiment.*records/plan\.json"):
        store.declared()


def declared(name: str) -> Declared:
    return Declared(
        name=name, question="", spec_file="spec.yaml", baseline="a", report_on="test", margin=1.0, under_test=[], runs=[]
    )


def test_a_folder_belongs_to_one_experiment(store: Store) -> None:
    store.declare(declared("one"))
    store.declare(declared("one").model_copy(update={"margin": 2.0}))
    assert store.declared().margin == 2.0
    with pytest.raises(StoreError, match="holds the records of experiment 'one'"):
        store.declare(declared("other"))
    assert store.declared().name == "one"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "experiment").declare(declared("one"))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.md"]
