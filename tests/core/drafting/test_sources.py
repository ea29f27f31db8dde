"""Which file is which split is told by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakeoff.drafting.sources import find_files, read_rows, split_of
from bakeoff.drafting.tables import read_table
from bakeoff.errors import DataError

LINES = "text,label\n" + "".join(f"some words of row {number},{'ab'[number % 2]}\n" for number in range(10))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("train-00000-of-00002.parquet", "train"),
        ("tickets_VAL.csv", "dev"),
        ("validation.jsonl", "dev"),
        ("heldout.csv", "test"),
        ("training_and_test.csv", None),
        ("rows.csv", None),
    ],
)
def test_a_name_tells_the_split(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_a_folder_of_splits_is_read_in_their_order(tmp_path: Path) -> None:
    for name in ("test.csv", "train-1.csv", "train-2.csv", ".hidden.csv", "notes.txt"):
        (tmp_path / name).write_text(LINES, encoding="utf-8")
    rows = read_rows(find_files(tmp_path), read_table)
    assert {split: [path.name for path in paths] for split, paths in rows.files.items()} == {
        "train": ["train-1.csv", "train-2.csv"],
        "test": ["test.csv"],
    }
    assert rows.splits == ["train"] * 20 + ["test"] * 10
    assert rows.of("test").rows == 10


def test_a_folder_with_one_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(LINES, encoding="utf-8")
    rows = read_rows(find_files(tmp_path), read_table)
    assert (list(rows.files), rows.splits) == (["train"], None)


def test_splits_without_labels_are_found(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(LINES, encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,label\nsome words,-1\nother words,-1\n", encoding="utf-8")
    assert read_rows(find_files(tmp_path), read_table).unlabelled(("label",)) == ["test"]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "no CSV, TSV, JSON or Parquet file in this folder"),
        (["a.csv", "b.csv"], "which of 'a.csv' and 'b.csv' is to be trained on"),
        (["dev.csv", "test.csv"], "is to be trained on"),
    ],
)
def test_a_folder_without_a_split_to_train_on_is_refused(tmp_path: Path, names: list[str], told: str) -> None:
    for name in names:
        (tmp_path / name).write_text(LINES, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        find_files(tmp_path)


def test_a_missing_file_names_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(LINES, encoding="utf-8")
    with pytest.raises(DataError, match="there is 'rows"):
        find_files(tmp_path / "row.csv")


def test_files_without_a_common_column_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(LINES, encoding="utf-8")
    (tmp_path / "test.csv").write_text(LINES.replace("text,label", "what,which"), encoding="utf-8")
    with pytest.raises(DataError, match="'what' and 'which'"):
        read_rows(find_files(tmp_path), read_table)
