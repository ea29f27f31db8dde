"""Faults of the machine are told from errors of a run, whatever library they came through; the disk and the bytes are named."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.errors import DataError, MachineError, PluginError
from bakeoff.files import Tree
from bakeoff.machine import faults

MIB = 2**20


def mounted(folder: Path, options: str) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of 1 MiB."""
    yield from mounted(tmp_path_factory.mktemp("disk"), "size=1m")


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from mounted(tmp_path_factory.mktemp("read-only"), "size=1m,ro")


def by_open(path: Path) -> None:
    path.write_bytes(b"\0" * 3 * MIB)


def by_our_own_door(path: Path) -> None:
    Tree(path.parent).write(path, b"\0" * 3 * MIB)


def by_safetensors(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(MIB)}, path)


def by_torch(path: Path) -> None:
    import torch

    torch.save({"a": torch.zeros(MIB)}, path)


def by_arrow(path: Path) -> None:
    pq.write_table(pa.table({"a": np.random.default_rng(0).random(MIB)}), path)


def by_numpy(path: Path) -> None:
    np.zeros(MIB).tofile(path)


def by_transformers(path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertForSequenceClassification(BertConfig(**shape)).save_pretrained(path)


def by_a_temporary_file(path: Path) -> None:
    with tempfile.TemporaryFile(dir=path.parent) as stream:
        stream.write(b"\0" * 3 * MIB)


WRITERS = [by_open, by_our_own_door, by_safetensors, by_torch, by_arrow, by_numpy, by_transformers, by_a_temporary_file]


def error_of(write: Callable[[Path], None], path: Path) -> Exception:
    try:
        write(path)
    except Exception as error:
        return error
    raise AssertionError("it was written")


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_seen_through_every_library(disk: Path, write: Callable[[Path], None], tmp_path: Path) -> None:
    place = disk / write.__name__
    place.mkdir()
    error = error_of(write, place / "file")
    subprocess.run(["rm", "-rf", str(place)], check=True)  # noqa: S607
    assert faults.code_of(error) == errno.ENOSPC
    found = faults.machine_error(error, [tmp_path, disk])
    assert found is not None
    assert re.search(rf"^{disk}\S*: No space left on device \([\d,]+ bytes are free\); free some space", str(found)), str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("write", WRITERS)
def test_a_read_only_disk_is_seen_through_every_library(read_only: Path, write: Callable[[Path], None], tmp_path: Path) -> None:
    found = faults.machine_error(error_of(write, read_only / "file"), [tmp_path, read_only])
    assert found is not None
    assert str(found).startswith(str(read_only))
    assert "Read-only file system" in str(found)


def test_the_bytes_needed_are_told_where_they_are_known(disk: Path) -> None:
    words = r"\(3,145,728 bytes are needed and [\d,]+ bytes are free\)"
    with pytest.raises(MachineError, match=words), faults.writing(disk / "file", size=3 * MIB):
        by_our_own_door(disk / "file")
    assert list(disk.iterdir()) == []


def chain(first: Exception, then: Exception, *, cause: bool) -> Exception:
    try:
        try:
            raise first
        except Exception as error:
            if cause:
                raise then from error
            raise then from None
    except Exception as error:
        return error


@pytest.mark.parametrize("cause", [True, False])
@pytest.mark.parametrize("code", sorted(faults.FAULTS))
def test_what_a_plugin_makes_of_a_fault_is_one(code: int, cause: bool, tmp_path: Path) -> None:
    fault = OSError(code, os.strerror(code), str(tmp_path / "rows.csv"))
    for then in (PluginError("the trainer swallowed an exception"), DataError("rows.csv cannot be read"), RuntimeError("bad")):
        found = faults.machine_error(chain(fault, then, cause=cause), [])
        assert found is not None
        assert str(found).startswith(f"{tmp_path / 'rows.csv'}: {os.strerror(code)}")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no label 'No space left on device'"),
        KeyError("Disk quota exceeded"),
        DataError("row 3: label '(os error 28)' is not among them"),
        PluginError("its text is 'Read-only file system'"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "model.safetensors"),
        PermissionError(errno.EACCES, "Permission denied", "rows.csv"),
        ConnectionError("hub"),
        OSError(errno.EFBIG, "it has 5 bytes; at most 4 are read", "record.json"),
        MemoryError(),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("failed (os error 2)"),
        OSError("Can't load the configuration of 'x'"),
    ],
)
def test_errors_of_a_run_are_none_of_the_machine(error: Exception) -> None:
    assert faults.code_of(error) is None
    assert faults.machine_error(error, [Path()]) is None


def test_where_no_folder_for_temporary_files_has_room_that_is_no_missing_file(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(disk)])
    filling = disk / "filling"
    with pytest.raises(OSError, match="No space left"):
        filling.write_bytes(b"\0" * 3 * MIB)
    error = error_of(lambda path: tempfile.TemporaryFile().close(), disk)
    filling.unlink()
    assert isinstance(error, FileNotFoundError)
    assert faults.code_of(error) == errno.ENOSPC


def test_an_exception_that_is_its_own_cause_ends_the_search() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__context__, second.__context__ = second, first
    assert faults.code_of(first) is None


def test_a_limit_of_a_processs_files_is_named_and_no_disk() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, before[1]))
    try:
        found = faults.machine_error(RuntimeError("write failed (os error 27)"), [Path("/")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found is not None
    assert "1,073,741,824 bytes: `ulimit -f`" in str(found)
    assert "/" not in str(found)
