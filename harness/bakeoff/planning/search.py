"""What a search has found: the trials of each configuration, and which one is reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.dev_split import selection_split
from bakeoff.planning.runs import Plan, Run, Tuning
from bakeoff.records.schema import Chosen, Record, Search, TrialRun

Read = Callable[[str], Record | None]
"""Run id -> its record; None where there is none that can be read."""


def settled(plan: Plan, read: Read) -> Plan:
    """The plan with every choice that the recorded trials allow."""
    chosen = {}
    for task in plan.tasks:
        for model in plan.models:
            for tuning in tunings(plan).values():
                if (number := best(tuning, trials_of(plan, tuning.owner, task, model), read)) is not None:
                    chosen[tuning.owner, task.label, model.label] = number
    return replace(plan, chosen=chosen)


def trials_of(plan: Plan, owner: str, task: Configured, model: Configured) -> list[Run]:
    return [run for run in plan.trials if (run.strategy.name, run.task, run.model) == (owner, task, model)]


def tunings(plan: Plan) -> dict[str, Tuning]:
    """Strategy -> its search, of those that have one of their own."""
    tuned = {strategy.name: strategy.tuning for strategy in plan.strategies if strategy.tuning}
    return {name: tuning for name, tuning in tuned.items() if tuning.owner == name}


def best(tuning: Tuning, trials: list[Run], read: Read) -> int | None:
    """The number of the configuration with the best mean on dev, of equals the first; None while a trial is missing, or where
    none ended well at all its seeds: a failed trial rules its configuration out."""
    means: list[float] = []
    for configuration in tuning.configurations:
        scores = []
        for run in trials:
            if run.tried != configuration.values:
                continue
            record = read(run.id)
            if record is None:
                return None
            scores.append(dev_score(record))
        means.append(math.fsum(scores) / len(scores) if scores else -math.inf)
    number = max(range(len(means)), key=lambda index: means[index])
    return number if math.isfinite(means[number]) else None


def dev_score(record: Record) -> float:
    """The primary metric on dev, the better the higher; minus infinity for a failed run."""
    if record.status == "failed" or record.data is None:
        return -math.inf
    primary = next(metric for metric in record.data.metrics if metric.name == record.data.primary_metric)
    score = record.scores[selection_split(record.scores)].get(primary.name)
    if score is None:  # it says nothing there
        return -math.inf
    return score if primary.higher_is_better else -score


def declared_searches(plan: Plan) -> dict[str, Search]:
    """Strategy -> its search and what it has chosen so far; a repeat has the search of what it repeats."""
    return {strategy.name: _declared(plan, strategy.tuning) for strategy in plan.strategies if strategy.tuning}


def _declared(plan: Plan, tuning: Tuning) -> Search:
    return Search(
        grid=tuning.space.grid,
        seeds=tuning.space.seeds,
        choose=tuning.space.choose,
        trials=[
            TrialRun(id=run.id, task=run.task.label, model=run.model.label, seed=run.seed, values=dict(run.tried))
            for run in plan.trials
            if run.strategy.name == tuning.owner
        ],
        chosen=[
            Chosen(task=task, model=model, values=dict(tuning.configurations[number].values))
            for (owner, task, model), number in plan.chosen.items()
            if owner == tuning.owner
        ],
    )


def undecided(plan: Plan, read: Read) -> list[str]:
    """A sentence for each search whose trials are all recorded and none of whose configurations can be reported."""
    found = []
    for owner in tunings(plan):
        for task in plan.tasks:
            for model in plan.models:
                if (owner, task.label, model.label) in plan.chosen:
                    continue
                if all(read(run.id) is not None for run in trials_of(plan, owner, task, model)):
                    found.append(
                        f"{owner}: no configuration of its search ended well at every seed ({task.label}, {model.label}); "
                        "nothing of it is reported"
                    )
    return found
