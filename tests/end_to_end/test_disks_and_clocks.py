"""A full disk, a folder that turns read-only, a clock that jumps: each is named, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end.experiments import call, records, write_spec

from bakeoff.store import CLAIM_STALE_SECONDS, Store

LOOP = {"manual-loop": {"trainer": "torch-loop"}}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607


def fill(path: Path) -> None:
    """Writes until nothing more fits."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, b"\0" * 4096)
    finally:
        os.close(descriptor)


def test_a_full_disk_is_named_and_what_was_recorded_stays(small_disk: Path, tmp_path: Path) -> None:
    spec = write_spec(small_disk / "e", LOOP)
    assert call("run", spec, folder=tmp_path).returncode == 0
    before = records(small_disk / "e")
    spec = write_spec(small_disk / "e", LOOP, seeds=2)
    filling = small_disk / "filling"
    with pytest.raises(OSError, match="No space left"):
        fill(filling)
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert "No space left on device" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert records(small_disk / "e") == before
    filling.unlink()
    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(records(small_disk / "e")) == 2
    assert call("verify", small_disk / "e", folder=tmp_path).returncode == 0


def test_a_folder_that_turned_read_only_is_named_and_its_table_can_be_read(small_disk: Path, tmp_path: Path) -> None:
    spec = write_spec(small_disk / "e", LOOP)
    assert call("run", spec, folder=tmp_path).returncode == 0
    write_spec(small_disk / "e", LOOP, seeds=2)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)  # noqa: S607
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    assert "Read-only file system" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert call("verify", small_disk / "e", folder=tmp_path).stdout.startswith("1 of 1 records are whole\n")


def test_a_clock_that_jumps_back_or_ahead_takes_no_living_claim_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.records.mkdir()
    assert store.claim("r1-0")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    assert not store.claim("r1-0"), "its owner, this process, lives"
    assert store.is_claimed("r1-0")
    monkeypatch.setattr(time, "time", lambda: now + CLAIM_STALE_SECONDS + 1)
    assert store.claim("r1-0"), "without a touch for a minute, the owner is taken for dead: double work, and nothing worse"


def test_two_records_of_one_moment_do_not_mix(tmp_path: Path) -> None:
    """Folders in the making never share a name, whatever the clock says."""
    store = Store(tmp_path)
    store.records.mkdir()
    first, second = store.begin("r1-0"), store.begin("r1-0")
    assert first != second
    for number, folder in enumerate((first, second)):
        (folder / "record.json").write_text(str(number))
    assert store.publish(first, "r1-0")
    assert not store.publish(second, "r1-0"), "the first one stands"
    assert (store.records / "r1-0" / "record.json").read_text() == "0"
    assert [path.name for path in store.records.iterdir()] == ["r1-0"]
