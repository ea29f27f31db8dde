"""The verdict on each pair of rows: p-values adjusted over the family of comparisons, judged, and put into a sentence.

The order is fixed: identical (a fact, before any statistic); equivalent (TOST within the margin that was named before the
runs); better or worse (adjusted p below 5 %); else inconclusive, with the difference that the design could have detected. A
pair that differs in something that is not under test is confounded, whatever its numbers say. With declared looks, numbers of
seeds at which pairs are judged, `looks.py` decides, and a pair that is not decided is open or futile until the last look.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bakeoff.analysis.pair_checks import checks_of
from bakeoff.analysis.pairs import PairwiseComparison, possible
from bakeoff.analysis.recipes import OWNED
from bakeoff.analysis.results import AtLook, Budget, Checks, Fact, Finding, Pair
from bakeoff.contracts.unit import Figures
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.intervals import ALPHA, Estimate
from bakeoff.statistics.multiplicity import holm
from bakeoff.statistics.power import MOST_SEEDS, Detectable, examples_needed, minimum_detectable_effect, seeds_needed
from bakeoff.statistics.skewness import NEAR
from bakeoff.statistics.twoway import ALIKE_SEEDS, TwoWay
from bakeoff.text.numbers import confidence, p_equals, per_cent
from bakeoff.text.values import listed

LEAST_SEEDS = 3
"""With fewer runs a side, a difference is an anecdote: no verdict and no rank."""
SEEDS_OF_SKEWED = 10
"""How many seeds are advised where scores over seeds are skewed."""


@dataclass(frozen=True)
class Terms:
    """What the pairs of one comparison group are judged by."""

    metric: str
    higher_is_better: bool
    margin: float | None
    """In the metric's own unit, named before the runs; None where nobody named one: then nothing is equivalent."""
    figures: Figures
    """The metric's unit and range, and how its figures are written."""
    chosen_once: frozenset[str] = frozenset()
    """Strategies whose configuration one search chose: what is found holds for that configuration, not for any search."""


def judge(
    compared: Sequence[PairwiseComparison], terms: Terms, *, replicates: Replicates | None = None, thorough: bool = True
) -> list[Pair]:
    """The pairs of one family of comparisons, with verdicts. Further checks, limits and advice, which take most of the time,
    are added only where `thorough`.

    Rows with identical predictions count once in the family: their pairs with a third row are one test.
    """
    keys = [one.family_key for one in compared]
    family = len({key for one, key in zip(compared, keys, strict=True) if not one.identical and one.method != "none"})
    adjusted = by_holm([one.p for one in compared], keys)
    equivalence = by_holm([one.equivalence_p(terms.margin) for one in compared], keys)
    not_worse = [
        _not_worse(one.not_worse_p(terms.margin, higher_is_better=terms.higher_is_better), both, family)
        for one, both in zip(compared, equivalence, strict=True)
    ]
    given = zip(compared, adjusted, equivalence, not_worse, strict=True)
    pairs = [_pair(one, p, both, sides, terms, family) for one, p, both, sides in given]
    if not thorough:
        return pairs
    return detailed(pairs, compared, terms, [replicates] * len(pairs))


def by_holm(p: Sequence[float | None], tests: Sequence[Hashable] | None = None) -> list[float | None]:
    """p-values adjusted over their family by Holm. None stands for what was not tested: it stays None and is not in the
    family.

    tests: for each p-value, the test that it is of; several of one test count once, as the largest of them. Default: each is a
    test of its own.
    """
    largest: dict[Hashable, float] = {}
    tests = range(len(p)) if tests is None else tests
    for test, one in zip(tests, p, strict=True):
        if one is not None:
            largest[test] = max(one, largest.get(test, 0.0))
    adjusted = dict(zip(largest, holm([*largest.values()]), strict=True))
    return [None if one is None else float(adjusted[test]) for test, one in zip(tests, p, strict=True)]


def _not_worse(p: tuple[float, float] | None, both: float | None, family: int) -> tuple[float, float] | None:
    """Both one-sided p of a pair, adjusted: the larger is that of TOST, adjusted by Holm (`both`); the smaller is adjusted by
    Bonferroni, to at most the larger. Only one of a pair's two null hypotheses can be true, so that the family has as many
    tests as pairs."""
    if p is None or both is None:
        return None
    first, second = (both if one == max(p) else min(both, one * family) for one in p)
    return first, second


def pair_at_look(
    compared: PairwiseComparison,
    terms: Terms,
    family: int,
    *,
    outcome: Literal["identical", "equivalent", "different", "futile", "inconclusive", "open"],
    p: float | None,
    equivalence_p: float | None,
    not_worse_p: tuple[float, float] | None = None,
    look: AtLook | None,
    detectable: Detectable | None = None,
) -> Pair:
    """A pair as a declared look judged it. Before the first look, `look` is None and nothing is tested.

    p, equivalence_p, not_worse_p: scaled so that 0.05 is the look's level. detectable: the minimum detectable difference by
    the last look.
    """
    finding: Finding = _way(compared, terms.higher_is_better) if outcome == "different" else outcome
    level = look.level if look else None
    return _pair(
        compared,
        p,
        equivalence_p,
        not_worse_p,
        terms,
        family,
        finding_of_look=finding,
        level=level,
        look=look,
        detectable=detectable,
    )


def detailed(
    pairs: Sequence[Pair], compared: Sequence[PairwiseComparison], terms: Terms, replicates: Sequence[Replicates | None]
) -> list[Pair]:
    """The pairs with further tests, the limit that their examples set, and advice. replicates: of each pair's sides, None where
    there are none."""
    checked = checks_of(compared, replicates, higher_is_better=terms.higher_is_better)
    return [_detailed(pair, one, terms, checks) for pair, one, checks in zip(pairs, compared, checked, strict=True)]


def _detailed(pair: Pair, compared: PairwiseComparison, terms: Terms, checks: Checks) -> Pair:
    advice = _advice(compared, terms, max(1, pair.comparisons)) if pair.verdict == "inconclusive" else ""
    limit = None if compared.identical else _limit(compared.estimate)
    return pair.model_copy(update={"checks": checks, "advice": advice, "detectable_with_all_seeds": limit})


def _pair(
    compared: PairwiseComparison,
    p_adjusted: float | None,
    equivalence_p: float | None,
    not_worse_p: tuple[float, float] | None,
    terms: Terms,
    family: int,
    *,
    finding_of_look: Finding | None = None,
    level: float | None = 1 - ALPHA,
    look: AtLook | None = None,
    detectable: Detectable | None = None,
) -> Pair:
    """The pair with its verdict and its sentence. level: confidence of the interval; None before the first look, for no
    interval."""
    finding = finding_of_look or _finding(compared, p_adjusted, equivalence_p, higher_is_better=terms.higher_is_better)
    confounders = [fact for fact in compared.facts if not fact.declared]
    low, high = compared.interval(level) if level else (None, None)
    if finding_of_look is None:
        detectable = compared.detectable(ALPHA / max(1, family))
    wide_low, wide_high = (low, high) if finding_of_look else compared.interval(1 - ALPHA / max(1, family))
    pair = Pair(
        first=compared.first.name,
        second=compared.second.name,
        seeds=(len(compared.first.seeds), len(compared.second.seeds)),
        seed_free=compared.seed_free,
        paired=compared.paired,
        why_not_paired=compared.why_not_paired,
        examples=compared.first.answers.shape[1],
        method=compared.method,
        difference=compared.difference,
        low=low,
        high=high,
        wide_low=wide_low,
        wide_high=wide_high,
        p=compared.p if level else None,
        p_adjusted=p_adjusted,
        comparisons=family,
        margin=terms.margin,
        equivalence_p=equivalence_p,
        not_worse_p=not_worse_p,
        detectable=detectable.value if detectable else None,
        detectable_range=(detectable.low, detectable.high) if detectable else None,
        budget=_budget(compared.estimate),
        studied=[fact for fact in compared.facts if fact.declared],
        confounders=confounders,
        look=look,
        skewed=list(compared.skewed.names) if compared.skewed else [],
        finding=finding,
        verdict="confounded" if confounders and finding != "identical" else finding,
    )
    note = _note(compared) if pair.verdict in ("better", "worse", "equivalent") else ""
    parts = [_sentence(pair, terms), _as_a_whole(pair), _about_one_configuration(pair, terms), note]
    return pair.model_copy(update={"note": note, "sentence": " ".join(filter(None, parts))})


def _note(compared: PairwiseComparison) -> str:
    """A remark where three runs lie closer together than the examples alone make likely, so that the verdict may be luck; else
    empty. The error rate of 5 % allows for such cases, but this verdict may be one of its errors."""
    if not compared.alike:
        return ""
    differences = compared.paired and not compared.seed_free
    whose, scored = ("the differences", "lie") if differences else (listed(compared.alike), "scored")
    return (
        f"By luck: at {ALIKE_SEEDS} seeds {whose} {scored} closer together than chance in the examples alone lets expect, "
        "and more seeds would probably widen the interval."
    )


def _finding(
    compared: PairwiseComparison, p_adjusted: float | None, equivalence_p: float | None, *, higher_is_better: bool
) -> Finding:
    """What the numbers of a pair say, without looks. Identical is a fact and comes before all statistics; what lies inside the
    margin is equivalent, significant or not."""
    if compared.identical:
        return "identical"
    if is_anecdote(compared) or p_adjusted is None:
        return "inconclusive"
    if equivalence_p is not None and equivalence_p < ALPHA:
        return "equivalent"
    if p_adjusted < ALPHA:
        return _way(compared, higher_is_better)
    return "inconclusive"


def is_anecdote(compared: PairwiseComparison) -> bool:
    """Whether a side that depends on the seed has too few runs for a verdict."""
    return compared.least_seeds < LEAST_SEEDS and len(compared.seed_free) < 2


def _way(compared: PairwiseComparison, higher_is_better: bool) -> Finding:
    return "better" if (compared.difference > 0) == higher_is_better else "worse"


def _limit(estimate: Estimate | None) -> float | None:
    """The minimum detectable difference with an unlimited number of seeds. None where the variance over examples is not
    distinct from 0, and where the difference exceeds the width of the metric's range."""
    if not isinstance(estimate, TwoWay) or (estimate.budget.example_range or (0.0,))[0] == 0:
        return None
    found = minimum_detectable_effect(math.sqrt(estimate.budget.example / estimate.examples), estimate.examples - 1)
    return possible(found, estimate.span)


def _budget(estimate: Estimate | None) -> Budget | None:
    if not isinstance(estimate, TwoWay):
        return None
    own = estimate.budget
    k = 2 / (1 / estimate.seeds[0] + 1 / estimate.seeds[1])
    largest: Literal["seeds", "examples"] = "seeds" if own.seed / k >= own.example / estimate.examples else "examples"
    return Budget(seed=own.seed, example=own.example, residual=own.residual, largest=largest)


def _advice(compared: PairwiseComparison, terms: Terms, comparisons: int) -> str:
    """What would decide an inconclusive pair, given the margin of the experiment."""
    if is_anecdote(compared):
        return f"a new experiment with at least {LEAST_SEEDS} seeds of each, better 6: fewer are an anecdote"
    estimate = compared.estimate
    if compared.skewed is not None:
        return f"a new experiment with {SEEDS_OF_SKEWED} seeds of each or more, or with examples that are harder"
    if len(compared.seed_free) == 2:
        return "more examples: neither side depends on the seed, so that nothing else narrows the interval"
    if not isinstance(estimate, TwoWay):
        return "a new experiment with more seeds has a narrower interval"
    if terms.margin is None:
        return f"a margin of {terms.metric}, declared before the runs of a new experiment: without one no difference is small"
    wanted = f"a difference of {terms.figures.amount_as_declared(terms.margin, terms.metric)}"
    family = {"comparisons": comparisons, "rows": compared.rows}
    seeds = seeds_needed(estimate.budget, terms.margin, examples=estimate.examples, **family)
    here = f"{estimate.examples:,} examples"
    if seeds.number is not None and seeds.number > compared.least_seeds:
        alone = f", which alone leave {_open(seeds.limit, terms)} open" if seeds.limit else ""
        return f"about {seeds.number:,} new seeds of each would find {wanted} on these {here}{alone}"
    if seeds.number is not None:
        return f"these seeds find {wanted} in four of five experiments, and this is one of the others"
    if seeds.why == "too many":
        return f"it would take more than {MOST_SEEDS:,} seeds of each to find {wanted}"
    examples = examples_needed(estimate.budget, terms.margin, seeds=compared.least_seeds, **family)
    more = f"; about {examples.number:,} examples would, with these seeds" if examples.number else ""
    if seeds.why == "unknown" and seeds.limits:
        low, high = (_open(limit, terms) for limit in seeds.limits)
        return f"whether any number of seeds finds {wanted} is not known: {here} alone leave {low} to {high} open{more}"
    return f"no number of seeds finds {wanted} on {here}, which alone leave {_open(seeds.limit, terms)} open{more}"


def _open(limit: float, terms: Terms) -> str:
    """The difference up to which pairs stay open, in words; `all` where it exceeds the width of the metric's range."""
    return "all" if possible(limit, terms.figures.unit.span) is None else terms.figures.alone(limit)


def _about_one_configuration(pair: Pair, terms: Terms) -> str:
    """That the verdict is about the configuration which one search chose, as a sentence; empty where nothing was searched, or
    each seed had a search of its own."""
    names = [name for name in (pair.first, pair.second) if name in terms.chosen_once]
    if not names or pair.verdict == "identical":
        return ""
    return f"About the configuration{'s' * (len(names) > 1)} that one search chose for {listed(names)}."


def _as_a_whole(pair: Pair) -> str:
    """That the verdict is about several differences as a whole, as a sentence; empty where only one is under test."""
    what = several_studied(pair.studied)
    if not what or pair.verdict not in ("better", "worse", "equivalent"):
        return ""
    told = "what each of them does alone" if pair.verdict == "equivalent" else "which of them did it"
    return f"As a whole: {listed(what)}; {told} can't be told."


def several_studied(facts: Iterable[Fact]) -> list[str]:
    """The subjects under test in which two rows differ, where they are several; what a trainer owns is part of the trainer."""
    subjects = [fact.subject for fact in facts]
    what = [subject for subject in subjects if subject != OWNED or "trainer" not in subjects]
    return what if len(what) > 1 else []


def _sentence(pair: Pair, terms: Terms) -> str:
    metric, figures = terms.metric, terms.figures
    names = f"{pair.first} against {pair.second}"
    if pair.verdict == "identical":
        seeds = f"all {pair.seeds[0]} seeds" if pair.seeds[0] > 1 else "the one seed"
        seeds = "any seed" if pair.over_examples_alone else seeds
        return f"{pair.first} and {pair.second} are identical: every prediction is equal, at {seeds}."
    amount = figures.amount(abs(pair.difference), metric)
    way = "higher" if pair.difference > 0 else "lower"
    told = f"{amount} {way}" if pair.difference else f"the same mean {metric}"
    if pair.low is not None and pair.high is not None:
        over = ", over examples alone" if pair.over_examples_alone else ""
        told += f" ({confidence(pair.level)} interval {figures.signed(pair.low)} to {figures.signed(pair.high)}{over})"
    if pair.verdict == "confounded":
        what = listed([fact.subject for fact in pair.confounders])
        return f"{names} is confounded by {what}: {told}, and what made it cannot be told."
    family = f" over {pair.comparisons} comparisons" if pair.comparisons > 1 else ""
    at = f", at look {pair.look.number} of {pair.look.looks} ({pair.look.seeds} seeds)" if pair.look else ""
    if pair.verdict in ("open", "futile"):
        return f"{names} is {_undecided(pair, terms, told)}"
    if pair.verdict in ("better", "worse"):
        return f"{pair.first} is {pair.verdict} than {pair.second}: {told}, {p_equals(pair.p_adjusted)}{family}{at}."
    if pair.verdict == "equivalent":
        assert pair.margin is not None
        return (
            f"{pair.first} and {pair.second} are equivalent within {figures.amount_as_declared(pair.margin, metric)}: "
            f"{told}{at}."
        )
    if min(pair.seeds) < LEAST_SEEDS and not pair.over_examples_alone:
        few = sorted(set(pair.seeds))
        seeds = f"{listed([str(n) for n in few])} seed{'s' if few != [1] else ''}"
        return f"{names} is inconclusive: {told}, from {seeds}, an anecdote."
    reach = ""
    if pair.skewed:
        reach = (
            f"; the seeds of {listed(pair.skewed)} differ by {per_cent(NEAR)} of their distance from the end of the range or "
            f"more, so that they are skewed, and a test that allows for it gives {p_equals(pair.p_adjusted)}"
        )
    elif pair.detectable:
        seen = f"about {figures.amount(pair.detectable, metric)}"
        if pair.detectable_range:
            low, high = map(figures.alone, pair.detectable_range)
            seen += f" ({low} to {high})"
        seeds = "" if pair.over_examples_alone else f"{min(pair.seeds)} seeds and "
        reach = f"; {seeds}{pair.examples:,} examples find {seen} in four of five experiments"
    return f"{names} is inconclusive{at.replace(',', '')}: {told}{reach}."


def _undecided(pair: Pair, terms: Terms, told: str) -> str:
    """The end of a pair's sentence where looks have not decided it: at which look it is open or futile, and with what chance
    more seeds would decide. told: the difference with its interval, in words."""
    look = pair.look
    if look is None:
        return f"open: {told}. Nothing is tested before the first look."
    where = f"look {look.number} of {look.looks} ({look.seeds} seeds)"
    if pair.verdict == "open":
        chance = "" if look.chance is None else f"; the chance of a decision by the last look is {per_cent(look.chance)}"
        return f"open after {where}: {told}{chance}."
    assert look.chance is not None
    small = f"{look.last} seeds decide it on these {pair.examples:,} examples with a chance of {per_cent(look.chance)}"
    if look.examples is None:
        return f"inconclusive, futile at {where}: {told}; {small}, and no number of examples makes up for so few seeds."
    return f"inconclusive, futile at {where}: {told}; {small}, and it would need about {look.examples:,} examples."
