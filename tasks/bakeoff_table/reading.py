"""Files -> Arrow files in the cache -> splits: rows as they are, then their labels as numbers."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import DataError, kept_table, quoted, sha256_of, unknown
from bakeoff_table.options import LABELS, TableOptions
from bakeoff_table.rows import File, is_gap, label_name, membership, names_told, number, rows_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

AT_ONCE = 10_000
"""Rows that are Python objects at the same time."""
PLACE = "(place)"
"""A column for a row's file and line; no option names one so."""
READING = ("text", "label", "kind", "id", "slices", "format", "delimiter", "quoting", "columns", "encoding", "separator")
"""Options on which the rows of an Arrow file hang."""


def read_splits(files: dict[str, list[File]], options: TableOptions, *, cache: Path, version: str) -> dict[str, Dataset]:
    """Every split. Raises DataError with file and line."""
    tables = {split: read_split(split, parts, options, cache, version) for split, parts in files.items()}
    if options.kind == "regression":
        return {split: dataset(table.drop_columns([PLACE]), dropped, None) for split, (table, dropped) in tables.items()}
    names = label_names(files, tables["train"][0], options)
    return {
        split: dataset(numbered(table, names, files[split], options), dropped, names)
        for split, (table, dropped) in tables.items()
    }


def read_split(split: str, files: Sequence[File], options: TableOptions, cache: Path, version: str) -> tuple[pa.Table, int]:
    """Its rows without gaps, and how many were left out. Columns: id, the texts, label, slices, PLACE (file and line)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for position, file in enumerate(files):
        try:
            contents = sha256_of(file.path)
        except OSError as error:
            raise DataError(f"{file.shown}: {error.strerror}") from None
        settings = {key: getattr(options, key) for key in READING}
        key = json.dumps([contents, file.format, split, position, settings, version], sort_keys=True)
        path = cache / "tables" / f"{hashlib.sha256(key.encode()).hexdigest()}.arrow"
        table = kept_table(path, Conversion(file, split, position, options).batches)
        if table is None:
            raise DataError(f"{file.shown} holds no rows")
        parts.append(table)
    table = pa.concat_tables(parts)
    whole = None
    for column in (*options.text, "label"):
        valid = pc.is_valid(table[column])
        whole = valid if whole is None else pc.and_(whole, valid)
    dropped = len(table) - (pc.sum(whole).as_py() or 0)
    if dropped:
        refuse_gaps(table, whole, dropped, files, options)
        table = table.filter(whole)
        if not len(table):
            raise DataError(f"{files[0].shown}: no row is left: each lacks its text or its label")
    return table, dropped


def refuse_gaps(table: pa.Table, whole: Any, gaps: int, files: Sequence[File], options: TableOptions) -> None:
    """Raises DataError with the first of them, unless they are to be dropped."""
    if options.gaps == "drop":
        return
    import pyarrow.compute as pc

    first = table.slice(pc.index(whole, False).as_py(), 1).to_pylist()[0]
    empty = next(column for column in (*options.text, "label") if first[column] is None)
    column = options.label[0] if empty == "label" else empty
    more = f", as in {gaps - 1:,} other row{'s' if gaps > 2 else ''}" if gaps > 1 else ""
    raise DataError(
        f"{told(first[PLACE], files)}: column {quoted(column)} is empty{more}; fill it in, or say `gaps: drop` to leave such "
        "rows out"
    )


def told(place: Any, files: Sequence[File]) -> str:
    """A row's file and line."""
    return files[place["file"]].at(place["line"])


# --- rows to Arrow ---------------------------------------------------------------------------------------------------------


class Conversion:
    """A file's rows as Arrow: labels are words (numbers of a regression), gaps are nulls."""

    def __init__(self, file: File, split: str, position: int, options: TableOptions) -> None:
        """`position` is the file's among those of its split."""
        self.file, self.split, self.position, self.options = file, split, position, options
        self.names = names_told(file, options.label[0]) if options.kind != "regression" else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        schema, waiting = self.schema(), list[dict[str, Any]]()
        for count, (line, cells) in enumerate(rows_of(self.file, self.options)):
            waiting.append(self.row(count, line, cells))
            if len(waiting) == AT_ONCE:
                yield self.batch(waiting, schema)
                waiting = []
        if waiting:
            yield self.batch(waiting, schema)

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        label = {"classification": pa.string(), "regression": pa.float64(), "multilabel": pa.list_(pa.string())}
        return pa.schema(
            {
                "id": pa.string(),
                **dict.fromkeys(self.options.text, pa.string()),
                "label": label[self.options.kind],
                **dict.fromkeys(self.options.slices, pa.string()),
                PLACE: pa.struct({"file": pa.int32(), "line": pa.int64()}),
            }
        )

    def batch(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        import pyarrow as pa

        try:
            return pa.RecordBatch.from_pylist(rows, schema=schema)
        except UnicodeEncodeError:  # JSON can write half a character, which no text can hold
            for row in rows:
                for value in itertools.chain.from_iterable(one if isinstance(one, list) else [one] for one in row.values()):
                    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
                        raise self.error(row[PLACE]["line"], f"{quoted(value)} holds half a character") from None
            raise

    def row(self, count: int, line: int, cells: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": f"{self.split}-{self.row_name(count, line, cells)}",
            "label": self.label(line, cells),
            PLACE: {"file": self.position, "line": line},
        }
        for column in self.options.text:
            value = cells.get(column)
            if not is_gap(value) and not isinstance(value, str):
                raise self.wrong(line, column, value, "is no text")
            found[column] = None if is_gap(value) else value
        for column in self.options.slices:
            value = cells.get(column)
            found[column] = "" if value is None else str(value)
        return found

    def row_name(self, count: int, line: int, cells: Mapping[str, Any]) -> str:
        column = self.options.id
        if column is None:
            return f"{self.position}-{count}" if self.position else f"{count}"
        if column not in cells:
            raise self.error(line, unknown("column", column, cells))
        if is_gap(cells[column]) or (name := label_name(cells[column])) is None:
            raise self.wrong(line, column, cells[column], "tells no row apart")
        return name

    def label(self, line: int, cells: Mapping[str, Any]) -> Any:
        """A word, a number, or a list of words; None for a gap."""
        if len(self.options.label) > 1:
            return self.columns_set(line, cells)
        (column,) = self.options.label
        value = cells.get(column)
        if self.options.kind == "multilabel":
            return self.cells_set(line, column, value)
        if is_gap(value):
            return None
        if self.options.kind == "classification":
            return self.word(line, column, value)
        if (found := number(value)) is None:
            hint = "; a decimal point is needed" if isinstance(value, str) and "," in value and "." not in value else ""
            raise self.wrong(line, column, value, f"is no finite number{hint}")
        return found

    def columns_set(self, line: int, cells: Mapping[str, Any]) -> list[str] | None:
        """Those of several columns that hold 1."""
        members = {column: membership(cells.get(column)) for column in self.options.label}
        for column, member in members.items():
            if member is None and is_gap(cells.get(column)):
                return None
            if member is None:
                raise self.wrong(line, column, cells[column], "is neither 0 nor 1, as each of several label columns must be")
        return [column for column, member in members.items() if member]

    def cells_set(self, line: int, column: str, value: Any) -> list[str] | None:
        """A list, or a cell of words with separators between; an empty one is a set without a label."""
        if value is None:
            return None
        if isinstance(value, str):
            if value.strip().startswith("[") and value.strip().endswith("]"):
                between = quoted(self.options.separator)
                raise self.wrong(
                    line, column, value, f"is a list of some language; here {between} stands between (`separator`)"
                )
            value = [part for part in value.split(self.options.separator) if part.strip()]
        if not isinstance(value, list):
            raise self.wrong(line, column, value, "is no list of labels")
        return list(dict.fromkeys(self.word(line, column, each) for each in value))

    def word(self, line: int, column: str, value: Any) -> str:
        """A label's name; a number's, where the file itself tells names."""
        if self.names is not None and not isinstance(value, str) and (place := number(value)) is not None:
            if place not in range(len(self.names)):
                raise self.wrong(line, column, value, f"is none of its labels, 0 to {len(self.names) - 1}")
            return self.names[int(place)]
        if is_gap(value) or (found := label_name(value)) is None:
            raise self.wrong(line, column, value, "is no label")
        return found

    def wrong(self, line: int, column: str, value: Any, why: str) -> DataError:
        return self.error(line, f"column {quoted(column)} holds {quoted(value)}, which {why}")

    def error(self, line: int, sentence: str) -> DataError:
        return DataError(f"{self.file.at(line)}: {sentence}")


# --- labels to numbers -----------------------------------------------------------------------------------------------------


def label_names(files: dict[str, list[File]], train: pa.Table, options: TableOptions) -> list[str]:
    """In their order: as the experiment file says, as the training file's own features do, or as found in training."""
    import pyarrow.compute as pc

    if len(options.label) > 1:
        return list(options.label)
    if options.labels is not None:
        return list(options.labels)
    (column,), first = options.label, files["train"][0]
    told_names = names_told(first, column)
    words = train["label"] if options.kind == "classification" else pc.list_flatten(train["label"])
    found = told_names or [name for name in pc.unique(words).to_pylist() if name is not None]
    least, most = LABELS[options.kind]
    if len(found) > most:
        raise DataError(
            f"{first.shown}: column {quoted(column)} holds {len(found):,} different labels, such as {quoted(found[0])} and "
            f"{quoted(found[1])}; a {options.kind} has at most {most:,}. Is it the right column? For numbers say "
            "`kind: regression`"
        )
    if len(found) < least:
        only = f"only the label {quoted(found[0])}" if found else "no label"
        raise DataError(f"{first.shown}: column {quoted(column)} holds {only}, so that there is nothing to learn")
    return found if told_names else sorted(found, key=by_size_or_alphabet(found))


def by_size_or_alphabet(names: Sequence[str]) -> Any:
    numbers = all(number(name) is not None for name in names)
    return (lambda name: (float(name), name)) if numbers else (lambda name: name)


def numbered(table: pa.Table, names: Sequence[str], files: Sequence[File], options: TableOptions) -> pa.Table:
    """Labels as their numbers, without `PLACE`. Raises DataError for a label that is none of the names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table["label"].combine_chunks()
    if options.kind == "classification":
        words, rows, labels = column, None, pc.index_in(column, pa.array(names, pa.string())).cast(pa.int64())
        numbers = labels
    else:
        words, rows = column.flatten(), column.value_parent_indices()
        numbers = pc.index_in(words, pa.array(names, pa.string())).cast(pa.int64())
        labels = pa.ListArray.from_arrays(column.offsets, numbers)
    if numbers.null_count:
        place = pc.index(pc.is_null(numbers), True).as_py()
        row = place if rows is None else rows[place].as_py()
        wrong = unknown("label", words[place].as_py(), names)
        seen = "" if options.labels is not None or len(options.label) > 1 else " (those are the labels of train)"
        raise DataError(f"{told(table[PLACE][row].as_py(), files)}: {wrong}{seen}")
    return table.drop_columns([PLACE]).set_column(table.column_names.index("label"), "label", labels)


def dataset(table: pa.Table, dropped: int, names: Sequence[str] | None) -> Dataset:
    """Nothing is copied: what is mapped stays in its file."""
    from datasets import ClassLabel, Dataset, DatasetInfo, Features, List, Value
    from datasets.table import InMemoryTable

    features = Features({name: Value("string") for name in table.column_names})
    if names is None:
        features["label"] = Value("float64")
    else:
        one = ClassLabel(names=list(names))
        features["label"] = List(one) if str(table.schema.field("label").type).startswith("list") else one
    table = table.cast(features.arrow_schema)
    said = f"{dropped:,} row{'s' if dropped > 1 else ''} without text or label left out" if dropped else ""
    info = DatasetInfo(features=features, description=said)
    return Dataset(InMemoryTable(table), info=info, fingerprint="bakeoff")  # else all of it would be hashed, for a cache unused
