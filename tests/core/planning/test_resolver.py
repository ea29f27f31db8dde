"""Each value of an experiment file is validated once, and what cannot work together is told with all else that is wrong."""

from __future__ import annotations

from typing import Any, Self

import pytest
from pydantic import model_validator

from bakeoff.contracts.registry import Origin, Registry, load_registry, register
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.plugin import Options, Supports, Trainer, hookimpl
from bakeoff.spec.document import parse_document

INSTALLED = load_registry()
validated: list[int] = []


class Counted(Options):
    size: int = 1

    @model_validator(mode="after")
    def _count(self) -> Self:
        validated.append(self.size)
        return self


class Counting(Trainer):
    name, summary, version = "counting", "Counts.", "1"
    supports = Supports()
    Options = Counted

    def fit(self, job: Any, options: Any) -> None:
        raise NotImplementedError


class Plugin:
    @hookimpl
    def bakeoff_trainers(self) -> list[Trainer]:
        return [Counting()]

    @hookimpl
    def bakeoff_tasks(self) -> list[Any]:
        return [INSTALLED.get("task", "docstrings").component.task]

    @hookimpl
    def bakeoff_models(self) -> list[Any]:
        return [INSTALLED.get("model", "tiny-bert").component]

    @hookimpl
    def bakeoff_methods(self) -> list[Any]:
        return [INSTALLED.get("method", "full").component]


COUNTED = register([("counted", Plugin(), Origin("counted", "counted", "1"))])
FILE = """\
name: toy
tasks: [docstrings]
models: [tiny-bert]
recipe: {epochs: 1}
strategies:
  one: {trainer: {name: counting, size: 7}}
  again: {same_as: one, replicate: 1}
  other: {trainer: {name: counting, size: 8}, recipe: {weight_decay: 0.1}}
"""


def plan_of(text: str, registry: Registry = COUNTED) -> Plan:
    validated.clear()
    return resolve(parse_document(text, "spec.yaml"), registry)


def test_an_option_is_validated_once_however_often_its_strategy_is_repeated() -> None:
    plan = plan_of(FILE)
    assert validated == [7, 8]
    assert plan.strategies[1].trainer is plan.strategies[0].trainer


def test_a_searched_option_is_validated_once_for_each_configuration() -> None:
    plan_of(
        FILE.replace("size: 7}", "size: 7}, search: {trainer.size: [7, 9], seeds: 1}").replace(
            "{name: counting, size: 7}", "counting"
        )
    )
    assert validated == [1, 8, 7, 9, 7, 9]  # of the strategy and of its repeat


def test_a_strategy_that_changes_nothing_has_the_shared_recipe_itself() -> None:
    plan = plan_of(FILE)
    assert [strategy.recipe is plan.spec.recipe for strategy in plan.strategies] == [True, True, False]
    assert plan.strategies[2].recipe.weight_decay == 0.1


def test_values_of_a_search_that_go_well_together_are_taken() -> None:
    searched = "search: {batch_size: [16, 32], micro_batch_size: [16], seeds: 1}\nseeds: 1\n"
    text = FILE.replace("counting, size: 7", "torch-loop").replace(
        "  other: {trainer: {name: counting, size: 8}, recipe: {weight_decay: 0.1}}\n", ""
    )
    assert len(plan_of(text + searched, INSTALLED).trials) == 2


@pytest.mark.parametrize("wrong", ["recipe: {epochs: 0}", "recipe: {epoch: 1}"])
def test_what_is_wrong_beside_a_wrong_shared_recipe_is_told_with_it(wrong: str) -> None:
    text = (
        FILE.replace("recipe: {epochs: 1}", wrong).replace("size: 8", "sise: 8") + "search: {weight_decay: [0.1], seeds: [0]}\n"
    )
    with pytest.raises(SpecError) as caught:
        plan_of(text)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (4, wrong.replace(": {", ".").partition(":")[0]),
        (8, "strategies.other.trainer.sise"),
        (9, "search.seeds"),
    ]


def test_looks_need_something_to_compare() -> None:
    alone = FILE.replace("  again: {same_as: one, replicate: 1}\n", "").replace(
        "  other: {trainer: {name: counting, size: 8}, recipe: {weight_decay: 0.1}}\n", ""
    )
    with pytest.raises(SpecError, match=r"spec\.yaml:7:9: seeds\.looks: there is one strategy only.*`seeds: 5`"):
        plan_of(alone + "seeds: {looks: [3, 5]}\n")
    plan = plan_of(FILE + "seeds: {looks: [3, 5]}\n")
    assert (plan.run_range, len(plan.runs), plan.spec.seeds.in_words) == ((9, 15), 15, "looks at 3 and 5 seeds")


def test_a_searchs_seeds_are_none_of_any_look() -> None:
    with pytest.raises(SpecError, match=r"search\.seeds: seed 4 is reported too"):
        plan_of(FILE + "search: {trainer.size: [7], seeds: [4]}\nseeds: {looks: [3, 5]}\n")
