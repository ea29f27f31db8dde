"""`--only`: which runs are made, what a search must try first for them, and that nothing else of the plan changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.planning.test_runs import plan_of

from bakeoff.errors import BakeoffError
from bakeoff.planning.runs import Plan, Run
from bakeoff.planning.search import settled
from bakeoff.planning.selection import select

SPEC = """\
name: toy
tasks: [{name: docstrings, size: 100}, {name: docstrings, size: 200}]
models: [tiny-bert]
recipe: {epochs: 1}
strategies:
  full: {trainer: torch-loop}
  tuned: {trainer: torch-loop, search: {learning_rate: [1e-4, 1e-3], seeds: 2}}
  again: {same_as: tuned, replicate: 1}
seeds: 3
"""
REPEATED = SPEC.replace("seeds: 2}", "seeds: 1, repeat: 3}")


def made(plan: Plan) -> list[str]:
    return [run.title.replace("docstrings (size=", "").replace(")", "") for run in plan.wanted.values()]


def unrecorded(run_id: str) -> None:
    """No run has a record."""


def chosen(plan: Plan) -> Plan:
    """With the first configuration chosen by every search."""
    return replace(plan, chosen={run.search_key: 0 for run in plan.trials})


def test_all_runs_are_made_without_it() -> None:
    plan = plan_of(SPEC)
    assert select(plan, (), unrecorded) is plan
    assert plan.wanted == plan.by_id
    assert chosen(plan).wanted.keys() == chosen(plan).by_id.keys()


def test_runs_of_a_strategy_or_a_seed() -> None:
    assert made(select(plan_of(SPEC), ["full:0"], unrecorded)) == ["full:0@100", "full:0@200"]
    assert made(select(plan_of(SPEC), ["full:0@docstrings (size=200)", "full:2"], unrecorded)) == [
        "full:2@100",
        "full:0@200",
        "full:2@200",
    ]
    by_id = plan_of(SPEC).runs[0].id
    assert list(select(plan_of(SPEC), [by_id], unrecorded).wanted) == [by_id]


def test_the_trials_that_runs_wait_for_are_made_with_them() -> None:
    plan = select(plan_of(SPEC), ["again:1@docstrings (size=100)"], unrecorded)
    assert {(run.strategy.name, run.task.options.size) for run in plan.wanted.values()} == {("tuned", 100)}
    assert (len(plan.wanted), plan.waiting, len(plan.first_trials)) == (4, 1, 4)
    assert [run.strategy.name for run in chosen(plan).wanted.values()].count("again") == 1
    assert chosen(plan).waiting == 0


def test_of_repeated_searches_only_the_one_that_chooses_for_the_seed() -> None:
    plan = select(plan_of(REPEATED), ["tuned:1@docstrings (size=100)"], unrecorded)
    assert {run.search for run in plan.wanted.values()} == {1}
    assert len(plan.wanted) == 2


def test_trials_can_be_named_by_themselves() -> None:
    plan = plan_of(SPEC)
    trial = plan.trials[0]
    only = select(plan, [trial.id], unrecorded)
    assert (list(only.wanted), only.waiting) == ([trial.id], 0)
    assert only.first_trials == (trial,)
    assert len(select(plan, [f"tuned:{trial.seed}"], unrecorded).wanted) == 4


def test_the_runs_of_a_choice_are_wanted_under_each_name_that_they_have() -> None:
    """A search may choose what another strategy is."""
    spec = SPEC.replace("{trainer: torch-loop}\n", "{trainer: torch-loop, recipe: {learning_rate: 1e-4}}\n", 1)
    plan = chosen(select(plan_of(spec), ["full:0"], unrecorded))
    same = [run.id for run in plan.runs if run.seed == 0 and run.strategy.name == "tuned"]
    assert set(same) == set(plan.wanted)


def test_nothing_else_of_the_plan_changes() -> None:
    plan = plan_of(SPEC)
    only = settled(select(plan, ["full:0"], unrecorded), lambda run_id: None)
    assert (only.runs, only.trials, only.names.runs) == (plan.runs, plan.trials, plan.names.runs)


def test_what_is_not_declared_is_refused_with_the_nearest() -> None:
    with pytest.raises(BakeoffError, match=r"^--only: .*'ful:0'; .* 'full:0'\?$"):
        select(plan_of(SPEC), ["ful:0"], unrecorded)


def test_names_of_runs_are_those_of_the_plan() -> None:
    plan = chosen(plan_of(REPEATED))
    every: list[Run] = [*plan.trials, *plan.runs]
    assert {run.title for run in every} == {plan.names.name(run) for run in plan.names.runs}
    assert len({run.title for run in every}) == len(every)
