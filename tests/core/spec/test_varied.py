"""`vary`: one recipe key with several values."""

from __future__ import annotations

from typing import Any

import pytest

from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import SpecError
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.given import data_of, document_from

INSTALLED = load_registry()

FILE = {
    "name": "sizes",
    "tasks": ["glue/mrpc"],
    "models": ["tiny-bert"],
    "strategies": {"full": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}},
    "report_on": "dev",
}


def planned(**keys: Any) -> Plan:
    return resolve(document_from({**FILE, **keys}), INSTALLED)


def problems(**keys: Any) -> dict[str, str]:
    """Key in the file -> what is wrong there."""
    with pytest.raises(SpecError) as caught:
        planned(**keys)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_each_strategy_becomes_one_for_each_value_with_the_ids_of_recipes_that_give_it() -> None:
    sizes = planned(vary={"train_examples": [64, "all"]})
    spelt = {
        f"{name}-{size}": {**strategy, "recipe": {"train_examples": size} if size else {}}
        for name, strategy in FILE["strategies"].items()  # type: ignore[attr-defined]
        for size in (64, None)
    }
    assert [run.id for run in sizes.runs] == [run.id for run in planned(strategies=spelt).runs]
    assert [strategy.name for strategy in sizes.strategies] == ["full@64", "full@all", "head@64", "head@all"]
    assert sizes.vary is not None
    assert sizes.vary.values == [64, None]
    assert sizes.vary.rows == {"full": ["full@64", "full@all"], "head": ["head@64", "head@all"]}
    assert sizes.spelt_out is not None
    assert "recipe.train_examples" in sizes.spelt_out["full@64"]


def test_the_baseline_is_that_of_each_value() -> None:
    plan = planned(vary={"train_examples": [64, "all"]}, baseline="head")
    assert plan.baseline == "head@all"
    assert plan.baseline_of == {"full@64": "head@64", "full@all": "head@all", "head@64": "head@64", "head@all": "head@all"}


@pytest.mark.parametrize(
    ("vary", "key", "words"),
    [
        ({"train_exampels": [64, 256]}, "vary.train_exampels", ["train_examples"]),
        ({"train_examples": [64, 256], "epochs": [1, 2]}, "vary", ["one", "train_examples, epochs"]),
        ({}, "vary", ["train_examples"]),
        ([64, 256], "vary", ["mapping"]),
        ({"train_examples": 64}, "vary.train_examples", ["list"]),
        ({"train_examples": [64]}, "vary.train_examples", ["2 to"]),
        ({"train_examples": [64, 64]}, "vary.train_examples[1]", ["64", "twice"]),
        ({"train_examples": ["all", "all"]}, "vary.train_examples[1]", ["all", "twice"]),
        ({"train_examples": [256, "all", 64]}, "vary.train_examples", ["vary: {train_examples: [64, 256, all]}"]),
        ({"train_examples": [64, 0]}, "vary.train_examples[1]", ["1 or more", "got 0", "all"]),
        ({"train_examples": [64, "everything"]}, "vary.train_examples[1]", ["integer", "everything"]),
        ({"train_examples": [64, None]}, "vary.train_examples[1]", ["all"]),
        ({"learning_rate": [1e-5, "all"]}, "vary.learning_rate[1]", ["number"]),
        ({"betas": [[0.9, 0.99], [0.9, 0.999]]}, "vary.betas", ["lists"]),
        ({"micro_batch_size": [3, 4]}, "vary.micro_batch_size[0]", ["3", "divide"]),
    ],
)
def test_what_is_wrong_is_told_at_its_place(vary: Any, key: str, words: list[str]) -> None:
    found = problems(vary=vary)
    assert list(found) == [key]
    assert all(word in found[key] for word in words), found[key]


def test_all_values_that_are_wrong_are_told_at_once() -> None:
    assert list(problems(vary={"train_examples": [0, 64, "some"]})) == ["vary.train_examples[0]", "vary.train_examples[2]"]


def test_nothing_else_may_give_the_key_that_varies() -> None:
    strategies = {
        "given": {"trainer": "torch-loop", "recipe": {"train_examples": 8}},
        "searched": {"trainer": "torch-loop", "search": {"train_examples": [8, 16]}},
    }
    found = problems(vary={"train_examples": [64, "all"]}, recipe={"train_examples": 8}, strategies=strategies)
    assert {"recipe.train_examples", "strategies.given.recipe.train_examples"} <= found.keys()
    assert "strategies.searched.search.train_examples" in found
    assert all("`vary` gives train_examples" in told for told in found.values())


def test_a_problem_of_a_strategy_is_told_once_and_not_for_each_value() -> None:
    strategies = {"full": {"trainer": "torch-loop", "method": "no-such"}, "lora": {"trainer": "linear-probe", "method": "lora"}}
    found = problems(vary={"train_examples": [64, 256, "all"]}, strategies=strategies)
    assert sorted(found) == ["strategies.full.method", "strategies.lora.method"]


def test_a_search_runs_at_each_value_or_at_the_one_that_it_names() -> None:
    vary, search = {"train_examples": [64, 256, "all"]}, {"learning_rate": [1e-5, 1e-4]}
    each = planned(vary=vary, search=search)
    assert {run.strategy.name for run in each.trials} == {
        f"{name}@{size}" for name in ("full", "head") for size in (64, 256, "all")
    }
    named = planned(vary=vary, search={**search, "at": 256})
    assert {run.strategy.name for run in named.trials} == {"full@256", "head@256"}
    assert {run.strategy.recipe.train_examples for run in named.trials} == {256}
    rows = {strategy.name: strategy.tuning for strategy in named.strategies}
    assert {name: tuning.owner for name, tuning in rows.items() if tuning} == {
        name: f"{name.split('@')[0]}@256" for name in rows
    }
    settled = named.settled(named.strategies[0], named.tasks[0], named.models[0], 0)
    assert settled is None  # until the trials at 256 have chosen
    assert "256" in problems(vary=vary, search={**search, "at": 255})["search.at"]
    assert "vary" in problems(search={**search, "at": 256})["search.at"]


def test_a_repeat_is_made_at_each_value_too() -> None:
    strategies = {"full": {"trainer": "torch-loop"}, "again": {"same_as": "full", "replicate": 1}}
    plan = planned(vary={"learning_rate": [1e-5, 5e-5]}, strategies=strategies)
    assert [one.name for one in plan.strategies] == ["full@1e-5", "full@5e-5", "again@1e-5", "again@5e-5"]
    assert [one.recipe.learning_rate for one in plan.strategies] == [1e-5, 5e-5] * 2


def test_runs_are_selected_by_row_or_by_strategy() -> None:
    names = planned(vary={"train_examples": [64, "all"]}, seeds=2).names
    assert {run.strategy for run in names.select("full@64")} == {"full@64"}
    assert {run.strategy for run in names.select("full")} == {"full@64", "full@all"}
    assert [(run.strategy, run.seed) for run in names.select("head@all:1")] == [("head@all", 1)]


def test_a_spec_is_read_again_as_it_was_written() -> None:
    document = document_from({**FILE, "vary": {"train_examples": [64, "all"]}})
    spec, _, _ = document.read(INSTALLED)
    assert isinstance(spec, Spec)
    assert spec.vary is not None
    assert data_of(spec)["vary"] == {"train_examples": [64, "all"]}
    assert spec.vary.key in Recipe.model_fields
