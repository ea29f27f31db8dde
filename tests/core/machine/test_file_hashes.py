"""An unchanged file is not read again, and a changed one always is."""

from __future__ import annotations

import os
import shutil
import time
from hashlib import sha256
from pathlib import Path

import pytest

from bakeoff.machine import file_hashes
from bakeoff.machine.file_hashes import FileHashes, state_of


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read."""
    found: list[Path] = []

    def noted(path: Path) -> str:
        found.append(path)
        return sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(file_hashes, "sha256_of", noted)
    return found


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_hashes, "SETTLED_SECONDS", -1.0)


def made(folder: Path, content: bytes = b"rows") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "a").write_bytes(content)
    return folder / "a"


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_read_once(tmp_path: Path, read: list[Path]) -> None:
    path, hashes = made(tmp_path / "d"), FileHashes(tmp_path / "cache")
    (tmp_path / "link").symlink_to(path)
    found = {hashes.sha256(path), FileHashes(tmp_path / "cache").sha256(path), hashes.sha256(tmp_path / "link")}
    assert found == {sha256(b"rows").hexdigest()}
    assert read == [path]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("way", ["written in place", "replaced by a copy", "touched", "same size and time put back"])
def test_a_changed_file_is_read_again(way: str, tmp_path: Path, read: list[Path]) -> None:
    path, hashes = made(tmp_path / "d"), FileHashes(tmp_path / "cache")
    hashes.sha256(path)
    before = path.stat()
    if way == "touched":
        os.utime(path, (1, 1))
        assert path.read_bytes() == b"rows"
    elif way == "replaced by a copy":
        shutil.copy2(path, tmp_path / "d" / "b")
        (tmp_path / "d" / "b").replace(path)
    else:
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # the kernel's clock ticks every few milliseconds
            path.write_bytes(b"wors")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert hashes.sha256(path) == sha256(path.read_bytes()).hexdigest()
    assert len(read) == 2


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path, read: list[Path]) -> None:
    path, hashes = made(tmp_path / "d"), FileHashes(tmp_path / "cache")
    assert time.time() - path.stat().st_ctime < file_hashes.SETTLED_SECONDS
    assert hashes.sha256(path) == hashes.sha256(path)
    assert len(read) == 2


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, hashes = made(tmp_path / "d"), FileHashes(tmp_path / "cache")
    monkeypatch.setattr(file_hashes, "SETTLED_SECONDS", -1.0)

    def altered(place: Path) -> str:
        found = sha256(place.read_bytes()).hexdigest()
        place.write_bytes(b"other rows")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(file_hashes, "sha256_of", altered)
        hashes.sha256(path)
    assert hashes.sha256(path) == sha256(b"other rows").hexdigest()


@pytest.mark.usefixtures("settled")
def test_a_large_file_is_not_looked_at_until_it_is_remembered(tmp_path: Path, read: list[Path]) -> None:
    path, hashes = made(tmp_path / "d"), FileHashes(tmp_path / "cache")
    assert hashes.sha256(path, at_most=3) is None
    assert hashes.sha256(path, at_most=4) == hashes.sha256(path, at_most=3)
    assert read == [path]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["{", "[]", '{"state": 1}', '{"state": [1], "sha256": "x"}', "\xff"])
def test_what_is_remembered_may_be_damaged_or_impossible_to_keep(damage: str, tmp_path: Path) -> None:
    path, hashes = made(tmp_path / "d"), FileHashes(tmp_path / "cache")
    hashes.sha256(path)
    (place,) = (tmp_path / "cache" / "hashes").iterdir()
    place.write_text(damage, encoding="latin-1")
    assert hashes.sha256(path) == sha256(b"rows").hexdigest()
    nowhere = FileHashes(path / "below a file")
    assert nowhere.sha256(path) == sha256(b"rows").hexdigest()


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileHashes(tmp_path).sha256(tmp_path / "none")
    assert len(state_of(made(tmp_path / "d"))) == 5


@pytest.mark.parametrize("writable", [True, False])
def test_a_copy_is_what_was_hashed_whatever_becomes_of_the_file(writable: bool, tmp_path: Path) -> None:
    path, content = tmp_path / "a", os.urandom(3 * 2**20 + 1)
    path.write_bytes(content)
    folder = tmp_path / "cache" if writable else Path("/proc/nowhere")
    copy, digest = file_hashes.copy_of(path, folder)
    with copy:
        with path.open("r+b") as stream:
            stream.write(b"other")
        assert digest == sha256(content).hexdigest()
        assert copy.read() == content
    assert not writable or not list(folder.iterdir()), "under no name"
    with pytest.raises(FileNotFoundError):
        file_hashes.copy_of(tmp_path / "missing", folder)
