"""How a file is written is found out from the file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.drafting.tables import Table, read_table
from bakeoff.errors import DataError

ROWS = [(f"the parcel, number {number}; never came | at all", ("late", "lost")[number % 2]) for number in range(40)]


def cells(rows: list[tuple[str, str]] = ROWS, *, mark: str = ",", header: str = "text,label", quote: bool = True) -> str:
    lines = [header.replace(",", mark)] if header else []
    return "\n".join([*lines, *(mark.join([f'"{text}"' if quote else text, label]) for text, label in rows)]) + "\n"


def read(folder: Path, name: str, content: bytes | str, **more: object) -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_prose_that_has_all_of_them(tmp_path: Path, mark: str) -> None:
    table = read(tmp_path, "a.csv", cells(mark=mark))
    assert (table.written.delimiter, list(table.columns), table.rows) == (mark, ["text", "label"], 40)
    assert table.columns["text"][0] == ROWS[0][0]


@pytest.mark.parametrize(
    ("encoding", "found"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le")]
)
def test_unicode_is_found_by_its_marks(tmp_path: Path, encoding: str, found: str) -> None:
    text = "Das Päckchen kam nie an"
    table = read(tmp_path, "a.csv", cells([(text, label) for _, label in ROWS]).encode(encoding))
    assert (table.written.encoding, table.columns["text"][0]) == (found, text)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("cp1252", "Das Päckchen für Zoë kam nie an – schade"), ("cp1251", "Посылка так и не пришла, очень жаль, помогите")],
)
def test_an_old_encoding_is_found_by_its_characters(tmp_path: Path, encoding: str, text: str) -> None:
    table = read(tmp_path, "a.csv", cells([(f"{text} {number}", "ab"[number % 2]) for number in range(40)]).encode(encoding))
    assert (table.written.encoding, table.columns["text"][0]) == (encoding, f"{text} 0")


def test_a_first_line_that_is_a_row_is_one(tmp_path: Path) -> None:
    table = read(tmp_path, "a.csv", cells(header=""))
    assert (table.written.header, list(table.columns), table.rows) == (False, ["column1", "column2"], 40)
    told = read(tmp_path, "a.csv", cells(header=""), header=True)
    assert (told.written.header, told.rows) == (True, 39)


def test_an_index_that_pandas_wrote_is_no_column(tmp_path: Path) -> None:
    table = read(tmp_path, "a.csv", ",text,label\n" + "".join(f"{at},some words here {at},{'ab'[at % 2]}\n" for at in range(9)))
    assert list(table.columns) == ["text", "label"]


def test_quotation_marks_of_prose_do_not_quote_in_tsv(tmp_path: Path) -> None:
    rows = [(f'5" pipe {number}', "ab"[number % 2]) for number in range(40)]
    table = read(tmp_path, "a.tsv", cells(rows, mark="\t", quote=False))
    assert (table.written.quoting, table.rows, table.columns["text"][0]) == ("none", 40, '5" pipe 0')


@pytest.mark.parametrize("form", ["lines", "array", "gzip"])
def test_json_is_read_as_lines_and_as_an_array(tmp_path: Path, form: str) -> None:
    objects = [{"text": text, "tags": [label, "x"], "meta": {"a": 1}} for text, label in ROWS]
    text = json.dumps(objects) if form == "array" else "".join(f"{json.dumps(one)}\n" for one in objects)
    content = gzip.compress(text.encode()) if form == "gzip" else text.encode()
    table = read(tmp_path, "a.json.gz" if form == "gzip" else "a.json", content)
    assert (table.written.format, table.rows, table.columns["tags"][0]) == ("jsonl", 40, ["late", "x"])


def test_parquet_is_read_whatever_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a b c", None], "label": [1, 0]}), tmp_path / "a.data")
    table = read_table(tmp_path / "a.data")
    assert (table.written.format, table.columns) == ("parquet", {"text": ["a b c", None], "label": [1, 0]})


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"\0\0\0\0", "NUL bytes alone"),
        ("a.csv", b"text,label\n", "a header and no row"),
        ("a.csv", b"text\nsome words\nother words\n", "one column, 'text'"),
        ("a.csv", b"text,label\na b c,x\na\0b,y\n" * 9, "a.csv:3: it has NUL bytes"),
        ("a.csv", b"text,label\na b c,x\na, b,y\nc,x\n", "a.csv:3: 3 cells where the first row has 2"),
        ("a.csv", b"text,label\n" + b'"a b",x\n' * 5 + b'"c d,y\n', "a.csv:7: "),
        ("a.csv", b"text,text\na b c,x\n", "'text' is the name of two columns"),
        ("a.xlsx", b"PK\x03\x04rest", "a workbook"),
        ("a.jsonl", b'{"text": 1}\n{"text": \n', "a.jsonl:2:10: not valid JSON"),
        ("a.jsonl", b"[1, 2]", "found '1'"),
        ("a.json", b'[{"data": [{"text": "a"}, {"text": "b"}]}]', "under 'data'"),
        ("a.csv", b"sep=;\ntext;label\na b;x\n", "a.csv:1: "),
        ("a.parquet", b"PAR1 broken", "not a readable Parquet file"),
        ("a.csv.gz", b"\x1f\x8bbroken", "can't be unpacked"),
    ],
)
def test_what_has_no_rows_says_why_and_where(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, content)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "no.csv")
