"""Strategies that have hardly learned: a verdict on one speaks of its learning rate and its steps, and not yet of its
method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.results import Row
from bakeoff.contracts.configured import canonical
from bakeoff.records.schema import Record

FEW: Final = 0.25
"""A strategy whose mean score has come less than this share of the way from the majority baseline to the best has hardly
learned."""
AT_MOST: Final = 0.5
"""Nor may the better end of its interval lie farther on that way than this: else it may be luck."""


@dataclass(frozen=True)
class Little:
    """How little a strategy has learned."""

    best: str
    """The strategy with the best mean score of its ranking."""
    way: float
    """The share of the way from the majority baseline's score to that of the best that its mean has come: 0 to FEW; below 0
    where it is worse than the majority baseline."""
    steps: int
    """Optimizer steps of its longest run."""


def hardly_learned(
    group: ComparisonGroup, succeeded: Mapping[str, Sequence[Record]], tries: Mapping[str, int]
) -> dict[str, Little]:
    """Strategy -> how little it has learned, of those that train in steps, of which just one configuration was tried (a search
    has shown that no other learning rate does better), and that are another method, model or trainer than the best (else the
    recipe is what is compared). Nothing where a recipe key varies: what few examples or steps do is what is studied there.

    succeeded: strategy -> its records that succeeded. tries: strategy -> configurations tried; one where it is not named.
    """
    floor, sign, found = group.majority_baseline, 1 if group.higher_is_better else -1, dict[str, Little]()
    if floor is None or group.vary is not None:
        return found
    means = {row.strategy: score.mean for row in group.rows if row.learned and (score := group.score(row)) is not None}
    for row in group.rows:
        name, steps = row.strategy, _steps(succeeded.get(row.strategy, ()))
        rivals = [other.strategy for other in group.rows if other.ranking == row.ranking and other.strategy in means]
        if name not in means or not steps or tries.get(name, 1) > 1:
            continue
        best = max(rivals, key=lambda rival: sign * means[rival])
        if _asked(succeeded[name]) == _asked(succeeded[best]):
            continue
        whole = means[best] - floor
        if sign * whole <= 0 or (means[name] - floor) / whole >= FEW or (_better_end(group, row) - floor) / whole >= AT_MOST:
            continue
        found[name] = Little(best=best, way=(means[name] - floor) / whole, steps=steps)
    return found


def _asked(records: Sequence[Record]) -> str:
    """What a strategy trains and how, its recipe apart."""
    return canonical(records[0].requested.model_dump(include={"model", "method", "trainer"}))


def _steps(records: Sequence[Record]) -> int:
    """Optimizer steps of the longest of some runs; 0 where none was observed."""
    return max((record.observed.optimizer_steps for record in records if record.observed), default=0)


def _better_end(group: ComparisonGroup, row: Row) -> float:
    """The end of a row's interval that is the better score; its mean where it has no interval."""
    score = group.score(row)
    assert score is not None
    end = score.high if group.higher_is_better else score.low
    return score.mean if end is None else end
