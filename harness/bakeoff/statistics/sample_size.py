"""Seeds needed for a difference, and the difference that given seeds detect: the arithmetic of `bakeoff plan --resolve`.

The variance of a difference is seed / K + example / N + residual / (K N) for K seeds and N examples. The predictions of a
pilot, which are earlier runs of these strategies, estimate the three components. Without a pilot, planning values are used:
the usual spread over seeds, and for the examples the best and the worst case.
"""

from __future__ import annotations

from typing import Any, Literal

from bakeoff.contracts.fields import Part
from bakeoff.contracts.unit import SHARE, Unit
from bakeoff.statistics.intervals import ALPHA
from bakeoff.statistics.power import Chances, WhyNone, chances, examples_needed, mde_examples, mde_of_design, seeds_needed
from bakeoff.statistics.twoway import Budget, TwoWay

POWER = 0.8

PLANNED_SD = (0.7, 1.0, 1.5)
"""Points, low, usual and high: the standard deviation of accuracy over seeds of healthy fine-tuning runs of base models on a
test set of a few hundred examples, as published by those who ran many (Mosbach et al. 2021, Zhang et al. 2021)."""
PLANNED = tuple(Budget(((sd / 100) ** 2,) * 2, 0.0, (0.0, 0.0)) for sd in PLANNED_SD)
"""A difference's variance components at each of these, if runs of equal seeds are independent of each other and both
strategies err on the same examples."""
PLANNED_DISCORDANCE = 0.08
"""Share of examples on which just one of two fine-tuned models is right."""
ROUGH_SEEDS = 6
"""A pilot with fewer seeds than this estimates the spread between seeds only roughly."""


class Needs(Part):
    """How many seeds and examples it takes to find differences between one strategy and the baseline. The differences are in
    points, or in the metric's own unit."""

    task: str
    model: str
    strategy: str
    origin: Literal["pilot", "planning values", "nothing"]
    """What the numbers are based on. `nothing`: there is no pilot, and planning values only for metrics that are shares."""
    pilot: str = ""
    """Where the pilot's records lie; empty without one."""
    pilot_seeds: int = 0
    """The number of the pilot's seeds, on the side that has fewer; 0 without a pilot."""
    identical: bool = False
    """Whether the pilot's predictions equal the baseline's: then there is no variance, and no number of seeds is given."""
    seeds: int | None = None
    """Seeds needed per side, for 80 % power at the question's level; None for the reason `why_none`, or where `identical`."""
    why_none: WhyNone = ""
    seeds_range: tuple[int, int] | None = None
    """Seeds needed at the low and the high end of the planning values; None with a pilot."""
    detectable: float | None = None
    """The minimum difference that the seeds in the experiment file detect; None for one seed."""
    chances: Chances | None = None
    """Probabilities of the verdicts with the seeds in the experiment file; None without a margin, and for one seed."""
    limit: float | None = None
    """The minimum difference that unlimited seeds detect on these examples; by planning values in the worst case, in which all
    discordance is due to the strategies. None where the number of examples is not known."""
    limit_range: tuple[float, float] | None = None
    """90 % interval of `limit`; None without a pilot."""
    examples: int | None
    """How many the reported split has; None where it is not recorded."""
    examples_needed: int | None = None
    """How many examples detect the difference with the seeds in the experiment file; None where more seeds suffice, or where
    no number of examples would."""


class Question(Part):
    """What is asked: whether so many `seeds` detect a `difference` from the baseline.

    The difference and the margin are in the unit that is shown: points, or the metric's own unit.
    """

    difference: float
    metric: str
    """The primary metric; with several tasks, the first task's."""
    unit: Unit
    """The unit of the primary metric, the same for all tasks."""
    seeds: int
    """Seeds of each strategy in the experiment file; with declared looks, at the last one."""
    comparisons: int = 1
    """Comparisons with the baseline in each comparison group: the family that Holm's method adjusts for."""
    rows: int = 2
    """Strategies in each comparison group."""
    alpha: float = ALPHA
    """Error rate of the family; with declared looks, the last one's share of it."""
    margin: float | None = None
    """The margin of equivalence; None without one."""


def from_pilot(question: Question, place: tuple[str, str, str], found: TwoWay, *, where: str, identical: bool = False) -> Needs:
    """What is needed, from the variance components of the pilot's difference to the baseline, `found`.

    place: (task, model, strategy). where: where the pilot's records lie. identical: whether all predictions of the two
    strategies are equal.
    """
    scale, budget, examples = question.unit.scale, found.budget, found.examples
    wanted, family = question.difference / scale, _family(question)
    needed = seeds_needed(budget, wanted, examples=examples, power=POWER, **family)
    more = None
    if needed.number is None:
        more = examples_needed(budget, wanted, seeds=max(question.seeds, 2), power=POWER, **family).number
    return Needs(
        task=place[0],
        model=place[1],
        strategy=place[2],
        origin="pilot",
        pilot=where,
        pilot_seeds=min(found.seeds),
        identical=identical,
        seeds=None if identical else needed.number,
        why_none=needed.why,
        detectable=_detectable(question, budget, examples),
        chances=None if identical else _chances(question, budget, examples),
        limit=scale * needed.limit,
        limit_range=(scale * needed.limits[0], scale * needed.limits[1]) if needed.limits else None,
        examples=examples,
        examples_needed=more,
    )


def from_planning_values(question: Question, place: tuple[str, str, str], *, examples: int | None) -> Needs:
    """What is needed, from published values of the spread over seeds. place: (task, model, strategy); examples: of the
    reported split, None where that is not known.

    Runs of equal seeds are taken to be independent, so that a difference has twice the variance of a run. Whether the
    strategies consistently err on different examples is not known: the numbers of seeds assume that they do not, `limit` that
    they do.
    """
    if question.unit != SHARE:
        return Needs(
            task=place[0],
            model=place[1],
            strategy=place[2],
            origin="nothing",
            why_none="unknown",
            examples=examples,
        )
    least, usual, most = (
        seeds_needed(budget, question.difference / 100, examples=2, power=POWER, **_family(question)) for budget in PLANNED
    )
    limit = (
        None
        if examples is None
        else 100 * mde_examples(PLANNED_DISCORDANCE, examples, alpha=question.alpha / question.comparisons, power=POWER)
    )
    return Needs(
        task=place[0],
        model=place[1],
        strategy=place[2],
        origin="planning values",
        seeds=usual.number,
        why_none=usual.why,
        seeds_range=(least.number, most.number) if least.number is not None and most.number is not None else None,
        detectable=_detectable(question, PLANNED[1], 2),
        chances=_chances(question, PLANNED[1], 2),
        limit=limit,
        examples=examples,
    )


def planned_chances(question: Question) -> tuple[Chances, Chances, Chances] | None:
    """Probabilities of the verdicts that the experiment file asks for, at the low, the usual and the high planning value, if
    strategies err on the same examples; None for a metric without planning values, without a margin, and for one seed."""
    if question.unit != SHARE or question.margin is None or question.seeds < 2:
        return None
    low, usual, high = (_chances(question, budget, 2) for budget in PLANNED)
    return (low, usual, high) if low and usual and high else None


def _family(question: Question) -> dict[str, Any]:
    return {"comparisons": question.comparisons, "rows": question.rows, "alpha": question.alpha}


def _detectable(question: Question, budget: Budget, examples: int) -> float | None:
    if question.seeds < 2:
        return None
    return question.unit.scale * mde_of_design(budget, question.seeds, examples=examples, power=POWER, **_family(question))


def _chances(question: Question, budget: Budget, examples: int) -> Chances | None:
    if question.seeds < 2 or question.margin is None:
        return None
    return chances(budget, question.seeds, question.margin / question.unit.scale, examples=examples, **_family(question))
