"""The label names of a table, what is wrong or odd about them, and the conversion of labels to numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import DataError, did_you_mean, quoted, yaml_value
from bakeoff_table.conversion import NAMES
from bakeoff_table.files import File
from bakeoff_table.options import TableOptions
from bakeoff_table.values import MISSING_WORDS, PLACE, alike, decimal, number

if TYPE_CHECKING:
    import pyarrow as pa

PLENTY = 1000
"""With more classes than this, `kind` must be given, unless most of them have several rows."""
MANY_NUMBERS = 20
"""If a label column holds more distinct whole numbers than this, they may be counts or scores."""
FEW_ROWS = 20
"""With fewer rows than this, how often labels occur means nothing."""
SEPARATORS = (";", ",", "|", "/", "+", "&", " ")
EXAMPLES = 3
"""How many examples of each oddity are shown."""


def place_of(place: Any, files: Sequence[File]) -> str:
    """A row's file and line, for messages. place: the row's cell of the column PLACE."""
    return files[place["file"]].at(place["line"])


class Labels:
    """The labels of the training rows as texts, with the number of rows of each."""

    def __init__(self, train: pa.Table, files: Sequence[File], options: TableOptions) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        self.table, self.files, self.options = train, files, options
        self.shown, self.column = files[0].shown, options.label[0]
        column = train["label"].combine_chunks()
        sets = pa.types.is_list(column.type)
        self.words = column.flatten() if sets else column
        self.parents = column.value_parent_indices() if sets else None
        counted = pc.value_counts(self.words).to_pylist()
        self.counts = Counter({entry["values"]: entry["counts"] for entry in counted if entry["values"] is not None})
        told = json.loads((train.schema.metadata or {}).get(NAMES, b"null"))
        self.own_names: list[str] | None = told
        """The label names that the first training file itself stores; None if it stores none."""

    def first(self, word: str) -> str:
        """File and line of the first row that has the label."""
        import pyarrow.compute as pc

        place = pc.index(self.words, word).as_py()
        return place_of(self.table[PLACE][place if self.parents is None else self.parents[place].as_py()].as_py(), self.files)

    def counted(self, word: str) -> str:
        """A label with its number of rows and the place of the first row, as text."""
        rows = self.counts[word]
        return f"{quoted(word)} ({rows:,} row{'s' if rows > 1 else ''}, first {self.first(word)})"

    def names(self) -> list[str]:
        """The label names in order: those of the experiment file, else those that the training file stores, else those of its
        rows.

        Raises DataError for a column that can't contain labels.
        """
        options = self.options
        if len(options.label) > 1:
            return list(options.label)
        if options.labels is not None:
            return list(options.labels)
        if self.own_names is not None:
            found = self.own_names
        else:
            self.refuse_numbers()
            numbers = all(number(word) is not None for word in self.counts)
            found = sorted(self.counts, key=lambda word: (float(word), word) if numbers else word)
        if len(found) < options.task_kind.min_labels:
            only = f"only the label {quoted(found[0])}" if found else "no label"
            raise DataError(f"{self.shown}: column {quoted(self.column)} has {only}, so there is nothing to learn")
        self.refuse_too_many(found)
        return found

    def refuse_numbers(self) -> None:
        """Raises DataError for a column of numbers with decimals, unless `kind` says that each is a class."""
        if self.options.kind is not None:
            return
        decimals = [word for word in self.counts if decimal(word)]
        numbers = sum(decimal(word) is not None for word in self.counts)
        if decimals and numbers * 2 > len(self.counts):
            raise DataError(
                f"{self.first(decimals[0])}: column {quoted(self.column)} has numbers with decimals, such as "
                f"{quoted(decimals[0])}: write `kind: regression` if they were measured, or `kind: classification` if each "
                f"of the {len(self.counts):,} is a class of its own"
            )

    def refuse_too_many(self, found: Sequence[str]) -> None:
        """Raises DataError for more labels than a model of this kind can have, or than there are rows to learn them from."""
        told = f"{self.shown}: column {quoted(self.column)} holds {len(found):,} different labels, such as"
        some = f"{quoted(found[0])} and {quoted(found[-1])}"
        kind = self.options.task_kind
        if not kind.allows(len(found)):
            raise DataError(f"{told} {some}; a {kind} has at most {kind.max_labels}. Is it the right column?")
        if self.options.kind is None and len(found) > PLENTY and self.nearly_all_different():
            raise DataError(
                f"{told} {some}, in only {len(self.words):,} rows. Is it the right column? If the labels are numbers that were "
                "measured, write `kind: regression`; if each is a class of its own, `kind: classification`"
            )

    def nearly_all_different(self) -> bool:
        return len(self.words) >= FEW_ROWS and len(self.counts) * 2 > len(self.words)

    def checks(self) -> list[str]:
        """Data checks on what is odd about the labels. Empty if the experiment file or the data file names the labels."""
        if self.options.labels is not None or len(self.options.label) > 1 or self.own_names is not None:
            return []
        column, found = quoted(self.column), self.other_separator()
        if self.nearly_all_different():
            found.append(
                f"column {column} holds {len(self.counts):,} different labels in {len(self.words):,} rows: is it the right one?"
            )
        groups: dict[str, list[str]] = {}
        for word in self.counts:
            groups.setdefault(alike(word), []).append(word)
        double = [group for group in groups.values() if len(group) > 1]
        for group in double[:EXAMPLES]:
            which = " and ".join(self.counted(word) for word in group)
            found.append(f"labels {which} differ only by case, blanks, or how a character or number is written: are they one?")
        if double[EXAMPLES:]:
            found.append(f"so do {len(double) - EXAMPLES:,} other pairs of labels")
        for word in [word for word in self.counts if word.lower() in MISSING_WORDS][:EXAMPLES]:
            say = f"say `missing: {yaml_value([*self.options.missing, word])}`"
            found.append(f"label {self.counted(word)} reads as if it were missing: then {say}, else name the `labels`")
        found += self.kept_header()
        if self.options.kind is None and len(self.counts) > MANY_NUMBERS and all(word.isdecimal() for word in self.counts):
            found.append(
                f"column {column} holds {len(self.counts):,} different whole numbers: write `kind: regression` if they were "
                "counted or measured, and `kind: classification` where each is a class of its own"
            )
        single = [word for word, rows in self.counts.items() if rows == 1]
        if single and not self.nearly_all_different() and len(self.words) >= FEW_ROWS:
            which = ", ".join(f"{quoted(word)} ({self.first(word)})" for word in single[:EXAMPLES])
            more = ", ..." if single[EXAMPLES:] else ""
            found.append(f"{len(single):,} of {len(self.counts):,} labels occur in a single row: {which}{more}")
        return found

    def other_separator(self) -> list[str]:
        """A data check if labels look like several labels joined by another separator."""
        if not self.options.task_kind.several_labels:
            return []
        for mark in SEPARATORS:
            made = [
                word for word in self.counts if mark in word and all(part.strip() in self.counts for part in word.split(mark))
            ]
            if made:
                return [
                    f"label {self.counted(made[0])} is made of other labels, with {quoted(mark)} between them: if so, say "
                    f"`separator: {yaml_value(mark)}`"
                ]
        return []

    def kept_header(self) -> list[str]:
        """A data check if `columns` is given but the first line looks like a header, because no other row has its label."""
        place = self.table[PLACE][0].as_py()
        file = self.files[place["file"]]
        if file.columns is None or place["line"] != 1 or self.parents is not None:
            return []
        word = self.words[0].as_py()
        if self.counts[word] > 1:
            return []
        return [f"{file.at(1)}: no other row has the label {quoted(word)}: if this is a header, leave out `columns`"]


def numbered(table: pa.Table, names: Sequence[str], files: Sequence[File], options: TableOptions, split: str) -> pa.Table:
    """The rows of a split with labels as numbers, by the order of `names`. Raises DataError for a label that is not among the
    names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table["label"].combine_chunks()
    if not options.task_kind.several_labels:
        words, rows, labels = column, None, pc.index_in(column, pa.array(names, pa.string())).cast(pa.int64())
        numbers = labels
    else:
        words, rows = column.flatten(), column.value_parent_indices()
        numbers = pc.index_in(words, pa.array(names, pa.string())).cast(pa.int64())
        labels = pa.ListArray.from_arrays(column.offsets, numbers)
    if numbers.null_count:
        place = pc.index(pc.is_null(numbers), True).as_py()
        row = place if rows is None else rows[place].as_py()
        word = words[place].as_py()
        seen = "" if options.labels is not None or len(options.label) > 1 else " (those are the labels of train)"
        of_numbers = options.kind is None and all(decimal(name) is not None for name in (word, *names))
        hint = "; for measured numbers write `kind: regression`" if of_numbers else ""
        if split != "train" and len(pc.unique(words)) == 1:  # such as -1, the hub's word for no label
            hint = f"; each row of {split} has it: if that means no label, say `unlabelled: {options.unlabelled_too(split)}`"
        raise DataError(f"{place_of(table[PLACE][row].as_py(), files)}: {did_you_mean('label', word, names)}{seen}{hint}")
    return table.set_column(table.column_names.index("label"), "label", labels)
