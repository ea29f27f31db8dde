"""The result of a search: the trials of each configuration, and the one that is reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bakeoff.contracts.held_out import selection_split
from bakeoff.planning.runs import Plan, Run, SearchKey, Tuning
from bakeoff.records.schema import Chosen, Record, Search, TrialRun
from bakeoff.spec.strategy import SearchRange
from bakeoff.text.values import grouped

Read = Callable[[str], Record | None]
"""Run id -> its record; None if there is none that can be read."""


def settled(plan: Plan, read: Read) -> Plan:
    """The plan in which each search has chosen its configuration, as far as the recorded trials allow (`Plan.chosen`)."""
    best_of = {key: best(plan.searches[key[0]], trials, read) for key, trials in trials_of(plan).items()}
    chosen = {key: number for key, number in best_of.items() if number is not None}
    return plan if chosen == plan.chosen else replace(plan, chosen=chosen)


def trials_of(plan: Plan) -> dict[SearchKey, list[Run]]:
    """Search -> the trials by which it chooses."""
    return grouped((run.search_key, run) for run in plan.trials)


def best(search: Tuning, trials: list[Run], read: Read) -> int | None:
    """The number of the configuration with the best mean on dev; the first one among equals.

    None while a trial is not recorded, or if every configuration has a failed trial, which rules it out.
    """
    means: list[float] = []
    for configuration in search.configurations:
        records = [read(run.id) for run in trials if run.tried == configuration.tried]
        if any(record is None for record in records):
            return None
        means.append(math.fsum(dev_score(record) for record in records if record) / len(records))
    number = max(range(len(means)), key=means.__getitem__)
    return number if math.isfinite(means[number]) else None


def dev_score(record: Record) -> float:
    """The run's score by the primary metric on the split to select on (dev, as a rule), negated if lower is better; minus
    infinity for a failed run, and for one without that score."""
    if record.status == "failed" or record.data is None:
        return -math.inf
    primary = record.data.primary
    score = record.scores[selection_split(record.scores)].get(primary.name)
    if score is None:  # it says nothing there
        return -math.inf
    return score if primary.higher_is_better else -score


def declared_searches(plan: Plan) -> dict[str, Search]:
    """Strategy -> its search and what the search has chosen so far; a strategy with `same_as` has the search of the one that it
    repeats."""
    return {
        strategy.name: Search(
            grid=tuning.space.grid,
            ranges={key: one.model_dump() for key, one in tuning.space.given.items() if isinstance(one, SearchRange)},
            budget=tuning.space.budget,
            draw=tuning.space.draw if tuning.space.budget is not None else 0,
            seeds=[seed for number in range(tuning.space.repeat) for seed in tuning.space.trial_seeds(number)],
            reported=list(plan.spec.seeds.numbers) if tuning.space.repeat > 1 else [],
            choose=tuning.space.choose,
            at=plan.spec.vary.said(tuning.space.at) if plan.spec.vary and tuning.space.at is not None else "",
            trials=[
                TrialRun(id=run.id, task=run.task.label, model=run.model_label, seed=run.seed, values=dict(run.tried))
                for run in plan.trials
                if run.strategy.name == tuning.owner
            ],
            chosen=[
                Chosen(task=task, model=model, search=search, values=dict(tuning.configurations[number].tried))
                for (owner, task, model, search), number in plan.chosen.items()
                if owner == tuning.owner
            ],
        )
        for strategy in plan.strategies
        if (tuning := strategy.tuning)
    }


def undecided(plan: Plan, read: Read) -> dict[SearchKey, int]:
    """Search whose trials are all recorded, but none of whose configurations succeeded at every seed -> the number of runs to
    report that wait for it."""
    return {
        key: sum(
            len(plan.seeds_of(strategy))
            for strategy in plan.strategies
            if strategy.tuning is not None and strategy.tuning.owner == key[0]
        )
        // plan.searches[key[0]].space.repeat
        for key, trials in trials_of(plan).items()
        if key not in plan.chosen and all(read(run.id) is not None for run in trials)
    }


def in_words(plan: Plan, search: SearchKey) -> str:
    """A sentence about one of the `undecided` searches."""
    owner, task, model, number = search
    which = f"search {number + 1} of {repeat}" if (repeat := plan.searches[owner].space.repeat) > 1 else "its search"
    return f"{owner}: no configuration of {which} succeeded at every seed ({task}, {model}), so that no run of it is reported"
