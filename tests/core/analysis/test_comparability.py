"""The comparability key: what must be equal before two rows share a ranking."""

from __future__ import annotations

from typing import Any

import pytest
from builders import BASELINE, ROW, altered, clean_experiment, declaring

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.records.experiment import Experiment


def group(made: Experiment) -> ComparisonGroup:
    (only,) = compare(made).groups
    return only


def environment(made: Experiment, **changes: Any) -> Experiment:
    return altered(made, "environment", **changes)


def test_rows_of_one_key_share_a_ranking() -> None:
    found = group(clean_experiment())
    assert {row.strategy: (row.ranking, row.rank) for row in found.rows} == {BASELINE: (0, (2, 2)), ROW: (0, (1, 1))}
    assert found.rankings == [""]


@pytest.mark.parametrize(
    ("part", "made", "declared"),
    [
        (
            "instruction set",
            environment(environment(clean_experiment(), row=None, instructions="AVX512"), instructions="AVX2"),
            "hardware",
        ),
        ("hardware", environment(clean_experiment(), hardware="H100"), "hardware"),
        ("torch", environment(clean_experiment(), software={"python": "3.11.7", "torch": "2.99"}), "software"),
    ],
)
def test_rows_of_other_keys_are_not_ranked_unless_that_part_is_under_test(part: str, made: Experiment, declared: str) -> None:
    found = group(made)
    assert [row.ranking for row in found.rows] == [0, 1]
    assert part in found.rankings[1]
    assert [row.rank for row in found.rows] == [None, None]
    assert found.to_baseline == found.all_pairs == []
    studied = group(declaring(made, under_test=["trainer", declared]))
    assert [row.ranking for row in studied.rows] == [0, 0]
    assert studied.to_baseline[0].verdict == "better"


@pytest.mark.parametrize("part", ["weights", "tokenizer"])
def test_what_the_model_is_made_of_is_part_of_the_key_where_it_is_known(part: str) -> None:
    known = altered(clean_experiment(), "made_from", row=None, **{part: "a" * 32})
    assert group(known).rankings == [""]
    other = altered(known, "made_from", **{part: "b" * 32})
    assert f"{part} bbbbbbbbbbbb instead of aaaaaaaaaaaa" in group(other).rankings[1]
    assert group(other).to_baseline == []
    assert group(declaring(other, under_test=["trainer", "model"])).rankings == [""]
    assert group(altered(known, "made_from", **{part: None})).rankings == [""], "unknown is no difference"


def test_a_budget_is_part_of_the_key() -> None:
    made = clean_experiment()
    recipe = {**made.records[0].requested.recipe, "epochs": 6}
    longer = altered(made, "requested", recipe=recipe)
    assert "22,008 examples" in group(longer).rankings[1]
    assert group(declaring(longer, under_test=["trainer", "recipe.epochs"])).rankings == [""]


def test_a_warm_start_is_part_of_the_key_and_nothing_declares_it() -> None:
    made = altered(clean_experiment(), "weights", lineage=["mnli"])
    found = group(declaring(made, under_test=["trainer", "method", "model", "recipe", "software", "hardware"]))
    assert "start mnli instead" in found.rankings[1]


def test_a_distribution_that_only_one_row_uses_is_no_difference() -> None:
    software = {**clean_experiment().records[0].environment.software, "peft": "0.21"}
    assert group(environment(clean_experiment(), software=software)).rankings == [""]


def test_bakeoffs_own_version_is_a_note_and_no_difference() -> None:
    made = clean_experiment()
    software = {**made.records[0].environment.software, "bakeoff": "9.9"}
    found = group(environment(made, software=software))
    assert found.rankings == [""]
    assert "machine-changed" not in {code for row in found.rows for code in row.warnings}
    assert any("more than one version of Bakeoff" in note and f"9.9 ({ROW})" in note for note in found.notes)


def test_a_row_made_on_two_machines_is_in_no_group_with_rows_of_one() -> None:
    mixed = altered(clean_experiment(), "environment", seeds=[0, 1], hardware="H100")
    assert "varies" in group(mixed).rankings[1]


@pytest.mark.parametrize("seeds", [None, [0, 1]], ids=["one row", "some runs"])
def test_declared_classes_of_hardware_share_a_ranking_and_no_times(seeds: list[int] | None) -> None:
    mixed = altered(clean_experiment(), "environment", seeds=seeds, hardware="H100", instructions="AVX2")
    here = clean_experiment().records[0].environment.hardware
    found = group(declaring(mixed, hardware=["H100", here]))
    assert found.rankings == [""]
    assert found.to_baseline[0].verdict == "better"
    assert "hardware differs" in found.times_differ[ROW]
    assert not found.ratios[ROW, "peak_memory"].comparable
    assert "machine-changed" in {name for row in found.rows for name in row.warnings}
    assert group(declaring(mixed, hardware=["H100", "A100"])).rankings[1], "one of the two is not declared"


def test_times_do_not_cross_hardware_and_a_control_run_that_moved_is_said_by_how_much() -> None:
    from dataclasses import replace

    from builders import make_control

    quiet = group(clean_experiment())
    assert quiet.times_differ == {BASELINE: "", ROW: ""}
    elsewhere = group(environment(clean_experiment(), hardware="H100"))
    assert "hardware differs" in elsewhere.times_differ[ROW]
    assert not elsewhere.ratios[ROW, "peak_memory"].comparable
    moved = group(replace(clean_experiment(), controls=(make_control(10.0), make_control(13.0, moment="after"))))
    assert "30 %" in moved.times_differ[ROW]
    assert moved.ratios[ROW, "peak_memory"].comparable
