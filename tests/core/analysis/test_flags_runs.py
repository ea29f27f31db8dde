"""machine-changed, identical-runs, unreliable-scores: mixed machines, copies and leaks, evaluations that went wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    SOFTWARE,
    altered,
    clean_answers,
    clean_experiment,
    component,
    declaring,
    make_control,
    sha256,
)
from core.analysis.found_warnings import codes, only_warning, the_warning, warnings_of
from messages import tells

from bakeoff.errors import StoreError
from bakeoff.records.predictions import Predictions

OTHER = "Xeon, 8 threads"


def test_rows_on_two_kinds_of_hardware_are_named_with_it() -> None:
    warning = the_warning(altered(clean_experiment(), "environment", hardware=OTHER), "machine-changed")
    assert warning.rows == [ROW]
    assert tells(warning.what, "", "AMD EPYC, 2 threads ", f"({BASELINE}) and {OTHER} ({ROW})")


def test_a_row_that_is_mixed_itself_is_named_with_its_seeds() -> None:
    warning = the_warning(altered(clean_experiment(), "environment", seeds=[6, 7], hardware=OTHER), "machine-changed")
    assert warning.rows == [ROW]
    assert tells(warning.what, "", f"{OTHER} ({ROW} ", "(seeds 6, 7))")


def test_the_instruction_set_tells_two_machines_of_one_class_apart_where_both_are_known() -> None:
    known = altered(clean_experiment(), "environment", row=None, instructions="AVX512")
    assert codes(altered(known, "environment", instructions=None)) == []
    warning = the_warning(altered(known, "environment", seeds=[6], instructions="AVX2"), "machine-changed")
    assert warning.rows == [ROW]
    assert tells(warning.what, "", "AMD EPYC, 2 threads ", f"AVX2 ({ROW}:6)")


def test_hardware_under_test_may_differ_between_rows_but_not_within_one() -> None:
    studied = declaring(clean_experiment(), under_test=["trainer", "hardware"])
    assert codes(altered(studied, "environment", hardware=OTHER)) == []
    assert "machine-changed" in codes(altered(studied, "environment", seeds=[0], hardware=OTHER))


def test_versions_that_differ_are_named() -> None:
    warning = the_warning(
        altered(clean_experiment(), "environment", software=SOFTWARE | {"torch": "2.12.0"}), "software-changed"
    )
    assert warning.rows == [ROW]
    assert tells(warning.what, "", f"torch 2.13.0 ({BASELINE})", f"2.12.0 ({ROW})")


def test_a_distribution_that_one_row_alone_uses_is_no_difference() -> None:
    assert codes(altered(clean_experiment(), "environment", software=SOFTWARE | {"accelerate": "1.15.0"})) == []


def test_software_under_test_may_differ() -> None:
    studied = declaring(clean_experiment(), under_test=["software", "trainer"])
    assert codes(altered(studied, "environment", software=SOFTWARE | {"torch": "2.12.0"})) == []


def test_a_control_run_that_moved_is_told_with_by_how_much() -> None:
    moved = replace(clean_experiment(), controls=(make_control(10.0), make_control(11.5, moment="after")))
    warning = only_warning(moved, "machine-changed")
    assert warning.group == ""
    assert "10.0 ms before" in warning.what
    assert "11.5 ms after" in warning.what
    assert "15 % more" in warning.what


def test_control_runs_on_two_machines_are_not_held_against_each_other() -> None:
    assert codes(replace(clean_experiment(), controls=(make_control(10.0), make_control(99.0, hardware=OTHER)))) == []


def test_a_seed_that_changes_no_answer_is_ignored() -> None:
    given = clean_answers()
    given[4] = given[1]
    warning = only_warning(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: given}), "identical-runs")
    assert warning.rows == [ROW]
    assert "seeds 1, 4" in warning.what


def test_near_the_end_of_the_range_equal_answers_of_two_seeds_are_no_surprise() -> None:
    given = np.tile(LABELS, (8, 1))
    for seed, wrong in enumerate((7, 9, 7, 11, 13, 15, 17, 19)):
        given[seed, [wrong, wrong + 40]] ^= 1
    assert "identical-runs" not in codes(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: given}))
    given[[0, 2], 100:110] ^= 1
    assert "identical-runs" in codes(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: given}))


def test_equal_weights_of_two_seeds_are_said_once_together_with_equal_answers() -> None:
    given = clean_answers()
    given[4] = given[1]
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: given})
    warning = only_warning(altered(made, "weights", seeds=[1, 4], final_sha256="0" * 64), "identical-runs")
    assert "seeds 1, 4" in warning.what
    assert "answer" not in warning.what


def test_collapsed_seeds_answer_alike_without_being_copies() -> None:
    fallen = clean_answers()
    fallen[[2, 5]] = 1
    assert "identical-runs" not in codes(clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: fallen}))


def test_two_recipes_with_the_same_answers_are_copies() -> None:
    same = clean_answers()
    made = clean_experiment(
        {BASELINE: same, ROW: same}, records={ROW: {"recipe": {"epochs": 4}}}, under_test=["recipe", "trainer"]
    )
    warning = only_warning(made, "identical-runs")
    assert warning.rows == [BASELINE, ROW]
    assert "training length" in warning.what
    assert "seeds 0 to 7" in warning.what


def test_an_arm_with_other_seed_streams_must_answer_otherwise() -> None:
    same = clean_answers()
    made = altered(clean_experiment({BASELINE: same, ROW: same}), "requested", replicate=1)
    assert "replicate (0 against 1)" in only_warning(made, "identical-runs").what


def test_two_trainers_that_end_alike_are_no_sin() -> None:
    same = clean_answers()
    made = clean_experiment({BASELINE: same, ROW: same}, records={ROW: {"trainer": component("torch-loop")}})
    for seed in range(8):
        made = altered(made, "weights", row=None, seeds=[seed], final_sha256=sha256(f"end of {seed}"))
    assert codes(made) == []


@pytest.mark.parametrize("key", ["padding", "fused"])
def test_recipes_that_aim_at_the_same_numbers_may_answer_alike(key: str) -> None:
    same = clean_answers()
    made = clean_experiment(
        {BASELINE: same, ROW: same}, records={ROW: {"recipe": {key: False}}}, under_test=["recipe", "trainer"]
    )
    assert "identical-runs" not in codes(made)


def test_examples_that_were_trained_on_are_counted() -> None:
    warning = only_warning(altered(clean_experiment(), "data", row=None, overlap={"test": 12}), "data-leakage")
    assert warning.rows == []
    assert "12 of 400" in warning.what


def test_predictions_that_cannot_be_used_are_told_run_by_run() -> None:
    clean = clean_experiment()
    lost, other, relabelled, wider = (record.id for record in clean.records[8:12])

    def read(run_id: str) -> dict[str, Predictions]:
        found = dict(clean.predictions(run_id))
        test = found["test"]
        if run_id == lost:
            raise StoreError("predictions.parquet is missing")
        if run_id == other:
            found["test"] = replace(test, ids=tuple(f"x{name}" for name in test.ids))
        if run_id == relabelled:
            found["test"] = replace(test, ids=test.ids[::-1], labels=1 - test.labels)
        if run_id == wider:
            found["test"] = replace(test, logits=np.zeros((len(test.ids), 3), np.float32))
        return found

    warning = the_warning(replace(clean, predictions=read), "unreliable-scores")
    assert warning.rows == [ROW]
    assert "4 runs cannot" in warning.what
    assert f"{ROW}:0: predictions.parquet is missing" in warning.what
    assert "other runs predicted" in warning.what
    assert "other runs recorded" in warning.what
    assert "another number of labels" in warning.what


@pytest.mark.parametrize("apart", [0.02, float("nan"), float("inf")])
def test_predicting_that_is_random_is_found(apart: float) -> None:
    warning = only_warning(altered(clean_experiment(), "", seeds=[2], evaluation_difference=apart), "unreliable-scores")
    assert warning.rows == [ROW]
    assert f"by up to {apart:.2g}" in warning.what
    assert f"{ROW}:2" in warning.what


@pytest.mark.parametrize(("apart", "largest"), [(5e-6, None), (0.9e-3, 0.2), (0.9e-2, 10.0)])
def test_rounding_of_a_device_is_no_random_prediction(apart: float, largest: float | None) -> None:
    assert codes(altered(clean_experiment(), "", evaluation_difference=apart, largest_logit=largest)) == []


@pytest.mark.parametrize(("apart", "largest"), [(1.1e-3, None), (1.1e-3, 0.2), (1.1e-2, 10.0)])
def test_random_predicting_begins_where_the_one_tolerance_ends(apart: float, largest: float | None) -> None:
    assert codes(altered(clean_experiment(), "", evaluation_difference=apart, largest_logit=largest)) == ["unreliable-scores"]


def test_a_score_that_its_predictions_contradict_is_found() -> None:
    clean = clean_experiment()
    true = clean.records[8].scores
    made = altered(clean, "", seeds=[0], scores={"test": true["test"] | {"accuracy": true["test"]["accuracy"] + 1 / 400}})
    warning = the_warning(made, "unreliable-scores")
    assert warning.rows == [ROW]
    assert f"{ROW}:0, accuracy on test" in warning.what
    assert f"{true['test']['accuracy']:.6g} is right" in warning.what


def test_a_metric_that_is_not_installed_is_not_computed_again() -> None:
    clean = clean_experiment()
    made = altered(clean, "", seeds=[0], scores={"test": {"accuracy": 0.5, "f1": 0.5}})
    assert "unreliable-scores" not in [warning.name for warning in warnings_of(replace(made, metrics={}))]
    assert "unreliable-scores" in [warning.name for warning in warnings_of(made)]


def test_predictions_that_slipped_by_one_example_are_found_by_the_score() -> None:
    clean = clean_experiment()

    def read(run_id: str) -> dict[str, Predictions]:
        found = dict(clean.predictions(run_id))
        if run_id == clean.records[8].id:
            found["test"] = replace(found["test"], logits=np.roll(found["test"].logits, 1, axis=0))
        return found

    assert "unreliable-scores" in codes(replace(clean, predictions=read))


def test_a_row_whose_runs_were_made_elsewhere_is_named() -> None:
    made = clean_experiment()
    records = tuple(
        one.model_copy(update={"timed": "nothing"}) if one.requested.strategy == ROW and one.requested.seed < 2 else one
        for one in made.records
    )
    warning = the_warning(replace(made, records=records), "made-elsewhere")
    assert warning.rows == [ROW]
    assert f"{ROW} (2 runs)" in warning.what
