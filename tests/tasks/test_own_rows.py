"""Tasks without code: rows as people bring them, in four formats, are read right or told with file and line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from messages import tells
from pydantic import ValidationError

from bakeoff.contracts.held_out import SplittableTask
from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.errors import DataError
from bakeoff.training.assembly import load as load_checked
from bakeoff.training.data import Columns
from bakeoff.training.data_checks import data_checks
from bakeoff_table import HubDatasetTask, Table

TABLE = Table()
ROWS = [("hello, you", 'she said "hi"', "yes"), ("a", "b", "no"), ("c\nd", "e", "no")]
PAIR = {"text": ["q1", "q2"], "label": "same"}

Load = Callable[..., tuple[TaskInfo, dict[str, Columns]]]


def csv_of(rows: list[tuple[str, ...]], header: str = "q1,q2,same", end: str = "\n") -> str:
    cells = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    return end.join([header, *cells, ""])


def texts(split: Columns) -> list[tuple[Any, ...]]:
    return list(zip(split["q1"], split["q2"], split["label"], strict=True))


RIGHT = [("hello, you", 'she said "hi"', 1), ("a", "b", 0), ("c\nd", "e", 0)]


# --- formats ---------------------------------------------------------------------------------------------------------------


def test_four_formats_hold_the_same_rows(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    (tmp_path / "b.tsv").write_text(csv_of(ROWS).replace('","', '"\t"').replace("q1,q2,same", "q1\tq2\tsame"))
    rows = [dict(zip(("q1", "q2", "same"), row, strict=True)) for row in ROWS]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.csv", {"file": "b.tsv", "quoting": "minimal"}, "a.jsonl", "a.parquet"):
        info, splits = load(train=name)
        assert info.labels == ("no", "yes"), name
        assert texts(splits["train"]) == RIGHT, name
        assert list(splits["train"]["id"]) == ["train-0", "train-1", "train-2"], name


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_change_nothing(end: str, mark: bytes, tmp_path: Path, load: Load) -> None:
    rows = [row for row in ROWS if "\n" not in row[0]]
    (tmp_path / "a.csv").write_bytes(mark + csv_of(rows, end=end).encode())
    assert texts(load()[1]["train"]) == RIGHT[:2]
    (tmp_path / "a.csv").write_bytes(mark + csv_of(rows, end=end).encode().rstrip(end.encode()))
    assert texts(load()[1]["train"]) == RIGHT[:2], "without a line end at the end"
    (tmp_path / "a.csv").write_bytes(mark + csv_of(rows, end=end + end).encode())
    assert texts(load()[1]["train"]) == RIGHT[:2], "with empty lines between"


def test_options_of_the_format(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.txt").write_bytes('Käse;5" disk;yes\nx;"y;no\n'.encode("cp1252"))
    names = ["q1", "q2", "same"]
    _, splits = load(train="a.txt", format="csv", delimiter=";", quoting="none", columns=names, encoding="cp1252")
    assert texts(splits["train"]) == [("Käse", '5" disk', 1), ("x", '"y', 0)]


def test_several_files_are_one_after_another(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    (tmp_path / "b.jsonl").write_text('{"q1": "x", "q2": "y", "same": "maybe"}\n')
    info, splits = load(train=["a.csv", "b.jsonl"])
    assert info.labels == ("maybe", "no", "yes")
    assert [label for *_, label in texts(splits["train"])] == [2, 1, 1, 0]
    assert list(splits["train"]["id"]) == ["train-0", "train-1", "train-2", "train-1-0"]


# --- labels ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        ([1, 0, 2.0], ("0", "1", "2")),
        ([True, False, True], ("false", "true")),
        ([" b ", "a", "b"], ("a", "b")),
    ],
)
def test_labels_as_words_or_numbers(values: list[Any], labels: tuple[str, ...], tmp_path: Path, load: Load) -> None:
    lines = [json.dumps({"q1": f"text {number}", "same": value}) for number, value in enumerate(values)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    info, splits = load(train="a.jsonl", text="q1")
    assert info.labels == labels
    assert {str(info.labels[label]) for label in splits["train"]["label"]} == set(labels)


def test_the_order_of_labels_may_be_given(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    info, splits = load(labels=["yes", "no", "unseen"])
    assert (info.labels, info.n_outputs) == (("yes", "no", "unseen"), 3)
    assert list(splits["train"]["label"]) == [0, 1, 1]
    assert tells(refusal(labels=["yes", "noo"]), "a.csv:3: no label 'no'; ", "'noo'?")


def test_a_label_that_train_never_had_is_told(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    (tmp_path / "b.csv").write_text(csv_of([("x", "y", "no"), ("x", "z", "Yes")]))
    assert tells(refusal(dev="b.csv"), "b.csv:3: no label 'Yes'; ", "'yes'? ", "labels of train")


def test_label_names_that_a_hub_dataset_brings_are_kept(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"q1": Value("string"), "same": ClassLabel(names=["zebra", "ape"])})
    Dataset.from_list([{"q1": "x", "same": 0}, {"q1": "y", "same": 1}], features=features).to_parquet(tmp_path / "a.parquet")
    info, splits = load(train="a.parquet", text="q1")
    assert info.labels == ("zebra", "ape")
    assert list(splits["train"]["label"]) == [0, 1]
    table = pq.read_table(tmp_path / "a.parquet").set_column(1, "same", pa.array([0, -1]))
    pq.write_table(table, tmp_path / "b.parquet")
    assert (
        refusal(train="b.parquet", text="q1") == "b.parquet:2: column 'same' holds '-1', which is not one of its labels, 0 to 1"
    )


def test_numbers(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text("q1,q2,same\na,b,3.5\nc,d,-1e2\n")
    info, splits = load(kind="regression")
    assert (info.labels, info.n_outputs, info.primary_metric) == ((), 1, "pearson")
    assert list(splits["train"]["label"]) == [3.5, -100.0]
    for value, more in (("nan", ""), ("1e999", ""), ("three", ""), ('"3,5"', "; a decimal point is needed")):
        (tmp_path / "a.csv").write_text(f"q1,q2,same\na,b,1\nc,d,{value}\n")
        told = value.strip('"')
        assert tells(refusal(kind="regression"), "a.csv:3: column 'same' ", f"'{told}', ", f"finite number{more}")


def test_sets_of_labels(tmp_path: Path, load: Load, refusal: Callable[..., str]) -> None:
    (tmp_path / "cells.csv").write_text("q1,same\na,red|blue\nb,\nc, blue | blue\n")
    (tmp_path / "lists.jsonl").write_text(
        '{"q1": "a", "same": ["red", "blue"]}\n{"q1": "b", "same": []}\n{"q1": "c", "same": ["blue"]}\n'
    )
    (tmp_path / "columns.csv").write_text("q1,blue,red\na,1,1\nb,0,false\nc,TRUE,0\n")
    for options in ({"train": "cells.csv"}, {"train": "lists.jsonl"}, {"train": "columns.csv", "label": ["blue", "red"]}):
        info, splits = load(kind="multilabel", text="q1", **options)
        assert (info.labels, info.primary_metric) == (("blue", "red"), "micro_f1"), options
        assert list(splits["train"]["label"]) == [0b11, 0b00, 0b01], options
    wrong = {"train": "columns.csv", "label": ["blue", "q1"], "text": "red"}
    assert "columns.csv:2: column 'q1'" in refusal(kind="multilabel", **wrong)


# --- what is dirty ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (b"q1,q2,same\na,b\n", {}, "a.csv:2: 2 cells where the header has 3"),
        (
            b"q1;q2;same\na;b;c\n",
            {},
            "a.csv: no column 'q1'; there is q1;q2;same; there is only one column: "
            "if the delimiter is another, write `delimiter: ';'`",
        ),
        (b"q1,q2,sane\na,b,c\n", {}, "a.csv: no column 'same'; did you mean 'sane'?"),
        (b"q1,q1,same\na,b,c\n", {"text": "q1"}, "a.csv: 2 columns are named 'q1'"),
        (b"", {}, "a.csv has no rows"),
        (b"q1,q2,same\n", {}, "a.csv has no rows"),
        (b'q1,q2,same\na,"b,no\nc,d,yes\n', {}, "a.csv:2: a quoted cell begins in this row and does not end; write it twice"),
        (b'q1,q2,same\na,"b" c,no\n', {}, "a.csv:2: a quoted cell has a quotation mark in its middle"),
        (b"q1,q2,same\na,b,no\nc,\xff,yes\n", {}, "a.csv:3: byte 0xff is not utf-8; of files from Excel it is often"),
        (
            "q1,q2,same\na,b,no\n".encode("utf-16"),
            {},
            "a.csv:1: it is not UTF-8 but begins like UTF-16: write `encoding: utf-16`",
        ),
        (
            b"q1,q2,same\na,,no\nc,d,yes\ne, ,yes\n",
            {},
            "a.csv:2: column 'q2' is empty, as in 1 other row; fill it in, or write",
        ),
        (b"q1,q2,same\na,b,no\nc,d,\n", {}, "a.csv:3: column 'same' is empty; fill it in, or write `gaps: drop`"),
        (
            b"q1,q2,same\na,b,no\nc,d,no\n",
            {},
            "a.csv: column 'same' has only the label 'no', so there is nothing to learn",
        ),
        (b"q1,q2,same\na,b,\nc,,no\n", {"gaps": "drop"}, "a.csv: no rows are left: each lacks its text or its label"),
        (b"q1,q2,same\na,b,no\nc,d,yes\n", {"id": "q3"}, "a.csv: no column 'q3'"),
        (
            b"q1,q2,same,i\na,b,no,7\nc,d,yes,7\n",
            {"id": "i"},
            "a.csv:3: column 'i' has '7', like a.csv:2: ids must be unique",
        ),
        (b"q1,q2,same,i\na,b,no,7\nc,d,yes,\n", {"id": "i"}, "a.csv:3: column 'i' holds '', which does not identify a row"),
        (b"\x1f\x8b\x08\x00abc", {}, "a.csv: it cannot be unpacked, so it is incomplete or damaged: "),
        (b"PK\x03\x04\xff\xfe", {}, "a.csv: it is a ZIP archive (end its name in .zip) or a workbook (save its rows"),
        (
            "q1,q2,same\na,b,no\n".encode("utf-8-sig"),
            {"encoding": "cp1252"},
            "a.csv:1: the file begins with the byte-order mark of UTF-8: leave out `enc",
        ),
        (b"q1,q2,same\na,b,no\n", {"encoding": "utf-16"}, "a.csv: it is not utf-16: "),
        (b"\na,b,no\nc,d,yes\n", {"columns": ["q1", "q2", "sane"]}, "a.csv: no column 'same'; did you mean 'sane'?"),
    ],
)
def test_dirt_in_cells_is_told_with_its_line(
    content: bytes, options: dict[str, Any], sentence: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert sentence in refusal(**options)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[{"q1": "a"}, 5]', "a.jsonl:1: found '5', not an object: the file must have one object per line, or an array of obj"),
        ('{"q1": "a", "q2": "b", "same": "no"}\n[1]', "a.jsonl:2: found an array: the file must have one object per line"),
        ('{"q1": "a", "q2": "b", "same": "no"}\n{"q1": ', "a.jsonl:2:7: not valid JSON: Expecting value"),
        ("[" * 100_000, "a.jsonl:1: JSON that can't be read"),
        ('{"q1": ' + "9" * 5000 + "}", "a.jsonl:1: JSON that can't be read"),
        ('{"q1": true, "q2": "b", "same": "no"}', "a.jsonl:1: column 'q1' holds 'True', which is not a text"),
        ('{"q1": {"a": 1}, "q2": "b", "same": "no"}', "a.jsonl:1: column 'q1' holds \"{'a': 1}\", which is not a text"),
        ('{"q1": "a", "q2": "b", "same": "no", "same": "yes"}', "a.jsonl:1: the key 'same' appears twice in one object"),
        ('{"q1": "a", "q2": "b", "same": {"x": 1}}', "a.jsonl:1: column 'same' holds \"{'x': 1}\", which is not a label"),
        ('{"q1": "a", "q2": "\\ud800", "same": "no"}', "a.jsonl:1: '\\ud800' has half a character"),
        ('{"q1": "a", "q2": "b", "sane": "no"}', "a.jsonl: no column 'same'; did you mean 'sane'?"),
        ('{"q1": "a", "q2": "b", "same": "no"}\n{"q1": "a", "same": "yes"}', "a.jsonl:2: column 'q2' is empty"),
        ('[\n {"q1": "a"},\n {"q1": "b"}\n]', "a.jsonl: no column 'q2'; there is q1"),
        ('{\n "q1": "a"\n}', "a.jsonl:1: an object over several lines: the file must have one object per line, or an array"),
        ('\n[\n {"q1": "a"},\n {"q1": }]', "a.jsonl:4:9: not valid JSON: Expecting value"),
        ('[\n {"q1": "a"}\n {"q1": "b"}]', "a.jsonl:3: expected a comma or the end of the array: is the file cut off?"),
        ('[\n {"q1": "a"},\n', "a.jsonl:3:1: not valid JSON: Expecting value"),
        ('[\n {"q1": "a"}\n]\n[]', "a.jsonl:3: after the array follows '[]'"),
    ],
)
def test_dirt_in_json_lines_is_told_with_its_line(
    content: str, sentence: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    assert sentence in refusal(train="a.jsonl")


def test_what_is_no_parquet_file_is_told(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.parquet").write_text("q1,q2,same\n")
    assert tells(refusal(train="a.parquet"), "a.parquet: ", "Parquet")


def test_rows_with_gaps_are_left_out_where_that_is_asked_for_and_counted(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("q1,q2,same\na,b,no\n,d,yes\ne,f,\ng,h,yes\n")
    info, splits = load(gaps="drop")
    assert texts(splits["train"]) == [("a", "b", 0), ("g", "h", 1)]
    assert list(splits["train"]["id"]) == ["train-0", "train-3"], "an id does not hang on other rows"
    (line,) = data_checks(info, splits)
    assert tells(line, "train: 2 rows ", "left out")


def test_a_missing_text_is_an_empty_one_where_that_is_asked_for(
    tmp_path: Path, load: Load, refusal: Callable[..., str]
) -> None:
    (tmp_path / "a.csv").write_text("q1,q2,same\na,b,no\n,d,yes\ne,NA,yes\n , ,no\n")
    assert tells(refusal(), "a.csv:3: column 'q1' ", "`gaps: drop`", "`gaps: empty`")
    info, splits = load(gaps="empty", missing=["NA"])
    assert texts(splits["train"]) == [("a", "b", 0), ("", "d", 1), ("e", "", 1), ("", "", 0)]
    assert list(splits["train"]["id"]) == [f"train-{row}" for row in range(4)]
    assert any(tells(line, "train: 3 rows ", "empty") for line in data_checks(info, splits))
    _, joined = load(gaps="empty", missing=["NA"], join="{q1}: {q2}")
    assert list(joined["train"]["joined"]) == ["a: b", ": d", "e: ", ""]
    (tmp_path / "a.csv").write_text("q1,q2,same\na,b,no\nc,d,\n,,yes\ne,f,yes\n")
    assert tells(told := refusal(gaps="empty"), "a.csv:3: column 'same' ", "`gaps: drop`"), told
    assert "gaps: empty" not in told
    assert texts(load(gaps="drop")[1]["train"]) == [("a", "b", 0), ("e", "f", 1)], (
        "what was read as empty is not cached for others"
    )


def test_what_is_odd_is_said_with_counts(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("q1,q2,same\na,b,no\nA, b,no\na,b,yes\nc,d,yes\n")
    (tmp_path / "b.csv").write_text("q1,q2,same\nx,y,no\nC,D ,no\n")
    first, second, third = data_checks(*load(dev="b.csv"))
    assert tells(first, "train: 1 of 4 rows ", "the label")
    assert tells(second, "train: 1 of 4 rows ", "another label")
    assert tells(third, "dev: 1 of 2 rows ", "row of train")


# --- where files lie -------------------------------------------------------------------------------------------------------


def test_a_file_is_looked_for_in_the_data_folder_then_beside_the_experiment(tmp_path: Path) -> None:
    data, beside = tmp_path / "data", tmp_path / "beside"
    for folder in (data, beside):
        folder.mkdir()
    options = TABLE.Options.model_validate({"train": "a.csv", **PAIR})
    (beside / "a.csv").write_text(csv_of(ROWS))
    assert len(load_checked(TABLE, options, Paths(data, tmp_path, beside)).splits["train"]["id"]) == 3
    (data / "a.csv").write_text(csv_of(ROWS[:2]))
    assert len(load_checked(TABLE, options, Paths(data, tmp_path, beside)).splits["train"]["id"]) == 2
    (data / "a.csv").rename(data / "a2.csv")
    (beside / "a.csv").unlink()
    with pytest.raises(DataError, match=r"'a\.csv'; .*'a2\.csv'\? \(.*'a\.csv' in .*data and .*beside"):
        TABLE.check_available(options, Paths(data, tmp_path, beside))


def test_an_edited_file_is_read_anew(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    first = texts(load()[1]["train"])
    before = (tmp_path / "a.csv").stat()
    (tmp_path / "a.csv").write_text(csv_of([("hello, YOU", *ROWS[0][1:]), *ROWS[1:]]))
    os.utime(tmp_path / "a.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
    second = texts(load()[1]["train"])
    assert first != second
    assert second[0][0] == "hello, YOU"


def test_a_damaged_or_unwritable_cache_changes_nothing(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text(csv_of(ROWS))
    right = texts(load()[1]["train"])
    (kept,) = (tmp_path / "cache" / "tables").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert texts(load()[1]["train"]) == right
    chosen = TABLE.Options.model_validate({"train": "a.csv", **PAIR})
    assert texts(load_checked(TABLE, chosen, Paths(tmp_path, Path("/proc/nowhere"))).splits["train"]) == right


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"label": ["a", "b"]}, "several columns go with `kind: multilabel`"),
        ({"text": ["a", "b", "c"]}, "join 3 columns by `join: '{a} {b} {c}'`"),
        ({"join": "{q1} {q3}"}, "join: 'q3' is not a column of `text`"),
        ({"join": "{q1}"}, "join: 'q2' of `text` is in no template"),
        ({"join": "{q1} {q2!r}"}, "a template may contain column names only"),
        ({"join": "{q1} {q2"}, "expected '}' before end of string"),
        ({"join": "{q1} {q2}", "slices": ["joined"]}, "the name 'joined' is reserved"),
        ({"unlabelled": ["test"]}, "unlabelled: no file is named for split 'test'"),
        ({"gaps": "none"}, "`gaps: none` is for `kind: multilabel` or `join` only"),
        ({"text": ["a", "a"]}, "each may be given once; given twice: 'a'"),
        ({"label": "q1"}, "'q1' is read by the model, so it cannot be the label too"),
        ({"kind": "regression", "labels": ["a"]}, "a regression task has no labels"),
        ({"encoding": "rot13"}, "unknown text encoding"),
        ({"delimiter": ";;"}, "at most 1 character"),
        ({"colums": ["a"]}, "Extra inputs"),
        ({"text": "label", "label": "y"}, "the name 'label' is reserved"),
        ({"slices": ["id"]}, "the name 'id' is reserved"),
        ({"slices": ["(place)"]}, "the name '(place)' is reserved"),
        ({"slices": ["q1"]}, "'q1' is what the model reads; scores are broken down by other columns"),
        ({"labels": ["no"]}, "a classification has 2 or more of them; here are 1"),
        ({"labels": ["1", "1.0"]}, "each may be given once; given twice: '1'"),
        (
            {"kind": "multilabel", "labels": [f"l{number}" for number in range(63)]},
            "a multilabel has 62 of them at most; here are 63",
        ),
    ],
)
def test_options_that_contradict_themselves_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        TABLE.Options.model_validate({"train": "a.csv", **PAIR, **options})


# --- the hub ---------------------------------------------------------------------------------------------------------------

REVISION = "0123456789abcdef0123456789abcdef01234567"


def test_files_of_the_hub_are_read_from_its_cache_at_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "datasets--someone--pairs" / "snapshots" / REVISION / "data"
    snapshot.mkdir(parents=True)
    pq.write_table(pa.table({"q1": ["a", "b"], "same": ["no", "yes"]}), snapshot / "train.parquet")
    task, more = HubDatasetTask(), {"text": "q1", "label": "same"}
    options = {"path": "someone/pairs", "revision": REVISION, "train": "data/train.parquet", **more}
    loaded = load_checked(task, task.Options.model_validate(options), Paths(None, tmp_path / "cache"))
    info, splits = loaded.info, loaded.splits
    assert (info.labels, list(splits["train"]["label"])) == (("no", "yes"), [0, 1])
    monkeypatch.setattr("bakeoff_table.hub_is_reachable", lambda: False)
    missing = task.Options.model_validate({**options, "dev": "data/dev.parquet"})
    with pytest.raises(DataError, match=r"someone/pairs at 0123456789ab is not in the local cache with .*data/dev\.parquet"):
        task.check_available(missing, Paths(None, tmp_path / "cache"))


@pytest.mark.parametrize(
    ("key", "value"), [("revision", "main"), ("revision", REVISION[:12]), ("path", "pairs"), ("path", "../../etc")]
)
def test_what_is_no_dataset_at_a_commit_is_refused(key: str, value: str) -> None:
    options = {"path": "someone/pairs", "revision": REVISION, "train": "a.parquet", "text": "q1", "label": "same", key: value}
    with pytest.raises(ValidationError, match=key):
        HubDatasetTask.Options.model_validate(options)


# --- kinds of cells --------------------------------------------------------------------------------------------------------


def test_columns_may_be_called_as_ours_are_inside(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("place,line,y\nP,L,no\nQ,M,yes\n")
    info, splits = load(text="place", label="y", slices=["line"])
    assert info.slice_columns == ("line",)
    assert (list(splits["train"]["place"]), list(splits["train"]["line"])) == (["P", "Q"], ["L", "M"])


def test_numbers_of_parquet_are_numbers_whatever_their_type(tmp_path: Path, load: Load) -> None:
    decimals = pa.array([Decimal("1.5"), Decimal("2.0")])
    pq.write_table(pa.table({"q1": ["a", "b"], "same": decimals}), tmp_path / "a.parquet")
    assert list(load(train="a.parquet", text="q1", kind="regression")[1]["train"]["label"]) == [1.5, 2.0]
    assert load(train="a.parquet", text="q1", kind="classification")[0].labels == ("1.5", "2")


def test_columns_of_0_and_1_may_be_written_with_a_point(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("q1,x,z\na,1.0,0.0\nb,0.0,1\n")
    _, splits = load(text="q1", kind="multilabel", label=["x", "z"])
    assert list(splits["train"]["label"]) == [0b01, 0b10]


@pytest.mark.parametrize("value", ["1_000", "1,000.5", "0x10"])
def test_what_only_looks_like_a_number_is_told(value: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text(f'q1,q2,same\na,b,"{value}"\n')
    assert tells(refusal(kind="regression"), "a.csv:2: column 'same' ", f"'{value}', ", "finite number")


def test_a_list_of_another_language_in_a_cell_is_no_label(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text("q1,same\na,\"['red', 'blue']\"\n")
    assert "(`separator`)" in refusal(text="q1", kind="multilabel")


def test_more_labels_than_a_set_can_hold_are_told_with_their_file(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.csv").write_text("q1,same\n" + "".join(f"text {row},l{row}\n" for row in range(63)))
    assert "'same' holds 63" in refusal(text="q1", kind="multilabel")


def test_half_a_character_in_a_list_is_told(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"q1": "a", "same": ["\\ud800"]}\n')
    assert refusal(train="a.jsonl", text="q1", kind="multilabel") == "a.jsonl:1: '\\ud800' has half a character"


def test_what_is_said_of_train_is_said_once(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("q1,same\n" + "".join(f"text {row},{row % 2}\n" for row in range(40)) + "gap,\n")
    chosen = SplittableTask(TABLE).Options.model_validate(
        {"train": "a.csv", "text": "q1", "label": "same", "gaps": "drop", "split": {"select": "train 20%"}}
    )
    loaded = load_checked(SplittableTask(TABLE), chosen, Paths(tmp_path, tmp_path / "cache"))
    found = data_checks(loaded.info, loaded.splits)
    (line,) = found
    assert tells(line, "train: 1 row ", "left out")


def test_a_third_row_is_compared_with_both_before_it(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("q1,same\na,no\na,yes\na,yes\n")
    first, second = data_checks(*load(text="q1"))
    assert tells(first, "train: 1 of 3 rows ", "the label")
    assert tells(second, "train: 1 of 3 rows ", "another label")
