"""What rows cost: measured seconds where they fit the rows' runs, and never a ratio of recorded seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from builders import BASELINE, ROW, altered, clean_answers, clean_experiment, component, make_timed, make_timing
from messages import tells

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Timing

OTHER = "third"
TIMES = {BASELINE: 0.2, ROW: 0.1}


def experiment(rows: Mapping[str, Any] | None = None) -> Experiment:
    """Each row has a trainer of its own, and that is under test."""
    made = clean_experiment(rows, under_test=["trainer"])
    for name, trainer in ((ROW, "torch-loop"), (OTHER, "fast-loop")):
        made = altered(made, "requested", row=name, trainer=component(trainer))
    return made


def group_of(made: Experiment, *timings: Timing) -> ComparisonGroup:
    (group,) = compare(replace(made, timings=timings)).groups
    return group


def timed(made: Experiment, seconds: Mapping[str, float] = TIMES, **more: Any) -> ComparisonGroup:
    return group_of(made, make_timing(made.records, seconds, **more))


def test_measured_seconds_become_ratios_with_intervals_and_the_axis_of_quality() -> None:
    group = timed(experiment())
    train = group.ratios[ROW, "train_seconds"]
    assert train.ratio == pytest.approx(0.5, rel=0.02)
    assert train.low is not None
    assert train.high is not None
    assert train.low < train.ratio < train.high < 1.05 * train.low
    assert train.rounds == 20
    assert group.cost_axis is not None
    assert group.cost_axis.quantity == "train_seconds"
    assert group.cost_axis.amounts.keys() == {BASELINE, ROW}
    row, base = ({row.strategy: row for row in group.rows}[name] for name in (ROW, BASELINE))
    assert row.timed is not None
    assert base.timed is not None
    assert row.timed.train.seconds == pytest.approx(train.ratio * base.timed.train.seconds)
    assert row.timed.total.seconds == pytest.approx(row.timed.train.seconds + row.timed.evaluate.seconds + 7.5)
    assert base.timed.rounds == 20
    assert "load 2.5" in group.timed_on
    assert not any("bakeoff time" in note for note in group.notes)


def test_recorded_seconds_become_no_ratio() -> None:
    group = group_of(altered(experiment(), "cost", row=None, flops=2e13))
    assert {quantity for _, quantity in group.ratios} == {"peak_memory", "flops"}
    assert group.cost_axis is not None
    assert group.cost_axis.quantity == "flops"
    assert group.timed_on == ""
    assert all(row.timed is None for row in group.rows)
    assert all(row.train_seconds is not None for row in group.rows), "they stay as facts"


def test_without_operations_memory_is_the_cost_and_on_two_machines_parameters() -> None:
    group = group_of(experiment())
    assert group.cost_axis is not None
    assert group.cost_axis.quantity == "peak_memory"
    apart = group_of(altered(experiment(), "environment", hardware="H100"))
    assert apart.cost_axis is not None
    assert apart.cost_axis.quantity == "trainable"


def test_a_row_that_is_cheaper_and_better_dominates() -> None:
    made = experiment()
    front = {row.strategy: (row.front_probability, row.dominated_by) for row in timed(made).rows}
    assert front == {ROW: (1.0, []), BASELINE: (0.0, [ROW])}
    dearer = {row.strategy: row.dominated_by for row in timed(made, {BASELINE: 0.1, ROW: 0.2}).rows}
    assert dearer == {ROW: [], BASELINE: []}
    alike = {row.strategy: row.dominated_by for row in timed(made, {BASELINE: 0.1, ROW: 0.103}, noise=0.002).rows}
    assert alike == {ROW: [], BASELINE: [ROW]}, "3 % slower is not slower, and better it is"


@pytest.mark.parametrize(
    ("part", "changes", "used"),
    [
        ("requested", {"seed": 5}, True),
        ("requested", {"trainer": component("other-loop")}, False),
        ("requested", {"trainer": component("torch-loop", version="2")}, False),
    ],
)
def test_a_timing_of_another_recipe_is_told_and_not_used(part: str, changes: dict[str, Any], used: bool) -> None:
    made = experiment()
    timing = make_timing(made.records, TIMES)
    if "seed" not in changes:
        made = altered(made, part, **changes)
    group = group_of(made, timing)
    assert ((ROW, "train_seconds") in group.ratios) is used
    notes = [note for note in group.notes if "bakeoff time" in note]
    assert len(notes) == (0 if used else 1)
    if not used:
        assert f"measured of {ROW} is not used" in notes[0]
        assert "its recipe, or a component of it, has changed since" in notes[0]
        assert "`bakeoff time " in notes[0]


def test_a_learning_rate_costs_nothing_and_a_batch_size_does() -> None:
    made = experiment()
    timing = make_timing(made.records, TIMES)

    def with_recipe(**changes: Any) -> Experiment:
        record = next(record for record in made.records if record.requested.strategy == ROW)
        return altered(made, "requested", recipe=record.requested.recipe | changes)

    assert (ROW, "train_seconds") in group_of(with_recipe(learning_rate=1e-3), timing).ratios
    assert (ROW, "train_seconds") not in group_of(with_recipe(batch_size=64), timing).ratios


def test_a_row_whose_searches_chose_several_configurations_is_timed_by_one_and_says_so() -> None:
    made = experiment()
    timing = make_timing(made.records, TIMES)
    record = next(record for record in made.records if record.requested.strategy == ROW)
    mixed = altered(made, "requested", seeds=[0, 1, 2], recipe=record.requested.recipe | {"batch_size": 64})
    group = group_of(mixed, timing)
    assert (ROW, "train_seconds") in group.ratios
    assert any(tells(note, f"{ROW} was timed ", "5 of 8 ") for note in group.notes)


def test_without_the_baselines_timing_none_is_used() -> None:
    made = experiment()
    timing = make_timing(made.records, TIMES)
    changed = altered(made, "requested", row=BASELINE, trainer=component("other-loop"))
    group = group_of(changed, timing)
    assert not any(quantity == "train_seconds" for _, quantity in group.ratios)
    assert any(f"measured of {BASELINE} is not used" in note and "ratios are to the baseline" in note for note in group.notes)


def test_a_timing_of_other_data_or_weights_is_not_used() -> None:
    made = experiment()
    timing = make_timing(made.records, TIMES)
    other = altered(made, "made_from", row=None, weights="0" * 32)
    timed_before = make_timing(other.records, TIMES)
    assert (ROW, "train_seconds") in group_of(other, timed_before).ratios
    group = group_of(altered(other, "made_from", row=None, weights="1" * 32), timed_before)
    assert (ROW, "train_seconds") not in group.ratios
    assert any("the weights differ" in note for note in group.notes)
    assert (ROW, "train_seconds") in group_of(other, timing).ratios, "what is unknown on one side separates nothing"


def test_the_newest_timing_counts() -> None:
    made = experiment()
    old = make_timing(made.records, {BASELINE: 0.2, ROW: 0.2}, measured="2026-11-20T08:00:00+00:00")
    new = make_timing(made.records, TIMES, task="another name")
    for timings in ((old, new), (new, old)):
        ratio = group_of(made, *timings).ratios[ROW, "train_seconds"].ratio
        assert ratio == pytest.approx(0.5, rel=0.02)


def test_rows_that_share_no_round_are_compared_through_the_baseline() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers(), OTHER: clean_answers(seed=5)}
    made = experiment(rows)
    whole = make_timing(made.records, {**TIMES, OTHER: 0.3})
    base, row, other = whole.timed
    half = [None] * 10
    apart = whole.model_copy(
        update={
            "timed": [
                base,
                make_timed(made.records, ROW, [*row.step_seconds[:10]]),
                make_timed(made.records, OTHER, [*half, *other.step_seconds[10:]]),
            ]
        }
    )
    group = group_of(made, apart)
    assert group.ratios[ROW, "train_seconds"].ratio == pytest.approx(0.5, rel=0.02)
    assert group.ratios[OTHER, "train_seconds"].ratio == pytest.approx(1.5, rel=0.02)
    rows_by_name = {row.strategy: row for row in group.rows}
    assert ROW in rows_by_name[BASELINE].dominated_by
    taken = rows_by_name[OTHER].timed
    assert taken is not None
    assert taken.rounds == 10


def test_a_row_that_was_not_timed_has_no_place_among_those_that_were() -> None:
    rows = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers(), OTHER: clean_answers(seed=5)}
    group = timed(experiment(rows))
    assert group.cost_axis is not None
    assert group.cost_axis.amounts.keys() == {BASELINE, ROW}
    assert {row.strategy: row.front_probability is None for row in group.rows}[OTHER]


def test_too_few_rounds_give_a_ratio_without_an_interval() -> None:
    ratio = timed(experiment(), rounds=3).ratios[ROW, "train_seconds"]
    assert ratio.ratio == pytest.approx(0.5, rel=0.05)
    assert (ratio.low, ratio.high, ratio.rounds) == (None, None, 3)
