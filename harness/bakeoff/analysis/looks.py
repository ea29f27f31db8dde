"""Experiments with declared looks: what was decided at which look, and which strategies get more seeds.

A look is a number of seeds K, declared before the first run, at which comparisons are judged. All follows from the records,
for each task and model by itself. A look is taken when every strategy that is still compared has a record of each of its first
K declared seeds, failed runs included and interrupted ones, which are to be made again, not; a comparison is judged on those
seeds alone, whatever else is recorded, and stays as it was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

from bakeoff.analysis.findings import Looks, TakenLook
from bakeoff.analysis.pairs import PairwiseComparison
from bakeoff.analysis.prepared_group import PreparedGroup, prepare
from bakeoff.analysis.results import AtLook, Pair
from bakeoff.analysis.summary.rows import Layout, describe, layouts
from bakeoff.analysis.verdicts import detailed, is_anecdote, pair_at_look
from bakeoff.records.experiment import Experiment
from bakeoff.statistics.intervals import ALPHA
from bakeoff.statistics.looks import (
    LEAST_SEEDS_OF_RANKS,
    Look,
    Outcome,
    chance_of_decision,
    examples_to_decide,
    looks_at,
    outcome_at,
)
from bakeoff.statistics.twoway import TwoWay
from bakeoff.text.values import grouped

Names = tuple[str, str]
"""Two strategies that are compared."""


@dataclass(frozen=True)
class LookResult:
    """A comparison at the last look that judged it."""

    compared: PairwiseComparison
    """The comparison, on the seeds of that look."""
    look: Look
    outcome: Outcome | Literal["identical"]
    chance: float | None
    """The probability of a decision by the last look; None where nothing was tested, and where the last look is this one."""
    examples: int | None
    """How many examples would decide with the last look's seeds; None where no number is enough, and where it is not known."""
    group: PreparedGroup | None = None
    """The comparison group with those seeds only."""

    @property
    def p(self) -> float | None:
        """The two-sided p of the difference, scaled so that 0.05 is the level at which this look decides."""
        return self._scaled(self.compared.p, self.look.difference_level)

    def equivalence_p(self, margin: float | None) -> float | None:
        """p of equivalence within the margin (TOST), scaled likewise."""
        return self._scaled(self.compared.equivalence_p(margin), self.look.equivalence_level)

    def not_worse_p(self, margin: float | None, *, higher_is_better: bool) -> tuple[float, float] | None:
        """The one-sided p for either side being not worse than the other by the margin, scaled likewise."""
        found = self.compared.not_worse_p(margin, higher_is_better=higher_is_better)
        if found is None:
            return None
        first, second = (min(1.0, p * ALPHA / self.look.equivalence_level) for p in found)
        return first, second

    def _scaled(self, p: float | None, level: float) -> float | None:
        return None if p is None else min(1.0, p * ALPHA / level)


@dataclass
class Family:
    """Comparisons that are judged together: with the baseline, or of all pairs."""

    pairs: list[Names]
    looks: list[Look]
    judged: dict[Names, LookResult] = field(default_factory=dict)
    open: list[Names] = field(default_factory=list)
    """Those that are not decided yet, in the order of `pairs`."""

    def __post_init__(self) -> None:
        self.open = list(self.pairs) if self.looks else []

    def look_of(self, seeds: int) -> Look | None:
        """The family's look at so many seeds, with how many comparisons earlier ones settled; None where there is no such
        look."""
        settled = sum(one.outcome == "different" for one in self.judged.values())
        return next((replace(look, settled=settled) for look in self.looks if look.seeds == seeds), None)

    def take(self, look: Look, restricted: PreparedGroup, whole: PreparedGroup) -> None:
        """Judges all open comparisons. One of which a side has no run that can be compared is open no more: more seeds of a
        strategy that never learns are of no use. restricted: the group with the seeds of this look; whole: with all."""
        still = list[Names]()
        for names in self.open:
            if not all(name in restricted.sides and restricted.has_learned(name) for name in names):
                continue
            found = _judge(restricted.compare(*names, whole.facts(*names)), look, whole.terms.margin)
            self.judged[names] = replace(found, group=restricted)
            if found.outcome == "open" and look.seeds < look.last:
                still.append(names)
        self.open = still


@dataclass(frozen=True)
class NextLook:
    """The next look of a comparison group, and the runs that it waits for."""

    task: str
    model: str
    number: int
    """The look's number, from 1."""
    seeds: dict[str, list[int]]
    """Strategy -> the seeds that it needs and that have no record."""


@dataclass(frozen=True)
class Course:
    """How far the looks at one comparison group have got."""

    taken: list[int]
    """The number of seeds of each look that was taken."""
    to_baseline: list[Family]
    """The family of comparisons with the baseline; where a key varies, one for each value."""
    all_pairs: list[Family]
    """Likewise of all pairs; families without a pair where ranks are not asked for."""
    stopped: dict[str, int]
    """Strategy -> the number of seeds of the last look that it took part in, or for which it still gets runs."""
    waiting: NextLook | None
    """The next look; None where no comparison is open."""

    @property
    def judged(self) -> list[tuple[PairwiseComparison, float]]:
        """Every pair as a look judged it, once, and that look's share of the error rate."""
        found = {
            frozenset(names): one for family in (*self.all_pairs, *self.to_baseline) for names, one in family.judged.items()
        }
        return [(one.compared, one.look.budget / ALPHA) for one in found.values()]


def next_runs(experiment: Experiment) -> list[NextLook]:
    """The next look of each task and model, with the runs that it waits for; those where nothing is open are left out."""
    found = [_waiting(experiment, layout) for layout in layouts(experiment)]
    return [one for one in found if one is not None]


def _waiting(experiment: Experiment, layout: Layout) -> NextLook | None:
    looks = experiment.declared.looks
    if first := _missing(layout, list(layout.rows), looks[0]):
        return NextLook(layout.task, layout.model, 1, first)
    prepared = prepare(experiment, layout, describe(experiment, layout))
    return course_of(prepared).waiting if prepared else None


def course_of(prepared: PreparedGroup) -> Course:
    """Takes all looks that the records allow, in order."""
    layout, declared = prepared.layout, prepared.experiment.declared
    to_baseline, all_pairs = _families(prepared)
    families = [*to_baseline, *all_pairs]
    taken, stopped, waiting = list[int](), dict.fromkeys(layout.rows, declared.looks[0]), None
    for number, seeds in enumerate(declared.looks, 1):
        involved = list(layout.rows) if number == 1 else _involved(families, layout)
        if not involved:
            break
        stopped |= dict.fromkeys(involved, seeds)
        if missing := _missing(layout, involved, seeds):
            waiting = NextLook(layout.task, layout.model, number, missing)
            break
        restricted = first_seeds(prepared, seeds)
        for family in families:
            if (look := family.look_of(seeds)) is not None:
                family.take(look, restricted, prepared)
        taken.append(seeds)
        if number == 1 and not any(baseline in restricted.sides for baseline in layout.baselines):
            break
    return Course(taken, to_baseline, all_pairs, stopped, waiting)


def _families(prepared: PreparedGroup) -> tuple[list[Family], list[Family]]:
    """The families of comparisons with the baseline, and those of all pairs where ranks are asked for (from five seeds on).
    How many comparisons a family has was declared before the first run, so that pairs which cannot be compared count too."""
    layout, declared = prepared.layout, prepared.experiment.declared
    names = list(prepared.sides) if prepared.judges else []
    rows = len({*layout.rows, *declared.trials})  # the trials name strategies too whose search has chosen nothing
    rows = len(layout.vary.rows) if layout.vary else rows
    to_baseline = [
        (name, layout.baseline_of[name])
        for name in names
        if name not in layout.baselines and prepared.ranked_with_baseline(name)
    ]
    every = combinations(names if declared.ranks and not prepared.crowded else [], 2)
    pairs = [pair for pair in every if prepared.ranked_together(*pair)]
    of_ranks = [seeds for seeds in declared.looks if seeds >= LEAST_SEEDS_OF_RANKS]
    return (
        [Family(own, looks_at(declared.looks, max(1, rows - 1))) for own in prepared.families(to_baseline) or [[]]],
        [
            Family(own, looks_at(of_ranks, max(1, rows * (rows - 1) // 2)) if of_ranks else [])
            for own in prepared.families(pairs) or [[]]
        ],
    )


def _involved(families: Sequence[Family], layout: Layout) -> list[str]:
    """Strategies with an open comparison, in the order of the declaration."""
    names = {name for family in families for pair in family.open for name in pair}
    return [name for name in layout.rows if name in names]


def _missing(layout: Layout, names: Sequence[str], seeds: int) -> dict[str, list[int]]:
    """Strategy -> those of its first declared seeds that have no record, or that of an interrupted run; without strategies that
    lack none."""
    recorded = {name: {one.requested.seed for one in layout.rows[name] if not one.was_interrupted} for name in names}
    missing = {name: [seed for seed in layout.seeds[name][:seeds] if seed not in recorded[name]] for name in names}
    return {name: own for name, own in missing.items() if own}


def first_seeds(prepared: PreparedGroup, seeds: int) -> PreparedGroup:
    """The group as it was when each strategy had its first declared seeds only."""
    layout = prepared.layout
    kept = {name: list(own[:seeds]) for name, own in layout.seeds.items()}
    records = {name: [one for one in own if one.requested.seed in kept[name]] for name, own in layout.rows.items()}
    return replace(prepared, layout=replace(layout, seeds=kept, rows=records), outputs=prepared.outputs.of_seeds(kept))


def _judge(compared: PairwiseComparison, look: Look, margin: float | None) -> LookResult:
    if compared.identical:
        return LookResult(compared, look, "identical", None, None)
    p, estimate = compared.p, compared.estimate
    if p is None or estimate is None or is_anecdote(compared):
        return LookResult(compared, look, "open", None, None)
    example = estimate.budget.example / estimate.examples if isinstance(estimate, TwoWay) else 0.0
    seeds = max(0.0, estimate.variance - example)
    chance = chance_of_decision(look, estimate.difference, seeds, example, margin) if look.seeds < look.last else None
    outcome = outcome_at(look, p, compared.equivalence_p(margin), chance)
    examples = None
    effect = margin if margin is not None else abs(estimate.difference)
    if outcome in ("open", "futile") and isinstance(estimate, TwoWay) and effect > 0:
        own = estimate.budget
        examples = examples_to_decide(look, effect, seed=own.seed, example=own.example, residual=own.residual)
    return LookResult(compared, look, outcome, chance, examples)


# --- as results ----------------------------------------------------------------------------------------------------------


def pairs_of(family: Family, prepared: PreparedGroup, *, thorough: bool = True) -> list[Pair]:
    """The pairs of a family, each as its last look judged it; before the first look, with their differences only. thorough:
    with further checks and limits."""
    terms, looks = prepared.terms, prepared.experiment.declared.looks
    early = [names for names in family.pairs if names not in family.judged]
    first = first_seeds(prepared, looks[0]) if early else prepared
    found, compared, all_runs = list[Pair](), list[PairwiseComparison](), list[LookResult | None]()
    for names in family.pairs:
        if (judged := family.judged.get(names)) is not None:
            found.append(_pair(judged, prepared))
            compared.append(judged.compared)
            all_runs.append(judged)
        elif all(name in first.sides for name in names):
            one = first.compare(*names, prepared.facts(*names))
            m = family.looks[0].comparisons if family.looks else len(family.pairs)
            learned = all(map(first.has_learned, names))
            outcome: Literal["open", "inconclusive"] = "open" if learned else "inconclusive"
            found.append(pair_at_look(one, terms, m, outcome=outcome, p=None, equivalence_p=None, look=None))
            compared.append(one)
            # no look judges a strategy of which no run learned; of all its runs the first one may
            taken = family.looks and not learned and not _missing(prepared.layout, names, looks[0])
            all_runs.append(LookResult(one, family.looks[0], "open", None, None, first) if taken else None)
    if thorough:
        drawn = [one.group.replicates if one and one.group else None for one in all_runs]
        found = detailed(found, compared, terms, drawn)
    return [_with_all_runs(pair, one, prepared) if one else pair for pair, one in zip(found, all_runs, strict=True)]


def _pair(judged: LookResult, prepared: PreparedGroup) -> Pair:
    terms, look, declared = prepared.terms, judged.look, prepared.experiment.declared.looks
    at = AtLook(
        number=declared.index(look.seeds) + 1,
        looks=len(declared),
        seeds=look.seeds,
        last=look.last,
        level=look.confidence,
        chance=judged.chance,
        examples=judged.examples,
    )
    return pair_at_look(
        judged.compared,
        terms,
        look.comparisons,
        outcome="inconclusive" if judged.outcome == "open" and look.seeds == look.last else judged.outcome,
        p=judged.p,
        equivalence_p=judged.equivalence_p(terms.margin),
        not_worse_p=judged.not_worse_p(terms.margin, higher_is_better=terms.higher_is_better),
        look=at,
        detectable=judged.compared.detectable(look.last_budget / look.comparisons, seeds=look.last),
    )


def _with_all_runs(pair: Pair, judged: LookResult, prepared: PreparedGroup) -> Pair:
    """The pair, with what may be said when all runs of the look's seeds count, at the look's level."""
    assert judged.group is not None
    counted = judged.group.compare_all_runs(pair.first, pair.second, judged.compared.facts)
    other = None if counted is None else _pair(_judge(counted, judged.look, prepared.terms.margin), prepared)
    return judged.group.with_all_runs(pair, other)


def summary_of(course: Course, prepared: PreparedGroup, to_baseline: Sequence[Pair], all_pairs: Sequence[Pair]) -> Looks:
    """What was decided at which look, and how many runs that saved."""
    declared = prepared.experiment.declared
    levels = {look.seeds: look.confidence for look in course.to_baseline[0].looks}
    waiting = course.waiting
    return Looks(
        declared=declared.looks,
        ranks=declared.ranks,
        taken=[
            TakenLook(
                number=number,
                seeds=seeds,
                level=levels[seeds],
                decided=grouped((pair.finding, pair.first) for pair in to_baseline if _decided_at(pair, seeds)),
                pairs_decided=sum(_decided_at(pair, seeds) for pair in all_pairs),
            )
            for number, seeds in enumerate(course.taken, 1)
        ],
        open=[pair.first for pair in to_baseline if pair.finding == "open"],
        waiting=waiting.seeds if waiting else {},
        runs=sum(course.stopped.values()),
        most=len(prepared.layout.rows) * declared.looks[-1],
    )


def _decided_at(pair: Pair, seeds: int) -> bool:
    return pair.look is not None and pair.look.seeds == seeds and pair.finding != "open"
