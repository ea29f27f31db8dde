"""Strategies over several tasks: Friedman's test on mean scores, with mean ranks and the critical difference.

Its blocks are comparison groups and never seeds, since the seeds of one task share their examples and are not independent. J.
Demšar, Statistical comparisons of classifiers over multiple data sets (2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bakeoff.analysis.findings import AcrossTasks, ComparisonGroup
from bakeoff.statistics.multiplicity import critical_difference, friedman, mean_ranks, shuffled_p
from bakeoff.text.numbers import p_equals, with_decimals
from bakeoff.text.values import listed

LEAST_GROUPS = 5
"""With fewer comparison groups, ranks over them say next to nothing."""

ALPHA = 0.05


def across_tasks(groups: Sequence[ComparisonGroup]) -> AcrossTasks | None:
    """The test over comparison groups; None where fewer than five have the same two strategies, or more, scored and in the
    baseline's ranking."""
    used, names = _shared(groups)
    if not names:
        return None
    scores = np.array([[_scores(group)[name] for name in names] for group in used])
    scores *= np.array([[1.0 if group.higher_is_better else -1.0] for group in used])
    ranks, correction = mean_ranks(scores)
    test = friedman(ranks, len(used), correction=correction)
    ordered = {names[place]: float(ranks[place]) for place in np.argsort(ranks, kind="stable")}
    first = next(iter(ordered))
    undeclared = {
        name
        for group in used
        for pair in (*group.to_baseline, *group.all_pairs)
        if pair.confounders and first in (pair.first, pair.second)
        for name in (pair.first, pair.second)
        if name != first
    }
    found = AcrossTasks(
        mean_ranks=ordered,
        groups=[group.title for group in used],
        chi2_p=test.chi2_p,
        f_p=test.f_p,
        p=shuffled_p(scores),
        critical_difference=critical_difference(len(names), len(used)),
        confounded=[name for name in ordered if name in undeclared],
        sentence="",
    )
    return found.model_copy(update={"sentence": _sentence(found, tasks=len({group.task for group in used}))})


def _scores(group: ComparisonGroup) -> Mapping[str, float]:
    """Row -> its mean score, for rows that are ranked together with the baseline."""
    return {row.strategy: score.mean for row in group.rows if row.ranking == 0 and (score := group.score(row)) is not None}


def _shared(groups: Sequence[ComparisonGroup]) -> tuple[list[ComparisonGroup], list[str]]:
    """Comparison groups, and the strategies that all of these have scored: of all such choices the one with the most scores.
    Both empty where no choice has enough."""
    own = [frozenset(_scores(group)) for group in groups]
    best: tuple[list[ComparisonGroup], list[str]] = [], []
    for names in dict.fromkeys([*own, frozenset.intersection(*own)] if own else []):
        having = [group for group, there in zip(groups, own, strict=True) if names <= there]
        if len(names) >= 2 and len(having) >= LEAST_GROUPS and len(names) * len(having) > len(best[0]) * len(best[1]):
            best = having, [name for name in _scores(having[0]) if name in names]
    return best


def _sentence(found: AcrossTasks, *, tasks: int) -> str:
    first, groups = next(iter(found.mean_ranks)), len(found.groups)
    told = f"Over {groups} comparison groups, the ranks of {len(found.mean_ranks)} strategies"
    if found.p < ALPHA:
        told += f" differ ({p_equals(found.p)}). {_ahead(found, first)}"
    else:
        told += f" are not told apart ({p_equals(found.p)})."
    if found.confounded:
        differ = "differs" if len(found.confounded) == 1 else "differ"
        told += f" {listed(found.confounded)} also {differ} from {first} in something that is not under test."
    if tasks < groups:
        told += f" These groups are of {tasks} task{'s' if tasks > 1 else ''}, and those of one task are not independent."
    return told


def _ahead(found: AcrossTasks, first: str) -> str:
    """Which strategies the first one is ahead of, as a sentence; those that are confounded with it are left out."""
    ranks, least = found.mean_ranks, found.critical_difference
    behind = [name for name in ranks if ranks[name] - ranks[first] >= least and name not in found.confounded]
    whom = f"{first} is ahead of {listed(behind)}" if behind else f"None may be called behind {first}"
    return f"{whom}: that takes {with_decimals(least, 2)} mean ranks."
