"""Rows that a program gives: stored by content, as the splits of the task that takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.api.rows import GivenRows, other_rows, with_rows
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError, DataError, SpecError
from bakeoff.spec.given import document_of

TASK = {"name": "table", "text": "body", "label": "team"}
ROWS = [{"body": f"text {number}", "team": "ab"[number % 2], "when": number} for number in range(8)]


def experiment(*tasks: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "tasks": list(tasks or [TASK]),
        "models": ["tiny-bert"],
        "strategies": {"full": {"trainer": "torch-loop"}},
        "seeds": 1,
    }


def given(data: Any, *tasks: Any) -> GivenRows:
    return with_rows(document_of(experiment(*tasks)), data, load_registry())


def files(data: Any, *tasks: Any) -> list[str]:
    return sorted(given(data, *tasks).tables)


def dataset(rows: list[dict[str, Any]]) -> Any:
    import datasets

    return datasets.Dataset.from_list(rows)


WAYS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "pandas": pd.DataFrame,
    "pyarrow": pa.Table.from_pylist,
    "chunks": lambda rows: pa.concat_tables([pa.Table.from_pylist(rows[:3]), pa.Table.from_pylist(rows[3:])]),
    "categories": lambda rows: pd.DataFrame(rows).astype({"team": "category"}),
    "an index": lambda rows: pd.DataFrame(rows, index=range(50, 50 + len(rows))),
    "a dataset": dataset,
    "a dataset's selection": lambda rows: dataset(rows[::-1]).select(range(len(rows))[::-1]),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_rows_are_the_same_file_whatever_holds_them(way: str) -> None:
    assert files({"train": WAYS[way](ROWS), "test": WAYS[way](ROWS[:4])}) == files({"train": ROWS, "test": ROWS[:4]})


def test_another_value_another_order_and_one_row_less_are_other_files_and_an_unread_column_is_not() -> None:
    others = [
        ROWS,
        [ROWS[0] | {"body": "other"}, *ROWS[1:]],
        [ROWS[0] | {"body": None}, *ROWS[1:]],
        ROWS[::-1],
        ROWS[:-1],
    ]
    assert len({files(rows)[0] for rows in others}) == len(others)
    assert files([row | {"when": 0} for row in ROWS]) == files(ROWS)


def test_the_names_of_labels_are_part_of_the_content_and_reach_the_file(tmp_path: Path) -> None:
    import datasets

    def named(*names: str) -> Any:
        features = datasets.Features({"body": datasets.Value("string"), "team": datasets.ClassLabel(names=list(names))})
        rows = [{"body": row["body"], "team": number % 2} for number, row in enumerate(ROWS)]
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(rows, features=features)})

    rows = given(named("no", "yes"))
    rows.store(tmp_path)
    (name,) = rows.tables
    assert b"yes" in pq.read_schema(tmp_path / name).metadata[b"huggingface"]
    assert files(named("no", "yes")) != files(named("yes", "no"))


def test_a_task_names_its_files_and_validation_is_dev() -> None:
    found = given({"train": ROWS, "validation": ROWS[:4]})
    (task,) = found.document.data["tasks"]
    assert {task["train"], task["dev"]} == set(found.tables)
    assert task["dev"].startswith("rows/dev-")
    assert task["title"] == "toy", "else it would be called like its files"
    assert "test" not in task
    assert b"rows/train-" in found.document.content


def test_storing_again_leaves_whole_files_and_mends_damaged_ones(tmp_path: Path) -> None:
    rows = given({"train": ROWS, "test": ROWS[:4]})
    rows.store(tmp_path)
    paths = [tmp_path / name for name in rows.tables]
    before = [path.stat().st_ino for path in paths]
    rows.store(tmp_path)
    assert [path.stat().st_ino for path in paths] == before
    paths[0].write_bytes(b"PAR1 damaged")
    rows.store(tmp_path)
    assert pq.read_table(paths[0]).to_pydict()["body"][0] == "text 0"


def test_names_of_columns_may_be_numbers() -> None:
    numbered = pd.DataFrame(ROWS)[["body", "team"]].set_axis([0, 1], axis="columns")
    assert len(files(numbered, {"name": "table", "text": "0", "label": "1"})) == 1


def twice() -> pd.DataFrame:
    return pd.DataFrame([["a", "b", "c"]], columns=["body", "body", "team"])


WRONG: dict[str, tuple[Any, tuple[Any, ...], type[BakeoffError], str]] = {
    "no rows at all": ({}, (), DataError, "no rows"),
    "an empty split": ({"train": ROWS, "test": []}, (), DataError, "test"),
    "a split of another name": ({"train": ROWS, "tset": ROWS}, (), DataError, "'test'"),
    "one split by two names": ({"train": ROWS, "dev": ROWS, "validation": ROWS}, (), DataError, "validation"),
    "a column that is missing": ([{"bdy": "x", "team": "a"}], (), DataError, "'body'"),
    "a column twice": (twice(), (), DataError, "'body'"),
    "values of several types": (pd.DataFrame({"body": ["x", 1], "team": ["a", "b"]}), (), DataError, "several types"),
    "one column": (pd.DataFrame(ROWS)["body"], (), DataError, "Series"),
    "no table": ({"train": 3}, (), DataError, "pandas"),
    "a text": ({"train": "train.csv"}, (), DataError, "pandas"),
    "no task takes rows": (ROWS, ("glue/mrpc",), SpecError, "name: table"),
    "a task with files": (ROWS, (TASK | {"train": "a.csv"},), SpecError, "name: table"),
    "two tasks take them": (ROWS, (TASK, TASK | {"text": "when"}), SpecError, "TITLE"),
    "a task of another name": ({"tabel": {"train": ROWS}}, (), DataError, "'table'"),
    "an error in the task": (ROWS, (TASK | {"lable": "x"},), SpecError, "lable"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rows_that_cannot_be_used_are_refused_in_one_line(name: str) -> None:
    data, tasks, kind, word = WRONG[name]
    with pytest.raises(kind) as caught:
        given(data, *tasks)
    assert word in str(caught.value)
    assert len(caught.value.lines) == 1


def test_a_stream_is_refused() -> None:
    with pytest.raises(DataError, match="stream"):
        given({"train": dataset(ROWS).to_iterable_dataset()})


def test_which_splits_have_other_rows_is_told_from_the_stored_file(tmp_path: Path) -> None:
    stored = tmp_path / "experiment.yaml"
    assert other_rows(given(ROWS).document, stored) == []
    stored.write_bytes(given({"train": ROWS, "test": ROWS[:4]}).document.content)
    assert other_rows(given({"train": ROWS, "test": ROWS[:4]}).document, stored) == []
    assert other_rows(given({"train": ROWS, "test": ROWS[:5]}).document, stored) == ["test"]
    stored.write_text("no: [experiment")
    assert other_rows(given(ROWS).document, stored) == []
