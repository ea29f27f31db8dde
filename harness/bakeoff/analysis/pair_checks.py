"""Other tests of two rows beside the primary one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bakeoff.analysis.pairs import PairwiseComparison
from bakeoff.analysis.results import Checks
from bakeoff.analysis.sides import Side
from bakeoff.contracts.metric import Floats
from bakeoff.statistics.best_of_n import probability_of_improvement
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.exact import Randomisation, mcnemar_p, permutations, sign_flip
from bakeoff.statistics.intervals import mean_estimate, welch


def checks_of(
    pairs: Sequence[PairwiseComparison], replicates: Sequence[Replicates | None], *, higher_is_better: bool
) -> list[Checks]:
    """Other tests of each pair. They do not make the verdict; where they disagree with it, a reader should know.

    replicates: of each pair's sides, None where there are none.
    """
    unpaired = [number for number, one in enumerate(pairs) if one.least_seeds >= 2 and not one.paired]
    dealt = permutations([(pairs[number].first.scores, pairs[number].second.scores) for number in unpaired])
    of_pair = dict(zip(unpaired, dealt, strict=True))
    return [
        _checks(one, drawn, of_pair.get(number), higher_is_better=higher_is_better)
        for number, (one, drawn) in enumerate(zip(pairs, replicates, strict=True))
    ]


def _checks(
    compared: PairwiseComparison, replicates: Replicates | None, dealt: Randomisation | None, *, higher_is_better: bool
) -> Checks:
    """dealt: the permutation test of a pair that is not paired by seed."""
    first, second = compared.first, compared.second
    ahead, behind = (first, second) if higher_is_better else (second, first)
    several = compared.least_seeds >= 2
    exact = t = None
    if several and compared.paired:
        apart = first.scores - second.scores
        exact, t = sign_flip(apart), mean_estimate(apart)
    elif several:
        exact, t = dealt, welch(first.scores, second.scores)
    drawn = replicates.compare(first.number, second.number) if replicates is not None and several else None
    return Checks(
        randomisation_p=exact.p if exact else None,
        randomisation_smallest_p=exact.smallest if exact else None,
        bootstrap_low=drawn.low if drawn else None,
        bootstrap_high=drawn.high if drawn else None,
        bootstrap_p=drawn.p if drawn else None,
        seeds_t_p=t.p if t else None,
        mcnemar_p=_mcnemar(first, second),
        seed_correlation=_correlation(first.scores, second.scores) if compared.paired and len(first.seeds) >= 3 else None,
        probability_of_improvement=probability_of_improvement(ahead.scores, behind.scores) if several else None,
    )


def _mcnemar(first: Side, second: Side) -> float | None:
    """p of McNemar's test of two fixed models; None where there are more runs, or examples that are not just right or
    wrong."""
    if max(len(first.seeds), len(second.seeds)) > 1 or first.values is None or second.values is None:
        return None
    one, other = first.values[0], second.values[0]
    return mcnemar_p(int((one > other).sum()), int((one < other).sum())) if np.isin([one, other], (0, 1)).all() else None


def _correlation(one: Floats, other: Floats) -> float | None:
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) and np.ptp(other) else None
