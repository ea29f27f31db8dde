"""Runs that collapsed or failed: how many they are, and what may be said of a pair when all its runs count.

A pair is judged on the runs that learned. Of all runs, better or worse is said only where it holds whichever way those that
collapsed or failed are treated: counted as the majority baseline, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.pairing import Streams
from bakeoff.analysis.results import AllRuns, Pair, Unlearned
from bakeoff.analysis.verdicts import Terms
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric
from bakeoff.records.schema import Record
from bakeoff.statistics.bootstrap import or_nan
from bakeoff.statistics.collapse import share_range
from bakeoff.text.numbers import p_equals

UNKNOWN_STREAMS = Streams(0, {}, "", "", "", "")
"""The random streams of a run that failed: nothing proves that it shares them with another."""


def failed_seeds(records: Sequence[Record]) -> list[int]:
    """The seeds of runs that ended without scores; a run that was interrupted did not end."""
    return [record.requested.seed for record in records if record.failure is not None and not record.was_interrupted]


def unlearned_of(records: Sequence[Record], collapsed: int) -> Unlearned | None:
    """How many runs of a strategy did not learn; None where no run has ended. collapsed: how many collapsed."""
    failed, ended = len(failed_seeds(records)), sum(not record.was_interrupted for record in records)
    low, high = share_range(collapsed + failed, ended)
    return Unlearned(collapsed=collapsed, failed=failed, runs=ended, low=low, high=high) if ended else None


def counted_as_majority(
    own: SplitOutputs, metric: Metric | None, majority: float, unlearned: Mapping[str, Sequence[int]]
) -> SplitOutputs:
    """The answers of all runs, where the runs at the strategies' `unlearned` seeds have the majority baseline's answers.

    own: all runs with predictions. majority: what the majority baseline scores by the metric, by which its answer is found.
    """
    constant = majority_answers(own, metric, majority)
    answers, seeds, streams = dict[str, Any](), dict[str, tuple[int, ...]](), dict[str, dict[int, Streams]]()
    for name, runs in own.answers.items():
        lost = set(unlearned.get(name, ()))
        by_seed = dict(zip(own.seeds[name], runs, strict=True))
        seeds[name] = tuple(sorted(by_seed.keys() | lost))
        answers[name] = np.stack([constant if seed in lost else by_seed[seed] for seed in seeds[name]])
        streams[name] = {seed: own.streams[name].get(seed, UNKNOWN_STREAMS) for seed in seeds[name]}
    return replace(own, answers=answers, seeds=seeds, streams=streams, calibration={}, _measured={})


def majority_answers(own: SplitOutputs, metric: Metric | None, majority: float) -> NDArray[Any]:
    """(N,): the constant answer of the majority baseline. It is the most frequent of the split's labels that score `majority`
    when they are always given; where there is none, as where answers are numbers, what the kind of task has for a majority
    answer."""
    if own.kind.has_labels and metric is not None and not isinstance(metric, HubMetric):
        values, counts = np.unique(own.labels, return_counts=True)
        score = or_nan(metric.score)
        for value in values[np.argsort(-counts, kind="stable")]:
            if abs(score(np.full_like(own.labels, value), own.labels) - majority) < 1e-9:
                return np.full(len(own.labels), value)
    return np.full(len(own.labels), own.kind.majority(own.labels))


# --- what is said --------------------------------------------------------------------------------------------------------


def with_all_runs(pair: Pair, counted: Pair | None, first: Unlearned, second: Unlearned, terms: Terms) -> Pair:
    """The pair, judged on the runs that learned, with what may be said when all its runs count.

    counted: the pair judged on all runs, with those that collapsed or failed counted as the majority baseline; None where the
    metric gives a constant answer no score. first, second: how many runs of each side did not learn.
    """
    if not first.number + second.number:
        return pair
    hopeless = [name for name, own in ((pair.first, first), (pair.second, second)) if not own.learned]
    ways = [counted.finding if counted else "inconclusive", *([] if hopeless else [pair.finding])]
    finding: Literal["better", "worse", "inconclusive", "confounded", "withheld"] = "inconclusive"
    if pair.verdict == "confounded" or pair.verdict == "withheld":
        finding = pair.verdict
    elif len(set(ways)) == 1 and (ways[0] == "better" or ways[0] == "worse"):
        finding = ways[0]
    found = AllRuns(
        first=first,
        second=second,
        difference=counted.difference if counted else None,
        low=counted.low if counted else None,
        high=counted.high if counted else None,
        p_adjusted=counted.p_adjusted if counted else None,
        not_worse_p=counted.not_worse_p if counted else None,
        finding=finding,
        sentence="",
    )
    found = found.model_copy(update={"sentence": _of_all(pair, found, hopeless, terms)})
    if hopeless and pair.verdict == "inconclusive":
        told = f"{pair.first} against {pair.second} is inconclusive: no run of {' and none of '.join(hopeless)} learned."
    else:
        told = (
            f"Of the runs that learned ({first.learned} of {first.runs} and {second.learned} of {second.runs}), {pair.sentence}"
        )
    told += f" Collapsed or failed: {first.words} of {pair.first}, {second.words} of {pair.second}."
    return pair.model_copy(update={"all_runs": found, "sentence": told, "advice": "" if hopeless else pair.advice})


def _of_all(pair: Pair, found: AllRuns, hopeless: Sequence[str], terms: Terms) -> str:
    if found.difference is None:
        return f"All runs: {found.finding}; {terms.metric} gives a constant answer no score, as which others could be counted."
    figures = terms.figures
    apart = figures.signed(found.difference)
    if found.low is not None and found.high is not None:
        apart += f" ({figures.signed(found.low)} to {figures.signed(found.high)}, {p_equals(found.p_adjusted)})"
    left_out = "" if hopeless else f"; left out: {pair.finding}"
    return f"All runs: {found.finding}; those that collapsed or failed counted as the majority baseline: {apart}{left_out}."
