"""Files -> Arrow files in the cache -> splits: rows as they are, then their labels as numbers."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import DataError, kept_table, quoted, unknown
from bakeoff_table.options import FORMATS, LABELS, ReadingOptions
from bakeoff_table.rows import File, Row, is_gap, label_name, membership, names_told, number, rows_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

AT_ONCE = 10_000
"""Rows that are Python objects at the same time."""
PLACE = "(place)"
"""A column for a row's file and line; no option names one so."""
READING = ("text", "label", "kind", "id", "slices", "format", "delimiter", "quoting", "columns", "encoding", "separator")
"""Options on which the rows of an Arrow file hang."""


def format_of(file: File, options: ReadingOptions) -> str:
    """Raises DataError where it can't be told."""
    if options.format is None and file.path.suffix.lower() not in FORMATS:
        raise DataError(f"{file.shown}: its name tells no format: say `format:` csv, tsv, jsonl or parquet")
    return options.format or FORMATS[file.path.suffix.lower()]


def read_splits(files: dict[str, list[File]], options: ReadingOptions, *, cache: Path, version: str) -> dict[str, Dataset]:
    """Every split. Raises DataError with file and line."""
    tables = {split: read_split(split, parts, options, cache, version) for split, parts in files.items()}
    if options.kind == "regression":
        return {split: dataset(table.drop_columns([PLACE]), dropped, None) for split, (table, dropped) in tables.items()}
    names = label_names(files, tables["train"][0], options)
    return {
        split: dataset(numbered(table, names, files[split], options), dropped, names)
        for split, (table, dropped) in tables.items()
    }


def read_split(split: str, files: Sequence[File], options: ReadingOptions, cache: Path, version: str) -> tuple[pa.Table, int]:
    """Its rows without gaps, and how many were left out. Columns: id, the texts, label, slices, PLACE (file and line)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for position, file in enumerate(files):
        kind = format_of(file, options)
        try:
            with file.path.open("rb") as stream:
                contents = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{file.shown}: {error.strerror}") from None
        settings = {key: getattr(options, key) for key in READING}
        key = json.dumps([contents, kind, split, position, settings, version], sort_keys=True)
        path = cache / "tables" / f"{hashlib.sha256(key.encode()).hexdigest()}.arrow"
        table = kept_table(path, lambda file=file, kind=kind, position=position: batches(file, kind, split, position, options))
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


def refuse_gaps(table: pa.Table, whole: Any, gaps: int, files: Sequence[File], options: ReadingOptions) -> None:
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


def batches(file: File, kind: str, split: str, position: int, options: ReadingOptions) -> Iterator[pa.RecordBatch]:
    """Labels are words (numbers of a regression), gaps are nulls."""
    import pyarrow as pa

    label = {"classification": pa.string(), "regression": pa.float64(), "multilabel": pa.list_(pa.string())}[options.kind]
    schema = pa.schema(
        {
            "id": pa.string(),
            **dict.fromkeys(options.text, pa.string()),
            "label": label,
            **{name: pa.string() for name in options.slices},
            PLACE: pa.struct({"file": pa.int32(), "line": pa.int64()}),
        }
    )
    names = names_told(file, options.label[0]) if kind == "parquet" and options.kind != "regression" else None
    waiting: list[dict[str, Any]] = []
    for count, row in enumerate(rows_of(file, kind, options)):
        waiting.append(converted(row, file, split, position, count, names, options))
        if len(waiting) == AT_ONCE:
            yield batch_of(waiting, schema, file)
            waiting = []
    if waiting:
        yield batch_of(waiting, schema, file)


def batch_of(rows: list[dict[str, Any]], schema: pa.Schema, file: File) -> pa.RecordBatch:
    import pyarrow as pa

    try:
        return pa.RecordBatch.from_pylist(rows, schema=schema)
    except UnicodeEncodeError:  # JSON can write half a character, which no text can hold
        for row in rows:
            for value in itertools.chain.from_iterable(one if isinstance(one, list) else [one] for one in row.values()):
                if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
                    raise DataError(f"{file.at(row[PLACE]['line'])}: {quoted(value)} holds half a character") from None
        raise


def converted(
    row: Row, file: File, split: str, position: int, count: int, names: Sequence[str] | None, options: ReadingOptions
) -> dict[str, Any]:
    line, cells = row
    shard = f"{position}-" if position else ""
    found: dict[str, Any] = {PLACE: {"file": position, "line": line}}
    if options.id is None:
        found["id"] = f"{split}-{shard}{count}"
    elif options.id not in cells:
        raise DataError(f"{file.at(line)}: {unknown('column', options.id, cells)}")
    elif is_gap(name := cells[options.id]) or label_name(name) is None:
        raise DataError(f"{file.at(line)}: column {quoted(options.id)} holds {quoted(name)}, which tells no row apart")
    else:
        found["id"] = f"{split}-{label_name(name)}"
    for column in options.text:
        value = cells.get(column)
        if not is_gap(value) and not isinstance(value, str):
            raise DataError(f"{file.at(line)}: column {quoted(column)} holds {quoted(value)}, which is no text")
        found[column] = None if is_gap(value) else value
    for column in options.slices:
        value = cells.get(column)
        found[column] = "" if value is None else str(value)
    found["label"] = answer(cells, file, line, names, options)
    return found


def answer(cells: Any, file: File, line: int, names: Sequence[str] | None, options: ReadingOptions) -> Any:
    """The label as a word, a number, or a list of words; None for a gap."""
    if len(options.label) > 1:
        members = {column: membership(cells.get(column)) for column in options.label}
        if wrong := [column for column, member in members.items() if member is None]:
            if is_gap(cells.get(wrong[0])):
                return None
            held = quoted(cells.get(wrong[0]))
            raise DataError(
                f"{file.at(line)}: column {quoted(wrong[0])} holds {held}; of several label columns each holds 0 or 1"
            )
        return [column for column, member in members.items() if member]
    (column,) = options.label
    value = cells.get(column)
    if options.kind == "multilabel":
        return labels_in(value, column, file, line, names, options)
    if is_gap(value):
        return None
    if options.kind == "regression":
        if (found := number(value)) is None:
            hint = "; a decimal point is needed" if isinstance(value, str) and "," in value and "." not in value else ""
            raise DataError(f"{file.at(line)}: column {quoted(column)} holds {quoted(value)}, which is no finite number{hint}")
        return found
    return word(value, column, file, line, names)


def labels_in(value: Any, column: str, file: File, line: int, names: Sequence[str] | None, options: ReadingOptions) -> Any:
    """A list, or a cell of words with separators between; an empty one is a set without a label."""
    if value is None:
        return None
    if isinstance(value, str):
        if value.strip().startswith("[") and value.strip().endswith("]"):
            raise DataError(
                f"{file.at(line)}: column {quoted(column)} holds {quoted(value)}, a list of some language; labels in a cell "
                f"stand beside one another, with {quoted(options.separator)} between (`separator`)"
            )
        value = [part.strip() for part in value.split(options.separator) if part.strip()]
    if not isinstance(value, list):
        raise DataError(f"{file.at(line)}: column {quoted(column)} holds {quoted(value)}, which is no list of labels")
    return list(dict.fromkeys(word(each, column, file, line, names) for each in value))


def word(value: Any, column: str, file: File, line: int, names: Sequence[str] | None) -> str:
    if names is not None and not isinstance(value, str) and (place := number(value)) is not None:
        if place not in range(len(names)):
            raise DataError(f"{file.at(line)}: column {quoted(column)} holds {value}; its labels are 0 to {len(names) - 1}")
        return names[int(place)]
    if is_gap(value) or (found := label_name(value)) is None:
        raise DataError(f"{file.at(line)}: column {quoted(column)} holds {quoted(value)}, which is no label")
    return found


# --- labels to numbers -----------------------------------------------------------------------------------------------------


def label_names(files: dict[str, list[File]], train: pa.Table, options: ReadingOptions) -> list[str]:
    """In their order: as the experiment file says, as the training file's own features do, or as found in training."""
    import pyarrow.compute as pc

    if len(options.label) > 1:
        return list(options.label)
    if options.labels is not None:
        return list(options.labels)
    (column,), first = options.label, files["train"][0]
    told_names = names_told(first, column) if format_of(first, options) == "parquet" else None
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


def numbered(table: pa.Table, names: Sequence[str], files: Sequence[File], options: ReadingOptions) -> pa.Table:
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
