"""The answers of every run of a board, example by example, in one order: what all statistics are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Floats, Ints, Metric
from bakeoff.errors import StoreError
from bakeoff.kinds import CLASSIFICATION
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import PREDICTIONS_FILE, Record
from bakeoff.statistics.calibration import expected_calibration_error, squared_error
from bakeoff.text.values import listed


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
    calibration: Mapping[str, Floats]
    """strategy -> (K, 2): expected calibration error and Brier score of each run, where logits give probabilities."""
    kind: Kind = CLASSIFICATION
    disputed: tuple[str, ...] = ()
    """Columns for slicing that are none of `slices`, since runs recorded other values of them for the same examples."""
    _terms: dict[tuple[Metric, str], tuple[Floats, Floats] | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def labelled(self) -> bool:
        """Whether answers can be right or wrong."""
        return not np.isnan(self.labels).any()

    def ratio_terms(self, metric: Metric, strategy: str) -> tuple[Floats, Floats] | None:
        """Numerator and denominator (K, N) of the metric, computed once; None where it is no ratio of sums."""
        if (metric, strategy) not in self._terms:
            self._terms[metric, strategy] = self._ratio_terms(metric, strategy)
        return self._terms[metric, strategy]

    def _ratio_terms(self, metric: Metric, strategy: str) -> tuple[Floats, Floats] | None:
        found = [metric.ratio_terms(row, self.labels) for row in self.answers[strategy]]
        whole = [part for part in found if part is not None]
        if len(whole) < len(found) or not found:
            return None
        above, below = [numerator for numerator, _ in whole], [denominator for _, denominator in whole]
        if all((denominator == 1).all() for denominator in below):  # a mean: no need to hold a one for every example and run
            return np.stack(above), np.broadcast_to(below[0], (len(below), len(below[0])))
        return np.stack(above), np.stack(below)


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
    """All predicted splits of a board."""

    splits: Mapping[str, SplitOutputs]
    misread: tuple[Misread, ...]


@dataclass
class _Gathering:
    """A split on the way."""

    first: Predictions
    position: dict[str, int]
    rows: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    seeds: dict[str, list[int]] = field(default_factory=dict)
    calibration: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    disputed: dict[str, None] = field(default_factory=dict)


def gather(experiment: Experiment, runs: Mapping[str, Sequence[Record]]) -> Outputs:
    """The predictions of these runs (strategy -> records that ended well), aligned by the examples' ids.

    A record that lists no predictions has none to misread: it is left out.
    """
    splits: dict[str, _Gathering] = {}
    misread: list[Misread] = []
    for strategy, records in runs.items():
        for record in records:
            if PREDICTIONS_FILE not in record.files:
                continue
            try:
                found = experiment.predictions(record.id)
            except StoreError as error:
                misread.append(Misread(strategy, record.requested.seed, str(error), record.id, damaged=True))
                continue
            for split, predictions in found.items():
                place = splits.get(split)
                if place is None:
                    place = splits[split] = _Gathering(
                        predictions, {name: number for number, name in enumerate(predictions.ids)}
                    )
                wrong = _wrong(predictions, place, split)
                if wrong:
                    misread.append(Misread(strategy, record.requested.seed, wrong, record.id))
                else:
                    _add(place, strategy, record.requested.seed, predictions)
    return Outputs({name: _finished(place) for name, place in splits.items()}, tuple(misread))


def _wrong(predictions: Predictions, place: _Gathering, split: str) -> str:
    """Why these predictions are not on the same examples as those of the split's first run; empty where they are."""
    first = place.first
    if (predictions.kind, predictions.logits.shape[1]) != (first.kind, first.logits.shape[1]):
        return f"it answers {split} otherwise than the other runs: another kind of task, or another number of labels"
    if predictions.ids is first.ids and predictions.labels is first.labels:  # nearly always: runs share what is equal
        return ""
    if predictions.ids != first.ids and set(predictions.ids) != place.position.keys():
        return f"the examples of {split} are not those that the other runs predicted"
    order = _order(predictions, place)
    if not np.array_equal(predictions.labels if order is None else predictions.labels[order], first.labels, equal_nan=True):
        return f"the labels of {split} are not those that the other runs recorded"
    return ""


def _order(predictions: Predictions, place: _Gathering) -> Ints | None:
    """What puts the predictions into the order of the first ones; None where they have it."""
    if predictions.ids == place.first.ids:
        return None
    return np.argsort([place.position[name] for name in predictions.ids])


def _add(place: _Gathering, strategy: str, seed: int, predictions: Predictions) -> None:
    found, order = predictions.kind.answers(predictions.logits), _order(predictions, place)
    if order is not None:
        found = found[order]
    place.disputed |= dict.fromkeys(_unlike_columns(predictions, place.first, order))
    place.rows.setdefault(strategy, []).append(predictions.kind.compact(found, predictions.logits.shape[1]))
    place.seeds.setdefault(strategy, []).append(seed)
    if predictions.labelled and (probabilities := predictions.probabilities) is not None:
        place.calibration.setdefault(strategy, []).append(
            (
                expected_calibration_error(probabilities, predictions.labels),
                squared_error(probabilities, predictions.labels),
            )
        )


def _unlike_columns(predictions: Predictions, first: Predictions, order: Ints | None) -> list[str]:
    """Columns for slicing that both have, with other values; `order` puts the predictions into the first one's."""
    if predictions.slices is first.slices:  # nearly always: runs share what is equal
        return []
    found = []
    for column, values in first.slices.items():
        own = predictions.slices.get(column, values)
        if order is not None and own is not values:
            own = tuple(own[number] for number in order)
        if own != values:
            found.append(column)
    return found


def why_uncut(own: SplitOutputs, split: str) -> list[str]:
    """A sentence where a column does not cut the split, since it was edited between runs."""
    if not own.disputed:
        return []
    return [f"not cut by {listed(own.disputed)}: the runs recorded other values of it for the same examples of {split}."]


def _finished(place: _Gathering) -> SplitOutputs:
    first = place.first
    return SplitOutputs(
        kind=first.kind,
        ids=first.ids,
        labels=first.labels,
        tokens=first.tokens,
        slices={column: values for column, values in first.slices.items() if column not in place.disputed},
        answers={strategy: np.stack(rows) for strategy, rows in place.rows.items()},
        seeds={strategy: tuple(seeds) for strategy, seeds in place.seeds.items()},
        calibration={strategy: np.asarray(values) for strategy, values in place.calibration.items()},
        disputed=tuple(place.disputed),
    )
