"""The task of a draft: keys, values and comments, as an experiment file has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bakeoff.drafting.draft import LENGTHS_OF, Meaning, Subject, labels_in_words, why_macro
from bakeoff.drafting.experiment_text import Entry, Plain, written_shares
from bakeoff.drafting.labels import label_word
from bakeoff.drafting.tables import Table, format_of
from bakeoff.text.numbers import count

MOST_LISTED_LABELS: Final = 200
"""If there are more labels than this, they are not written into an experiment file."""


def task_entries(meaning: Meaning, names: Mapping[Path, str]) -> list[Entry]:
    """The task as (key, value, comment) for each of its lines in the experiment file. names: path of a data file -> its name
    in the experiment file."""
    rows, labels = meaning.rows, meaning.labels
    style = rows.tables[rows.files["train"][0]]
    entries: list[Entry] = [("name", "table", "rows of your own")]
    for split, paths in rows.files.items():
        files = [_file(names[path], rows.tables[path], style) for path in paths]
        beside = "beside this file, or in the folder that --data names" if split == "train" else ""
        entries.append((split, files[0] if len(files) == 1 else files, beside))
    if meaning.sizes.shares:
        told = Plain(written_shares(meaning.sizes))
        entries.append(("split", told, "by a hash of the text: equal texts stay together, new rows move no other row"))
    if meaning.unlabelled:
        entries.append(("unlabelled", list(meaning.unlabelled), "predicted, but not scored"))
    text = meaning.text[0] if len(meaning.text) == 1 else list(meaning.text)
    entries.append(("text", text, "what the model reads"))
    label = meaning.label[0] if len(meaning.label) == 1 else list(meaning.label)
    entries.append(("label", label, f"what it answers: {labels_in_words(labels)}"))
    numbers = [meaning.columns[name] for name in meaning.label if meaning.columns[name].numbers]
    if not labels.single:
        entries.append(("kind", str(labels.kind), ""))
    elif any(not column.whole for column in numbers):
        entries.append(("kind", str(labels.kind), "each number is a label of its own"))
    if labels.kind.several_labels and labels.separator not in ("", "|"):
        entries.append(("separator", labels.separator, "between the labels in one cell"))
    if unseen := _unseen(meaning):
        entries.append(("labels", sorted(unseen), "all labels, since train has no row of some"))
    if meaning.missing:
        entries.append(("missing", list(meaning.missing), "words that stand for a missing value"))
    if gaps := _gaps(meaning):
        entries.append(gaps)
    if meaning.macro:
        entries.append(("metrics", ["macro_f1", "accuracy"], f"the first is the primary one: {why_macro(labels)}"))
    entries += _style_entries(style, list(rows.table.columns))
    return entries


def _file(name: str, table: Table, usual: Table) -> Any:
    own = {key: value for key, value, _ in _style_entries(table, [])}
    shared = {key: value for key, value, _ in _style_entries(usual, [])}
    return name if own == shared else {"file": name, **{key: value for key, value in own.items() if shared.get(key) != value}}


def _style_entries(table: Table, columns: Sequence[str]) -> Iterator[Entry]:
    """Yields entries on how a file of rows is written, where that is not usual for its ending. columns: names to write down if
    the file has no header; empty for none."""
    written = table.written
    if format_of(table.path) != written.format:
        yield "format", written.format, "the file's name does not show it"
    if written.format in ("csv", "tsv"):
        usual = "\t" if written.format == "tsv" else ","
        if written.delimiter != usual:
            yield "delimiter", "\\t" if written.delimiter == "\t" else written.delimiter, "between cells"
        if written.quoting != ("none" if written.format == "tsv" else "minimal"):
            meant = "quotation marks are characters like any other"
            yield "quoting", written.quoting, meant if written.quoting == "none" else "cells may stand in quotation marks"
        if not written.header and columns:
            yield "columns", list(columns), "there is no header: the first line is a row"
    if written.encoding != "utf-8":
        yield "encoding", written.encoding, "of the file's characters; check that accents are right"


def _unseen(meaning: Meaning) -> set[str]:
    """All labels, if dev or test has one that train lacks; empty if they have none, or if there are too many labels to write
    down."""
    rows, labels = meaning.rows, meaning.labels
    if rows.splits is None or not labels.single or len(labels.counts) > MOST_LISTED_LABELS:
        return set()
    values = zip(rows.table.columns[meaning.label[0]], rows.splits, strict=True)
    in_train = {label_word(value) for value, split in values if split == "train" and value is not None}
    return set(labels.counts) if set(labels.counts) - in_train else set()


def _gaps(meaning: Meaning) -> Entry | None:
    table = meaning.rows.table
    several = meaning.labels.kind.several_labels and len(meaning.label) == 1
    if several and any(value is None or value == [] for value in table.columns[meaning.label[0]]):
        return "gaps", "none", "rows without a label have none of the labels"
    if meaning.empty:
        return "gaps", "empty", "a missing text is an empty one"
    kept = meaning.sizes.train + meaning.sizes.dev + meaning.sizes.test
    left_out = sum(split not in meaning.unlabelled for split in meaning.splits) - kept
    are = "is" if left_out == 1 else "are"
    return ("gaps", "drop", f"{count(left_out, 'row')} without a text or a label {are} left out") if left_out else None


def subject_of(meaning: Meaning, names: Mapping[Path, str]) -> Subject:
    """The subject of a draft, from rows whose meaning was found. names: path of a data file -> its name in the experiment
    file."""
    read = meaning.data.read
    return Subject(
        name=meaning.label[0] if len(meaning.label) == 1 else "labels",
        entries=task_entries(meaning, names),
        sizes=meaning.sizes,
        texts=read[:: max(1, len(read) // LENGTHS_OF)],
        shares=[number / max(1, meaning.labels.rows) for number in meaning.labels.counts.values()],
        macro=meaning.macro,
        share=meaning.labels.kind.has_labels,
    )
