"""Rows that a Python program gives as the splits of a task: stored as Parquet files, named by a hash of their content, which
the experiment file then names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.contracts.registry import Registry
from bakeoff.errors import BakeoffError, DataError, PluginError, SpecError
from bakeoff.files import Tree, read_regular
from bakeoff.spec.document import Document, read_document
from bakeoff.spec.given import files_in, tasks_in, with_files
from bakeoff.text.numbers import count
from bakeoff.text.values import listed
from bakeoff.text.words import did_you_mean, first_line, quoted, shown_path

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "rows"
"""The name of the folder of the Parquet files, in the folder of the results."""
SPLITS = ("train", "dev", "test")
OTHER_NAMES = {"validation": "dev"}
"""Name of a split on the Hugging Face hub -> its name here."""
FEATURES = b"huggingface"
"""The key of a Parquet file's metadata under which the hub's datasets have the names of their labels."""
AT_ONCE = 10_000
"""How many rows are converted to Python objects at a time, to be hashed."""
DIGITS = 16
"""How many hexadecimal digits of the hash are in a file's name."""
TAKEN = "a pandas DataFrame, a datasets.Dataset, a pyarrow Table, or a list of mappings"

Splits = dict[str, Any]


@dataclass(frozen=True)
class GivenRows:
    """Rows of the splits of tasks, ready to be stored."""

    document: Document
    """The experiment, whose tasks name the files."""
    tables: Mapping[str, pa.Table]
    """Path of a file in the folder of the results -> its rows."""

    def store(self, folder: Path) -> None:
        """Writes the files that `folder` does not hold yet. Raises DataError if that is impossible."""
        tree = Tree(folder)
        for name, table in self.tables.items():
            path = folder / name
            try:
                if not _holds(path, table):
                    tree.make(path.parent)
                    _write(table, path, tree)
            except OSError as error:
                raise DataError(f"{shown_path(path)} cannot be written: {error.strerror}") from None


def with_rows(document: Document, data: object, registry: Registry) -> GivenRows:
    """The experiment with these rows as the splits of its tasks that take rows.

    data: a table, which is `train`; a mapping from splits to tables, such as a DatasetDict; or a mapping from titles of tasks
    to either. Raises DataError for the rows, SpecError for the experiment.
    """
    given = _by_task(data)
    places = _places_of(document, given, registry)
    splits = {index: _checked_splits(rows) for index, rows in places.items()}
    names = {index: {split: f"{FOLDER}/{split}.parquet" for split in rows} for index, rows in splits.items()}
    _, problems, reading = with_files(document, names).read(registry)
    tasks = dict(enumerate(reading.components["task"]))
    tables: dict[str, pa.Table] = {}
    for index, rows in splits.items():
        if (task := tasks.get(index)) is None:
            raise SpecError(problems)
        columns = task.registered.component.row_columns(task.options)
        for split, of_split in rows.items():
            table = _table_of(of_split, split, columns)
            names[index][split] = name = f"{FOLDER}/{split}-{_hash_of(table)[:DIGITS]}.parquet"
            tables[name] = table
    return GivenRows(with_files(document, names), tables)


def other_rows(document: Document, before: Path) -> list[str]:
    """The splits whose given rows are not those that `before` names, the experiment file that is stored beside earlier
    records; empty where that can't be read."""
    try:
        there = files_in(read_document(before), FOLDER)
    except BakeoffError:
        return []
    here = files_in(document, FOLDER)
    if not here or {*there} <= {*here}:
        return []
    return list(dict.fromkeys(Path(name).name.partition("-")[0] for name in here if name not in there))


# --- which task they belong to -------------------------------------------------------------------------------------------


def _by_task(data: object) -> dict[str | None, Splits]:
    """The given rows by task: title of a task -> split -> rows. In place of a title, None stands for the only task that takes
    rows."""
    if not isinstance(data, Mapping):
        return {None: {"train": data}}
    if not data:
        raise DataError("data: no rows are given; give {'train': rows, 'dev': rows, ...}")
    if any(isinstance(value, Mapping) for value in data.values()):
        return {str(title): dict(rows) if isinstance(rows, Mapping) else {"train": rows} for title, rows in data.items()}
    return {None: dict(data)}


def _checked_splits(rows: Splits) -> Splits:
    """The rows by split, `validation` as `dev`. Raises DataError for another split, or one that is given twice."""
    found: Splits = {}
    for name, of_split in rows.items():
        split = OTHER_NAMES.get(str(name), str(name))
        if split not in SPLITS:
            raise DataError(f"data: {did_you_mean('split', str(name), SPLITS)}")
        if split in found:
            raise DataError(f"data: {quoted(name)} and {quoted(split)} are one split: give it once")
        found[split] = of_split
    return found


def _places_of(document: Document, given: Mapping[str | None, Splits], registry: Registry) -> dict[int, Splits]:
    """Index of a task in the experiment file -> its rows. Raises DataError for a title that no task without files has;
    SpecError unless exactly one task can take rows without a title."""
    free = {
        index: str(entry.get("title", entry.get("name")))
        for index, entry in enumerate(tasks_in(document))
        if _takes_rows(entry, registry)
    }
    if None not in given:
        titles = {title: index for index, title in free.items()}
        if astray := [title for title in given if title not in titles]:
            raise DataError(f"data: {did_you_mean('task without files', str(astray[0]), titles)}")
        return {titles[str(title)]: rows for title, rows in given.items()}
    if len(free) != 1:
        how = "give data={TITLE: {SPLIT: rows}}" if free else "add {name: table, text: COLUMN, label: COLUMN}"
        told = f"{count(len(free), 'task')} without files could take the rows, and one is needed: {how}"
        raise SpecError([document.problem(("tasks",), told)])
    return {next(iter(free)): given[None]}


def _takes_rows(entry: Mapping[str, Any], registry: Registry) -> bool:
    """Whether an entry of `tasks` names a task that reads the user's rows, and no file for a split."""
    if any(split in entry for split in SPLITS):
        return False
    try:
        return bool(registry.get("task", str(entry.get("name"))).component.takes_rows)
    except PluginError:
        return False


# --- tables --------------------------------------------------------------------------------------------------------------


def _table_of(rows: Any, split: str, columns: Sequence[str]) -> pa.Table:
    """The rows of a split as a table, with those of the wanted `columns` that they have. Raises DataError if `rows` is no kind
    of table, or if train lacks a wanted column."""
    import pyarrow as pa

    if hasattr(rows, "__iter__") and hasattr(rows, "features") and not hasattr(rows, "with_format"):
        raise DataError(f"data: {split} is a stream, whose rows can't be counted: load all of it")
    try:
        if isinstance(rows, list):
            table = pa.Table.from_pylist(rows)
        elif isinstance(rows, pa.Table):
            table = rows
        elif hasattr(rows, "with_format") and hasattr(rows, "column_names"):
            table = _of_dataset(rows, split, columns)
        elif hasattr(rows, "iloc") and hasattr(rows, "columns"):
            table = _of_frame(rows, split, columns)
        elif hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "iloc"):  # a column of pandas has it too
            table = pa.table(rows)
        else:
            raise DataError(f"data: {split} is of type {quoted(type(rows).__name__)}; give {TAKEN}")
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"data: {split}: its rows cannot be stored: {first_line(error)}") from None
    if split == "train" and (lacking := [name for name in columns if name not in table.column_names]):
        raise DataError(f"data: {split}: {did_you_mean('column', lacking[0], table.column_names)}")
    if not len(table):
        raise DataError(f"data: {split} has no rows")
    table = table.select([name for name in dict.fromkeys(columns) if name in table.column_names])
    named = _with_label_names(table)
    kept = {FEATURES: json.dumps({"info": {"features": named}}).encode()} if named else None
    return table.replace_schema_metadata(kept).combine_chunks()


def _with_label_names(table: pa.Table) -> dict[str, Any]:
    """Column -> its feature as the `datasets` library describes it, for the columns whose labels have names."""
    told = json.loads((table.schema.metadata or {}).get(FEATURES, b"{}"))
    features = told.get("info", {}).get("features", {})
    return {name: features[name] for name in table.column_names if '"names"' in json.dumps(features.get(name))}


def _of_dataset(rows: Any, split: str, columns: Sequence[str]) -> pa.Table:
    if not hasattr(rows, "__len__"):
        raise DataError(f"data: {split} is a stream, whose rows can't be counted: load all of it")
    wanted = rows.select_columns([name for name in dict.fromkeys(columns) if name in rows.column_names])
    if not wanted.column_names:
        raise DataError(f"data: {split}: {did_you_mean('column', columns[0], rows.column_names)}")
    return wanted.with_format("arrow")[:]


def _of_frame(rows: Any, split: str, columns: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    names = list(map(str, rows.columns))
    rows = rows.set_axis(names, axis="columns")
    if twice := [name for name in columns if names.count(name) > 1]:
        raise DataError(f"data: {split}: {names.count(twice[0])} columns are named {quoted(twice[0])}")
    wanted = [name for name in dict.fromkeys(columns) if name in names]
    if not wanted:
        raise DataError(f"data: {split}: {did_you_mean('column', columns[0], names)}")
    try:
        return pa.Table.from_pandas(rows[wanted], preserve_index=False)
    except pa.ArrowException as error:
        raise DataError(f"data: {split}: a column has values of several types: {first_line(error)}") from None


def _hash_of(table: pa.Table) -> str:
    """A hash of columns, label names and rows, the same whatever the version of Parquet's writer. Rows with another hash are
    another task."""
    head = json.dumps([table.column_names, _with_label_names(table)], sort_keys=True)
    found = hashlib.sha256(head.encode())
    for start in range(0, len(table), AT_ONCE):
        columns = table.slice(start, AT_ONCE).to_pydict()
        found.update(json.dumps(list(columns.values()), default=str).encode())
    return found.hexdigest()


def _write(table: pa.Table, path: Path, tree: Tree) -> None:
    import pyarrow.parquet as pq

    with tree.writing(path) as stream:
        pq.write_table(table, stream)


def _holds(path: Path, table: pa.Table) -> bool:
    """Whether the file at `path` exists and has the rows of the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _hash_of(pq.read_table(BytesIO(read_regular(path)))) == _hash_of(table)
    except FileNotFoundError:
        return False
    except (pa.ArrowException, OSError, ValueError):
        return False


def note_of_other_rows(splits: Sequence[str], recorded: int, folder: Path) -> str:
    """A caution that recorded runs used other rows in these splits, and what becomes of them. recorded: number of records."""
    return (
        f"caution: the rows of {listed(splits)} are not those of the {count(recorded, 'run')} recorded in "
        f"{shown_path(folder)}: all runs are made anew with these rows; the earlier records stay there, but are in no table"
    )
