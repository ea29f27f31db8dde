"""Scores on parts of a split: by label, by length, by every column that the task declares for slicing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.findings import SliceScore
from bakeoff.analysis.outputs import Measured, SplitOutputs
from bakeoff.analysis.pairs import Measures, PairwiseComparison
from bakeoff.analysis.sides import side_of
from bakeoff.analysis.verdicts import LEAST_SEEDS, by_holm
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metrics import Accuracy
from bakeoff.records.silent_metrics import why_silent
from bakeoff.statistics.bootstrap import or_nan

FEWEST = 20
"""A slice of fewer examples is shown and not tested: a t interval over so few zeros and ones means little."""

MOST_VALUES = 12
"""A column with more values is cut into the most frequent ones and `other`."""

NAMED_LABELS = 20
"""A record names so many labels; after them stands how many more there are."""

BY_LABEL = "label (accuracy)"
BY_LENGTH = "length in tokens"
OTHER = "other"


@dataclass(frozen=True)
class Cut:
    """A column by which a split is cut: value -> which of its N examples have it. Every example has exactly one."""

    column: str
    members: dict[str, NDArray[np.bool_]]


def slice_scores(
    outputs: SplitOutputs,
    metric: Metric,
    *,
    baseline: str,
    strategies: Sequence[str],
    label_names: Sequence[str] = (),
) -> list[SliceScore]:
    """Every strategy's score on every slice, and its difference to the baseline there; p-values are adjusted by Holm over each
    column.

    Within one label every metric but the share of right answers is constant or undefined, so that column is always scored by
    accuracy, the label's recall, and says so in its name. A metric that is no ratio of sums is shown without intervals, as are
    slices of fewer than 20 examples and rows of fewer than three runs. A slice on which a score is not finite is left out; one
    on which the metric cannot tell predictions apart has no score.
    """
    present = [strategy for strategy in strategies if strategy in outputs.answers]
    found: list[SliceScore] = []
    for cut in cuts(outputs, label_names):
        own = metric if cut.column != BY_LABEL or isinstance(metric, Accuracy) else Accuracy()
        rows = [row for value in cut.members for row in _rows(cut, value, outputs, own, present, baseline)]
        tests = [(row.value, compared.family_key if compared else row.strategy) for row, compared in rows]
        adjusted = by_holm([compared.p if compared else None for _, compared in rows], tests)
        for (row, compared), p in zip(rows, adjusted, strict=True):
            if compared is not None and p is not None:
                low, high = compared.interval(0.95)
                row = row.model_copy(update={"low": low, "high": high, "p_adjusted": p})
            found.append(row)
    return found


# --- what is cut ---------------------------------------------------------------------------------------------------------


def cuts(outputs: SplitOutputs, label_names: Sequence[str] = ()) -> Iterator[Cut]:
    """The columns of a split that have more than one value."""
    labels = outputs.kind.slice_labels(outputs.labels)
    by_label = [] if labels is None else _by_label(labels, label_names)
    columns = [*by_label, _by_length(outputs.tokens)]
    columns += [_by_value(column, values) for column, values in outputs.slices.items()]
    for cut in columns:
        if len(cut.members) > 1:
            yield cut


def _by_label(labels: NDArray[Any], names: Sequence[str]) -> list[Cut]:
    shown = sorted(_frequent(Counter(labels.tolist())))
    members = {label_name(label, names): labels == label for label in shown}
    return [Cut(BY_LABEL, _with_other(members, len(labels)))]


def label_name(label: int, names: Sequence[str]) -> str:
    """The name of the label with this number, as far as a record names it."""
    return names[label] if 0 <= label < len(names[:NAMED_LABELS]) else f"label number {label}"


def _by_length(tokens: NDArray[Any]) -> Cut:
    """A cut by length at its quartiles, into fewer parts where many examples are equally long: those that were cut to the
    longest input stay together."""
    shorter = tokens[tokens < tokens.max(initial=0)]
    edges = np.quantile(tokens, (0.25, 0.5, 0.75), method="inverted_cdf") if len(shorter) else np.zeros(0)
    edges = np.unique(np.minimum(edges, shorter.max(initial=0)))
    quarter = np.searchsorted(edges, tokens, side="left")  # an edge belongs to the part that it ends
    members = {}
    for number in np.unique(quarter):
        inside = quarter == number
        low, high = int(tokens[inside].min()), int(tokens[inside].max())
        members[f"{low} tokens" if low == high else f"{low}-{high} tokens"] = inside
    return Cut(BY_LENGTH, members)


def _by_value(column: str, values: Sequence[str]) -> Cut:
    texts = np.asarray(values, dtype=object)
    members = {value: np.asarray(texts == value, dtype=bool) for value in _frequent(Counter(values))}
    return Cut(column, _with_other(members, len(texts)))


def _frequent(counts: Counter[Any]) -> list[Any]:
    """The values, the most frequent first: all, or, of too many, so many that there is room for `other`. A value of that very
    name goes with the others."""
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    if len(ordered) <= MOST_VALUES:
        return ordered
    return [value for value in ordered if value != OTHER][: MOST_VALUES - 1]


def _with_other(members: dict[str, NDArray[np.bool_]], examples: int) -> dict[str, NDArray[np.bool_]]:
    rest = ~np.logical_or.reduce(list(members.values())) if members else np.zeros(examples, dtype=bool)
    if OTHER in members:  # a value so named goes with the rest
        rest = rest | members[OTHER]
    return {**members, OTHER: rest} if rest.any() else members


# --- what is scored ------------------------------------------------------------------------------------------------------


def _rows(
    cut: Cut, value: str, outputs: SplitOutputs, metric: Metric, strategies: Sequence[str], baseline: str
) -> Iterator[tuple[SliceScore, PairwiseComparison | None]]:
    inside = cut.members[value]
    part = outputs.part(inside)
    scores = {} if why_silent(metric, part.labels) else {name: mean_score(part.measured(metric, name)) for name in strategies}
    known = [name for name, seeds in part.seeds.items() if len(seeds) >= LEAST_SEEDS or name in part.seed_free]
    enough = known if part.labels.size >= FEWEST else []
    tested = [name for name in (*strategies, baseline) if name in enough and part.measured(metric, name).terms is not None]
    sides = {name: side_of(part, metric, name, 0, unit=metric.unit) for name in tested}
    measures = Measures(sides)
    for name in strategies:
        score = scores.get(name)
        if score is not None and not math.isfinite(score):
            continue
        apart = math.nan if score is None or name == baseline else score - scores.get(baseline, math.nan)
        row = SliceScore(
            column=cut.column,
            value=value,
            strategy=name,
            examples=len(part.labels),
            score=score,
            difference=apart if math.isfinite(apart) else None,
        )
        yield row, measures.compare(name, baseline) if math.isfinite(apart) and {name, baseline} <= sides.keys() else None


def mean_score(measured: Measured) -> float:
    """The mean score over seeds; a run for which a ratio's denominator is 0 has 0."""
    if measured.terms is None:
        score = or_nan(measured.metric.score)
        return float(np.mean([score(run, measured.labels) for run in measured.answers]))
    above, below = (part.sum(axis=1) for part in measured.terms)
    return float(np.divide(above, below, out=np.zeros_like(above), where=below > 0).mean())
