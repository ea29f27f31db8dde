"""Makes pairs of summary and paragraph from documented functions, drawn by hashes so that every machine draws the same.

Each summary and each paragraph is used once: a random third of the functions exchange their paragraphs. So no two examples
share a text, and a single text does not reveal the label.
"""

from __future__ import annotations

import gc
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from bakeoff_docstrings.documentation import PARAGRAPH_WORDS, documented_functions
from bakeoff_docstrings.sources import Library, source_files

SPLITS = ("train", "dev", "test")
_TRAIN_SHARE, _DEV_SHARE = 0.70, 0.15
_MEDIUM_WORDS = 16
_MOST_COPIES = 2
"""A paragraph that occurs in more docstrings than this is boilerplate, and is left out."""


@dataclass(frozen=True)
class Entry:
    """A function's summary and a paragraph of its docstring. `file` is the path from the library's parent folder."""

    library: str
    file: str
    function: str
    summary: str
    paragraph: str


@dataclass(frozen=True)
class Pair:
    """One example. `file` and `paragraph_file` differ if `label` is 0; both are in the same split."""

    id: str
    split: str
    library: str
    length: str
    summary: str
    paragraph: str
    label: int
    file: str
    paragraph_file: str


def read(libraries: Iterable[Library]) -> list[Entry]:
    """All documented functions, ordered by library, file and position in the file."""
    with _collector_paused():
        return [
            Entry(library.name, file, found.function, found.summary, found.paragraph)
            for library in libraries
            for file, source in source_files(library)
            for found in documented_functions(source)
        ]


def draw(entries: Sequence[Entry]) -> list[Pair]:
    """All pairs, ordered so that any first part has about the same shares of splits and labels as the whole."""
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in _distinct(entries):
        groups[split_of(entry.file), entry.library].append(entry)
    return _interleaved([pair for (split, _), group in groups.items() for pair in _pairs(split, group)])


def split_of(file: str) -> str:
    """The split of a file. It depends on the path alone, so that an upgrade which adds a file moves no other."""
    place = int(_draw("split", file)[:12], 16) / 16**12
    return "train" if place < _TRAIN_SHARE else "dev" if place < _TRAIN_SHARE + _DEV_SHARE else "test"


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those that repeat a summary or a paragraph, compared without case and punctuation.

    Otherwise a copied docstring could be an example twice, in two splits, or with both labels.
    """
    copies = Counter(_bare(entry.paragraph) for entry in entries)
    seen: set[tuple[str, str]] = set()
    kept = []
    for entry in entries:
        texts = {("summary", _bare(entry.summary)), ("paragraph", _bare(entry.paragraph))}
        if copies[_bare(entry.paragraph)] <= _MOST_COPIES and not texts & seen:
            seen |= texts
            kept.append(entry)
    return kept


def _pairs(split: str, group: Sequence[Entry]) -> list[Pair]:
    """The pairs of one library in one split: a third of its functions exchange their paragraphs."""
    drawn = sorted(group, key=lambda entry: _draw("label", entry.file, entry.function))
    negatives = sorted(
        _exchangeable(drawn[: len(group) // 3]),
        key=lambda entry: (_draw("file", entry.file), _draw("place", entry.file, entry.function)),
    )
    # Files lie together, so a turn by the largest file's size takes every paragraph out of its own file.
    turn = max(Counter(entry.file for entry in negatives).values(), default=0)
    givers = {entry: negatives[(place + turn) % len(negatives)] for place, entry in enumerate(negatives)}
    return [_pair(split, entry, givers.get(entry, entry)) for entry in group]


def _exchangeable(entries: list[Entry]) -> list[Entry]:
    """The entries that can exchange paragraphs: as many of the largest file's are left out as needed for no file to have more
    than half of all, since they could only exchange within their file."""
    kept = list(entries)
    while kept:
        file, count = Counter(entry.file for entry in kept).most_common(1)[0]
        if 2 * count <= len(kept):
            break
        kept.remove(next(entry for entry in reversed(kept) if entry.file == file))
    return kept


def _pair(split: str, entry: Entry, giver: Entry) -> Pair:
    words = len(giver.paragraph.split())
    belongs = entry is giver
    return Pair(
        id=f"{entry.file}:{entry.function}:{'+' if belongs else '-'}",
        split=split,
        library=entry.library,
        length="long" if words >= PARAGRAPH_WORDS else "medium" if words >= _MEDIUM_WORDS else "short",
        summary=entry.summary,
        paragraph=giver.paragraph,
        label=int(belongs),
        file=entry.file,
        paragraph_file=giver.file,
    )


def _interleaved(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, ordered by their relative position within their split and label."""
    strata: dict[Hashable, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: _draw("order", pair.id)):
        strata[pair.split, pair.label].append(pair)
    placed = [
        ((place + 0.5) / len(stratum), pair.id, pair) for stratum in strata.values() for place, pair in enumerate(stratum)
    ]
    return [pair for _, _, pair in sorted(placed, key=lambda item: item[:2])]


def _draw(purpose: str, *parts: str) -> str:
    """A pseudo-random sorting key from these parts, the same on every machine; different purposes give independent keys."""
    return sha256("\0".join((purpose, *parts)).encode()).hexdigest()


def _bare(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pauses the garbage collector: syntax trees have no cycles, and searching for them takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
