"""Which rows are due at each step of a training, and which rows the trainer really used."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bakeoff.contracts.metric import Floats
from bakeoff.contracts.model import Batch
from bakeoff.contracts.recipe import Recipe, steps_in, steps_of
from bakeoff.contracts.task import Row
from bakeoff.contracts.trainer import MicroBatch, Owned
from bakeoff.errors import BakeoffError, PluginError
from bakeoff.text.numbers import count
from bakeoff.text.values import shortened
from bakeoff.toolkit.optimizers import decay_steps
from bakeoff.training.class_weights import chances
from bakeoff.training.data import Lazy, epoch_batches
from bakeoff.training.distributed import ALONE, World

Fed = tuple[Batch, int, int]
"""A micro-batch that was used: its row numbers, its tokens, and its tokens including padding."""


class Examples(Lazy[Row]):
    """The encoded rows to train on, each with its label and row number."""

    def __init__(self, encoded: Sequence[Row], labels: Sequence[Any]) -> None:
        if len(encoded) != len(labels):
            raise ValueError(f"{len(encoded)} encoded examples and {len(labels)} labels")
        self.encoded, self.labels = encoded, labels

    def __len__(self) -> int:
        return len(self.encoded)

    def item(self, number: int) -> Row:
        return {**self.encoded[number], "labels": self.labels[number], "row": number}


@dataclass(frozen=True)
class StepSchedule:
    """Which rows are due at each step; the same for every trainer with this recipe and seed."""

    examples: int
    """Rows to train on."""
    recipe: Recipe
    seed: tuple[int, int]
    """Seed and replicate."""
    world: World = ALONE
    labels: Sequence[Any] | None = None
    """The label of each row, where rows are drawn by it (`sampling: weighted`)."""
    lengths: Sequence[int] | None = None
    """The tokens of each row, where batches have rows of like length (`group_by_length`)."""

    @cached_property
    def chances(self) -> Floats | None:
        return None if self.labels is None else chances(self.labels)

    @cached_property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.examples / self.recipe.batch_size)

    @cached_property
    def total_steps(self) -> int:
        return total_steps_of(self.recipe, self.examples)

    @property
    def warmup_steps(self) -> int:
        return steps_in(self.recipe.warmup, self.total_steps)

    @property
    def first_short_step(self) -> frozenset[int]:
        """The last step of the first epoch if its batch is short, else none: a trainer may scale the loss differently there."""
        last = self.steps_per_epoch - 1
        return frozenset({last} if self.examples % self.recipe.batch_size and last < self.total_steps else ())

    @property
    def evaluate_every(self) -> int:
        """Steps between the evaluations by which the best state is chosen."""
        return self.recipe.evaluate_every or self.steps_per_epoch

    @property
    def evaluations(self) -> int:
        """How often the best state is looked for in a whole training: after every `evaluate_every` steps, and at the end."""
        return max(1, math.ceil(self.total_steps / self.evaluate_every))

    def epoch(self, number: int) -> list[Batch]:
        """The batches of an epoch, over all processes. number: the epoch, from 0."""
        own, replicate = self.seed
        seed = own if self.recipe.data_seed is None else self.recipe.data_seed
        size = self.recipe.batch_size
        return epoch_batches(
            self.examples, size, seed=seed, replicate=replicate, epoch=number, chances=self.chances, lengths=self.lengths
        )

    def batch(self, step: int) -> Batch:
        epoch, place = divmod(step, self.steps_per_epoch)
        return self.epoch(epoch)[place]

    def micro_batches(self, batch: Batch) -> list[MicroBatch]:
        """This process's micro-batches of one global batch."""
        size = self.recipe.micro_batch_size or self.recipe.batch_size
        passes = [batch[start : start + size] for start in range(0, len(batch), size)]
        shares = [rows[self.world.rank :: self.world.size] for rows in passes]
        return [MicroBatch(rows or batch[:1], len(rows) / len(batch)) for rows in shares]

    def steps(self, count: int) -> Iterator[list[MicroBatch]]:
        """This process's micro-batches of each of the first `count` steps."""
        batches = itertools.chain.from_iterable(self.epoch(number) for number in itertools.count())
        return map(self.micro_batches, itertools.islice(batches, count))


def total_steps_of(recipe: Recipe, rows: int) -> int:
    """The optimizer steps of a whole training on so many rows."""
    if recipe.max_steps is not None:
        return recipe.max_steps
    return steps_of(rows, epochs=recipe.epochs or 0, batch_size=recipe.batch_size, min_steps=recipe.min_steps)


def require_enough_steps(recipe: Recipe, rows: int) -> None:
    """Raises BakeoffError where warm-up and final decay of the learning rate take more steps than the run has. rows: of the
    training split."""
    total = total_steps_of(recipe, min(rows, recipe.train_examples or rows))
    taken = {"warmup": steps_in(recipe.warmup, total)}
    if recipe.scheduler == "warmup_stable_decay":
        taken["decay"] = decay_steps(recipe, total)
    shares = [recipe.warmup, recipe.decay] if "decay" in taken else [recipe.warmup]
    too_long = all(isinstance(share, float) for share in shares) and sum(shares) > 1
    if too_long or sum(taken.values()) > total:
        asked = " and ".join(f"{key} of {count(steps, 'step')}" for key, steps in taken.items() if steps)
        raise BakeoffError(f"its recipe has {asked}, and its runs have {count(total, 'step')}: lower it, or train longer")


class FedBatches:
    """The micro-batches that a trainer collated through the job; it may collate ahead of its steps."""

    def __init__(self, schedule: StepSchedule, owned: Owned) -> None:
        self.schedule, self.owned = schedule, owned
        self.here: list[Fed] = []
        """The micro-batches of this process, in order."""
        self.pooled: list[list[Fed]] | None = None
        """The micro-batches of all processes combined, by step; None until `pool` is called."""

    def add(self, examples: Sequence[Row], batch: Mapping[str, Any]) -> None:
        """Records that the examples were collated into `batch`: name -> tensor (batch, ...)."""
        first = next(value for name, value in batch.items() if name != "labels")
        tokens = sum(len(row["input_ids"]) for row in examples) if "input_ids" in examples[0] else 0
        self.here.append((tuple(row["row"] for row in examples), tokens, first.numel()))

    def up_to(self, steps: int) -> list[Fed]:
        """The micro-batches of this process that were collated for the first `steps` steps."""
        return self.here[: sum(len(parts) for parts in self.schedule.steps(steps))]

    def of_steps(self, steps: int) -> list[list[Fed]]:
        """The micro-batches that this process trained on in each of the first `steps` steps; one of weight 0 counts as
        empty."""
        collated, found = iter(self.here), []
        for parts in self.schedule.steps(steps):
            fed = zip(parts, itertools.islice(collated, len(parts)), strict=False)
            found.append([share if part.weight or "order" in self.owned else ((), 0, 0) for part, share in fed])
        return found

    def trained(self, steps: int) -> list[list[Fed]]:
        """The micro-batches that were trained on in each of the first `steps` steps: over all processes once `pool` was called,
        else of this one. If the trainer owns its steps, each micro-batch counts as a step."""
        if "steps" in self.owned:
            return [[share] for share in self.here]
        return self.of_steps(steps) if self.pooled is None else self.pooled

    def pool(self, processes: Sequence[Sequence[Sequence[Fed]]]) -> None:
        """Combines what the processes trained on, by step and micro-batch. processes: `of_steps` of each."""
        self.pooled = [[_together(shares) for shares in zip(*step, strict=False)] for step in zip(*processes, strict=True)]

    def counts(self, steps: int) -> tuple[int, int, int]:
        """(examples, tokens, tokens with padding) of the first `steps` steps."""
        return totals(itertools.chain.from_iterable(self.trained(steps)))

    def order_sha256(self, steps: int) -> str:
        rows = [tuple(itertools.chain.from_iterable(rows for rows, _, _ in fed)) for fed in self.trained(steps)]
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def require_order(self, steps: int, trainer: str) -> None:
        """Raises PluginError unless the trainer used exactly the schedule's batches, in its order, in its first `steps`
        steps."""
        collated = iter(self.here)
        for step, parts in enumerate(self.schedule.steps(steps)):
            fed = list(itertools.islice(collated, len(parts)))
            if len(fed) < len(parts):
                raise PluginError(
                    f"{trainer} called `job.collate` {len(self.here)} times in {steps} steps, too few for step {step}: collate "
                    "each part of `job.micro_batches(batch)` by `job.collate`, so that it is known what was trained on"
                )
            for part, (rows, _, _) in zip(parts, fed, strict=True):
                if part.rows != rows:
                    raise PluginError(
                        f"{trainer} trained step {step} on the rows {_row_numbers(rows)}, and `job.batches` gave "
                        f"{_row_numbers(part.rows)}: take the batches of `job.batches(epoch)` in their order, "
                        "and all of their rows"
                    )


def lengths_of(encoded: Sequence[Row]) -> list[int]:
    """The tokens of each row. Raises BakeoffError for a model that reads none."""
    if "input_ids" not in encoded[0]:
        raise BakeoffError("recipe.group_by_length: this model reads no tokens, so that its rows have no lengths")
    return [len(row["input_ids"]) for row in encoded]


def _row_numbers(rows: Sequence[int]) -> str:
    """Row numbers in a message."""
    return ", ".join(shortened(map(str, rows), 4)) or "(none)"


def totals(fed: Iterable[Fed]) -> tuple[int, int, int]:
    """(examples, tokens, tokens with padding) of micro-batches."""
    shares = list(fed)
    return sum(len(rows) for rows, _, _ in shares), sum(tokens for _, tokens, _ in shares), sum(padded for *_, padded in shares)


def _together(shares: Sequence[Fed]) -> Fed:
    """Combines the processes' shares of one micro-batch; its rows had been distributed to the processes in turn."""
    rows, tokens, padded = zip(*shares, strict=True)
    dealt = itertools.chain.from_iterable(itertools.zip_longest(*rows))
    return tuple(row for row in dealt if row is not None), sum(tokens), sum(padded)
