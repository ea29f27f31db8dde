"""One row as a side of a pairwise comparison: its answers, its values by a metric, its seeds and their random streams."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.pairing import Streams
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.contracts.unit import Unit
from bakeoff.statistics.intervals import pseudo_values


@dataclass(frozen=True)
class Side:
    """One row's part in a pairwise comparison."""

    name: str
    seeds: tuple[int, ...]
    answers: NDArray[Any]
    """(K, N) answers of K runs to the N examples of the reported split."""
    everything: Mapping[str, NDArray[Any]]
    """Predicted split -> (K, n) answers. Two sides are identical if they have the same splits and all of these answers are
    equal."""
    values: Floats | None
    """(K, N) numbers whose mean over the examples is the run's score; None for a metric that is no ratio of sums."""
    share: tuple[Floats, Floats] | None
    """Where the score is a share of examples, (K, N) right answers and (K, N) examples that count, as `Measured.share`; else
    None."""
    scores: Floats
    """(K,) scores of the runs."""
    number: int
    """Which column of the bootstrap's replicates is the row's, from 0."""
    unit: Unit
    """The metric's unit and range."""
    informative: int
    """How many of the N examples affect the score, as `Measured.informative`."""
    streams: Mapping[int, Streams]
    """Seed -> what is recorded of that run's random streams."""
    seed_free: bool = False
    """Whether it does not depend on the seed: its one run stands for every seed."""

    def at_seeds(self, seeds: Sequence[int]) -> Side:
        """The one run of a row that does not depend on the seed, at each of these seeds: its variance over seeds is 0."""

        def repeated(part: NDArray[Any]) -> NDArray[Any]:
            return np.repeat(part[:1], len(seeds), axis=0)

        return replace(
            self,
            seeds=tuple(seeds),
            answers=repeated(self.answers),
            everything={split: repeated(part) for split, part in self.everything.items()},
            values=None if self.values is None else repeated(self.values),
            share=None if self.share is None else (repeated(self.share[0]), repeated(self.share[1])),
            scores=repeated(self.scores),
        )

    def by_seed(self) -> Side:
        """The same side, with its runs in the order of their seeds."""
        order = np.argsort(self.seeds)
        if (np.diff(order) > 0).all():
            return self
        return replace(
            self,
            seeds=tuple(sorted(self.seeds)),
            answers=self.answers[order],
            everything={split: part[order] for split, part in self.everything.items()},
            values=None if self.values is None else self.values[order],
            share=None if self.share is None else (self.share[0][order], self.share[1][order]),
            scores=self.scores[order],
        )

    @cached_property
    def predictions_hash(self) -> str:
        """A hash that is equal for rows with equal predictions at equal seeds; statistics count such rows as one."""
        digest = hashlib.blake2b(repr(sorted(self.seeds)).encode())
        for split, part in sorted(self.by_seed().everything.items()):
            digest.update(f"{split} {part.dtype} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def with_two_examples(self, *, ahead: bool) -> Floats:
        """(K, N + 2) values of a share with two more examples (Agresti and Min, 2005): one is right at every seed, on the side
        that is `ahead`, and one on the other."""
        assert self.share is not None
        right, counted = self.share
        more = np.broadcast_to([1.0, 0.0] if ahead else [0.0, 1.0], (len(right), 2))
        return pseudo_values(np.concatenate([right, more], axis=1), np.concatenate([counted, np.ones_like(more)], axis=1))


def side_of(
    outputs: SplitOutputs,
    metric: Metric | None,
    name: str,
    number: int,
    *,
    unit: Unit,
    everything: Mapping[str, NDArray[Any]] | None = None,
    recorded: Floats | None = None,
) -> Side:
    """A row as a side of a comparison by the metric, its runs in the order of their seeds. number: as `Side.number`.
    everything: as `Side.everything`; by default the answers on this split. recorded: scores that stand in where the metric
    cannot be computed here."""
    answers = outputs.answers[name]
    measured = outputs.measured(metric, name) if metric else None
    computed = measured.scores if measured else None
    scores = recorded if computed is None else computed
    assert scores is not None  # whoever has no recorded scores asks for a metric that can be computed
    return Side(
        name=name,
        seeds=outputs.seeds[name],
        answers=answers,
        everything=everything or {"": answers},
        values=measured.values if measured else None,
        share=measured.share if measured and unit.span == 1 else None,
        scores=scores,
        number=number,
        unit=unit,
        informative=measured.informative if measured else len(outputs.ids),
        streams=outputs.streams[name],
        seed_free=name in outputs.seed_free,
    ).by_seed()
