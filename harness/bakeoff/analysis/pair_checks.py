"""Other tests of two rows beside the primary one."""

from __future__ import annotations

import numpy as np

from bakeoff.analysis.pairs import PairwiseComparison, Side
from bakeoff.analysis.results import Checks
from bakeoff.contracts.metric import Floats
from bakeoff.statistics.best_of_n import probability_of_improvement
from bakeoff.statistics.bootstrap import Replicates
from bakeoff.statistics.exact import mcnemar_p, sign_flip
from bakeoff.statistics.intervals import mean_estimate


def check(compared: PairwiseComparison, replicates: Replicates | None, *, higher_is_better: bool) -> Checks:
    """The other tests. They do not make the verdict; where they disagree with it, a reader should know."""
    first, second = compared.first, compared.second
    ahead, behind = (first, second) if higher_is_better else (second, first)
    several = compared.least_seeds >= 2
    apart = first.scores - second.scores if compared.paired and several else None
    flips = sign_flip(apart) if apart is not None else None
    drawn = replicates.compare(first.number, second.number) if replicates is not None and several else None
    return Checks(
        sign_flip_p=flips.p if flips else None,
        sign_flip_smallest_p=flips.smallest if flips else None,
        bootstrap_low=drawn.low if drawn else None,
        bootstrap_high=drawn.high if drawn else None,
        bootstrap_p=drawn.p if drawn else None,
        paired_t_p=mean_estimate(apart).p if apart is not None else None,
        mcnemar_p=_mcnemar(first, second),
        seed_correlation=_correlation(first.scores, second.scores) if compared.paired and len(first.seeds) >= 3 else None,
        probability_of_improvement=probability_of_improvement(ahead.scores, behind.scores) if several else None,
    )


def _mcnemar(first: Side, second: Side) -> float | None:
    """Of two fixed models; None where there are more runs, or examples that are not just right or wrong."""
    if max(len(first.seeds), len(second.seeds)) > 1 or first.values is None or second.values is None:
        return None
    one, other = first.values[0], second.values[0]
    return mcnemar_p(int((one > other).sum()), int((one < other).sum())) if np.isin([one, other], (0, 1)).all() else None


def _correlation(one: Floats, other: Floats) -> float | None:
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) and np.ptp(other) else None
