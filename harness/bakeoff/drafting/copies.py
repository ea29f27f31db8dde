"""Finds texts that are nearly the same, exactly and in bounded time."""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

LIKE: Final = 0.8
"""Two texts are near copies if their sets of shingles have at least this Jaccard index: intersection over union."""
WIDTH: Final = 3
"""The number of words in a shingle, a sequence of successive words."""
FIRST_WORDS: Final = 200
"""Only so many first words of a text are compared."""
MOST_ROWS: Final = 100_000
"""Only so many first rows are compared."""
MOST_SECONDS: Final = 20.0
"""After so many seconds the search ends with what it has found."""
LOOK_EVERY: Final = 1_000
"""After so many texts the time is looked at again."""


WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class Copies:
    """Which rows are near copies of each other."""

    group_of: list[int]
    """Row -> its group; rows in one group are near copies, directly or through others."""
    finished: bool
    """False where not all rows could be compared."""

    @property
    def groups(self) -> dict[int, list[int]]:
        """Group -> its rows, for the groups of two rows or more."""
        found = defaultdict(list)
        for row, group in enumerate(self.group_of):
            found[group].append(row)
        return {group: rows for group, rows in found.items() if len(rows) > 1}


def normalised(text: str) -> str:
    """A text as its first words, without case and punctuation; each number is 0."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("0" if word.isdigit() else word for word in WORD.findall(folded)[:FIRST_WORDS])


def find_copies(texts: Sequence[str], *, seconds: float = MOST_SECONDS) -> Copies:
    """Groups texts that are equal once `normalised`, or whose shingles have a Jaccard index of LIKE or more. seconds: time
    limit.

    Pairs of the second kind are found by prefix filtering (Chaudhuri, Ganti and Kaushik, 2006; Bayardo, Ma and Srikant, 2007):
    if all sets are sorted in one order, the rarest shingles first, two sets that are so much alike have a shingle in common
    among the first n - ceil(LIKE n) + 1 of the n shingles of each.
    """
    until = time.monotonic() + seconds
    union = _Union(len(texts))
    first: dict[str, int] = {}
    for row, text in enumerate(texts[:MOST_ROWS]):
        key = normalised(text)
        if key:
            union.join(first.setdefault(key, row), row)
    different = list(first.items())
    frequency: Counter[int] = Counter()
    sets: list[tuple[int, frozenset[int]]] = []
    for key, row in different:
        if shingles := _shingles(key):
            sets.append((row, shingles))
            frequency.update(shingles)
    finished = _join(sets, frequency, union, until)
    return Copies([union.root(row) for row in range(len(texts))], finished and len(texts) <= MOST_ROWS)


def _join(sets: list[tuple[int, frozenset[int]]], frequency: Counter[int], union: _Union, until: float) -> bool:
    """Joins the rows of `sets` (row, its shingles) whose shingles are alike. frequency: shingle -> number of sets with it.
    Returns whether all sets were compared before the time `until`."""
    sets.sort(key=lambda one: len(one[1]))
    index: dict[int, list[int]] = defaultdict(list)
    for number, (row, shingles) in enumerate(sets):
        if number % LOOK_EVERY == 0 and time.monotonic() > until:
            return False
        size = len(shingles)
        ordered = sorted((one for one in shingles if frequency[one] > 1), key=lambda one: (frequency[one], one))
        alone = size - len(ordered)  # shingles of this text only come first in the order, and match nothing
        prefix = ordered[: max(0, size - math.ceil(LIKE * size) + 1 - alone)]
        seen: set[int] = set()
        for shingle in prefix:
            for other in index[shingle]:
                if other in seen:
                    continue
                seen.add(other)
                theirs = sets[other][1]
                if len(theirs) < LIKE * size or union.root(sets[other][0]) == union.root(row):
                    continue
                common = len(shingles & theirs)
                if common >= LIKE * (size + len(theirs) - common):
                    union.join(sets[other][0], row)
            index[shingle].append(number)
    return True


def _shingles(text: str) -> frozenset[int]:
    """Hashes of all sequences of WIDTH successive words; empty for a shorter text."""
    words = text.split()
    return frozenset(map(hash, zip(*(words[start:] for start in range(WIDTH)), strict=False)))


class _Union:
    """Disjoint sets of rows, each known by its `root` (union-find)."""

    def __init__(self, rows: int) -> None:
        self.parent = list(range(rows))

    def root(self, row: int) -> int:
        while self.parent[row] != row:
            self.parent[row] = row = self.parent[self.parent[row]]
        return row

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self.parent[second] = first


def across(copies: Copies, splits: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yields (row, row of train) for each row of another split that has a near copy in train. splits: the split of each
    row."""
    for rows in copies.groups.values():
        in_train = [row for row in rows if splits[row] == "train"]
        if in_train:
            yield from ((row, in_train[0]) for row in rows if splits[row] != "train")
