"""Other tests of two rows beside the primary one."""

from __future__ import annotations

import numpy as np

from bakeoff.analysis.pairs import PairwiseComparison
from bakeoff.analysis.results import Checks
from bakeoff.analysis.sides import Side
from bakeoff.contracts.metric import Floats
from bakeoff.statistics.best_of_n import probability_of_improvement
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.exact import mcnemar_p, permutation, sign_flip
from bakeoff.statistics.intervals import mean_estimate, welch


def check(compared: PairwiseComparison, replicates: Replicates | None, *, higher_is_better: bool) -> Checks:
    """Other tests of a pair. They do not make the verdict; where they disagree with it, a reader should know."""
    first, second = compared.first, compared.second
    ahead, behind = (first, second) if higher_is_better else (second, first)
    several = compared.least_seeds >= 2
    exact = t = None
    if several and compared.paired:
        apart = first.scores - second.scores
        exact, t = sign_flip(apart), mean_estimate(apart)
    elif several:
        exact, t = permutation(first.scores, second.scores), welch(first.scores, second.scores)
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
