"""What is under test where the experiment file does not name it: what strategies spell out differently, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import BASELINE, LABELS, ROW, altered, clean_answers, clean_experiment, component, declare, declaring, make_folder
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.results import Pair
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.store import Store

SPELT = {BASELINE: ["trainer"], ROW: ["trainer", "recipe.max_grad_norm"]}
UNCLIPPED: dict[str, Any] = {"clipped_at": None, "gradient_norm_max": 9.0}


def apart(**declared: Any) -> Experiment:
    """Two rows of which one asks for no clipping, by another trainer, and observably has none."""
    made = altered(clean_experiment(under_test=[], **declared), "observed", **UNCLIPPED)
    recipe = made.records[0].requested.recipe
    made = altered(made, "requested", recipe={**recipe, "max_grad_norm": None}, trainer=component("torch-loop"))
    return altered(made, "requested", row=BASELINE, recipe={**recipe, "max_grad_norm": 1.0}, trainer=component("hf-trainer"))


def verdict(made: Experiment) -> Pair:
    (group,) = compare(made).groups
    (pair,) = group.to_baseline
    return pair


def test_what_is_spelt_out_differently_is_under_test_and_the_verdict_says_as_a_whole() -> None:
    pair = verdict(apart(spelt_out=SPELT))
    assert (pair.verdict, pair.confounders) == ("better", [])
    assert [fact.subject for fact in pair.studied] == ["trainer", "gradient clipping"]
    assert tells(pair.sentence[pair.sentence.index("As a whole") :], "As a whole: ", "trainer", "gradient clipping")


def test_an_empty_list_puts_nothing_under_test() -> None:
    pair = verdict(apart(spelt_out={}))
    assert pair.verdict == "confounded"
    assert [fact.subject for fact in pair.confounders] == ["trainer", "gradient clipping"]


def test_what_only_one_strategy_does_on_its_own_confounds_though_another_pair_spells_it_out() -> None:
    """The trainer sets eps though the file asks for the same of both; a third strategy that spells eps out changes nothing."""
    made = apart(spelt_out={**SPELT, BASELINE: ["trainer", "recipe.eps"]})
    group = made.records[0].observed.groups[0]  # type: ignore[union-attr]
    made = altered(made, "observed", groups=[group.model_copy(update={"eps": 1e-6})])
    pair = verdict(made)
    assert pair.verdict == "confounded"
    assert [fact.subject for fact in pair.confounders] == ["eps"]
    assert [fact.subject for fact in pair.studied] == ["trainer", "gradient clipping"]


def test_one_difference_is_no_whole() -> None:
    made = declaring(apart(), under_test=[], spelt_out={BASELINE: ["trainer"], ROW: ["trainer"]})
    recipe = {**made.records[0].requested.recipe, "max_grad_norm": 1.0}
    made = altered(altered(made, "requested", recipe=recipe), "observed", row=BASELINE, **UNCLIPPED)
    pair = verdict(made)
    assert [fact.subject for fact in pair.studied] == ["trainer"]
    assert "As a whole" not in pair.sentence


@pytest.mark.parametrize("key", ["epochs", "batch_size"])
def test_another_length_that_is_spelt_out_is_ranked_and_no_unequal_budget(key: str) -> None:
    made = apart(spelt_out={BASELINE: ["trainer"], ROW: ["trainer", "recipe.max_grad_norm", f"recipe.{key}"]})
    recipe = {**made.records[-1].requested.recipe, key: 6}
    made = altered(altered(made, "requested", recipe=recipe), "observed", **UNCLIPPED, examples_seen=22_008)
    comparison = compare(made)
    assert comparison.groups[0].rankings == [""]
    assert "unequal-budgets" not in {warning.name for warning in comparison.warnings}


def test_the_advice_names_all_that_is_to_be_under_test() -> None:
    made = apart(spelt_out={BASELINE: ["trainer"], ROW: ["trainer"]})
    (warning,) = [one for one in compare(made).warnings if one.name == "confounded"]
    assert "`under_test: [trainer, recipe.max_grad_norm]`" in warning.what_to_do


def recorded(folder: Path, **declared: Any) -> Path:
    """A folder whose second row asks for another eps, by the same trainer."""
    answers = {"base": clean_answers(accuracy=0.8, seed=1), "row": clean_answers(accuracy=0.95)}
    made = make_folder(folder, answers, LABELS, under_test=[], records={"row": {"recipe": {"batch_size": 16}}})
    declare(made, Store(made).read_all()[0], under_test=[], **declared)
    return made


def test_an_older_plan_without_under_test_is_judged_as_a_new_one(tmp_path: Path) -> None:
    old, new, none = (
        verdict(load_experiment([recorded(tmp_path / name, **given)]))
        for name, given in {
            "old": {},
            "new": {"spelt_out": {"base": ["trainer"], "row": ["trainer", "recipe.batch_size"]}},
            "none": {"spelt_out": {}},
        }.items()
    )
    assert old == new
    assert [fact.subject for fact in new.studied] == ["batch size"]
    assert none.verdict == "confounded"


def test_of_two_experiments_a_shared_recipe_that_differs_still_confounds(tmp_path: Path) -> None:
    """The first folder's row spells its batch size out; the second's has it from a shared recipe."""
    one = recorded(tmp_path / "one", spelt_out={"base": ["trainer"], "row": ["trainer", "recipe.batch_size"]})
    two = make_folder(
        tmp_path / "two",
        {"other": clean_answers(accuracy=0.6)},
        LABELS,
        name="two",
        under_test=[],
        spelt_out={"other": ["trainer"]},
        records={"other": {"recipe": {"batch_size": 32}}},
    )
    (group,) = compare(load_experiment([one, two])).groups
    assert {pair.first: pair.verdict for pair in group.to_baseline} == {"row": "better", "other": "confounded"}
