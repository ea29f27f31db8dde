"""unequal-budgets to different-checkpoint: budgets, streams, recipes and checkpoints that differ."""

from __future__ import annotations

from typing import Any

import pytest
from builders import BASELINE, ROW, altered, clean_answers, clean_experiment, component, declaring, sha256
from core.analysis.found_warnings import codes, only_warning, the_warning


def test_more_tries_for_one_row_are_an_unequal_budget() -> None:
    warning = only_warning(declaring(clean_experiment(), trials={ROW: 12}), "unequal-budgets")
    assert warning.rows == [ROW]
    assert f"1 configuration tried and 11,004 examples trained on in all for {BASELINE}" in warning.what
    assert f"12 configurations tried and 132,048 examples trained on in all for {ROW}" in warning.what


def test_tries_that_are_alike_are_no_sin() -> None:
    assert codes(declaring(clean_experiment(), trials={BASELINE: 5, ROW: 6})) == []


def test_more_examples_seen_are_an_unequal_budget() -> None:
    warning = only_warning(altered(clean_experiment(), "observed", examples_seen=22_008), "unequal-budgets")
    assert "22,008 examples" in warning.what
    assert warning.rows == [ROW]
    assert codes(altered(clean_experiment(), "observed", examples_seen=13_000)) == []


def test_a_length_of_training_that_is_studied_is_no_sin() -> None:
    longer = {ROW: {"recipe": {"epochs": 6}}}
    made = altered(clean_experiment(records=longer, under_test=["trainer", "recipe.epochs"]), "observed", examples_seen=22_008)
    assert codes(made) == []


def test_another_data_order_at_the_same_seed_is_found() -> None:
    warning = only_warning(
        altered(clean_experiment(), "observed", seeds=[1, 2, 3], data_order_sha256=sha256("mine")), "unpaired-seeds"
    )
    assert warning.rows == [ROW]
    assert "data order" in warning.what
    assert f"{ROW} (seeds 1 to 3)" in warning.what


def test_another_batch_size_must_have_another_order() -> None:
    made = clean_experiment(records={ROW: {"recipe": {"batch_size": 16}}}, under_test=["trainer", "recipe.batch_size"])
    assert codes(altered(made, "observed", data_order_sha256=sha256("mine"))) == []


def test_another_start_of_the_head_at_the_same_seed_is_found() -> None:
    warning = the_warning(altered(clean_experiment(), "weights", head_init_sha256=sha256("mine")), "unpaired-seeds")
    assert "the new parameters" in warning.what


def test_a_method_with_other_new_parameters_starts_otherwise_by_nature() -> None:
    made = clean_experiment(records={ROW: {"method": component("lora")}}, under_test=["method"])
    made = altered(made, "weights", newly_initialised=["lora.a"], head_init_sha256=sha256("mine"))
    assert "unpaired-seeds" not in codes(made)


def test_a_difference_that_is_not_under_test_is_said_with_both_values_and_the_key() -> None:
    made = clean_experiment(records={BASELINE: {"recipe": {"max_grad_norm": 1.0}}, ROW: {"recipe": {"max_grad_norm": None}}})
    warning = only_warning(altered(made, "observed", clipped_at=None, gradient_norm_max=6.0), "confounded")
    assert warning.rows == [ROW]
    assert "against norm 1)" in warning.what
    assert "'recipe.max_grad_norm' to 'under_test'" in warning.what_to_do
    declared = declaring(made, under_test=["trainer", "recipe.max_grad_norm"])
    assert codes(altered(declared, "observed", clipped_at=None, gradient_norm_max=6.0)) == []


def test_rows_with_the_same_confounder_share_a_flag() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.8, seed=1), "one": clean_answers(seed=2), "two": clean_answers(seed=3)}
    made = clean_experiment(rows, records={name: {"recipe": {"max_length": 64}} for name in ("one", "two")})
    made = declaring(altered(made, "", row=BASELINE), under_test=["trainer"])
    recipes = altered(made, "requested", row=BASELINE, recipe=made.records[0].requested.recipe | {"max_length": 128})
    assert only_warning(recipes, "confounded").rows == ["one", "two"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"learning_rate_peak": 2e-4}, "learning rate"),
        ({"clipped_at": None, "gradient_norm_max": 7.5}, "gradient norm of 7.5"),
    ],
)
def test_an_optimizer_that_did_otherwise_than_asked_is_found(changes: dict[str, Any], told: str) -> None:
    recipe = {"max_grad_norm": 1.0, "weight_decay": 0.0}
    made = clean_experiment(records={name: {"recipe": recipe} for name in (BASELINE, ROW)}, under_test=["trainer", "recipe"])
    warning = only_warning(altered(made, "observed", **changes), "recipe-not-followed")
    assert warning.rows == [ROW]
    assert told in warning.what
    assert "follow the recipe" in warning.what


def test_a_weight_decay_that_nobody_asked_for_is_found() -> None:
    recipe = {"weight_decay": 0.0, "weight_decay_exempt": ["bias", "norm"]}
    made = clean_experiment(records={name: {"recipe": recipe} for name in (BASELINE, ROW)}, under_test=["trainer", "recipe"])
    observed = made.records[0].observed
    assert observed is not None
    decayed = [group.model_copy(update={"weight_decay": 0.01}) for group in observed.groups]
    assert "weight decay 0.01" in only_warning(altered(made, "observed", groups=decayed), "recipe-not-followed").what


def test_another_checkpoint_is_named() -> None:
    warning = the_warning(
        altered(clean_experiment(), "weights", lineage=["minilm", "tuned on another task"]), "different-checkpoint"
    )
    assert warning.rows == [ROW]
    assert "tuned on another" in warning.what


def test_other_weights_under_the_same_name_are_found() -> None:
    warning = only_warning(
        altered(clean_experiment(), "weights", seeds=[0], initial_sha256=sha256("warm")), "different-checkpoint"
    )
    assert warning.rows == [ROW]
    assert "other weights under" in warning.what


def test_models_under_test_may_start_from_other_checkpoints() -> None:
    made = declaring(clean_experiment(), under_test=["model", "trainer"])
    assert "different-checkpoint" not in codes(altered(made, "weights", lineage=["another"]))
