"""Files of new rows: each format gives the same texts, and what is wrong is told with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.errors import DataError
from bakeoff.toolkit.row_files import read_row_file

COLUMNS = ("first", "second")
ROWS = [{"id": "x7", "first": 'a "b", c', "second": "é\nz", "more": 1}, {"id": "y", "first": "b", "second": "c", "more": 2}]
CSV = '\ufeffid,first,second,more\nx7,"a ""b"", c","é\nz",1\ny,b,c,2\n'
JSONL = '{"id": "x7", "first": "a \\"b\\", c", "second": "é\\nz"}\n\n{"id": "y", "first": "b", "second": "c"}\n'


def test_formats_give_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "a.JSONL").write_text(JSONL, encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    found = [read_row_file(tmp_path / name, COLUMNS) for name in ("a.csv", "a.JSONL", "a.parquet")]
    assert found[0].ids == ["x7", "y"]
    assert found[0].texts == {"first": ['a "b", c', "b"], "second": ["é\nz", "c"]}
    assert found[0] == found[1] == found[2]


def test_tsv_knows_no_quoting_and_rows_without_ids_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('second\tfirst\nc\t"a\nd\tb"\n')
    found = read_row_file(tmp_path / "a.tsv", COLUMNS)
    assert (found.ids, found.texts["first"]) == (["0", "1"], ['"a', 'b"'])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"first,secnd\na,b\n", "a.csv:2: no column 'second'; did you mean 'secnd'?"),
        ("a.csv", b"first,second\na,b\nc\n", "a.csv:3: column 'second' is empty"),
        ("a.csv", b"first,second\na, \n", "a.csv:2: column 'second' is empty"),
        ("a.csv", b"first,second\na,b,c\n", "a.csv:2: it has 3 cells, and the header names 2"),
        ("a.csv", b'first,second\n"a,b\n', "a.csv: unexpected end of data"),
        ("a.csv", b"first,second\n\xff,b\n", "not UTF-8"),
        ("a.csv", b"first,second\n", "has no rows"),
        ("a.csv", b"", "has no rows"),
        ("a.jsonl", b'{"first": "a", "second": 3}\n', "a.jsonl:1: column 'second' holds '3', no text"),
        ("a.jsonl", b'{"first": "a", "second": null}\n', "a.jsonl:1: column 'second' is empty"),
        ("a.jsonl", b'{"first": \n', "a.jsonl:1: not JSON"),
        ("a.jsonl", b"[1]\n", "a.jsonl:1: each line must be an object"),
        ("a.parquet", b"no parquet", "not a readable Parquet file"),
        ("a.xlsx", b"", "its name must end in .csv, .tsv"),
        ("a.csv.gz", gzip.compress(b"first,second\na,b\n", mtime=0), "its name must end in .csv, .tsv"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_row_file(tmp_path / name, COLUMNS)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_or_nothing_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    for name in ("a.csv", "b.csv", "b.parquet"):
        with pytest.raises(DataError, match=r"is a folder|No such"):
            read_row_file(tmp_path / name, COLUMNS)
