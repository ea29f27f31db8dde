"""Where files of one's own lie and how they are packed; and that the rows are those of the bytes that were hashed."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from core.records.odd_files import NO_FILES
from messages import tells
from tasks.conftest import TABLE, Load

from bakeoff.contracts.task import Paths
from bakeoff.errors import DataError
from bakeoff_table import contents, json_rows, reading

ONE = {"text": "q1", "label": "same"}
CSV = "q1,same\na,no\nb,yes\n"


def zipped(path: Path, **files: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)


def labels_of(folder: Path, beside: Path, **options: Any) -> list[int]:
    chosen = TABLE.Options.model_validate({"train": "a.csv", **ONE, **options})
    return list(TABLE.load(chosen, Paths(folder, folder / "cache", beside))["train"]["label"])


# --- what was hashed is what was read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "csv.gz", "zip", "json", "jsonl", "parquet"])
def test_a_file_that_is_written_in_place_while_it_is_read_is_told_and_leaves_nothing_in_the_cache(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load
) -> None:
    """Between the hash by which the cache is looked in and the reading, somebody writes other rows into the same file."""
    path, other = tmp_path / f"a.{form}", tmp_path / f"other.{form}"
    for place, last in ((path, "yes"), (other, "no")):
        text = CSV.replace("yes", last)
        rows = [{"q1": "a", "same": "no"}, {"q1": "b", "same": last}]
        match form:
            case "csv":
                place.write_text(text)
            case "csv.gz":
                place.write_bytes(gzip.compress(text.encode()))
            case "zip":
                zipped(place, a__csv=text)
            case "parquet":
                pq.write_table(pa.Table.from_pylist(rows), place)
            case _:
                place.write_text(json.dumps(rows) if form == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    hashed = reading.sha256_of

    def hashed_then_overwritten(file: Path) -> str:
        digest = hashed(file)
        with path.open("r+b") as stream:
            stream.truncate(0)
            stream.write(other.read_bytes())
        return digest

    monkeypatch.setattr(reading, "sha256_of", hashed_then_overwritten)
    name = f"a.{form}"
    with pytest.raises(DataError, match="it changed while"):
        load(train=name, **ONE, labels=["no", "yes"])
    tables = tmp_path / "cache" / "tables"
    assert not list(tables.iterdir()), "neither rows under a wrong hash nor the copy"
    monkeypatch.setattr(reading, "sha256_of", hashed)
    assert list(load(train=name, **ONE, labels=["no", "yes"])[1]["train"]["label"]) == [0, 0]


# --- links -------------------------------------------------------------------------------------------------------------------


def test_links_in_the_data_folder_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    """A snapshot of the hub: links into a folder of blobs beside it; and a folder that is a link itself."""
    blobs, snapshot, beside = tmp_path / "blobs", tmp_path / "snapshots" / "1", tmp_path / "beside"
    for folder in (blobs, snapshot, beside):
        folder.mkdir(parents=True)
    (blobs / "0123").write_text(CSV)
    (snapshot / "a.csv").symlink_to("../../blobs/0123")
    (snapshot / "deep").symlink_to(blobs)
    assert labels_of(snapshot, beside) == [0, 1]
    assert labels_of(snapshot, beside, train="deep/0123", format="csv") == [0, 1]


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_that_leads_away_from_the_experiment_file_is_refused_by_name(link: str, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.mkdir()
    outer.mkdir()
    (outer / "a.csv").write_text(CSV)
    if link == "file":
        (inner / "sub").mkdir()
        (inner / "sub" / "a.csv").symlink_to(outer / "a.csv")
    else:
        (inner / "sub").symlink_to(outer)
    with pytest.raises(DataError, match=r"'sub/a\.csv' is a symbolic link out of .*inner, .* with --data"):
        labels_of(tmp_path / "nothing", inner, train="sub/a.csv")
    assert labels_of(inner, inner, train="sub/a.csv") == [0, 1], "the same folder given by --data"


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.csv", "x/../../a.csv"])
def test_no_name_leads_out_of_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.csv").write_text(CSV)
    with pytest.raises(DataError, match="points outside"):
        labels_of(tmp_path / "inner", tmp_path / "inner", train=name, format="csv")


# --- packed files ------------------------------------------------------------------------------------------------------------


def test_packed_files_hold_the_same_rows(tmp_path: Path, load: Load) -> None:
    lines = '{"q1": "a", "same": "no"}\n{"q1": "b", "same": "yes"}\n'
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "a.TSV.GZ").write_bytes(gzip.compress(CSV.replace(",", "\t").encode()))
    (tmp_path / "plain.csv").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    zipped(tmp_path / "one.zip", **{"a__csv": CSV, "__MACOSX/": "", "__MACOSX/._a.csv".replace("__", "__"): "x"})
    zipped(tmp_path / "two.zip", **{"MRPC/train__tsv": CSV.replace(",", "\t"), "MRPC/dev__jsonl": lines})
    for name in ("a.csv.gz", "a.TSV.GZ", "plain.csv", "a.jsonl.gz", "two.zip/MRPC/train.tsv", "two.zip/MRPC/dev.jsonl"):
        assert list(load(train=name, **ONE)[1]["train"]["label"]) == [0, 1], name


def test_an_archive_is_its_only_file_without_what_macos_adds(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.mkdir("data")
        archive.writestr("data/a.csv", CSV)
        archive.writestr("__MACOSX/data/._a.csv", "x")
    assert list(load(train="one.zip", **ONE)[1]["train"]["label"]) == [0, 1]
    zipped(tmp_path / "two.zip", a__csv=CSV, b__csv=CSV)
    told = refusal(train="two.zip", **ONE)
    assert tells(told, "two.zip: ", "2 files ('a.csv', 'b.csv'); ", "'two.zip/a.csv'")
    assert tells(refusal(train="two.zip/c.csv", **ONE), "two.zip/c.csv: ", "no such file")


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("form", ["csv.gz", "zip"])
def test_a_damaged_archive_is_told(damage: str, form: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    path, text = tmp_path / f"a.{form}", "q1,same\n" + "".join(f"text {number * 7919},no\n" for number in range(3000))
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", text)
    else:
        path.write_bytes(gzip.compress(text.encode()))
    raw = bytearray(path.read_bytes())
    if damage == "cut":
        raw = raw[: len(raw) // 2]
    else:
        raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    told = refusal(train=path.name, **ONE, labels=["no", "x"])
    if damage == "cut":
        assert "cannot be unpacked" in told or "not a readable ZIP" in told
    assert not list((tmp_path / "cache").rglob("*.arrow")), "not even the rows before the damage are kept"


@pytest.mark.parametrize("form", ["csv.gz", "jsonl.gz", "json.gz", "zip"])
def test_what_unpacks_to_far_more_than_its_size_is_refused(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], load: Load
) -> None:
    monkeypatch.setattr(contents, "ALWAYS_UNPACKED", 50_000)
    row = {"csv.gz": b"aaaa,no\n", "zip": b"aaaa,no\n"}.get(form, b'{"q1": "aaaa", "same": "no"}\n')
    bomb = (b"q1,same\n" if form in {"csv.gz", "zip"} else b"") + row * 200_000
    if form == "json.gz":
        bomb = b"[" + row.strip() + b"," * 5_000_000 + b"]"
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", bomb)
    else:
        (tmp_path / f"a.{form}").write_bytes(gzip.compress(bomb))
    told = refusal(train=f"a.{form}", **ONE)
    assert "unpacks to more than" in told
    assert "over 100 times" in told
    monkeypatch.setattr(contents, "ALWAYS_UNPACKED", 2**30)
    if form != "json.gz":
        assert len(load(train=f"a.{form}", **ONE, labels=["no", "yes"])[1]["train"]["id"]) == 200_000


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.xlsx", "a.xlsx: it is a workbook: save its rows as CSV, JSON lines or Parquet"),
        ("a.csv.bz2", "a.csv.bz2: it is compressed by bzip2"),
        ("a.parquet.gz", "a.parquet.gz: a Parquet file is compressed within: unpack it first"),
        ("a.txt", "a.txt: its name does not show the format: write `format: csv`"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_name(name: str, sentence: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert sentence in refusal(train=name, **ONE)


# --- JSON --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_of_objects_is_rows(indent: int | None, tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    rows = [{"q1": f"[a], {{b}} {number}", "same": "yes" if number % 2 else "no", "more": [{"x": 1}]} for number in range(5)]
    (tmp_path / "a.json").write_text("\n" + json.dumps(rows, indent=indent) + "\n")
    _, splits = load(train="a.json", **ONE)
    assert list(splits["train"]["label"]) == [0, 1, 0, 1, 0]
    assert splits["train"]["q1"][4] == "[a], {b} 4"
    rows[3]["q1"] = {"deep": 1}
    (tmp_path / "a.json").write_text("\n" + json.dumps(rows, indent=indent))
    line = {None: 2, 0: 30, 2: 30}[indent]
    assert f"a.json:{line}: column 'q1' holds" in refusal(train="a.json", **ONE)


def test_an_array_that_is_too_large_for_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.setattr(json_rows, "LARGEST_ARRAY", 100)
    (tmp_path / "a.json").write_text("[\n" + '{"q1": "a", "same": "no"},\n' * 10)
    assert tells(refusal(train="a.json", **ONE), "a.json: ", "100 characters: ", "JSON lines")


def test_json_in_another_encoding(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"q1": "Käse", "same": "no"}\n{"q1": "b", "same": "yes"}\n', encoding="utf-16")
    assert "write `encoding: utf-16`" in refusal(train="a.jsonl", **ONE)
    assert load(train="a.jsonl", encoding="utf-16", **ONE)[1]["train"]["q1"][0] == "Käse"


def test_a_number_among_texts_is_read_as_it_is_written(tmp_path: Path, load: Load, said: Callable[..., list[str]]) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"q1": "a", "same": "no"}\n{"q1": 1984, "same": "no"}\n{"q1": 1.50, "same": "yes"}\n{"q1": -0, "same": "yes"}\n'
    )
    assert list(load(train="a.jsonl", **ONE)[1]["train"]["q1"]) == ["a", "1984", "1.50", "0"]
    (line,) = said(train="a.jsonl", **ONE)
    assert tells(line, "train: a.jsonl:2: ", "number", "2 other rows")


# --- options of one file -----------------------------------------------------------------------------------------------------


def test_each_file_may_be_written_in_its_own_way(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "b.csv").write_bytes('q1;same\nKäse;yes\n"x";no\n'.encode("cp1252"))
    (tmp_path / "c.txt").write_text('c\tno\n"d\tyes\n')
    split = {"file": "b.csv", "delimiter": ";", "encoding": "cp1252", "quoting": "none"}
    bare = {"file": "c.txt", "format": "tsv", "columns": ["q1", "same"]}
    _, splits = load(train=["a.csv", bare], dev=split, **ONE)
    assert list(splits["train"]["q1"]) == ["a", "b", "c", '"d']
    assert list(splits["dev"]["q1"]) == ["Käse", '"x"']
    assert list(splits["dev"]["label"]) == [1, 0]


def test_a_file_about_which_nothing_is_said_is_its_name() -> None:
    by_name, by_mapping = (TABLE.Options.model_validate({"train": train, **ONE}) for train in ("a.csv", {"file": "a.csv"}))
    assert by_name == by_mapping
    assert by_name.train == ["a.csv"]


@pytest.mark.parametrize("delimiter", ["\t", "\\t"])
def test_a_tab_may_be_said_as_the_hint_says_it(delimiter: str, tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text(CSV.replace(",", "\t"))
    assert refusal(**ONE).endswith('write `delimiter: "\\t"`')
    assert list(load(delimiter=delimiter, **ONE)[1]["train"]["label"]) == [0, 1]


# --- joined texts ------------------------------------------------------------------------------------------------------------


def test_more_than_two_columns_are_joined_as_a_template_says(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text("#1 t,body,by,same\nT,B,me,no\nU,C,you,yes\n")
    three = {"text": ["#1 t", "body", "by"], "label": "same"}
    info, splits = load(**three, join="{#1 t}: {body} {{{by}}}")
    assert info.text_columns == ("joined",)
    assert list(splits["train"]["joined"]) == ["T: B {me}", "U: C {you}"]
    info, splits = load(**three, join=["{#1 t} by {by}", "{body}"])
    assert info.text_columns == ("joined1", "joined2")
    assert (splits["train"]["joined1"][1], splits["train"]["joined2"][1]) == ("U by you", "C")
    (tmp_path / "a.csv").write_text("#1 t,body,by,same\nT,B,me,no\n,C,,yes\n,,,yes\nV,W,x,yes\n")
    told = refusal(**three, join="{#1 t} {body} {by}")
    assert tells(told, "a.csv:3: column '#1 t' ", "1 other row; ", "`gaps: drop`", "`gaps: none`")
    assert tells(refusal(**three, join="{#1 t} {body} {by}", gaps="none"), "a.csv:4: column '#1 t' ", "fill it in")
    (tmp_path / "a.csv").write_text("#1 t,body,by,same\nT,B,me,no\n,C,,yes\n")
    assert list(load(**three, join="{#1 t} {body} {by}", gaps="none")[1]["train"]["joined"]) == ["T B me", " C "]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_a_file_that_git_lfs_has_not_fetched_is_told_as_that(name: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:a1\nsize 44\n")
    assert tells(refusal(train=name), f"{name} ", "Git LFS, ", "`git lfs pull`")


# --- joined files ----------------------------------------------------------------------------------------------------------

MARK = "\ufeff"
JOINED = {
    "each with its mark": ("a.csv", f"{MARK}q,y\na b,no\n{MARK}q,y\nc d,yes\n"),
    "quoted": ("a.csv", f'{MARK}"q","y"\n"a b","no"\n{MARK}"q","y"\n"c d","yes"\n'),
    "tab-separated": ("a.tsv", f"{MARK}q\ty\na b\tno\n{MARK}q\ty\nc d\tyes\n"),
    "a header in another case": ("a.csv", "q,y\na b,no\nQ,Y\nc d,yes\n"),
    "only the second with a mark": ("a.csv", f"y,q\nno,a b\n{MARK}y,q\nyes,c d\n"),
}
"""As `cat` joins what Excel saves."""


@pytest.mark.parametrize("case", JOINED)
def test_the_header_of_a_file_that_was_joined_is_no_row(
    case: str, tmp_path: Path, load: Load, said: Callable[..., Any]
) -> None:
    name, text = JOINED[case]
    (tmp_path / name).write_text(text)
    options = {"train": name, "text": "q", "label": "y"}
    info, splits = load(**options)
    assert info.labels == ("no", "yes")
    assert list(splits["train"]["q"]) == ["a b", "c d"]
    (told,) = [line for line in said(**options) if "header" in line]
    assert tells(told, f"train: {name}:3: ", "header", "again")


def test_a_mark_before_a_row_is_no_part_of_it(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text(f"y,q\nno,a\n{MARK}yes,b\nyes,c\n")
    info, splits = load(text="q", label="y")
    assert (info.labels, list(splits["train"]["label"])) == (("no", "yes"), [0, 1, 1])


def test_a_header_in_another_case_and_order_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text("q,y\na b,no\nY,Q\nyes,c d\n")
    assert tells(refusal(text="q", label="y"), "a.csv:3: ", "header", "another order")


# --- what lies there is something else -------------------------------------------------------------------------------------

ROWS_OF_TWO = b"q,y\na b,no\nc d,yes\n"
ELSE = {
    "packed twice": ("a.csv.gz", gzip.compress(gzip.compress(ROWS_OF_TWO)), ": its content is compressed again"),
    "Parquet by another name": ("a.csv", b"PAR1\x15\x04", ": it is a Parquet file: write `format: parquet`"),
    "written in part": ("a.csv", ROWS_OF_TWO + bytes(40), ":4: 1 cell where the header has 2; it has NUL bytes"),
    "from DOS": ("a.csv", ROWS_OF_TWO + b"\x1a", ":4: 1 cell where the header has 2; it is the end-of-file character"),
    "rows within an object": (
        "a.json",
        b'{"version": 1, "data": [{"q": "a", "y": "no"}]}',
        ": no column 'q'; there is data, version; under 'data' is an array of objects",
    ),
}


@pytest.mark.parametrize("case", ELSE)
def test_a_file_that_is_something_else_is_told_as_that(case: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    name, content, sentence = ELSE[case]
    (tmp_path / name).write_bytes(content)
    assert refusal(train=name, text="q", label="y").startswith(f"{name}{sentence}")


@pytest.mark.parametrize("target", ["../.dvc/cache/ab/12", "b.csv"], ids=["nowhere", "a circle"])
def test_a_link_that_leads_nowhere_is_told_with_its_target(target: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").symlink_to(target)
    (tmp_path / "b.csv").symlink_to("a.csv")
    assert tells(refusal(), "'a.csv' ", f"symbolic link to '{target}', ", "does not exist")


def test_characters_that_were_lost_are_told(tmp_path: Path, said: Callable[..., list[str]]) -> None:
    (tmp_path / "a.csv").write_text("q,y\na long line of words with K\ufffdse,no\nb,yes\nK\ufffdln,no\n")
    (told,) = [line for line in said(text="q", label="y") if "U+FFFD" in line]
    assert tells(told, "train: a.csv:2: ", "U+FFFD ", "1 other row")


# --- what is no file of rows -----------------------------------------------------------------------------------------------


def repeated(path: Path, texts: list[str], rows: int) -> None:
    """A Parquet file of a few kilobytes whose rows hold these texts in turn."""
    numbers = pa.array(np.arange(rows, dtype=np.int32) % len(texts))
    column = pa.DictionaryArray.from_arrays(numbers, pa.array(texts)).cast(pa.string())
    pq.write_table(pa.table({"q1": column, "same": ["no", "yes"] * (rows // 2)}), path, compression="zstd")


@pytest.mark.parametrize(
    ("texts", "rows"), [(["a", "b"], 50_000), (["a" * 30_000, "b"], 400)], ids=["many rows", "one text in many rows"]
)
def test_a_parquet_file_whose_rows_are_one_value_is_not_unpacked(
    texts: list[str], rows: int, tmp_path: Path, refusal: Callable[..., str], load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeated(tmp_path / "a.parquet", texts, rows)
    monkeypatch.setattr(contents, "ALWAYS_UNPACKED", 50_000)
    assert "over 100 times" in refusal(train="a.parquet", **ONE)
    monkeypatch.setattr(contents, "ALWAYS_UNPACKED", 2**30)
    assert len(load(train="a.parquet", **ONE)[1]["train"]["label"]) == rows


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_plain_file_is_told(kind: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    NO_FILES[kind][0](tmp_path / "a.csv")
    said = refusal()
    if kind == "sparse":
        assert said == "a.csv: it has 64,424,509,440 bytes, of which the disk stores 0: the rest would be read as zeros"
    elif kind in {"device", "link that leads nowhere"}:
        assert tells(said, "'a.csv' ", "symbolic link to ")
    else:
        assert tells(said, "'a.csv' ", NO_FILES[kind][1])
