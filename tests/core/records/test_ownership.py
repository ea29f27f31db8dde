"""Which experiment a folder belongs to, and the experiment file that lies in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import declared_run, make_declaration

from bakeoff.errors import StoreError
from bakeoff.records.ownership import keep_spec, require_owner
from bakeoff.records.schema import Declared
from bakeoff.records.store import Store


def declared(name: str, *ids: str) -> Declared:
    return make_declaration([declared_run(one, seed=seed) for seed, one in enumerate(ids)], name=name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "experiment")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text("name: one\n")
    return path


def test_a_folder_belongs_to_one_experiment(store: Store, spec: Path) -> None:
    store.declare(declared("one", "r1-a"))
    with pytest.raises(StoreError, match="experiment 'one'"):
        require_owner(store, declared("other", "r1-b"), spec, spec.read_bytes())
    assert store.declared().name == "one"


def test_an_experiment_may_change_its_name_or_its_runs(store: Store, spec: Path) -> None:
    store.declare(declared("one", "r1-a"))
    require_owner(store, declared("renamed", "r1-a", "r1-b"), spec, spec.read_bytes())
    require_owner(store, declared("one", "r1-c"), spec, spec.read_bytes())


def test_an_experiment_file_that_was_never_run_is_not_overwritten(store: Store, spec: Path) -> None:
    store.folder.mkdir()
    own = store.folder / "spec.yaml"
    own.write_text("name: mine\n")
    with pytest.raises(StoreError, match="another experiment's file"):
        require_owner(store, declared("one"), spec, spec.read_bytes())
    assert own.read_text() == "name: mine\n"
    own.write_bytes(spec.read_bytes())
    require_owner(store, declared("one"), spec, spec.read_bytes())


def test_the_file_that_is_kept_beside_the_records_is_the_one_that_was_read(store: Store, spec: Path) -> None:
    read = spec.read_bytes()
    spec.write_text("name: edited\n")
    store.folder.mkdir()
    assert keep_spec(store, spec, read) == ""
    own = store.folder / "spec.yaml"
    assert own.read_bytes() == read
    require_owner(store, declared("one"), spec, read)


def test_a_file_in_the_place_of_a_folder_of_ours_is_refused(store: Store, spec: Path) -> None:
    store.declare(declared("one", "r1-a"))
    (store.records / ".checkpoints-r1-a").touch()
    with pytest.raises(StoreError, match="is not a folder"):
        require_owner(store, declared("one", "r1-a"), spec, b"")


def test_another_experiment_file_in_the_folder_is_archived(store: Store, spec: Path) -> None:
    store.folder.mkdir()
    own = store.folder / "spec.yaml"
    own.write_text("name: thoughts\n")
    (archived,) = [
        word for word in keep_spec(store, spec, spec.read_bytes()).split() if word.startswith(".replaced-spec.yaml-")
    ]
    assert own.read_bytes() == spec.read_bytes()
    assert (store.folder / archived).read_text() == "name: thoughts\n"


def test_an_edit_of_the_file_in_the_folder_itself_stays(store: Store) -> None:
    store.folder.mkdir()
    own = store.folder / "spec.yaml"
    own.write_text("name: edited\n")
    require_owner(store, declared("one"), own, b"name: one\n")
    assert "was edited meanwhile" in keep_spec(store, own, b"name: one\n")
    assert own.read_text() == "name: edited\n"
    own.unlink()
    assert keep_spec(store, own, b"name: one\n") == ""
    assert own.read_text() == "name: one\n"


def test_a_damaged_plan_is_written_anew(store: Store, spec: Path) -> None:
    store.declare(declared("one"))
    store.plan_file.write_text("{")
    require_owner(store, declared("two"), spec, spec.read_bytes())
    with pytest.raises(StoreError, match=r"plan\.json is damaged"):
        store.declared()
    store.declare(declared("two"))
    assert store.declared().name == "two"
