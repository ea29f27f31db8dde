"""From rows to a draft of an experiment: what its task is, and what can be compared on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import and_
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.held_out import split_of
from bakeoff.drafting.columns import Column, describe
from bakeoff.drafting.experiment_text import Entry, Plain, written_shares
from bakeoff.drafting.labels import Labels, describe_labels, label_word
from bakeoff.drafting.proposal import (
    IMBALANCED,
    Outlook,
    Sizes,
    correlation_outlook,
    effective_rows,
    outlook,
    own_split,
)
from bakeoff.drafting.roles import Choice, find_labels, find_texts, require_columns
from bakeoff.drafting.sources import Rows
from bakeoff.drafting.spoilers import Data, spoilers
from bakeoff.drafting.tables import Table, format_of
from bakeoff.errors import DataError
from bakeoff.kinds import Kind
from bakeoff.text.numbers import count, per_cent
from bakeoff.text.values import listed
from bakeoff.text.words import quoted, shown_path

FEW_ROWS: Final = 20
"""Fewer rows can't be trained and judged."""
LENGTHS_OF: Final = 5_000
"""Rows by which the length of texts is judged."""
RARE: Final = 10
"""A label with fewer rows is hardly learned."""
LISTED: Final = 5
MOST_LISTED_LABELS: Final = 200
"""More labels are not written into an experiment file."""
MISSING_WORDS: Final = frozenset({"na", "n/a", "nan", "null", "none", "<na>", "#n/a"})
"""What programs write for a missing value, in lower case."""

Ask = Callable[[str, Choice], tuple[str, ...]]
"""Decides between columns: (`text` or `label`, what it may be) -> the chosen ones. Raises BakeoffError."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user said about the columns; the rest is found out."""

    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    kind: Kind | None = None


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the columns of a data set mean."""

    rows: Rows
    columns: Mapping[str, Column]
    text: tuple[str, ...]
    label: tuple[str, ...]
    labels: Labels
    unlabelled: tuple[str, ...]
    """Splits without labels."""
    missing: tuple[str, ...]
    """Words in the label's column that stand for a missing value."""
    splits: Sequence[str]
    """Of each row: given, or as `split` makes them."""
    sizes: Sizes
    """Rows with a text and a label."""

    @property
    def data(self) -> Data:
        return Data(
            table=self.rows.table,
            columns=self.columns,
            texts=self.text,
            label=self.label,
            labels=self.labels,
            splits=self.splits,
            given=self.rows.splits is not None,
        )

    @property
    def macro(self) -> bool:
        """Whether the labels are so unequal that macro F1 decides."""
        return self.labels.single and self.labels.largest > IMBALANCED


def find_meaning(rows: Rows, asked: Asked, decide: Ask) -> Meaning:
    """What the columns mean. decide: chooses where that is not certain. Raises DataError where nothing can be trained on."""
    table, columns = rows.table, describe(rows.table)
    require_columns(table, asked.text, "--text")
    require_columns(table, asked.label, "--label")
    text = asked.text or _decided("text", find_texts(table, columns, without=asked.label), decide)
    if both := sorted(set(text) & set(asked.label)):
        raise DataError(f"{quoted(both[0])} is read by the model, so it can't be the label too")
    label = asked.label or _decided("label", find_labels(table, columns, text), decide)
    unlabelled = tuple(rows.unlabelled(label))
    missing = _missing_words(rows, label)
    if unlabelled or missing:
        table = _with_labels_alone(rows, label, unlabelled, missing)
        columns = {**columns, **{name: describe(table)[name] for name in label}}
    labels = describe_labels(table, columns, label, kind=asked.kind)
    usable = _usable(table, text, () if labels.kind.several_labels else label, missing)
    train = sum(usable) if rows.splits is None else sum(map(and_, usable, (split == "train" for split in rows.splits)))
    if train < FEW_ROWS:
        raise DataError(
            f"{shown_path(table.path)}: {count(train, 'row')} with a text and a label: at least {FEW_ROWS} are needed, and "
            "some hundreds to learn from"
        )
    splits, shares = _splits(rows, text, train)
    counts = Counter(split for split, one in zip(splits, usable, strict=True) if one and split not in unlabelled)
    sizes = Sizes(train=counts["train"], dev=counts["dev"], test=counts["test"], shares=shares)
    if not sizes.judged:
        raise DataError(
            f"{shown_path(table.path.parent)}: no split but train has labels: name the file of train alone, to split it"
        )
    return Meaning(
        rows=rows,
        columns=columns,
        text=text,
        label=label,
        labels=labels,
        unlabelled=unlabelled,
        missing=missing,
        splits=splits,
        sizes=sizes,
    )


def _splits(rows: Rows, text: Sequence[str], usable: int) -> tuple[list[str], Mapping[str, str]]:
    """The split of each row, and the shares that are held out; none where splits are given."""
    if rows.splits is not None:
        return rows.splits, {}
    shares = own_split(usable)
    numbers = {split: float(share.rstrip("%")) / 100 for split, share in shares.items()}
    texts = zip(*(rows.table.columns[name] for name in text), strict=True)
    return [split_of(row, numbers) for row in texts], shares


def _decided(what: str, choice: Choice, decide: Ask) -> tuple[str, ...]:
    return choice.best if choice.certain else decide(what, choice)


def _missing_words(rows: Rows, label: Sequence[str]) -> tuple[str, ...]:
    if len(label) > 1:
        return ()
    found = {str(value).strip() for value in rows.table.columns[label[0]] if value is not None and not isinstance(value, list)}
    return tuple(sorted(word for word in found if word.lower() in MISSING_WORDS)) if len(found) > 2 else ()


def _with_labels_alone(rows: Rows, label: Sequence[str], unlabelled: Sequence[str], missing: Sequence[str]) -> Table:
    """The table, with None for what only looks like a label."""
    columns = dict(rows.table.columns)
    splits = rows.splits or ["train"] * rows.table.rows
    for name in label:
        columns[name] = [
            None if split in unlabelled or (not isinstance(value, list) and str(value).strip() in missing) else value
            for value, split in zip(columns[name], splits, strict=True)
        ]
    return replace(rows.table, columns=columns)


def _usable(table: Table, text: Sequence[str], label: Sequence[str], missing: Sequence[str]) -> list[bool]:
    """Of each row, whether it has all texts and labels."""
    rows = zip(*(table.columns[name] for name in (*text, *label)), strict=True)
    return [all(cell is not None and str(cell).strip() not in missing for cell in row) for row in rows]


# --- as a task -----------------------------------------------------------------------------------------------------------


def task_entries(meaning: Meaning, names: Mapping[Path, str]) -> list[Entry]:
    """The task as an experiment file has it. names: of the files, as the file names them."""
    rows, labels = meaning.rows, meaning.labels
    style = rows.tables[rows.files["train"][0]]
    entries: list[Entry] = [("name", "table", "rows of your own")]
    for split, paths in rows.files.items():
        files = [_file(names[path], rows.tables[path], style) for path in paths]
        beside = "beside this file, or in the folder that --data names" if split == "train" else ""
        entries.append((split, files[0] if len(files) == 1 else files, beside))
    if meaning.sizes.shares:
        told = Plain(written_shares(meaning.sizes))
        entries.append(("split", told, "by a hash of the text: equal texts stay together, new rows move none"))
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
        entries.append(("labels", sorted(unseen), "also those that train has no row of"))
    if meaning.missing:
        entries.append(("missing", list(meaning.missing), "what stands for a missing value"))
    if gaps := _gaps(meaning):
        entries.append(gaps)
    if meaning.macro:
        entries.append(("metrics", ["macro_f1", "accuracy"], f"the first decides: {_why_macro(labels)}"))
    entries += _style_entries(style, list(rows.table.columns))
    return entries


def _file(name: str, table: Table, usual: Table) -> Any:
    own = {key: value for key, value, _ in _style_entries(table, [])}
    shared = {key: value for key, value, _ in _style_entries(usual, [])}
    return name if own == shared else {"file": name, **{key: value for key, value in own.items() if shared.get(key) != value}}


def _style_entries(table: Table, columns: Sequence[str]) -> Iterator[Entry]:
    """How the files are written, where that is not usual for their ending."""
    written = table.written
    if format_of(table.path) != written.format:
        yield "format", written.format, "which the file's name does not show"
    if written.format in ("csv", "tsv"):
        usual = "\t" if written.format == "tsv" else ","
        if written.delimiter != usual:
            yield "delimiter", "\\t" if written.delimiter == "\t" else written.delimiter, "between cells"
        if written.quoting != ("none" if written.format == "tsv" else "minimal"):
            meant = "quotation marks are characters like any other"
            yield "quoting", written.quoting, meant if written.quoting == "none" else "cells may stand in quotation marks"
        if not written.header and columns:
            yield "columns", list(columns), "the first line is a row"
    if written.encoding != "utf-8":
        yield "encoding", written.encoding, "of the file's characters: are accents right?"


def _unseen(meaning: Meaning) -> set[str]:
    """All labels, where dev or test has one that train lacks; empty where none does, or there are too many to write down."""
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
    kept = meaning.sizes.train + meaning.sizes.dev + meaning.sizes.test
    left_out = sum(split not in meaning.unlabelled for split in meaning.splits) - kept
    return ("gaps", "drop", f"{count(left_out, 'row')} without a text or a label are left out") if left_out else None


def labels_in_words(labels: Labels) -> str:
    """`4 labels, the most frequent 31 % of rows`; `a number`."""
    if not labels.kind.has_labels:
        return "a number"
    return f"{count(len(labels.counts), 'label')}, the most frequent in {per_cent(labels.largest)} of rows"


def _why_macro(labels: Labels) -> str:
    most = labels.counts.most_common(1)[0][0]
    return f"always {quoted(most)} would be {per_cent(labels.largest, 1)} right"


# --- what can be concluded, and what spoils it ---------------------------------------------------------------------------


def outlook_of(subject: Subject, looks: Sequence[int], strategies: int) -> Outlook:
    """What the experiment can conclude on these rows."""
    rows = subject.sizes.judged
    if not subject.in_points:
        return correlation_outlook(rows)
    return outlook(effective_rows(rows, subject.shares, macro=subject.macro), rows, looks, strategies)


def cautions(meaning: Meaning) -> Iterator[str]:
    """What would spoil an answer, a sentence each."""
    labels = meaning.labels
    if not meaning.rows.table.whole:
        yield f"only the first {meaning.rows.table.rows:,} rows were looked at"
    if meaning.macro:
        yield f"{_why_macro(labels)}: macro F1 decides, in which each label counts alike"
    rare = Counter({label: number for label, number in labels.counts.items() if number < RARE})
    if rare:
        some = listed([quoted(label) for label, _ in rare.most_common()], most=LISTED)
        yield f"{count(len(rare), 'label')} with fewer than {RARE} rows ({some}): hardly learned, and hardly judged"
    yield from spoilers(meaning.data)


def summary(meaning: Meaning) -> str:
    """What was found, in a line."""
    rows, labels = meaning.rows, meaning.labels
    read = " and ".join(map(quoted, meaning.text))
    answered = listed(list(map(quoted, meaning.label)), most=LISTED)
    return f"{rows.table.rows:,} rows: the model reads {read} and answers {answered} ({labels.kind}: {labels_in_words(labels)})"


# --- what the proposal is made from --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What strategies are compared on, and what a proposal needs to know of its rows."""

    name: str
    """What an answer is about: `topic`."""
    entries: Sequence[Entry]
    """The task as the experiment file has it; the first entry is its name."""
    sizes: Sizes
    texts: Sequence[str]
    """What the model reads, of some rows."""
    shares: Sequence[float] = ()
    """Of each label, 0 to 1; empty where they are not known or there are none."""
    macro: bool = False
    """Whether all labels count alike in the metric."""
    in_points: bool = True
    """Whether the metric is shown in points."""


def subject_of(meaning: Meaning, names: Mapping[Path, str]) -> Subject:
    """What strategies are compared on. names: of the files, as an experiment file beside them names them."""
    read = meaning.data.read
    return Subject(
        name=meaning.label[0] if len(meaning.label) == 1 else "labels",
        entries=task_entries(meaning, names),
        sizes=meaning.sizes,
        texts=read[:: max(1, len(read) // LENGTHS_OF)],
        shares=[number / max(1, meaning.labels.rows) for number in meaning.labels.counts.values()],
        macro=meaning.macro,
        in_points=meaning.labels.kind.has_labels,
    )
