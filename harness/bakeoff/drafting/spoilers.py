"""Points out what would spoil an answer: near copies across splits, texts that give their label away, and groups or dates
that a random split tears apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bakeoff.drafting.columns import GROUP_NAMES, SPLIT_NAMES, Column, as_date
from bakeoff.drafting.copies import across, find_copies, normalised
from bakeoff.drafting.labels import Labels, label_word
from bakeoff.drafting.sources import CALLED
from bakeoff.drafting.tables import Table
from bakeoff.text.numbers import count, per_cent, with_decimals
from bakeoff.text.values import listed
from bakeoff.text.words import one_line, quoted

SURE: Final = 0.98
"""A word or a value tells a label if at least this share of the rows that have it have that label."""
COVERED: Final = 0.8
"""Words or a column give labels away if at least this share of rows has such a word (of the rows of its label) or a value (of
all)."""
FEWEST: Final = 5
"""A word must be in so many rows to be judged; the values of a column, on average."""
SAMPLE: Final = 20_000
"""About so many rows are searched for words."""
MANY_COPIES: Final = 0.01
"""Near copies are pointed out if they are at least this share of a split."""
FEWEST_GROUPS: Final = 10
SHARED: Final = 0.05
"""Groups are pointed out if more than this share of those in the reported split is in train too."""
BY_HAND: Final = "make train.csv, dev.csv and test.csv {}, and name their folder"
SHOWN: Final = 60
"""The most characters of an example text that are shown."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is known of the rows of a data set, those of all splits one after another."""

    table: Table
    """All rows in one."""
    columns: Mapping[str, Column]
    texts: tuple[str, ...]
    label: tuple[str, ...]
    labels: Labels
    splits: Sequence[str]
    """The split of each row."""
    given: bool
    """Whether the splits are given as files; else a hash of the text makes them."""

    @property
    def reported(self) -> str:
        return "test" if "test" in self.splits else "dev"

    @property
    def read(self) -> list[str]:
        """What the model reads of each row, as one text."""
        parts = [[str(value or "") for value in self.table.columns[name]] for name in self.texts]
        return [" ".join(row).strip() for row in zip(*parts, strict=True)]

    @property
    def answers(self) -> list[str | None]:
        """The label of each row as a word, None where it is missing; an empty list unless each row has one label."""
        if not self.labels.single:
            return []
        return [None if value is None else label_word(value) for value in self.table.columns[self.label[0]]]


def spoilers(data: Data) -> Iterator[str]:
    """Yields a sentence for each thing that would spoil the experiment's answer, with what to do."""
    read = data.read
    yield from near_copies(data, read)
    yield from telling_words(data, read)
    yield from telling_columns(data)
    yield from unused_splits(data)
    yield from groups(data)
    yield from dates(data)


# --- near copies ---------------------------------------------------------------------------------------------------------


def near_copies(data: Data, read: Sequence[str]) -> Iterator[str]:
    """Yields sentences on rows of dev and test that are nearly the same as one of train, then on contradictions. read: the
    text of each row."""
    copies = find_copies(read)
    rest = "" if copies.finished else " (not all rows were compared)"
    found = list(across(copies, data.splits))
    advice = "remove them from one of the files" if data.given else "keep one of each in the file"
    for split in ("dev", "test"):
        rows = [pair for pair in found if data.splits[pair[0]] == split]
        share = len(rows) / max(1, sum(one == split for one in data.splits))
        if share >= MANY_COPIES:
            row, like = rows[0]
            yield (
                f"{count(len(rows), 'row')} of {split} ({per_cent(share, 1)}) nearly the same as one of train, such as "
                f"{_shown(read[row])} and {_shown(read[like])}: scores will be better than on new rows; {advice}{rest}"
            )
    yield from contradictions(data, read)


def _exact(text: str) -> str:
    return " ".join(text.casefold().split())


def contradictions(data: Data, read: Sequence[str]) -> Iterator[str]:
    """Yields a sentence if equal texts have different labels."""
    answers = defaultdict(set)
    for text, answer in zip(read, data.answers, strict=False):
        if answer is not None and text:
            answers[_exact(text)].add(answer)
    torn = [text for text, labels in answers.items() if len(labels) > 1]
    if len(torn) >= max(2, MANY_COPIES * len(answers)):
        yield (
            f"{count(len(torn), 'text')} occur with several labels, such as {_shown(torn[0])} "
            f"({listed(sorted(map(quoted, answers[torn[0]])), most=3)}): no model can get them all right"
        )


# --- what gives the label away -------------------------------------------------------------------------------------------


def telling_words(data: Data, read: Sequence[str]) -> Iterator[str]:
    """Yields a sentence if words in the text tell the label of nearly all rows, such as a tag that was left in the text when
    the rows were made."""
    answers = data.answers
    if not answers:
        return
    step = max(1, len(read) // SAMPLE)
    rows = [
        (set(normalised(text).split()), answer) for text, answer in zip(read[::step], answers[::step], strict=True) if answer
    ]
    by_word: dict[str, Counter[str]] = defaultdict(Counter)
    for words, answer in rows:
        for word in words:
            by_word[word][answer] += 1
    totals = Counter(answer for _, answer in rows)
    telling: dict[str, tuple[int, str]] = {}
    for word, counts in by_word.items():
        answer, times = counts.most_common(1)[0]
        if times >= max(FEWEST, COVERED * totals[answer], SURE * counts.total()):
            telling[answer] = max(telling.get(answer, (0, "")), (times, word))
    if len(telling) >= max(1, len(totals) - 1):
        which = listed(
            [f"{quoted(word)} in nearly all of {quoted(answer)} alone" for answer, (_, word) in telling.items()], most=3
        )
        yield (
            f"the text gives its label away: {which}; if it got there when the rows were made, take it out of the text; else "
            "the task is so easy that any strategy will do"
        )


def telling_columns(data: Data) -> Iterator[str]:
    """Yields a sentence for each column whose values tell the label: if the model reads it, it spoils the answer; else it must
    not be added."""
    answers = data.answers
    if not answers:
        return
    for name, column in data.columns.items():
        if name in data.label or column.lists or column.distinct < 2 or column.distinct > column.filled / FEWEST:
            continue
        values = zip(data.table.columns[name], answers, strict=True)
        pairs = [(str(value), answer) for value, answer in values if value is not None and answer]
        if len(pairs) < COVERED * len(answers):
            continue
        by_value: dict[str, Counter[str]] = defaultdict(Counter)
        for value, answer in pairs:
            by_value[value][answer] += 1
        right = sum(max(counts.values()) for counts in by_value.values())
        usual = max(Counter(answer for _, answer in pairs).values())
        if right >= SURE * len(pairs) and right > usual + (len(pairs) - usual) * 0.9:
            read = name in data.texts
            what = "which the model reads: leave it out by --text" if read else "which the model does not read: never add it"
            yield f"column {quoted(name)} tells the label in {per_cent(right / len(pairs))} of the rows, {what}"


# --- what a random split tears apart -------------------------------------------------------------------------------------


def groups(data: Data) -> Iterator[str]:
    """Yields a sentence for a column by which rows belong together (one customer, patient or document), if many of its values
    are in train and in the reported split."""
    for name, column in data.columns.items():
        if name in {*data.texts, *data.label} or column.lists or column.dates or (column.numbers and not column.whole):
            continue
        named = column.is_named(GROUP_NAMES) or name.lower().endswith("id")
        if not named or column.distinct < FEWEST_GROUPS or column.filled < 1.5 * column.distinct:
            continue
        each = column.filled / column.distinct
        what = f"rows belong together by {quoted(name)} ({column.distinct:,} values, {with_decimals(each, 1)} rows each)"
        values: dict[str, set[str]] = defaultdict(set)
        for value, split in zip(data.table.columns[name], data.splits, strict=True):
            if value is not None:
                values[split].add(str(value))
        for split, there in values.items():
            share = len(there & values["train"]) / len(there)
            if split == data.reported and share > SHARED:
                new = "" if data.given else f"; for new values, {BY_HAND.format('by it')}"
                yield (
                    f"{what}: {per_cent(share)} of the values in {split} are in train too, so that scores hold for known "
                    f"values alone{new}"
                )


def unused_splits(data: Data) -> Iterator[str]:
    """Yields a sentence for a column that tells a split, since it is not used."""
    for name, column in data.columns.items():
        told = (
            {str(value) for value in data.table.columns[name] if value is not None} if column.distinct <= len(CALLED) else set()
        )
        if column.is_named(SPLIT_NAMES) and told and all(value.lower() in CALLED for value in told):
            which = listed(sorted(map(quoted, told)))
            yield f"column {quoted(name)} tells a split ({which}), which is not used: {BY_HAND.format('by it')}"


def dates(data: Data) -> Iterator[str]:
    """Yields a sentence if a column has dates and the split is random: then scores do not tell how a model does on later
    rows."""
    for name, column in data.columns.items():
        if not column.dates or name in data.texts or data.given:
            continue
        found = [day for value in data.table.columns[name] if value is not None and (day := as_date(str(value)))]
        first, last = min(found), max(found)
        if (last - first).days >= 2 and column.distinct > 2:
            yield (
                f"rows are dated by {quoted(name)} ({first:%Y-%m-%d} to {last:%Y-%m-%d}): with a random split a model learns "
                f"from rows later than those it is judged by; to know how it does on later rows, {BY_HAND.format('by date')}"
            )
            return


def _shown(text: str) -> str:
    line = one_line(text)
    return quoted(line if len(line) <= SHOWN else line[: SHOWN - 3] + "...")
