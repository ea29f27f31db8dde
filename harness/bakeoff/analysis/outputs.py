"""The answers of every run of a comparison group in one order of examples, and what metrics make of them: the input of all
statistics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.pairing import Streams, shared_by, streams_of, why_not_paired
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Floats, Ints, Metric
from bakeoff.errors import StoreError
from bakeoff.kinds import CLASSIFICATION
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions, SplitAnswers
from bakeoff.records.schema import PREDICTIONS_FILE, Record
from bakeoff.statistics.bootstrap import Replicates, bootstrap_ratio, multi_bootstrap, or_nan
from bakeoff.statistics.collapse import has_collapsed, most_by_noise
from bakeoff.statistics.intervals import pseudo_values
from bakeoff.statistics.scorers import SCORERS, scorer_of
from bakeoff.text.values import grouped, listed

SLOW_REPLICATES = 500
"""For a metric that must be computed anew for every replicate and run."""


@dataclass(frozen=True)
class Measured:
    """K runs of one strategy by one metric; each part is computed when it is first used, and kept."""

    metric: Metric
    answers: NDArray[Any]
    """(K, N)"""
    labels: NDArray[Any]
    """(N,)"""

    @cached_property
    def terms(self) -> tuple[Floats, Floats] | None:
        """Numerator and denominator of the score, (K, N) each; None where the metric is no ratio of sums."""
        return self.metric.ratio_terms_of_runs(self.answers, self.labels) if len(self.answers) else None

    @cached_property
    def values(self) -> Floats | None:
        """(K, N) of which each run's score is the mean over examples; None for a metric that is no ratio of sums."""
        return None if self.terms is None else self.terms[0] if (self.terms[1] == 1).all() else pseudo_values(*self.terms)

    @cached_property
    def scores(self) -> Floats | None:
        """(K,), NaN where the answers have no score; None for a metric that only the hub can compute."""
        if self.values is not None:
            return np.asarray(self.values.mean(axis=1))
        score = or_nan(self.metric.score)
        return None if isinstance(self.metric, HubMetric) else np.array([score(run, self.labels) for run in self.answers])

    @cached_property
    def share(self) -> tuple[Floats, Floats] | None:
        """(K, N) right answers, and (K, N) examples that count, all 0 or 1, where the score is the one's share of the other, as
        of accuracy, recall and precision; None of any other metric."""
        if self.terms is None or not all(np.isin(part, (0.0, 1.0)).all() for part in self.terms):
            return None
        right, counted = self.terms
        return (right, counted) if (right <= counted).all() else None

    @cached_property
    def informative(self) -> int:
        """How many of the N examples affect the score, in the run where they are fewest: those with a part in a ratio's
        denominator (of recall the examples of the class, of precision those predicted as it), else all."""
        return len(self.labels) if self.terms is None else int((self.terms[1] != 0).sum(axis=1).min())


@dataclass(frozen=True)
class SplitOutputs:
    """One split: N examples, and K runs for each strategy."""

    ids: tuple[str, ...]
    labels: NDArray[Any]
    """(N,); NaN where the split has no labels."""
    tokens: Ints
    """(N,)"""
    slices: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, NDArray[Any]]
    """strategy -> (K, N) label numbers, or numbers for regression, or sets of labels for multi-label."""
    seeds: Mapping[str, tuple[int, ...]]
    """strategy -> its K seeds, in the order of the rows of `answers`."""
    streams: Mapping[str, Mapping[int, Streams]]
    """strategy -> seed -> what is recorded of that run's random streams."""
    calibration: Mapping[str, Floats]
    """strategy -> (K, 2): expected calibration error and Brier score of each run, where logits give probabilities."""
    kind: Kind = CLASSIFICATION
    disputed: tuple[str, ...] = ()
    """Columns for slicing that are none of `slices`, since runs recorded other values of them for the same examples."""
    seed_free: frozenset[str] = frozenset()
    """Strategies that do not depend on the seed: the one run of each stands for every seed."""
    _measured: dict[tuple[Metric, str], Measured] = field(default_factory=dict, repr=False, compare=False)

    @property
    def labelled(self) -> bool:
        """Whether answers can be right or wrong."""
        return not np.isnan(self.labels).any()

    def of_seeds(self, kept: Mapping[str, Collection[int]]) -> SplitOutputs:
        """Of each strategy only the runs of these seeds; those without a run are left out."""
        rows = {name: [row for row, seed in enumerate(own) if seed in kept[name]] for name, own in self.seeds.items()}
        rows = {name: own for name, own in rows.items() if own}
        return replace(
            self,
            answers={name: self.answers[name][own] for name, own in rows.items()},
            seeds={name: tuple(self.seeds[name][row] for row in own) for name, own in rows.items()},
            streams={
                name: {seed: self.streams[name][seed] for seed in self.seeds[name] if seed in kept[name]} for name in rows
            },
            calibration={name: self.calibration[name][own] for name, own in rows.items() if name in self.calibration},
            _measured={},
        )

    def measured(self, metric: Metric, strategy: str) -> Measured:
        """The strategy's runs by the metric; always the same object, so that each part is computed once."""
        return self._measured.setdefault((metric, strategy), Measured(metric, self.answers[strategy], self.labels))

    def part(self, inside: NDArray[np.bool_]) -> SplitOutputs:
        """The same of some examples only, as (N,) `inside` says."""
        chosen = np.flatnonzero(inside).tolist()
        return replace(
            self,
            ids=tuple(self.ids[number] for number in chosen),
            labels=self.labels[inside],
            tokens=self.tokens[inside],
            slices={column: tuple(values[number] for number in chosen) for column, values in self.slices.items()},
            answers={name: own[:, inside] for name, own in self.answers.items()},
            calibration={},
            _measured={},
        )

    def resample(self, metric: Metric, strategies: Sequence[str], *, seed: int = 0) -> Replicates | None:
        """Scores of these strategies in every replicate of the multi-bootstrap; None for a metric that needs the hub, and for
        one that has no value on most resamples."""
        measured = [self.measured(metric, name) for name in strategies]
        order = [np.argsort(self.seeds[name]) for name in strategies]
        streams = self._streams(strategies)
        terms = [own.terms for own in measured if own.terms is not None]
        if len(terms) == len(strategies):
            numerators = [above[rows] for (above, _), rows in zip(terms, order, strict=True)]
            denominators = [below[rows] if below.strides[0] else below for (_, below), rows in zip(terms, order, strict=True)]
            return bootstrap_ratio(numerators, denominators, streams=streams, seed=seed)
        if isinstance(metric, HubMetric):
            return None
        answers = np.concatenate([self.answers[name][rows] for name, rows in zip(strategies, order, strict=True)])
        return multi_bootstrap(
            scorer_of(metric, answers, self.labels),
            [len(rows) for rows in order],
            examples=len(self.labels),
            streams=streams,
            replicates=2000 if metric.name in SCORERS else SLOW_REPLICATES,
            seed=seed,
            keep_runs=True,
        ).defined()

    def _streams(self, strategies: Sequence[str]) -> list[int]:
        """A number for each, equal for those that are paired by seed."""
        keys = [shared_by(self.streams[name]) for name in strategies]
        first = {key: number for number, key in reversed([*enumerate(keys)])}
        return [number if key is None else first[key] for number, key in enumerate(keys)]

    def why_not_paired(self, first: str, second: str) -> str:
        """As `pairing.why_not_paired`; a strategy is paired with itself."""
        return "" if first == second else why_not_paired(self.streams[first], self.streams[second])


@dataclass(frozen=True)
class Misread:
    """Predictions that cannot be used, or that contradict the record."""

    strategy: str
    seed: int
    sentence: str
    run: str
    """The record's id."""
    damaged: bool = False
    """Whether the file can't be read, or isn't what its record says."""


@dataclass(frozen=True)
class Outputs:
    """All predicted splits of a comparison group."""

    splits: Mapping[str, SplitOutputs]
    misread: tuple[Misread, ...]
    _collapsed: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict, repr=False, compare=False)
    """What `collapsed` gives, by split."""

    def of_seeds(self, kept: Mapping[str, Collection[int]]) -> Outputs:
        """Of each strategy only the runs of these seeds."""
        return replace(self, splits={name: split.of_seeds(kept) for name, split in self.splits.items()}, _collapsed={})

    def collapsed(self, split: str) -> dict[str, tuple[int, ...]]:
        """Strategy -> seeds of its runs whose answers on the split are one constant answer, but for noise; without labels none
        can be told."""
        own = self.splits.get(split)
        if own is None or not own.labelled:
            return {}
        if split not in self._collapsed:
            found = {name: self._fallen(own, runs) for name, runs in own.answers.items()}
            self._collapsed[split] = {
                name: tuple(compress(own.seeds[name], fallen)) for name, fallen in found.items() if any(fallen)
            }
        return self._collapsed[split]

    @staticmethod
    def _fallen(own: SplitOutputs, runs: NDArray[Any]) -> list[bool]:
        """Whether each of the runs, (K, N) answers, collapsed."""
        near = own.kind.nearly_constant(runs, most_by_noise(len(own.labels)))
        return [
            bool(one) and has_collapsed(own.kind.beside_constant(run, own.labels)) for one, run in zip(near, runs, strict=True)
        ]

    def learned(self, split: str) -> Outputs:
        """Without runs that collapsed on the split; a strategy of which none learned keeps all its runs."""
        if not (collapsed := self.collapsed(split)):
            return self
        own = self.splits[split].seeds
        kept = {name: [seed for seed in seeds if seed not in collapsed.get(name, ())] or seeds for name, seeds in own.items()}
        return self.of_seeds({name: kept.get(name, seeds) for one in self.splits.values() for name, seeds in one.seeds.items()})


class _Run(NamedTuple):
    """A run's answers on a split, in the order of the split's first run."""

    strategy: str
    seed: int
    streams: Streams
    answers: NDArray[Any]
    calibration: tuple[float, float] | None
    slices: Mapping[str, tuple[str, ...]]


@dataclass
class _Gathered:
    """The runs of one split so far."""

    first: Predictions
    """The examples of the split's first run."""
    outputs: int
    """How many logits each of its examples has."""
    runs: list[_Run]


def gather(
    experiment: Experiment,
    runs: Mapping[str, Sequence[Record]],
    *,
    others: Mapping[str, Experiment] | None = None,
    seed_free: Collection[str] | None = None,
) -> Outputs:
    """The predictions of these runs (strategy -> records that succeeded), aligned by the examples' ids.

    others: strategy -> the experiment that its runs are of, where it is another one. seed_free: the strategies that do not
    depend on the seed, where they are not called as the experiment calls them. A record that lists no predictions has none to
    misread: it is left out.
    """
    splits: dict[str, _Gathered] = {}
    misread: list[Misread] = []
    predicted = [(name, record) for name, records in runs.items() for record in records if PREDICTIONS_FILE in record.files]
    for strategy, record in predicted:
        seed, streams = record.requested.seed, streams_of(record)
        try:
            found = (others or {}).get(strategy, experiment).answers(record.id)
        except StoreError as error:
            misread.append(Misread(strategy, seed, str(error), record.id, damaged=True))
            continue
        for split, answered in found.items():
            gathered = splits.setdefault(split, _Gathered(answered.examples, answered.outputs, []))
            first, own = gathered.first, _in_order_of(gathered.first, answered)
            if wrong := _wrong(own, gathered, split):
                misread.append(Misread(strategy, seed, wrong, record.id))
            else:
                if own.examples.tokens.any() and not first.tokens.any():  # a run without a model counted none
                    gathered.first = replace(first, tokens=own.examples.tokens)
                gathered.runs.append(_Run(strategy, seed, streams, own.answers, own.calibration, own.examples.slices))
    free = frozenset(experiment.declared.seed_free if seed_free is None else seed_free)
    return Outputs({split: _split(one.first, one.runs, seed_free=free) for split, one in splits.items()}, tuple(misread))


def _in_order_of(first: Predictions, answered: SplitAnswers) -> SplitAnswers:
    """With the examples in the order of the first ones; as they are where the examples are not the same."""
    own = answered.examples
    if own.ids == first.ids or set(own.ids) != set(first.ids):
        return answered
    position = {name: number for number, name in enumerate(own.ids)}
    order = [position[name] for name in first.ids]
    slices = {column: tuple(values[number] for number in order) for column, values in own.slices.items()}
    examples = replace(own, ids=first.ids, labels=own.labels[order], tokens=own.tokens[order], slices=slices)
    return replace(answered, examples=examples, answers=answered.answers[order])


def _wrong(answered: SplitAnswers, gathered: _Gathered, split: str) -> str:
    """Why these answers are not to the same examples as those of the split's first run; empty where they are."""
    own, first = answered.examples, gathered.first
    if (own.kind, answered.outputs) != (first.kind, gathered.outputs):
        return f"it answers {split} otherwise than the other runs: another kind of task, or another number of labels"
    if own.ids != first.ids:
        return f"the examples of {split} are not those that the other runs predicted"
    if own.labels is not first.labels and not np.array_equal(own.labels, first.labels, equal_nan=True):
        return f"the labels of {split} are not those that the other runs recorded"
    return ""


def _split(first: Predictions, gathered: Sequence[_Run], *, seed_free: frozenset[str]) -> SplitOutputs:
    runs = grouped((run.strategy, run) for run in gathered)
    calibration = {name: [one.calibration for one in own if one.calibration] for name, own in runs.items()}
    disputed = [
        name for name, values in first.slices.items() if any(run.slices.get(name, values) != values for run in gathered)
    ]
    return SplitOutputs(
        kind=first.kind,
        ids=first.ids,
        labels=first.labels,
        tokens=first.tokens,
        slices={column: values for column, values in first.slices.items() if column not in disputed},
        answers={strategy: np.stack([run.answers for run in own]) for strategy, own in runs.items()},
        seeds={strategy: tuple(run.seed for run in own) for strategy, own in runs.items()},
        streams={strategy: {run.seed: run.streams for run in own} for strategy, own in runs.items()},
        calibration={strategy: np.array(values) for strategy, values in calibration.items() if values},
        disputed=tuple(disputed),
        seed_free=seed_free,
    )


def why_uncut(own: SplitOutputs, split: str) -> list[str]:
    """A sentence where a column does not cut the split, since it was edited between runs."""
    if not own.disputed:
        return []
    return [f"not cut by {listed(own.disputed)}: the runs recorded other values of it for the same examples of {split}."]
