"""Converts a file's rows to Arrow: labels as texts, or for a regression as numbers, and missing values as null."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import DataError, did_you_mean, quoted
from bakeoff_table.cells import ColumnError, cell_rows
from bakeoff_table.contents import Contents
from bakeoff_table.files import File
from bakeoff_table.json_rows import json_rows
from bakeoff_table.options import TableOptions, pieces
from bakeoff_table.parquet_rows import names_in_file, parquet_rows
from bakeoff_table.values import MISSING_WORDS, PLACE, REPLACEMENT, Odd, Row, is_gap, label_name, membership, number

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 10_000
"""How many rows are held as Python objects at a time."""
NAMES, CHECKS = b"bakeoff.names", b"bakeoff.said"
"""Keys of the Arrow metadata: the label names that the file itself stores, or null; and data checks of the file as a whole."""
NO_LABEL = -1
"""The number that datasets of the hub hold in place of a label that is not public."""
READERS = {"csv": cell_rows, "tsv": cell_rows, "jsonl": json_rows, "parquet": parquet_rows}
READING = ("text", "join", "label", "kind", "id", "slices", "separator", "missing")
"""Options on which the Arrow rows depend, besides those on how the file is written."""


FILLED = ("none", "empty")
"""Values of the option `gaps` with which a missing text is filled in while a file is read."""


def settings_of(file: File, split: str, options: TableOptions) -> list[object]:
    """Everything on which a file's Arrow rows depend, besides its contents and its position in its split."""
    return [
        *file.written,
        *(getattr(options, key) for key in READING),
        options.gaps in FILLED and options.gaps,
        split in options.unlabelled,
    ]


def columns_of(options: TableOptions, *, labelled: bool = True) -> list[str]:
    """The columns that are read from each file. labelled: whether the file has labels."""
    return [*options.text, *(options.label if labelled else []), *options.slices, *([options.id] if options.id else [])]


class Conversion:
    """Converts one file of a split to Arrow."""

    def __init__(self, file: File, split: str, position: int, options: TableOptions, *, sha256: str, cache: Path) -> None:
        """position: the file's number within its split, from 0. sha256: the hash that its contents must have. cache: a folder
        for a temporary copy."""
        self.file, self.split, self.position, self.options = file, split, position, options
        self.sha256, self.cache = sha256, cache
        self.labelled = split not in options.unlabelled
        self.templates = [pieces(template) for template in options.join or ()]
        self.names: list[str] | None = None
        self.short = max(len(word) for word in (*MISSING_WORDS, *options.missing))
        """A text with more characters than this can't be a word for a missing value."""
        self.kind = options.task_kind
        self.words: dict[str, str | None] = {}
        """Label as the file has it -> the label's name; kept so that each is converted once."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the file's rows, AT_ONCE at a time. Raises DataError that names the file, and the line if there is one."""
        with closing(Contents(self.file, self.cache)) as contents:
            if contents.sha256 != self.sha256:
                raise DataError(f"{self.file.shown}: it changed while it was read: repeat the command when it is complete")
            if self.kind.has_labels and self.labelled:
                self.names = names_in_file(contents, self.options.label[0])
            schema, rows = self.schema(contents), self.converted(contents)
            while part := list(islice(rows, AT_ONCE)):
                yield self.batch(part, schema)

    def converted(self, contents: Contents) -> Iterator[dict[str, Any]]:
        """Yields each row as a mapping by column, for Arrow. Raises DataError; if the label column is missing, it says how to
        read the split without labels."""
        count = 0
        try:
            for line, lines, odd, cells in self.rows(contents):
                place = {"file": self.position, "line": line, "lines": lines, "odd": odd, "gap": None}
                if odd and odd & Odd.HEADER:
                    yield {PLACE: place}
                else:
                    yield self.row(count, place, cells)
                    count += 1
        except ColumnError as error:
            if error.column not in self.options.label or self.split == "train":
                raise
            say = f"say `unlabelled: {self.options.unlabelled_too(self.split)}`"
            raise DataError(f"{error}; if these rows have no labels, {say}") from None

    def rows(self, contents: Contents) -> Iterator[Row]:
        return READERS[self.file.format](contents, columns_of(self.options, labelled=self.labelled))

    def schema(self, contents: Contents) -> pa.Schema:
        import pyarrow as pa

        one = pa.string() if self.kind.has_labels else pa.float64()
        place = {"file": pa.int32(), "line": pa.int64(), "lines": pa.int32(), "odd": pa.int32(), "gap": pa.string()}
        told = f"{self.file.shown} is UTF-8, but is read as {self.file.encoding}: check `encoding`"
        checks = [told] if contents.is_utf8_after_all() else []
        return pa.schema(
            {
                "id": pa.string(),
                **dict.fromkeys(self.options.text_columns, pa.string()),
                "label": pa.list_(one) if self.kind.several_labels else one,
                **dict.fromkeys(self.options.slices, pa.string()),
                PLACE: pa.struct(place),
            },
            metadata={NAMES: json.dumps(self.names), CHECKS: json.dumps(checks)},
        )

    def batch(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        import pyarrow as pa

        try:
            return pa.RecordBatch.from_pylist(rows, schema)
        except UnicodeEncodeError:  # JSON can write half a character, which no text can hold
            for row in rows:
                for value in row.values():
                    for text in value if isinstance(value, list) else [value]:
                        if isinstance(text, str) and any("\ud800" <= character <= "\udfff" for character in text):
                            raise self.error(row[PLACE]["line"], f"{quoted(text)} has half a character") from None
            raise

    def row(self, count: int, place: dict[str, Any], cells: Mapping[str, Any]) -> dict[str, Any]:
        """One row for Arrow; what is odd or missing in it is recorded in `place`. count: the row's number in the file, from 0.
        Raises DataError."""
        line, options = place["line"], self.options
        texts = {}
        for column in options.text:
            texts[column], oddity = self.text(line, column, cells.get(column))
            place["odd"] |= oddity
        label = self.label(line, cells) if self.labelled else None
        read = self.joined(texts) if self.templates else texts
        if options.gaps == "empty":
            read = {column: text or "" for column, text in read.items()}
        if None in read.values() or (label is None and self.labelled):
            place["gap"] = self.gap(cells, texts)
        name = f"{self.split}-{self.row_name(count, line, cells)}"
        slices = {column: "" if (value := cells.get(column)) is None else str(value) for column in options.slices}
        return {"id": name, "label": label, **read, **slices, PLACE: place}

    def text(self, line: int, column: str, value: Any) -> tuple[str | None, int]:
        """(a cell's text, or None if it is missing; flags of `Odd`). Raises DataError for anything but a text or a number."""
        plain = type(value) is str and "\0" not in value and REPLACEMENT not in value
        if plain and len(value) > self.short and not value.isspace():
            return value, 0
        if self.is_missing(value):
            return None, 0
        if not isinstance(value, str):
            if isinstance(value, bool) or number(value) is None:
                raise self.wrong(line, column, value, "is not a text")
            return str(value), Odd.NUMBER
        if "\0" in value:
            raise self.error(line, f"column {quoted(column)} has a NUL byte: the file is damaged, or has another `encoding`")
        if REPLACEMENT in value:
            return value, Odd.LOST
        return value, Odd.MISSING_WORD if value.strip().lower() in MISSING_WORDS else 0

    def joined(self, texts: Mapping[str, str | None]) -> dict[str, str | None]:
        """The texts that the templates of `join` make: column -> text. None if one of its columns is missing, or, if the
        option `gaps` fills gaps, if all are."""
        enough = any if self.options.gaps in FILLED else all
        found: dict[str, str | None] = {}
        for name, template in zip(self.options.text_columns, self.templates, strict=True):
            there = enough(texts[column] is not None for _, column in template if column)
            found[name] = (
                "".join(text + ((texts[column] or "") if column else "") for text, column in template) if there else None
            )
        return found

    def gap(self, cells: Mapping[str, Any], texts: Mapping[str, str | None]) -> str:
        """The name of the first column whose text or label is missing in a row that lacks one."""
        lacks_text = not any(texts.values()) or (None in texts.values() and self.options.gaps != "none")
        if lacks_text and self.options.gaps != "empty":
            return next(column for column, text in texts.items() if text is None)
        return next((column for column in self.options.label if self.is_missing(cells.get(column))), self.options.label[0])

    def is_missing(self, value: Any) -> bool:
        return is_gap(value) or (isinstance(value, str) and value.strip() in self.options.missing)

    def row_name(self, count: int, line: int, cells: Mapping[str, Any]) -> str:
        column = self.options.id
        if column is None:
            return f"{self.position}-{count}" if self.position else f"{count}"
        if column not in cells:
            raise self.error(line, did_you_mean("column", column, cells))
        value = cells[column]  # as it is written: `007` and `7` are two
        name = value.strip() if isinstance(value, str) else label_name(value)
        if is_gap(value) or name is None:
            raise self.wrong(line, column, value, "does not identify a row")
        return name

    def label(self, line: int, cells: Mapping[str, Any]) -> Any:
        """A row's label: a text, a number, or a list of texts; None if it is missing. Raises DataError."""
        if len(self.options.label) > 1:
            return self.columns_set(line, cells)
        column = self.options.label[0]
        value = cells.get(column)
        if self.kind.several_labels:
            return self.cells_set(line, column, value)
        if type(value) is str and (found := self.words.get(value)):
            return found
        if self.is_missing(value):
            return None
        if self.kind.has_labels:
            return self.word(line, column, value)
        if (measured := number(value)) is None:
            hint = "; a decimal point is needed" if isinstance(value, str) and "," in value and "." not in value else ""
            raise self.wrong(line, column, value, f"is not a finite number{hint}")
        return measured

    def columns_set(self, line: int, cells: Mapping[str, Any]) -> list[str] | None:
        """A row's set of labels, from several label columns: the names of those that contain 1. None if a cell is missing."""
        found = []
        for column in self.options.label:
            value = cells.get(column)
            if self.is_missing(value):
                if self.options.gaps != "none":
                    return None
            elif (member := membership(value)) is None:
                raise self.wrong(line, column, value, "is neither 0 nor 1, as each of several label columns must be")
            elif member:
                found.append(column)
        return found

    def cells_set(self, line: int, column: str, value: Any) -> list[str] | None:
        """A row's set of labels, from a list, or from one cell with separators. An empty cell is the empty set with `gaps:
        none`, and else missing (None)."""
        if value is None or (isinstance(value, str) and value.strip() in self.options.missing):
            return [] if self.options.gaps == "none" else None
        if isinstance(value, str):
            if value.strip().startswith("[") and value.strip().endswith("]"):
                between = quoted(self.options.separator)
                raise self.wrong(
                    line, column, value, f"looks like a list in program code; separate labels by {between} (`separator`)"
                )
            value = [part for part in value.split(self.options.separator) if part.strip()]
        if not isinstance(value, list):
            raise self.wrong(line, column, value, "is not a list of labels")
        return list(dict.fromkeys(self.word(line, column, each) for each in value))

    def word(self, line: int, column: str, value: Any) -> str:
        """The name of a label; if the file itself stores label names, the one for this number. Raises DataError."""
        if isinstance(value, str):
            found = self.words[value] = label_name(value)
        elif self.names is not None and (place := number(value)) is not None:
            if place not in range(len(self.names)):
                say = f"say `unlabelled: {self.options.unlabelled_too(self.split)}`"
                none = f"; where it means that no row of {self.split} has a label, {say}"
                hint = none if place == NO_LABEL and self.split != "train" else ""
                raise self.wrong(line, column, value, f"is not one of its labels, 0 to {len(self.names) - 1}{hint}")
            found = self.names[int(place)]
        else:
            found = label_name(value)
        if not found or is_gap(value):
            hint = "; for sets of labels write `kind: multilabel`" if isinstance(value, list) else ""
            raise self.wrong(line, column, value, f"is not a label{hint}")
        return found

    def wrong(self, line: int, column: str, value: Any, why: str) -> DataError:
        return self.error(line, f"column {quoted(column)} holds {quoted(value)}, which {why}")

    def error(self, line: int, sentence: str) -> DataError:
        return DataError(f"{self.file.at(line)}: {sentence}")
