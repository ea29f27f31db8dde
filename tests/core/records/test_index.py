"""What is read through the index is what the files hold, and files that changed are found, however well they hide it."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from core.calling import counted_parses

from bakeoff.errors import DamageError
from bakeoff.machine.file_hashes import SETTLED_SECONDS
from bakeoff.records.index import FOLDER, Index
from bakeoff.records.predictions import PredictionsReader
from bakeoff.records.record_files import dump, sealed
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE, Record
from bakeoff.records.store import Store, state_in

RESULTS = Path(__file__).parents[3] / "results"
PUBLISHED = ("quickstart", "mrpc-strategies", "official-scripts")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of the quickstart's folder, which nobody has touched for so long that an index may hold their records."""
    folders = [tmp_path_factory.mktemp("copies") / str(number) for number in range(5)]
    for folder in folders:
        shutil.copytree(RESULTS / "quickstart", folder)
    time.sleep(SETTLED_SECONDS + 0.1)
    return folders


@pytest.fixture
def settled(copies: list[Path]) -> Path:
    """A copy that stays as it is."""
    return copies[0]


@pytest.fixture
def copied(copies: list[Path]) -> Path:
    """A copy for this test alone."""
    return copies.pop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FOLDER / "one.parquet"


def through(file: Path, folder: Path) -> tuple[Store, list[Record]]:
    """The records of a folder with their answers, read through the index in a file, which is then stored."""
    store = Store(folder, Index(file, least=1))
    records = [store.check(run_id) for run_id in store.recorded_ids()]
    for record in records:
        if PREDICTIONS_FILE in record.files:
            store.answers(record)
    store.keep_index()
    return store, records


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_an_index_gives_is_what_the_files_hold(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RESULTS / name
    plain = Store(folder)
    records = [plain.read(run_id) for run_id in plain.recorded_ids()]
    through(file, folder)
    parsed = counted_parses(monkeypatch)
    store, again = through(file, folder)
    assert (again, parsed) == (records, {})
    assert [dump(record) for record in again[:3]] == [dump(record) for record in records[:3]]
    for record in records:
        if PREDICTIONS_FILE in record.files:
            given, read = plain.answers(record), store.answers(record)
            assert list(given) == list(read)
            for split, own in read.items():
                was = given[split]
                assert (own.outputs, own.calibration, own.answers.dtype) == (was.outputs, was.calibration, was.answers.dtype)
                assert np.array_equal(own.answers, was.answers)
                assert (own.examples.ids, own.examples.slices) == (was.examples.ids, was.examples.slices)
                assert np.array_equal(own.examples.labels, was.examples.labels, equal_nan=True)


def test_records_through_an_index_share_what_they_have_in_common(settled: Path, file: Path) -> None:
    through(file, settled)
    records = through(file, settled)[1]
    assert len({id(record.environment) for record in records}) == len(
        {record.environment.model_dump_json() for record in records}
    )
    assert len({record.requested.seed for record in records}) > 1


def put_back(path: Path, content: bytes) -> None:
    """Another content of the same size and time of modification."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_record_altered_with_its_time_put_back_is_found(copied: Path, file: Path) -> None:
    first = through(file, copied)[1][0]
    path = copied / "records" / first.id / RECORD_FILE
    content = path.read_bytes()
    put_back(path, sealed(content.replace(b'"started": "2026', b'"started": "2027'), first.seal))
    assert Store(copied, Index(file, least=1)).read(first.id).started == first.started.replace("2026", "2027")


@pytest.mark.parametrize("name", [PREDICTIONS_FILE, STEPS_FILE])
def test_a_file_altered_with_its_time_put_back_is_found(name: str, copied: Path, file: Path) -> None:
    first = through(file, copied)[1][0]
    path = copied / "records" / first.id / name
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    put_back(path, bytes(content))
    with pytest.raises(DamageError, match=f"{name} was altered"):
        Store(copied, Index(file, least=1)).check(first.id)


def test_a_link_in_place_of_a_known_file_is_refused(copied: Path, file: Path) -> None:
    first = through(file, copied)[1][0]
    path = copied / "records" / first.id / PREDICTIONS_FILE
    path.rename(copied / "elsewhere")
    path.symlink_to(copied / "elsewhere")
    with pytest.raises(DamageError, match="symbolic link"):
        Store(copied, Index(file, least=1)).check(first.id)


def parsed_through(file: Path, folder: Path, patch: pytest.MonkeyPatch) -> Counter[str]:
    parsed = counted_parses(patch)
    through(file, folder)
    return parsed


@pytest.mark.parametrize("place", ["file", "folder"])
def test_an_index_that_another_user_could_have_written_is_not_read(
    place: str, settled: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(file, settled)
    (file if place == "file" else file.parent).chmod(0o777)
    assert parsed_through(file, settled, monkeypatch), "forged columns beside right states would have been believed"


def test_an_index_lies_in_the_users_cache_and_not_with_the_records(settled: Path, tmp_path: Path) -> None:
    one, other = (Index.of(folder / "records", tmp_path / "cache").file for folder in (settled, settled.parent))
    assert one.parent == other.parent == tmp_path / "cache" / FOLDER
    assert one != other


@pytest.mark.parametrize("keep", [0, 100, -1], ids=["nothing is left", "its beginning", "all but its last byte"])
def test_a_damaged_index_is_as_none_and_is_written_anew(
    keep: int, settled: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(file, settled)
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    assert parsed_through(file, settled, monkeypatch)
    assert not parsed_through(file, settled, monkeypatch)


def test_damage_within_an_index_gives_no_other_records(settled: Path, file: Path) -> None:
    records = through(file, settled)[1]
    content = file.read_bytes()
    for place in range(4, len(content) - 8, len(content) // 12):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        assert through(file, settled)[1] == records, place


def test_what_changed_just_now_is_not_kept(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    shutil.copytree(RESULTS / "quickstart", folder)
    through(file, folder)
    assert not file.exists()
    assert parsed_through(file, folder, monkeypatch)


def test_a_cache_that_cannot_be_written_changes_nothing(settled: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    assert through(tmp_path / "cache" / FOLDER / "one.parquet", settled)[1]


def test_what_a_killed_writer_left_is_removed(settled: Path, file: Path) -> None:
    file.parent.mkdir(parents=True, mode=0o700)
    child = os.fork()
    if child == 0:
        from bakeoff.files import temporary_name

        (file.parent / temporary_name(file.name)).write_bytes(b"half of it")
        os._exit(0)
    os.waitpid(child, 0)
    through(file, settled)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_of_two_writers_at_once_one_wins_and_both_are_right(settled: Path, file: Path) -> None:
    one, other = (Store(settled, Index(file, least=1)) for _ in range(2))
    first, *rest = one.recorded_ids()
    one.check(first)
    for run_id in rest:
        other.check(run_id)
    one.keep_index()
    other.keep_index()
    assert through(file, settled)[1] == [Store(settled).read(run_id) for run_id in (first, *rest)]


def test_what_is_read_later_is_added(settled: Path, file: Path) -> None:
    records_alone = Store(settled, Index(file, least=1))
    records_alone.read_all()
    records_alone.keep_index()
    assert not has_answers(file, settled)
    through(file, settled)
    assert has_answers(file, settled)


def has_answers(file: Path, folder: Path) -> bool:
    store = Store(folder, Index(file, least=1))
    assert store.index is not None
    record = next(record for record in store.read_all()[0] if PREDICTIONS_FILE in record.files)
    state = state_in(store.records / record.id, PREDICTIONS_FILE)
    assert state is not None
    return store.index.answers(record, state, PredictionsReader()) is not None


def test_what_was_not_asked_for_stays_in_the_index(settled: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    through(file, settled)
    store = Store(settled, Index(file, least=1))
    record = store.read(store.recorded_ids()[0])
    assert store.index is not None
    store.index.add_files(record, {"further": (1, 2, 3, 4, 5)})
    store.keep_index()
    assert not parsed_through(file, settled, monkeypatch)


def test_a_folder_of_few_records_has_no_index(settled: Path, file: Path) -> None:
    store = Store(settled, Index(file))
    store.read_all()
    store.keep_index()
    assert not file.exists()
