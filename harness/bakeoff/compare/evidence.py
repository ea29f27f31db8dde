"""What the records of one strategy say about each rule of a gate: a figure, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bakeoff.allowance import percent, points
from bakeoff.compare import limits
from bakeoff.compare.arms import (
    BASELINE,
    CANDIDATE,
    Arm,
    outputs_of,
    why_no_pass,
    why_no_quality,
    why_nothing_compares,
)
from bakeoff.compare.drift import why_no_hardware, why_no_time
from bakeoff.compare.experiment import Experiment
from bakeoff.compare.limits import Evidence
from bakeoff.compare.measures import resample, values_of
from bakeoff.compare.outputs import SplitOutputs
from bakeoff.compare.pairs import two_way_of
from bakeoff.compare.pareto import amounts
from bakeoff.compare.twoway import TwoWay
from bakeoff.components import Metric
from bakeoff.metrics import unit_of
from bakeoff.record import Control

QUALITY = "quality"


@dataclass(frozen=True)
class Draft:
    """A rule, held to one strategy, before the family of all checks is known."""

    arm: Arm
    rule: str
    limit: str
    evidence: Evidence | None = None
    paired: bool = False
    identical: bool = False
    obstacle: str = ""
    """Why there can be no pass."""
    broken: bool = False
    """No run of the candidate ended well, and none is still to come: that fails without a figure."""


def drafts_of(
    arm: Arm, rules: Mapping[str, str], split: str, candidate: Experiment, baseline: Experiment, controls: Sequence[Control]
) -> list[Draft]:
    """One for each rule, in their order."""
    obstacle = why_nothing_compares(arm, candidate.declared)
    if obstacle:
        side = arm.candidate
        broken = bool(side.failed and not side.ended and not side.missing and arm.baseline.ended)
        if broken:
            obstacle = f"all candidate runs failed: {why_no_pass(arm)}"
        return [Draft(arm, rule, limit, obstacle=obstacle, broken=broken) for rule, limit in rules.items()]
    return [
        _quality(arm, limit, split, candidate, baseline) if rule == QUALITY else _cost(arm, rule, limit, controls)
        for rule, limit in rules.items()
    ]


def _quality(arm: Arm, limit: str, split: str, candidate: Experiment, baseline: Experiment) -> Draft:
    data = next(record.data for record in arm.baseline.records if record.data is not None)
    facts = next(facts for facts in data.metrics if facts.name == data.primary_metric)
    if obstacle := why_no_quality(arm, split, facts.name):
        return Draft(arm, QUALITY, limit, obstacle=obstacle)
    outputs = outputs_of(arm, candidate, baseline)
    misread = [f"the {one.strategy}'s seed {one.seed}: {one.sentence}" for one in outputs.misread]
    obstacle = joined(why_no_pass(arm), *misread)
    found = outputs.splits.get(split)
    if found is None or not {CANDIDATE, BASELINE} <= found.answers.keys():
        return Draft(arm, QUALITY, limit, obstacle=obstacle or f"no predictions of {split} are recorded on both sides")
    paired = found.seeds[CANDIDATE] == found.seeds[BASELINE]
    if paired and np.array_equal(found.answers[CANDIDATE], found.answers[BASELINE]):
        return Draft(arm, QUALITY, limit, _unchanged(), paired=True, identical=True, obstacle=obstacle)
    if few := _too_few(*(len(found.seeds[side]) for side in (CANDIDATE, BASELINE))):
        return Draft(arm, QUALITY, limit, obstacle=joined(obstacle, few))
    metric = (candidate.metrics.get(arm.task) or baseline.metrics.get(arm.task) or {}).get(facts.name)
    evidence = metric and _quality_evidence(
        found, metric, paired=paired, allowed=points(limit), scale=unit_of(facts).scale, higher=facts.higher_is_better
    )
    if not evidence:
        return Draft(arm, QUALITY, limit, obstacle=f"the metric {facts.name} cannot be computed here from predictions")
    return Draft(arm, QUALITY, limit, evidence, paired=paired, obstacle=obstacle)


def _quality_evidence(
    found: SplitOutputs, metric: Metric, *, paired: bool, allowed: float, scale: float, higher: bool
) -> Evidence | None:
    """By the two-way interval, from values per example where the metric has them, else from resamples."""
    better, worse = (CANDIDATE, BASELINE) if higher else (BASELINE, CANDIDATE)  # so that more is better
    first, second = (values_of(found, metric, side) for side in (better, worse))
    estimate: TwoWay | None = None
    if first is not None and second is not None:
        estimate = two_way_of(first, second, paired=paired)
    elif (replicates := resample(found, metric, [better, worse])) is not None:
        estimate = replicates.difference(0, 1, paired=paired)
    return limits.quality(estimate, allowed=allowed, scale=scale) if estimate else None


def _cost(arm: Arm, rule: str, limit: str, controls: Sequence[Control]) -> Draft:
    sides = arm.candidate.records, arm.baseline.records
    unlike = why_no_hardware(*sides) if rule == "peak_memory" else why_no_time(*sides, controls)
    if unlike:
        return Draft(arm, rule, limit, obstacle=joined(why_no_pass(arm), unlike))
    costs = [[record.cost for record in side.records if record.cost is not None] for side in (arm.candidate, arm.baseline)]
    if few := _too_few(*map(len, costs)):
        return Draft(arm, rule, limit, obstacle=joined(why_no_pass(arm), few))
    a, b = amounts(rule, *costs)
    if not (np.isfinite([*a, *b]).all() and min(*a, *b) > 0):
        return Draft(arm, rule, limit, obstacle=f"a run's {rule} is not a positive number")
    evidence = limits.cost(a, b, paired=arm.paired, allowed=percent(limit))
    return Draft(arm, rule, limit, evidence, paired=arm.paired, obstacle=why_no_pass(arm))


def _unchanged() -> Evidence:
    return Evidence(change=0.0, low=0.0, high=0.0, within=True, p_beyond=1.0, needed=None)


def _too_few(here: int, there: int) -> str:
    if min(here, there) >= 2:
        return ""
    return f"{here} candidate and {there} baseline runs: fewer than two on a side say nothing of the spread between seeds"


def joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))
