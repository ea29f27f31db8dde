"""What the records of one strategy say about each rule of a gate: a figure, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from bakeoff.analysis.costs import memory
from bakeoff.analysis.gate.candidate_baseline import (
    BASELINE,
    CANDIDATE,
    Arm,
    outputs_of,
    why_no_pass,
    why_no_quality,
    why_nothing_compares,
)
from bakeoff.analysis.machines import why_no_hardware, why_no_time
from bakeoff.analysis.pairs import comparison_of
from bakeoff.contracts.metric import Floats, MetricFacts
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import Figures, Unit, figures_of
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Control, Cost
from bakeoff.statistics import margins as limits
from bakeoff.statistics.margins import Evidence
from bakeoff.text.tolerances import Tolerance, cost_tolerance, tolerance_of, with_tolerance

QUALITY = "quality"
PER_CENT = Figures(unit=Unit(name="%"), decimals=1)
"""Of a change in cost."""


@dataclass(frozen=True)
class Draft:
    """A rule, held to one strategy, before the family of all checks is known."""

    arm: Arm
    rule: str
    limit: str
    evidence: Evidence | None = None
    paired: bool = False
    why_not_paired: str = ""
    """Of quality with the same seeds on both sides: why it is not paired all the same."""
    identical: bool = False
    obstacle: str = ""
    """Why there can be no pass."""
    broken: bool = False
    """No run of the candidate succeeded and learned, and none is still to come: that fails without a figure."""
    test: Hashable = None
    """Equal for drafts that are one test, of strategies with identical predictions; None where it is its own."""
    collapsed: tuple[int, int] = (0, 0)
    """Runs of the candidate and of the baseline that collapsed, and so are left out of its figures."""
    figures: Figures = PER_CENT
    """How its change is written."""

    @property
    def runs(self) -> tuple[int, int]:
        """Of the candidate and of the baseline, behind its figures."""
        here, there = (len(side.records) for side in (self.arm.candidate, self.arm.baseline))
        return here - self.collapsed[0], there - self.collapsed[1]


def drafts_of(
    arm: Arm, rules: Mapping[str, str], split: str, candidate: Experiment, baseline: Experiment, controls: Sequence[Control]
) -> list[Draft]:
    """One for each rule, in their order."""
    obstacle = why_nothing_compares(arm)
    if obstacle:
        side = arm.candidate
        broken = bool(side.failed and not side.records and not side.missing and arm.baseline.records)
        if broken:
            obstacle = f"all candidate runs failed: {why_no_pass(arm)}"
        return [Draft(arm, rule, limit, obstacle=obstacle, broken=broken) for rule, limit in rules.items()]
    return [
        _quality(arm, limit, split, candidate, baseline) if rule == QUALITY else _cost(arm, rule, limit, controls)
        for rule, limit in rules.items()
    ]


def _quality(arm: Arm, limit: str, split: str, candidate: Experiment, baseline: Experiment) -> Draft:
    data = next(record.data for record in arm.baseline.records if record.data is not None)
    facts = data.primary
    unit = unit_of(facts)
    allowed = tolerance_of(limit, facts.name, in_points=unit.in_points)
    if allowed is None or (allowed.sign == "-") != facts.higher_is_better:
        return Draft(arm, QUALITY, limit, obstacle=_no_rule(facts, unit, limit))
    draft = Draft(arm, QUALITY, str(allowed), figures=_figures(arm, split, facts))
    if obstacle := why_no_quality(arm, split, facts.name):
        return replace(draft, obstacle=obstacle)
    outputs = outputs_of(arm, candidate, baseline)
    misread = [f"the {one.strategy}'s seed {one.seed}: {one.sentence}" for one in outputs.misread]
    obstacle = joined(why_no_pass(arm), *misread)
    found = outputs.splits.get(split)
    if found is None or not {CANDIDATE, BASELINE} <= found.answers.keys():
        return replace(draft, obstacle=obstacle or f"no predictions of {split} are recorded on both sides")
    fallen = outputs.collapsed(split)
    draft = replace(draft, collapsed=(len(fallen.get(CANDIDATE, ())), len(fallen.get(BASELINE, ()))))
    metric = (candidate.metrics.get(arm.task) or baseline.metrics.get(arm.task) or {}).get(facts.name)
    if silent := data.silent.get(split, {}).get(facts.name):
        return replace(draft, obstacle=joined(obstacle, f"{facts.name} says nothing on {split}: {silent}"))
    alike = found.seeds[CANDIDATE] == found.seeds[BASELINE]
    if alike and np.array_equal(found.answers[CANDIDATE], found.answers[BASELINE]):
        paired = not found.why_not_paired(CANDIDATE, BASELINE)
        return replace(draft, evidence=UNCHANGED, paired=paired, identical=True, obstacle=obstacle)
    obstacle = joined(obstacle, _why_collapsed(draft))
    if 0 in draft.runs:  # no run of a side learned: nothing is left to estimate from
        return replace(draft, obstacle=obstacle, broken=draft.runs[0] == 0 and draft.runs[1] > 0 and not arm.candidate.missing)
    found = outputs.learned(split).splits[split]
    paired = not found.why_not_paired(CANDIDATE, BASELINE)
    drawn = {side: len(found.seeds[side]) for side in (CANDIDATE, BASELINE)}
    if any(runs < 2 for side, runs in drawn.items() if side not in found.seed_free):
        return replace(draft, obstacle=joined(obstacle, _too_few(*drawn.values())))
    if len(found.ids) < 2:
        return replace(draft, obstacle=joined(obstacle, f"one example of {split} says nothing of others"))
    compared = comparison_of(found, metric, CANDIDATE, BASELINE) if metric else None
    if compared is None or compared.estimate is None or compared.cautious is None:
        return replace(draft, obstacle=f"the metric {facts.name} has no interval that can be computed here from predictions")
    evidence = limits.quality(
        compared.estimate, compared.cautious, allowed=allowed.amount, scale=unit.scale, higher_is_better=facts.higher_is_better
    )
    test = (arm.task, arm.model, compared.family_key)
    why = compared.why_not_paired if alike else ""
    return replace(draft, evidence=evidence, paired=paired, why_not_paired=why, test=test, obstacle=obstacle)


def _why_collapsed(draft: Draft) -> str:
    """Runs that collapsed are left out of the figures, so a candidate that has some cannot pass by them."""
    here, there = draft.collapsed
    runs, others = len(draft.arm.candidate.records), len(draft.arm.baseline.records)
    if here:
        return f"{here} of {runs} candidate runs collapsed, {there} of {others} of the baseline"
    return f"all {there} baseline runs collapsed" if there == others else ""


def _no_rule(facts: MetricFacts, unit: Unit, rule: str) -> str:
    """Why the rule does not hold for the metric, and one that would."""
    sign, way = ("-", "falls") if facts.higher_is_better else ("+", "grows")
    of = unit.name if unit.in_points and facts.higher_is_better else facts.name.partition(" (")[0]
    whole = with_tolerance(rule, Tolerance(sign, 0.05, of), facts.name)
    return f"the rule says nothing of {facts.name}, which gets worse where it {way}: write one like `quality: {whole}`"


def _figures(arm: Arm, split: str, facts: MetricFacts) -> Figures:
    """How the metric's figures are written, by the scores of both sides."""
    records = [[record.scores.get(split, {}) for record in side.records] for side in (arm.candidate, arm.baseline)]
    sides = [[scores[facts.name] for scores in side if facts.name in scores] for side in records]
    spreads = [float(np.std(scores, ddof=1)) for scores in sides if len(scores) > 1]
    return figures_of(unit_of(facts), list(chain.from_iterable(sides)), spreads)


def _cost(arm: Arm, rule: str, limit: str, controls: Sequence[Control]) -> Draft:
    sides = arm.candidate.records, arm.baseline.records
    unlike = why_no_hardware(*sides) if rule == "peak_memory" else why_no_time(*sides, controls, of=rule)
    if unlike:
        return Draft(arm, rule, limit, obstacle=joined(why_no_pass(arm), unlike))
    costs = [
        [one.cost for one in side.records if one.cost is not None and one.timed != "nothing"]
        for side in (arm.candidate, arm.baseline)
    ]
    if few := _too_few(*map(len, costs)):
        return Draft(arm, rule, limit, obstacle=joined(why_no_pass(arm), few))
    a, b = memory(*costs) if rule == "peak_memory" else _seconds(rule, *costs)
    if not (np.isfinite([*a, *b]).all() and min(*a, *b) > 0):
        return Draft(arm, rule, limit, obstacle=f"a run's {rule} is not a positive number")
    evidence = limits.cost(a, b, paired=arm.paired, allowed=cost_tolerance(limit))
    return Draft(arm, rule, limit, evidence, paired=arm.paired, obstacle=why_no_pass(arm))


def _seconds(rule: str, a: Sequence[Cost], b: Sequence[Cost]) -> tuple[Floats, Floats]:
    """Of the runs of two sides."""
    mine, theirs = (np.array([float(getattr(cost, rule)) for cost in side]) for side in (a, b))
    return mine, theirs


UNCHANGED = Evidence(change=0.0, low=0.0, high=0.0, within=True, p_beyond=1.0, needed=None)


def _too_few(here: int, there: int) -> str:
    if min(here, there) >= 2:
        return ""
    return f"{here} candidate and {there} baseline runs: fewer than two on a side say nothing of the spread between seeds"


def joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))
