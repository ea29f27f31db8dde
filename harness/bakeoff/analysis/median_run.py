"""Which run of a strategy to use: the one with the median score on dev, neither the luckiest nor the unluckiest."""

from __future__ import annotations

from dataclasses import dataclass

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.contracts.held_out import selection_split
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Record


@dataclass(frozen=True)
class MedianRun:
    """The run of a strategy that is the median by its score on dev."""

    record: Record
    split: str
    score: float
    """The score by the primary metric on `split`, in the metric's own unit."""
    among: int
    """How many runs of the strategy learned and have a score on `split`."""


def median_run(experiment: Experiment, group: ComparisonGroup, strategy: str) -> MedianRun | None:
    """The median run of a strategy, of its runs that learned, by the primary metric on dev; never on the reported split where
    that is another. Of two in the middle it is the worse one. None where no run has a score on dev."""
    (row,) = (row for row in group.rows if row.strategy == strategy)
    runs = experiment.declared.groups.get((group.task, group.model), [])
    ids = {run.id for run in runs if run.strategy == strategy and run.seed in row.learned}
    found: list[tuple[float, int, Record, str]] = []
    for record in experiment.records:
        if record.id not in ids or record.data is None:
            continue
        split = selection_split(record.scores)
        if (score := record.scores.get(split, {}).get(record.data.primary_metric)) is not None:
            found.append((score, record.requested.seed, record, split))
    if not found:
        return None
    found.sort(key=lambda one: (one[0] if group.higher_is_better else -one[0], one[1]))
    score, _, record, split = found[(len(found) - 1) // 2]
    return MedianRun(record, split, score, len(found))
