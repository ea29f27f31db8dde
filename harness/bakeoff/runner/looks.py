"""Makes the runs of an experiment with looks (numbers of seeds at which the comparisons are judged): after each look, only the
strategies that are not decided yet get the seeds of the next one.

Which runs are due follows from the records alone, so that a command that was killed can be repeated and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from bakeoff.analysis.looks import next_runs
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.runner.scheduler import Scheduler
from bakeoff.runner.settings import Progress
from bakeoff.text.numbers import count
from bakeoff.text.values import listed


@dataclass(frozen=True)
class Stage:
    """The wanted runs (those that `--only` selects) that the looks need next."""

    numbers: tuple[int, ...]
    """The numbers, from 1, of the looks that wait for runs: several if tasks or models are at different looks."""
    runs: tuple[Run, ...]
    """The runs that these looks wait for, in the plan's order, as far as searches have chosen their configurations."""
    trials: tuple[Run, ...]
    """The trials of searches that have to choose configurations for other runs first. `runs` and `trials` are empty if nothing
    is left to decide."""
    left_out: int = 0
    """Number of runs and trials that these looks also need, but `--only` leaves out."""


def stage_of(plan: Plan, store: Store, without: Collection[str] = ()) -> Stage:
    """What the looks need next, by the plan and the records in the store. without: ids of runs whose records are about to be
    replaced, and don't count."""
    experiment = load_experiment([store], without=without)
    waiting = next_runs(experiment)
    wanted = {(look.task, look.model, name, seed) for look in waiting for name, seeds in look.seeds.items() for seed in seeds}
    # by id, since labels differ from the plan's where data or models differ
    groups = experiment.declared.groups.items()
    ids = {run.id for place, runs in groups for run in runs if (*place, run.strategy, run.seed) in wanted}
    own = plan.own_models
    searched = {(task, own.get(name, model), name, seed) for task, model, name, seed in wanted}
    runs, trials = [run for run in plan.runs if run.id in ids], plan.trials_for(plan.searches_for(searched))
    return Stage(
        tuple(sorted({look.number for look in waiting})),
        tuple(filter(plan.is_wanted, runs)),
        tuple(filter(plan.is_wanted, trials)),
        sum(not plan.is_wanted(run) for run in (*runs, *trials)),
    )


def make_look_by_look(
    plan: Plan, store: Store, scheduler: Scheduler, progress: Progress, choose: Callable[[Plan], Plan]
) -> tuple[Plan, list[Record]]:
    """Makes the runs of each look that is needed, the trials of its searches first.

    choose: returns the plan with the configurations that recorded trials choose. Returns the plan with all choices, and the
    records that were made.
    """
    done: list[Record] = []
    before: Stage | None = None
    while (stage := stage_of(plan, store, scheduler.to_replace)) != before and (stage.trials or stage.runs):
        progress.note(in_words(plan, stage))
        recorded = sum(not scheduler.is_due(run) for run in plan.wanted.values())
        due = [run for run in stage.trials if scheduler.is_due(run)]
        progress.start(total=recorded + len(due) + len(stage.runs), done=recorded)
        if stage.trials:
            done += scheduler.make(stage.trials)
            plan = choose(plan)
        else:
            done += scheduler.make(stage.runs)
        before = stage
    if plan.only is not None and not stage.runs:
        progress.note(left_in_words(plan, stage, scheduler))
    elif stage.runs:
        n = count(len(stage.runs), "record")
        progress.note(f"the next look has to wait: {n} of its runs cannot be used; the same command makes these runs again")
    return plan, done


def left_in_words(plan: Plan, stage: Stage, scheduler: Scheduler) -> str:
    """A sentence for the user of `--only`: how many of its runs are still to be made, and what the next look needs beyond
    them."""
    later = sum(scheduler.is_due(run) for run in plan.wanted.values())
    waits = f"{count(later, 'run')} of --only {'waits' if later == 1 else 'wait'}" if later else "all runs of --only are made"
    if not stage.numbers:
        return f"{waits}: all is decided, and no look needs more" if later else f"{waits}, and all is decided"
    which = listed([str(number) for number in stage.numbers])
    return f"{waits}: look {which} first needs {count(stage.left_out, 'other run')}, which --only leaves out"


def in_words(plan: Plan, stage: Stage) -> str:
    """Which runs the next looks need: `look 2 of 5, at 5 seeds: 6 runs of full, lora and bitfit`."""
    looks = plan.spec.seeds.looks
    which = listed([f"{number} of {len(looks)}, at {looks[number - 1]} seeds" for number in stage.numbers])
    made, what = (stage.trials, "trial") if stage.trials else (stage.runs, "run")
    return f"look {which}: {count(len(made), what)} of {listed(dict.fromkeys(run.strategy.name for run in made))}"
