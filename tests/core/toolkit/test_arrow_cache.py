"""Arrow files in the cache: what is not as it was written is made anew, whatever is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from bakeoff.toolkit.arrow_cache import DamagedError, cached_table, mapped, write_batches

ROWS = {"numbers": [[1, 2, 3], [], [4]], "text": ["a", "", None]}
SCHEMA = pa.schema({"numbers": pa.list_(pa.int32()), "text": pa.string()})


class Batches:
    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Iterator[pa.RecordBatch]:
        self.made += 1
        for _ in range(2):
            yield pa.record_batch(ROWS, SCHEMA)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_batches(tmp_path / "a.arrow", Batches()())
    return tmp_path / "a.arrow"


def test_a_whole_file_is_mapped_and_not_made_again(path: Path) -> None:
    table = cached_table(path, batches := Batches())
    assert table is not None
    assert table.to_pydict() == {name: values * 2 for name, values in ROWS.items()}
    assert batches.made == 0
    content = path.read_bytes()
    assert content[-32:] == hashlib.sha256(content[:-32]).digest()


def altered(at: int, byte: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([byte]) + content[at + 1 :]


def absurd_nulls(content: bytes) -> bytes:
    """The first number of missing values, 0 of 3, is one of 41 bits."""
    at = content.index((3).to_bytes(8, "little") + bytes(8))
    return content[: at + 13] + b"\x03" + content[at + 14 :]


@pytest.mark.parametrize(
    "damage",
    [
        absurd_nulls,
        lambda content: b"",
        lambda content: content[:31],
        lambda content: content[:32],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-32],
        lambda content: content[:-1],
        lambda content: content + b"\x00",
        lambda content: content * 2,
        lambda content: bytes(len(content)),
        altered(-40, 0xFF),
    ],
    ids=["nulls", "empty", "31", "32", "half", "no checksum", "cut", "longer", "twice", "zeros", "magic"],
)
def test_what_is_damaged_is_made_anew(path: Path, damage: Callable[[bytes], bytes]) -> None:
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(DamagedError):
        mapped(path)
    table = cached_table(path, batches := Batches())
    assert table is not None
    assert table.to_pydict() == {name: values * 2 for name, values in ROWS.items()}
    assert (batches.made, path.read_bytes()) == (1, whole)


def test_no_byte_can_be_another(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(altered(at, whole[at] ^ 1 << at % 8)(whole))
        with pytest.raises(DamagedError):
            mapped(path)


def test_what_does_not_fit_is_made_anew(path: Path) -> None:
    batches = Batches()
    assert cached_table(path, batches, fits=lambda table: len(table) == 7) is not None
    assert batches.made == 1


def test_where_nothing_can_be_written_it_is_made_in_memory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    table = cached_table(path, batches := Batches())
    assert table is not None
    assert len(table) == 6
    assert batches.made == 2
