"""Finds the files of a data set, and which split each is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bakeoff.drafting.tables import BY_ENDING, MOST_ROWS, Table, Value
from bakeoff.errors import DataError
from bakeoff.text.values import listed
from bakeoff.text.words import quoted, shown_path

SPLITS: Final = ("train", "dev", "test")
CALLED: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation", "eval", "development"), "dev"),
    **dict.fromkeys(("test", "testing", "heldout"), "test"),
}
"""Usual name of a split -> its name here."""
LISTED: Final = 10
NO_LABEL: Final = frozenset({"-1", "?", ""})
"""Values that stand in place of a label that is not public."""


def find_files(path: Path) -> dict[str, list[Path]]:
    """Split -> its files, for a file or a folder of files; `train` alone where the rows are still to be split. Raises
    DataError for a folder without files of rows, or with several whose names don't tell which is train."""
    if not path.is_dir():
        if not path.exists():
            near = [one.name for one in path.parent.iterdir() if _may_have_rows(one)] if path.parent.is_dir() else []
            there = f"; there is {listed(sorted(map(quoted, near)), most=LISTED)}" if near else ""
            raise DataError(f"{shown_path(path)}: no such file{there}")
        return {"train": [path]}
    try:
        files = sorted(one for one in path.iterdir() if _may_have_rows(one))
    except OSError as error:
        raise DataError(f"{shown_path(path)}: {error.strerror or error}") from None
    if not files:
        raise DataError(f"{shown_path(path)}: no CSV, TSV, JSON or Parquet file in this folder")
    if len(files) == 1:
        return {"train": files}
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if split := split_of(file.name):
            found[split].append(file)
    if "train" not in found:
        names = listed([quoted(file.name) for file in files], most=LISTED)
        raise DataError(
            f"{shown_path(path)}: which of {names} is to be trained on? Name one file, or call them train, dev and test "
            "(train.csv)"
        )
    return {split: found[split] for split in SPLITS if split in found}


def split_of(name: str) -> str | None:
    """The split that a file's name tells, as `train-00000-of-00002.parquet` and `tickets_val.csv` do; None if it tells none,
    or several."""
    told = {CALLED[part] for part in re.findall(r"[a-z]+", name.lower().split(".")[0]) if part in CALLED}
    return told.pop() if len(told) == 1 else None


def _may_have_rows(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return path.suffix.lower() != path.name and not name.startswith(".") and Path(name).suffix in BY_ENDING and path.is_file()


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a data set, and the files that they are from."""

    files: dict[str, list[Path]]
    tables: dict[Path, Table]
    table: Table
    """All rows, those of train first."""
    splits: list[str] | None
    """The split of each row; None where they are still to be split."""

    def of(self, split: str) -> Table:
        """The rows of one split; all rows where they are still to be split."""
        if self.splits is None:
            return self.table
        kept = [number for number, one in enumerate(self.splits) if one == split]
        columns = {name: [values[number] for number in kept] for name, values in self.table.columns.items()}
        return replace(self.table, columns=columns)

    def unlabelled(self, labels: tuple[str, ...]) -> list[str]:
        """The splits other than train whose rows have no label. labels: the columns of labels."""
        return [
            split
            for split in self.files
            if split != "train" and all(is_blank(value) for name in labels for value in self.of(split).columns[name])
        ]


def is_blank(value: Value) -> bool:
    return value is None or str(value).strip() in NO_LABEL


def read_rows(files: dict[str, list[Path]], read: Callable[[Path], Table]) -> Rows:
    """Reads all files into one table with the columns of train's first file. files: split -> its files. read: reads one file.
    Raises DataError where a file can't be read, or has none of these columns."""
    tables = {path: read(path) for paths in files.values() for path in paths}
    first = tables[files["train"][0]]
    columns: dict[str, list[Value]] = {name: [] for name in first.columns}
    splits: list[str] = []
    for split, paths in files.items():
        for path in paths:
            table = tables[path]
            if not set(columns) & set(table.columns):
                theirs, ours = (listed(map(quoted, one.columns), most=LISTED) for one in (table, first))
                raise DataError(
                    f"{shown_path(path)}: it has none of the columns of {shown_path(first.path)}: {theirs} in place of {ours}"
                )
            for name, values in columns.items():
                values += table.columns.get(name, [None] * table.rows)
            splits += [split] * table.rows
    whole = all(table.whole for table in tables.values()) and len(splits) <= MOST_ROWS * len(tables)
    merged = replace(first, columns=columns, whole=whole)
    return Rows(files=files, tables=tables, table=merged, splits=splits if len(files) > 1 else None)
