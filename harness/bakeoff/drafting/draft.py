"""From rows to a draft of an experiment: what its task is, and what can be compared on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import and_
from typing import Final

from bakeoff.contracts.held_out import split_of
from bakeoff.drafting.columns import Column, describe
from bakeoff.drafting.experiment_text import Entry
from bakeoff.drafting.labels import Labels, describe_labels
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
from bakeoff.drafting.tables import Table
from bakeoff.errors import DataError
from bakeoff.kinds import Kind
from bakeoff.text.numbers import count, per_cent
from bakeoff.text.values import listed
from bakeoff.text.words import quoted, shown_path

FEW_ROWS: Final = 20
"""With fewer rows, there is no draft: too few to train on."""
LENGTHS_OF: Final = 5_000
"""About so many rows are used to judge the lengths of texts."""
RARE: Final = 10
"""A label with fewer rows is pointed out: it is hardly learned."""
LISTED: Final = 5
MISSING_WORDS: Final = frozenset({"na", "n/a", "nan", "null", "none", "<na>", "#n/a"})
"""What programs write for a missing value, in lower case."""

Ask = Callable[[str, Choice], tuple[str, ...]]
"""A function that decides which columns are the text, or the label: (`text` or `label`, the options) -> the chosen columns.
Raises BakeoffError if the user can't be asked."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user said about the columns; what is empty or None is found out."""

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
    """Words in the label's column that stand for a missing value, such as `n/a`."""
    empty: bool
    """Whether a missing text of a pair is read as an empty one."""
    splits: Sequence[str]
    """The split of each row: that of its file, or the one that the task's option `split` will put it into."""
    sizes: Sizes
    """The number of rows with a text and a label in each split."""

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
        """Whether the labels are so unequal in frequency that macro F1 is the primary metric."""
        return self.labels.single and self.labels.largest > IMBALANCED


def find_meaning(rows: Rows, asked: Asked, decide: Ask) -> Meaning:
    """Finds out what the columns of the rows mean. asked: what the user said. decide: chooses columns where that is not
    certain. Raises DataError where the rows can't be trained on."""
    table, columns = rows.table, describe(rows.table)
    require_columns(table, asked.text, "--text")
    require_columns(table, asked.label, "--label")
    text = asked.text or _decided("text", find_texts(table, columns, without=asked.label), decide)
    if both := sorted(set(text) & set(asked.label)):
        raise DataError(f"column {quoted(both[0])} is read by the model, so it can't be the label too")
    label = asked.label or _decided("label", find_labels(table, columns, text), decide)
    unlabelled = tuple(rows.unlabelled(label))
    missing = _missing_words(rows, label)
    if unlabelled or missing:
        table = _with_labels_alone(rows, label, unlabelled, missing)
        columns = {**columns, **{name: describe(table)[name] for name in label}}
    labels = describe_labels(table, columns, label, kind=asked.kind)
    labelled = () if labels.kind.several_labels else label
    empty = _reads_gaps_as_empty(table, text, label, unlabelled)
    usable = [True] * table.rows if empty else _usable(table, text, labelled, missing)
    train = sum(usable) if rows.splits is None else sum(map(and_, usable, (split == "train" for split in rows.splits)))
    if train < FEW_ROWS:
        raise DataError(
            f"{shown_path(table.path)}: {count(train, 'row')} with a text and a label to train on: at least {FEW_ROWS} are "
            "needed, and some hundreds to learn from"
        )
    splits, shares = _splits(rows, text, train)
    counts = Counter(split for split, one in zip(splits, usable, strict=True) if one and split not in unlabelled)
    sizes = Sizes(train=counts["train"], dev=counts["dev"], test=counts["test"], shares=shares)
    if not sizes.judged:
        raise DataError(
            f"{shown_path(table.path.parent)}: only train has labels, and dev or test needs some to judge by: name the file of "
            "train alone, so that it is split"
        )
    return Meaning(
        rows=rows,
        columns=columns,
        text=text,
        label=label,
        labels=labels,
        unlabelled=unlabelled,
        missing=missing,
        empty=empty,
        splits=splits,
        sizes=sizes,
    )


def _splits(rows: Rows, text: Sequence[str], usable: int) -> tuple[list[str], Mapping[str, str]]:
    """The split of each row, and the shares that are held out, none where splits are given. usable: number of rows with a text
    and a label."""
    if rows.splits is not None:
        return rows.splits, {}
    shares = own_split(usable)
    numbers = {split: float(share.rstrip("%")) / 100 for split, share in shares.items()}
    texts = zip(*(rows.table.columns[name] for name in text), strict=True)
    return [split_of(["" if cell is None else cell for cell in row], numbers) for row in texts], shares


def _reads_gaps_as_empty(table: Table, text: Sequence[str], label: Sequence[str], unlabelled: Sequence[str]) -> bool:
    """Whether to read a missing text as an empty one: each row has a label and at least one of several texts, and some rows
    lack another."""
    if len(text) == 1 or unlabelled or any(value is None for name in label for value in table.columns[name]):
        return False
    rows = [[cell is None for cell in row] for row in zip(*(table.columns[name] for name in text), strict=True)]
    return any(map(any, rows)) and not any(map(all, rows))


def _decided(what: str, choice: Choice, decide: Ask) -> tuple[str, ...]:
    return choice.best if choice.certain else decide(what, choice)


def _missing_words(rows: Rows, label: Sequence[str]) -> tuple[str, ...]:
    if len(label) > 1:
        return ()
    found = {str(value).strip() for value in rows.table.columns[label[0]] if value is not None and not isinstance(value, list)}
    return tuple(sorted(word for word in found if word.lower() in MISSING_WORDS)) if len(found) > 2 else ()


def _with_labels_alone(rows: Rows, label: Sequence[str], unlabelled: Sequence[str], missing: Sequence[str]) -> Table:
    """The table, with None in place of labels in `unlabelled` splits, and of words that stand for a `missing` value."""
    columns = dict(rows.table.columns)
    splits = rows.splits or ["train"] * rows.table.rows
    for name in label:
        columns[name] = [
            None if split in unlabelled or (not isinstance(value, list) and str(value).strip() in missing) else value
            for value, split in zip(columns[name], splits, strict=True)
        ]
    return replace(rows.table, columns=columns)


def _usable(table: Table, text: Sequence[str], label: Sequence[str], missing: Sequence[str]) -> list[bool]:
    """For each row, whether it has all its texts and labels."""
    rows = zip(*(table.columns[name] for name in (*text, *label)), strict=True)
    return [all(cell is not None and str(cell).strip() not in missing for cell in row) for row in rows]


def labels_in_words(labels: Labels) -> str:
    """What is answered, in words: `4 labels, the most frequent in 31 % of rows`, or `a number`."""
    if not labels.kind.has_labels:
        return "a number"
    return f"{count(len(labels.counts), 'label')}, the most frequent in {per_cent(labels.largest)} of rows"


def why_macro(labels: Labels) -> str:
    most = labels.counts.most_common(1)[0][0]
    return f"always answering {quoted(most)} would be {per_cent(labels.largest, 1)} right"


# --- what can be concluded, and what spoils it ---------------------------------------------------------------------------


def outlook_of(subject: Subject, looks: Sequence[int], strategies: int) -> Outlook:
    """What the experiment can conclude on the rows of `subject`. looks: number of seeds at each look. strategies: their
    number."""
    rows = subject.sizes.judged
    if not subject.share:
        return correlation_outlook(rows)
    return outlook(effective_rows(rows, subject.shares, macro=subject.macro), rows, looks, strategies)


def cautions(meaning: Meaning) -> Iterator[str]:
    """Yields a sentence on each thing in the rows that would spoil the experiment's answer."""
    labels = meaning.labels
    if not meaning.rows.table.whole:
        yield f"only the first {meaning.rows.table.rows:,} rows were read for this draft"
    if meaning.macro:
        yield f"{why_macro(labels)}: the primary metric is macro F1, in which each label counts alike"
    rare = Counter({label: number for label, number in labels.counts.items() if number < RARE})
    if rare:
        some = listed([quoted(label) for label, _ in rare.most_common()], most=LISTED)
        yield f"{count(len(rare), 'label')} with fewer than {RARE} rows ({some}): too few to learn, or to judge by"
    yield from spoilers(meaning.data)


def summary(meaning: Meaning) -> str:
    """What was found out about the rows, in one line."""
    rows, labels = meaning.rows, meaning.labels
    read = " and ".join(map(quoted, meaning.text))
    answered = listed(list(map(quoted, meaning.label)), most=LISTED)
    return f"{rows.table.rows:,} rows: the model reads {read} and answers {answered} ({labels.kind}: {labels_in_words(labels)})"


# --- what the proposal is made from --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The task that strategies are compared on, and what a proposal needs to know of its rows."""

    name: str
    """What an answer is about: `topic`."""
    entries: Sequence[Entry]
    """The task as the experiment file has it; the first entry is its name."""
    sizes: Sizes
    texts: Sequence[str]
    """The texts of some rows, from which lengths are estimated."""
    shares: Sequence[float] = ()
    """The share of rows with each label, 0 to 1; empty where it is not known, or there are no labels."""
    macro: bool = False
    """Whether the primary metric is a mean over labels (macro F1)."""
    share: bool = True
    """Whether the primary metric is a share of examples, which alone has planning values for its variance; else it is a
    correlation."""
