"""What `check` and `plan` tell of each comparison before any run."""

from __future__ import annotations

import pytest
from messages import tells

from bakeoff.cli.comparisons import comparison_lines, comparisons, confounded_lines
from bakeoff.contracts.registry import load_registry
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import Plan
from bakeoff.spec.document import parse_document

INSTALLED = load_registry()
SPEC = """\
name: toy
tasks: [docstrings]
models: [tiny-bert]
recipe: {max_steps: 5}
strategies:
  full: {trainer: torch-loop}
  again: {same_as: full, replicate: 1}
  tuned: {trainer: torch-loop, method: head-only, recipe: {learning_rate: 1e-3}}
  api: {trainer: hf-trainer}
  longer: {trainer: torch-loop, recipe: {max_steps: 9}}
"""


def plan_of(*lines: str, strategies: str = SPEC) -> Plan:
    return resolve(parse_document("\n".join([*lines, strategies]), "spec.yaml"), INSTALLED)


def told(plan: Plan) -> dict[str, tuple[list[str], list[str]]]:
    """Strategy -> what its comparison with the baseline is about, and what will confound it."""
    found = {str(one["first"]): one for one in comparisons(plan) if one["second"] == plan.baseline}
    return {
        name: (one["about"], [fact.partition(" (")[0] for fact in one["confounded_by"]])  # type: ignore[attr-defined, misc]
        for name, one in found.items()
    }


def test_what_strategies_spell_out_is_what_a_comparison_is_about() -> None:
    assert told(plan_of()) == {
        "again": ([], []),
        "tuned": (["method", "learning rate"], []),
        "api": (["trainer"], []),
        "longer": (["training length"], []),
    }
    assert confounded_lines(plan_of()) == []


@pytest.mark.parametrize(
    ("under_test", "confounded", "wanted"),
    [
        (
            "[method]",
            {"tuned": ["learning rate"], "api": ["trainer"], "longer": ["training length"]},
            "[method, recipe.learning_rate, trainer, recipe.max_steps]",
        ),
        ("[trainer, method, recipe]", {}, ""),
        ("[]", {"tuned": ["method", "learning rate"], "api": ["trainer"], "longer": ["training length"]}, "[method"),
    ],
)
def test_what_under_test_leaves_out_will_confound(under_test: str, confounded: dict[str, list[str]], wanted: str) -> None:
    plan = plan_of(f"under_test: {under_test}")
    assert {name: confounders for name, (_, confounders) in told(plan).items() if confounders} == confounded
    assert f"`under_test: {wanted}" in "".join(confounded_lines(plan)) or not wanted
    lines = [
        line for line in comparison_lines(plan) if tells(line, "longer against full: ", "confounded", "9 steps", "5 steps")
    ]
    assert bool(lines) == bool(confounded)


def test_another_budget_is_not_ranked() -> None:
    found = {one["first"]: one["not_ranked"] for one in comparisons(plan_of("under_test: [method]")) if one["second"] == "full"}
    longer = found.pop("longer")
    assert tells(str(longer), "72 examples", "40")
    assert set(found.values()) == {""}


def test_a_search_may_choose_differently_unless_one_strategy_repeats_the_other() -> None:
    searched = SPEC.replace(", recipe: {learning_rate: 1e-3}", "")
    plan = plan_of(
        "search: {learning_rate: [1e-3, 1e-4]}", "under_test: [trainer, method, recipe.max_steps]", strategies=searched
    )
    found = {one["first"]: one["may_be_confounded_by"] for one in comparisons(plan) if one["second"] == "full"}
    assert found == {"again": [], "tuned": ["learning rate"], "api": ["learning rate"], "longer": ["learning rate"]}
    implied = plan_of("search: {learning_rate: [1e-3, 1e-4]}", strategies=searched)
    assert told(implied)["api"] == (["trainer", "learning rate"], [])


def test_one_strategy_compares_nothing_and_models_are_joined_by_name() -> None:
    one = SPEC.split("  again")[0]
    (line,) = comparison_lines(plan_of(strategies=one))
    assert tells(line, "nothing is compared", "one strategy")
    several = one.replace("[tiny-bert]", "[tiny-bert, minilm]")
    assert "`under_test: [model]`" in comparison_lines(plan_of(strategies=several))[0]


def test_the_plan_declares_what_is_spelt_out() -> None:
    assert plan_of().spelt_out == {
        "full": ["trainer"],
        "again": ["trainer"],
        "tuned": ["trainer", "method", "recipe.learning_rate"],
        "api": ["trainer"],
        "longer": ["trainer", "recipe.max_steps"],
    }
    assert plan_of("under_test: [method]").spelt_out is None
    assert plan_of("under_test: []").spelt_out == {}
