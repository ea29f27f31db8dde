"""`bakeoff disk` and `prune`: what no plan and no list of attempts names may go, and nothing else, whatever is in the way."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from builders import clean_answers, failed, make_folder, make_record, write_run
from builders.experiments import LABELS
from core.calling import Call, everything
from messages import tells

from bakeoff.files import temporary_name
from bakeoff.records.disk_usage import DiskItem, held_by, prune_records
from bakeoff.records.schema import Record
from bakeoff.records.store import Store

FOREIGN, CLAIMED = "r1-f0f0", "r1-c1a1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    (place / "tokens").mkdir(parents=True)
    (place / "tokens" / f"{'ab' * 32}.arrow").write_bytes(b"x" * 5000)
    (place / "tokens" / "mine.arrow").write_bytes(b"x")
    (place / "notes.txt").write_bytes(b"x")
    (place / ".keep-now").mkdir()
    monkeypatch.setenv("BAKEOFF_CACHE", str(place))
    return place


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Path:
    return make_folder(tmp_path / "e", {name: clean_answers(seeds=2, seed=number) for number, name in enumerate("ab")}, LABELS)


def foreign(store: Store, run_id: str = FOREIGN, record: Record | None = None) -> Path:
    record = record or make_record("x", 9)
    write_run(store, record.model_copy(update={"id": run_id}), {})
    return store.records / run_id


def archive(store: Store, path: Path, run_id: str, number: int) -> Path:
    return path.rename(store.records / f".replaced-{run_id}-0000000{number}")


def first_run(store: Store) -> str:
    return store.declared().runs[0].id


def names(items: list[DiskItem]) -> set[str]:
    return {item.path.name for item in items if item.prunable}


def test_only_what_no_plan_and_no_attempt_names_may_go(folder: Path) -> None:
    store = Store(folder)
    own = first_run(store)
    good = archive(store, foreign(store), own, 1)
    attempt = archive(store, foreign(store, record=failed(make_record("x", 9))), own, 2)
    lost = archive(store, foreign(store, record=failed(make_record("x", 9))), FOREIGN, 3)
    damaged = archive(store, foreign(store), own, 4)
    (damaged / "record.json").write_text("{")
    unknown = foreign(store)
    (store.records / "notes").mkdir()
    ended, due = store.records / f".checkpoints-{own}", store.records / ".checkpoints-r1-0"
    ended.mkdir()
    due.mkdir()
    ours, dead = (
        store.records / temporary_name(own),
        store.records / f".tmp-{own}-{temporary_name('x').split('-')[2]}-999999999-00000000",
    )
    ours.mkdir()
    dead.mkdir()
    assert names(held_by(store)) == {good.name, lost.name, damaged.name, unknown.name, ended.name, due.name, dead.name}
    assert not {attempt.name, ours.name, "notes"} & names(held_by(store))
    (store.records / own / "record.json").unlink()
    assert ended.name not in names(held_by(store)), "its run goes on"


def test_sizes_add_up_to_the_folder(folder: Path) -> None:
    store = Store(folder)
    foreign(store)
    (store.records / first_run(store) / "model").mkdir()
    (store.records / first_run(store) / "model" / "weights").write_bytes(b"x" * 10_000)
    found = held_by(store)
    assert sum(item.size for item in found) == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert [item.size for item in found if item.what == "kept models"] == [10_000]


def test_prune_says_sizes_and_asks_first(call: Call, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(Store(folder))
    before = everything(folder) | everything(cache)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, out, err = call("prune", folder)
    assert (code, "give --yes" in err, f"records/{FOREIGN}" in out) == (2, True, True)
    assert "cached tokens" in out
    assert everything(folder) | everything(cache) == before


def test_prune_removes_what_it_named_and_nothing_else(call: Call, folder: Path, cache: Path) -> None:
    store = Store(folder)
    unknown = foreign(store)
    before = everything(folder)
    code, out, err = call("prune", folder, "--yes")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("removed 2 items, ")
    after = everything(folder)
    assert {path for path in before if path not in after} == {path for path in before if f"/{FOREIGN}" in path}
    assert not unknown.exists()
    assert {path.name for path in cache.rglob("*")} == {"tokens", "mine.arrow", "notes.txt", ".keep-now"}
    assert call("prune", folder, "--yes") == (0, "nothing to remove\n", "")
    assert len(store.read_all()[0]) == 4


def test_the_cache_stays_where_it_is_asked_for(call: Call, folder: Path, cache: Path) -> None:
    foreign(Store(folder))
    assert call("prune", folder, "--yes", "--no-cache")[0] == 0
    assert (cache / "tokens" / f"{'ab' * 32}.arrow").exists()


def test_what_another_command_makes_stays(call: Call, folder: Path) -> None:
    store = Store(folder)
    foreign(store, CLAIMED)
    assert store.claims.take(CLAIMED)
    code, _, err = call("prune", folder, "--yes")
    assert (code, "stays: another command " in err) == (1, True)
    assert (store.records / CLAIMED / "record.json").is_file()
    assert store.claims.renew(CLAIMED), "its claim stands"


def test_links_are_not_followed(call: Call, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    store = Store(folder)
    (store.records / FOREIGN).symlink_to(outside)
    unknown = foreign(store, "r1-abcd")
    (unknown / "linked").symlink_to(outside)
    call("prune", folder, "--yes")
    assert (outside / "precious").exists()
    assert (store.records / FOREIGN).is_symlink()
    assert not unknown.exists()
    store.records.rename(outside / "records")
    (folder / "records").symlink_to(outside / "records")
    code, _, err = call("prune", folder, "--yes")
    assert (code, "symbolic link" in err) == (2, True)


def test_what_the_plan_names_by_now_stays(folder: Path) -> None:
    store = Store(folder)
    item = DiskItem(store.records / first_run(store), "records that the plan does not name", 1, first_run(store), prunable=True)
    removed, left = prune_records(store, [item])
    assert (removed, len(left), item.path.exists()) == ([], 1, True)


def test_disk_tells_what_prune_would_free(call: Call, folder: Path) -> None:
    foreign(Store(folder))
    code, out, _ = call("disk", folder)
    assert code == 0
    assert tells(out, "", f"`bakeoff prune {folder}` ", "free ")
    found = json.loads(call("disk", folder, "--json")[1])
    assert found["format"] == 1
    ours = {one["what"]: one for place in found["places"] for one in place["held"]}
    assert ours["records of the plan"]["number"] == 4
    assert (ours["cached tokens"]["bytes"], ours["cached tokens"]["prunable"]) == (5000, True)
    assert ours["records that the plan does not name"]["prunable"]


def test_a_folder_without_an_experiment_is_refused(call: Call, tmp_path: Path) -> None:
    assert call("disk", tmp_path)[0] == 2
    assert call("prune", tmp_path, "--yes")[0] == 2
