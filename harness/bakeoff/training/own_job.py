"""The job that a trainer which owns its model is given: rows as texts, labels where they are not withheld, and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Floats
from bakeoff.contracts.model import Prepared
from bakeoff.contracts.own_model import Example
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.task import Row
from bakeoff.errors import PluginError
from bakeoff.machine.random_streams import stream_seed
from bakeoff.text.words import did_you_mean, quoted
from bakeoff.toolkit.head_inputs import head_inputs, mean_states
from bakeoff.training.assembly import Frozen, Start, prepare
from bakeoff.training.data import Columns, LoadedTask
from bakeoff.training.evaluation import batches_of, predict_batch
from bakeoff.training.mixed_precision import autocast

SEEDS: Final = 2**32
"""A trainer's seed is below this, as numpy's and scikit-learn's generators ask for."""


def numbers_of(task: LoadedTask) -> dict[str, int]:
    """The task's own id of each row -> the number by which a trainer knows the row. Numbers are drawn at random over all rows,
    so that they reveal neither split nor position.

    They depend on the data alone: a trainer that does not use the seed gets the same rows at every seed.
    """
    ids = [row for name in task.info.splits for row in task.splits[name]["id"]]
    seed = stream_seed(0, 0, "/".join(task.fingerprints.values()))
    return dict(zip(ids, np.random.Generator(np.random.PCG64(seed)).permutation(len(ids)).tolist(), strict=True))


@dataclass(kw_only=True)
class OwnJob:
    """The job of a run whose trainer owns its model; `contracts.own_model.OwnModelJob` says what the trainer may use."""

    start: Start
    recipe: Recipe
    seed: int
    threads: int
    folder: Path
    frozen: Frozen | None
    used_dev: bool = field(default=False, init=False)

    # --- rows ------------------------------------------------------------------------------------------------------------

    @property
    def kind(self) -> Kind:
        return self.start.task.info.kind

    @property
    def labels(self) -> tuple[str, ...]:
        return self.start.task.info.labels

    @property
    def text_columns(self) -> tuple[str, ...]:
        return self.start.task.info.text_columns

    @property
    def device(self) -> str:
        return str(self.start.device)

    @cached_property
    def rows(self) -> Mapping[str, Columns]:
        """Split -> the columns of the rows that the trainer gets; of train, only the rows to train on."""
        task = self.start.task
        return {"train": self.start.train, **{name: task.splits[name] for name in task.info.predicted_splits}}

    @cached_property
    def numbers(self) -> Mapping[str, Sequence[int]]:
        """Split -> the numbers by which the trainer knows the split's `rows`, in order."""
        found = numbers_of(self.start.task)
        return {name: [found[row] for row in columns["id"]] for name, columns in self.rows.items()}

    @cached_property
    def places(self) -> Mapping[int, tuple[str, int]]:
        """The inverse of `numbers`: number -> (split, position among its rows)."""
        return {number: (name, place) for name, numbers in self.numbers.items() for place, number in enumerate(numbers)}

    @cached_property
    def train(self) -> Sequence[Example]:
        return self.examples("train", labelled=True)

    @cached_property
    def splits(self) -> Mapping[str, Sequence[Example]]:
        return {name: self.examples(name) for name in self.start.task.info.predicted_splits}

    def dev(self) -> Sequence[Example] | None:
        scored = self.start.task.info.scored_splits
        name = selection_split(scored)
        if name not in scored:
            return None
        self.used_dev = True
        return self.examples(name, labelled=True)

    def examples(self, split: str, *, labelled: bool = False) -> list[Example]:
        """The rows of a split as the trainer gets them, with their labels only if `labelled`."""
        columns, names = self.rows[split], self.text_columns
        texts = zip(*(columns[name] for name in names), strict=True)
        labels = (
            [self.kind.named(label, self.labels) for label in columns["label"]] if labelled else [None] * len(columns["id"])
        )
        given = zip(self.numbers[split], texts, labels, strict=True)
        return [Example(number, dict(zip(names, row, strict=True)), label) for number, row, label in given]

    # --- what not every trainer may ask for ------------------------------------------------------------------------------

    def task_ids(self, examples: Sequence[Example]) -> Sequence[str]:
        if not self.start.trainer.knows_ids:
            raise PluginError(f"{self.start.title} called `task_ids`: set its `knows_ids` to True")
        return [self.task_id(example.id) for example in examples]

    def task_id(self, number: int) -> str:
        """The task's own id of the row with this number."""
        split, place = self.place_of(number)
        return str(self.rows[split]["id"][place])

    def features(self, examples: Sequence[Example]) -> Floats:
        frozen = self.frozen_for(examples, "features")
        places = [self.place_of(example.id) for example in examples]
        rows = [frozen.encoded[split][place] for split, place in places]
        return states_of(frozen.built.model, frozen.prepared, rows, self.start.device, self.recipe, by=head_inputs)

    def embeddings(self, examples: Sequence[Example], column: str) -> Floats:
        model = self.frozen_for(examples, "embeddings").built.model
        prepared = self.reader_of(column)
        rows = prepared.encode({column: [example.texts[column] for example in examples]})
        return states_of(model, prepared, rows, self.start.device, self.recipe, by=mean_states)

    def frozen_for(self, examples: Sequence[Example], called: str) -> Frozen:
        """The strategy's model. Raises PluginError for a trainer that does not say that it uses the model, and for no examples.
        called: the method that the trainer called."""
        if self.frozen is None:
            raise PluginError(f"{self.start.title} called `{called}`: set its `uses_model` to True")
        if not examples:
            raise PluginError(f"{self.start.title} called `{called}` of no examples: pass at least one")
        return self.frozen

    def reader_of(self, column: str) -> Prepared:
        """The model, prepared to encode the texts of one column alone. Raises PluginError for an unknown column."""
        if column not in self.text_columns:
            raise PluginError(
                f"{self.start.title} called `embeddings`: {did_you_mean('text column', column, self.text_columns)}"
            )
        info = replace(self.start.task.info, text_columns=(column,))
        return prepare(self.start.components["model"], info, self.start.options["model"], self.recipe)

    def place_of(self, number: int) -> tuple[str, int]:
        """(split, position among its rows) of the row with this number. Raises PluginError for a number that the job has not
        given to the trainer."""
        if (place := self.places.get(number)) is None:
            raise PluginError(f"{self.start.title} asked for row {quoted(number)}, and the job has given it no such row")
        return place


def states_of(
    model: Any,
    prepared: Prepared,
    rows: Sequence[Row],
    device: Any,
    recipe: Recipe,
    *,
    by: Callable[[Any], AbstractContextManager[list[Any]]],
) -> Floats:
    """The states of the model, (rows, width) in float64, that `by` collects while the rows are predicted, with dropout off.
    Batches are those of predictions. by: a context manager around the model, which yields a list of one tensor for each
    batch."""
    import torch

    network = model.to(device)
    network.eval()
    batches = batches_of(rows)
    with by(network) as seen, torch.no_grad(), autocast(device, recipe.precision):
        for batch in batches:
            predict_batch(prepared, network, [rows[row] for row in batch], device)
    found = np.empty((len(rows), seen[0].shape[1]), dtype=np.float64)
    for batch, values in zip(batches, seen, strict=True):
        found[batch] = values.numpy()
    return found
