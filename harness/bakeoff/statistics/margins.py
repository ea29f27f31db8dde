"""Whether a loss of quality or a rise of costs stays within an allowed limit: one-sided tests at 5 %.

Quality is tested over seeds and examples, costs over seeds. Each end of the 90 % interval is a one-sided 95 % bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.cost_ratios import log_ratio
from bakeoff.statistics.intervals import Estimate, spread
from bakeoff.statistics.power import Needed, seeds_needed
from bakeoff.statistics.twoway import Budget, TwoWay

ALPHA = 0.05
LEVEL = 1 - 2 * ALPHA


@dataclass(frozen=True)
class Evidence:
    """A change, candidate minus baseline, tested against its limit; quality in the unit that is shown, costs in per cent."""

    change: float
    low: float
    high: float
    within: bool
    """Whether the one-sided 95 % bound is within the limit."""
    p_beyond: float
    """One-sided p, small when the change is beyond the limit."""
    needed: Needed | None
    """Seeds per side that show an unchanged candidate to be within the limit with 80 % power; None where it is within already,
    where the limit is 0, and where the method gives no variance components."""


def quality(found: Estimate, cautious: Estimate, *, allowed: float, scale: float, higher_is_better: bool) -> Evidence:
    """Tests candidate minus baseline. allowed: how far the score may fall, or an error rise, as shown (times `scale`).

    cautious: the same with two more examples that differ, where the score is a share of examples: that a change is within the
    limit is said by it, and its interval is shown; that it is beyond by what was found. Without variance components (neither
    side depends on the seed) no number of seeds is named.
    """
    limit = allowed / scale
    low, high = cautious.interval(LEVEL)
    within, p_beyond = (low >= -limit, found.p_below(-limit)) if higher_is_better else (high <= limit, found.p_above(limit))
    needed = None
    if not within and isinstance(found, TwoWay):
        needed = _seeds(found.budget, limit, examples=found.examples)
    return Evidence(found.difference * scale, low * scale, high * scale, within, p_beyond, _as_shown(needed, scale))


def cost(a: Floats, b: Floats, *, paired: bool, allowed: float) -> Evidence:
    """Whether the candidate costs at most `allowed` per cent more than the baseline: the change in per cent with its 90 %
    interval, and one-sided tests at 5 %, by t on the logarithms.

    a: the candidate's costs (Ka,); b: the baseline's (Kb,). Raises ValueError below two runs per side.
    """
    log = log_ratio(b, a, paired=paired).log
    limit = math.log1p(allowed / 100)
    low, high = log.interval(LEVEL)
    within = high <= limit
    own = (log.variance * len(a),) if paired else tuple(spread(np.log(side)) for side in (a, b))
    needed = None if within else _seeds(Budget(own, 0.0, (0.0,) * len(own)), limit, examples=2)
    return Evidence(_per_cent(log.difference), _per_cent(low), _per_cent(high), within, log.p_above(limit), needed)


def _per_cent(log: float) -> float:
    return 100 * math.expm1(min(log, 700.0))  # the bound of two very different runs may overflow


def _seeds(budget: Budget, allowed: float, *, examples: int) -> Needed | None:
    """Seeds that show an unchanged candidate to be within; a two-sided test at twice alpha is the one-sided one at alpha."""
    if allowed <= 0:
        return None
    return seeds_needed(budget, allowed, examples=examples, alpha=2 * ALPHA)


def _as_shown(needed: Needed | None, scale: float) -> Needed | None:
    if needed is None:
        return None
    limits = (needed.limits[0] * scale, needed.limits[1] * scale) if needed.limits else None
    return replace(needed, limit=needed.limit * scale, limits=limits)
