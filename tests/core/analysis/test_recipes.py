"""Effective recipes: as observed where it was observed, and the differences that a comparison must name."""

from __future__ import annotations

from typing import Any

import pytest
from builders import BASELINE, ROW, altered, clean_experiment, component
from messages import tells

from bakeoff.analysis.flags.recipes import contradictions
from bakeoff.analysis.recipes import VARIES, differences, effective_recipe, side_by_side
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Record


def of(made: Experiment, row: str = ROW) -> list[Record]:
    return [record for record in made.records if record.requested.strategy == row]


def recipe(made: Experiment, row: str = ROW) -> dict[str, str]:
    return effective_recipe(of(made, row))


def asking(made: Experiment, **keys: Any) -> Experiment:
    """With other recipe keys asked of the one row."""
    return altered(made, "requested", recipe={**of(made)[0].requested.recipe, **keys})


def test_the_observed_value_stands_where_it_contradicts_the_asked_one() -> None:
    made = asking(clean_experiment(), eps=1e-8)
    group = of(made)[0].observed
    assert group is not None
    drifted = altered(made, "observed", groups=[group.groups[0].model_copy(update={"eps": 1e-6})])
    assert recipe(made)["eps"] == "1e-8"
    assert recipe(drifted)["eps"] == "1e-6"


@pytest.mark.parametrize("steps", [2, 5, 9, 1377])
def test_a_schedule_that_ends_near_0_is_one_whatever_its_number_of_steps(steps: int) -> None:
    """A linear one leaves 1 / steps of its peak in the last step, which is much where there are few."""
    made = asking(clean_experiment(), scheduler="linear")
    whole = altered(made, "observed", optimizer_steps=steps, learning_rate_last=5e-5 / steps)
    assert recipe(whole)["schedule"].split(", ") == ["linear", "down to near 0"]
    late = altered(made, "observed", optimizer_steps=steps, learning_rate_last=5e-5 * (0.5 + 0.3 / steps))
    assert "of its peak" in recipe(late)["schedule"]
    constant = altered(made, "observed", optimizer_steps=steps, learning_rate_last=5e-5)
    assert "at its peak" in recipe(constant)["schedule"]


def test_clipping_is_what_norms_show_else_what_was_asked() -> None:
    made = clean_experiment()
    assert recipe(asking(made, max_grad_norm=1.0))["gradient clipping"] == "norm 1"
    free = altered(asking(made, max_grad_norm=None), "observed", clipped_at=None)
    assert recipe(free)["gradient clipping"] == "none"
    hidden = altered(asking(made, max_grad_norm=None), "observed", clipped_at=1.0)
    assert recipe(hidden)["gradient clipping"] == "norm 1"
    unreached = altered(asking(made, max_grad_norm=1.0), "observed", clipped_at=None)
    assert recipe(unreached)["gradient clipping"] == "norm 1"


def test_weight_decay_tells_on_what_it_is() -> None:
    made = clean_experiment()
    assert recipe(made)["weight decay"] == "none"
    observed = of(made)[0].observed
    assert observed is not None
    group = observed.groups[0]

    def with_decays(*decays: float) -> str:
        groups = [group.model_copy(update={"weight_decay": decay}) for decay in decays]
        return recipe(
            altered(asking(made, weight_decay=0.01, weight_decay_exempt=["bias", "norm"]), "observed", groups=groups)
        )["weight decay"]

    assert with_decays(0.01, 0.01) == "0.01 on all parameters"
    assert tells(with_decays(0.01, 0.0), "0.01 on all but ", "bias", "norm")


def test_a_subject_that_differs_between_seeds_varies() -> None:
    made = altered(clean_experiment(), "observed", seeds=[3], learning_rate_peak=1e-3)
    assert recipe(made)["learning rate"] == VARIES


def test_a_key_that_nobody_knows_is_a_subject_of_its_own() -> None:
    made = asking(clean_experiment(), lookahead=5)
    assert recipe(made)["lookahead"] == "5"
    (fact,) = differences({"lookahead": "5"}, {"lookahead": "6"}, ["recipe.lookahead"])
    assert fact.declared


def test_only_differences_are_facts_and_each_says_whether_it_is_under_test() -> None:
    made = asking(clean_experiment(), scheduler="cosine", padding="max_length")
    asked = {**of(made, BASELINE)[0].requested.recipe, "scheduler": "linear", "padding": "longest"}
    base = altered(made, "requested", row=BASELINE, recipe=asked)
    found = differences(recipe(base), recipe(base, BASELINE), ["recipe.padding"])
    assert {fact.subject: fact.declared for fact in found} == {"schedule": False, "padding": True}
    assert all(fact.first != fact.second for fact in found)


def test_options_of_components_are_part_of_what_differs() -> None:
    made = altered(clean_experiment(), "requested", method=component("lora", r=8))
    found = differences(recipe(made), recipe(made, BASELINE), [])
    assert [(fact.subject, fact.first, fact.second) for fact in found] == [("method", "lora (r 8)", "full")]


def test_records_without_observation_tell_what_was_asked() -> None:
    made = altered(clean_experiment(), "", observed=None)
    assert recipe(made)["learning rate"] == "5e-5"
    assert "optimizer" not in recipe(made) or recipe(made)["optimizer"] == "adamw"
    assert contradictions(of(made)[0]) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate_peak": 1e-3}, "learning rate 1e-3 was seen, 5e-5 requested"),
        ({"gradient_norm_max": 7.0, "clipped_at": None}, "a gradient norm of 7 reached the optimizer"),
    ],
)
def test_a_recipe_that_was_not_followed_is_a_contradiction(changes: dict[str, Any], words: str) -> None:
    made = asking(clean_experiment(), max_grad_norm=1.0)
    assert contradictions(of(made)[0]) == []
    (found,) = contradictions(of(altered(made, "observed", **changes))[0])
    assert words in found


def test_a_key_that_only_one_row_states_is_a_difference_from_its_neutral_value() -> None:
    """A record leaves out a later key at its neutral value, and older records did not know it."""
    made = clean_experiment()
    rows = side_by_side({"one": of(asking(made, label_smoothing=0.1)), "two": of(made, BASELINE)})
    [fact] = [fact for fact in differences(rows["one"], rows["two"], []) if fact.subject == "label_smoothing"]
    assert (fact.first, fact.second, fact.parts, fact.declared) == ("0.1", "0", ["recipe.label_smoothing"], False)
    assert "momentum" not in rows["two"], "nobody states it"


def test_sgd_is_not_said_to_have_adams_settings_and_contradicts_nothing() -> None:
    made = asking(clean_experiment(), optimizer="sgd", momentum=0.9)
    seen = of(made)[0].observed
    assert seen is not None
    bare = seen.groups[0].model_copy(update={"betas": None, "eps": None, "momentum": 0.9})
    made = altered(made, "observed", optimizer="SGD", groups=[bare])
    assert not {"betas", "eps"} & recipe(made).keys()
    assert recipe(made)["momentum"] == "0.9"
    assert not contradictions(of(made)[0])


def test_momentum_and_bias_correction_that_were_not_asked_for_are_contradictions() -> None:
    made = clean_experiment()
    seen = of(made)[0].observed
    assert seen is not None
    other = seen.groups[0].model_copy(update={"momentum": 0.9, "bias_correction": False})
    found = contradictions(of(altered(made, "observed", groups=[other]))[0])
    assert any(tells(one, "momentum 0.9 was seen, ", "0 requested") for one in found)
    assert any(tells(one, "bias_correction no was seen, ", "yes requested") for one in found)


def test_what_a_script_claims_is_marked_and_compared_and_the_rest_is_unknown() -> None:
    made = clean_experiment()
    rate = of(made)[0].requested.recipe["learning_rate"]
    script = altered(altered(made, "", claims={"learning_rate": rate}), "", observed=None)
    rows = side_by_side({ROW: of(script), BASELINE: of(made, BASELINE)})
    assert rows[ROW]["learning rate"] == f"{rows[BASELINE]['learning rate']} (claimed)"
    assert "batch size" in rows[BASELINE]
    assert not {"batch size", "betas", "frozen_embeddings"} & rows[ROW].keys()
    assert "learning rate" not in [fact.subject for fact in differences(rows[ROW], rows[BASELINE], ())]
    other = altered(script, "", claims={"learning_rate": 1.0})
    other = asking(other, learning_rate=1.0)
    rows = side_by_side({ROW: of(other), BASELINE: of(made, BASELINE)})
    assert "learning rate" in [fact.subject for fact in differences(rows[ROW], rows[BASELINE], ())]


@pytest.mark.parametrize("scheduler", ["linear", "cosine", "constant", "inverse_sqrt"])
def test_a_script_that_claims_what_another_was_seen_to_do_differs_in_nothing(scheduler: str) -> None:
    made = asking(clean_experiment(), scheduler=scheduler, optimizer="adamw", betas=[0.9, 0.999], eps=1e-8)
    seen = of(made)[0].observed
    assert seen is not None
    last = {"constant": 1.0, "inverse_sqrt": 0.3}.get(scheduler, 0.001)
    made = altered(made, "observed", learning_rate_last=last * seen.learning_rate_peak)
    script = altered(altered(made, "", claims=of(made)[0].requested.recipe), "", observed=None)
    rows = side_by_side({ROW: of(script), BASELINE: of(made)})
    assert [fact.subject for fact in differences(rows[ROW], rows[BASELINE], ())] == []
    other = 0.001 if scheduler == "constant" else 1.0
    flat = altered(made, "observed", learning_rate_last=other * seen.learning_rate_peak)
    rows = side_by_side({ROW: of(script), BASELINE: of(flat)})
    assert [fact.subject for fact in differences(rows[ROW], rows[BASELINE], ())] == ["schedule"]
