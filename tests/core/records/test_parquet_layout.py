"""What the pages of a Parquet file hold, told as pyarrow tells it, and damage that would end the process there."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import ROWS, make_whole_run, parquet

from bakeoff.errors import DamageError
from bakeoff.records.parquet_layout import layout_of
from bakeoff.records.predictions import PredictionsReader
from bakeoff.records.schema import PREDICTIONS_FILE

OPTIONS: list[dict[str, Any]] = [
    {},
    {"compression": "none"},
    {"compression": "snappy", "data_page_version": "2.0"},
    {"use_dictionary": False},
    {"row_group_size": 7},
    {"data_page_size": 16, "write_batch_size": 4},
    {"write_page_index": True, "write_statistics": False},
    {"store_schema": False, "version": "1.0"},
]


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    make_whole_run(tmp_path, "a", 0)
    return (tmp_path / PREDICTIONS_FILE).read_bytes()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_rows_values_and_sizes_are_those_that_pyarrow_tells(options: dict[str, Any], content: bytes) -> None:
    table = pq.read_table(io.BytesIO(content))
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    told = pq.ParquetFile(stream).metadata
    groups = layout_of(stream.getvalue())
    assert [rows for rows, _ in groups] == [told.row_group(number).num_rows for number in range(told.num_row_groups)]
    for number, (_, chunks) in enumerate(groups):
        for place, chunk in enumerate(chunks):
            theirs = told.row_group(number).column(place)
            assert (".".join(chunk.path), chunk.values) == (theirs.path_in_schema, theirs.num_values)
            assert 0 < chunk.unpacked <= theirs.total_uncompressed_size  # theirs counts the pages' headers too


def test_a_file_without_rows_has_a_layout(content: bytes) -> None:
    table = pq.read_table(io.BytesIO(content)).slice(0, 0)
    assert sum(rows for rows, _ in layout_of(parquet(table))) == 0


def test_pages_that_hold_more_values_than_the_footer_says_are_refused(content: bytes) -> None:
    """pyarrow would decode what the page announces: up to 2 billion values of a few bytes."""
    table = pa.table({"a": pa.array(range(ROWS * 2), pa.int64())})
    plain = parquet(table, use_dictionary=False)
    told = bytes([0xF0, 0x01])  # 120, in zigzag
    assert plain.count(told) >= 2
    layout_of(plain)
    with pytest.raises(ValueError, match="'a' have 8,191"):
        layout_of(plain.replace(told, b"\xfe\x7f", 1))


def test_pages_without_values_are_not_counted_one_by_one() -> None:
    plain = parquet(pa.table({"a": pa.array([7], pa.int64())}), use_dictionary=False)
    (chunk,) = layout_of(plain)[0][1]
    assert chunk.values == 1
    start, footer = 4, len(plain) - 8 - int.from_bytes(plain[-8:-4], "little")
    empty = bytes([0x15, 0x00, 0x15, 0x00, 0x15, 0x00, 0x2C, 0x15, 0x00, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00])
    size = footer - start
    padded = plain[:start] + (empty * (size // len(empty) + 1))[:size] + plain[footer:]
    with pytest.raises(ValueError, match="1 values need"):
        layout_of(padded)


@pytest.mark.parametrize("least", [0, 4])
def test_no_altered_byte_of_a_footer_ends_the_process(content: bytes, least: int, tmp_path: Path) -> None:
    """Asked for the metadata of a damaged column chunk, pyarrow 26.0 calls abort()."""
    data, draw = make_whole_run(tmp_path, "a", 0).data, random.Random(least)  # noqa: S311 - bytes to alter, no secrets
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    outcomes = [0, 0]
    for place in range(start + least, len(content) - 8, 5):
        altered = bytearray(content)
        altered[place] = (altered[place] + draw.choice([1, 2, 16, 128, 255])) % 256
        try:
            PredictionsReader().read(bytes(altered), data, tmp_path)
            outcomes[0] += 1
        except DamageError:
            outcomes[1] += 1
    assert min(outcomes) > 10
