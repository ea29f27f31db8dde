"""The materials with which trainers that own their model are tested: made-up rows of each kind of task, and a job in this
process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from bakeoff.contracts.kind import Kind, Said
from bakeoff.contracts.metric import Floats
from bakeoff.contracts.own_model import Example
from bakeoff.contracts.recipe import Recipe
from bakeoff.errors import PluginError
from bakeoff.text.numbers import count

SUBJECTS = ("bread", "rain", "a kite", "the lamp", "a tune", "grey stones", "tea", "ice")
SAYINGS = ("is sour today", "is fine by me", "was late again", "came as asked")
OTHER_WORDS = ("they say", "as we heard", "so it seems")
WIDTH = 64
"""Length of a made-up embedding."""
TRAIN, ASKED = 48, 24
"""How many rows there are to train on, and in each of the other splits."""


@dataclass(repr=False)
class MadeJob:
    """An `OwnModelJob` of made-up rows from which the labels can be learnt."""

    kind: Kind
    labels: tuple[str, ...]
    text_columns: tuple[str, ...]
    train: Sequence[Example]
    splits: Mapping[str, Sequence[Example]]
    folder: Path
    truth: Mapping[int, Said]
    """A row's id -> its label, for all rows."""
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    has_dev: bool = True
    uses_model: bool = True
    asked_dev: bool = False
    """Whether the trainer has called `dev`."""

    def __repr__(self) -> str:
        return f"a {self.kind} task with {count(len(self.text_columns), 'text')}"

    def dev(self) -> Sequence[Example] | None:
        self.asked_dev = True
        return [self.labelled(example) for example in self.splits["dev"]] if self.has_dev else None

    def labelled(self, example: Example) -> Example:
        """The example with its label."""
        return replace(example, label=self.truth[example.id])

    def task_ids(self, examples: Sequence[Example]) -> Sequence[str]:
        raise PluginError("the contract suite has no ids of a task: only a trainer with `knows_ids` may ask for them")

    def features(self, examples: Sequence[Example]) -> Floats:
        return self.counts([" ".join(example.texts.values()) for example in examples])

    def embeddings(self, examples: Sequence[Example], column: str) -> Floats:
        return self.counts([example.texts[column] for example in examples])

    def counts(self, texts: Sequence[str]) -> Floats:
        """Made-up embeddings, (texts, WIDTH): counts of words; a word counts at the position that its checksum gives."""
        if not self.uses_model:
            raise PluginError(
                "it asks for what the strategy's model makes of rows, and does not say so: set `uses_model = True`"
            )
        vectors = np.zeros((len(texts), WIDTH))
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, crc32(word.encode()) % WIDTH] += 1.0
        return vectors


def made_job(kind: Kind, folder: Path, *, texts: int = 1, seed: int = 0, uses_model: bool = True) -> MadeJob:
    """A job of `TRAIN` training rows, with dev and test of `ASKED` rows each.

    The label follows from the texts: with one text, from the second half of its sentence; with two, from whether both have the
    same second half.
    """
    labels = ("no", "yes") if kind.has_labels else ()
    columns = ("text", "other")[:texts]
    examples, truth = [], {}
    for number in range(TRAIN + 2 * ASKED):
        first, second, yes = _made_up_row(number, texts)
        examples.append(Example(7 * number + 3, dict(zip(columns, (first, second), strict=False))))
        label = kind.label_type(kind.only_label(yes) if kind.has_labels else yes)
        truth[examples[-1].id] = kind.named(label, labels)
    train = [replace(example, label=truth[example.id]) for example in examples[:TRAIN]]
    splits = {"dev": examples[TRAIN : TRAIN + ASKED], "test": examples[TRAIN + ASKED :]}
    return MadeJob(kind, labels, columns, train, splits, folder, truth, seed=seed, uses_model=uses_model)


def _made_up_row(number: int, texts: int) -> tuple[str, str, int]:
    """The two texts of a row, and its label, 0 or 1."""
    saying = number * 7 // 3 % len(SAYINGS)
    same = number % 2
    other = saying if same else (saying + 1 + number // 4 % 3) % len(SAYINGS)
    first = f"{SUBJECTS[number % len(SUBJECTS)]} {SAYINGS[saying]} {OTHER_WORDS[number % 3]}"
    second = f"{OTHER_WORDS[number // 2 % 3]} {SUBJECTS[number // 3 % len(SUBJECTS)]} {SAYINGS[other]}"
    return first, second, same if texts == 2 else saying % 2
