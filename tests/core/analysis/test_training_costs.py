"""By what training is called cheaper: turns of `bakeoff time`, else recorded seconds of an even machine, else operations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import BASELINE, ROW, altered, clean_answers, clean_experiment, component, make_control, make_timing

from bakeoff.analysis.prepared_group import prepare
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.analysis.training_costs import TrainingCosts, training_costs
from bakeoff.records.experiment import Experiment

SECONDS = {BASELINE: [300.0, 310.0, 290.0], ROW: [100.0, 104.0, 96.0]}


def made(*, jobs: int = 1) -> Experiment:
    rows = {BASELINE: clean_answers(seeds=3, seed=1), ROW: clean_answers(seeds=3)}
    found = altered(clean_experiment(rows, train_seconds=SECONDS), "requested", trainer=component("torch-loop"))
    found = altered(found, "environment", row=None, jobs=jobs)
    return altered(altered(found, "cost", row=BASELINE, flops=4e13), "cost", flops=1e13)


def costs(of: Experiment) -> TrainingCosts | None:
    (layout,) = layouts(of)
    prepared = prepare(of, layout, describe(of, layout))
    assert prepared is not None
    return training_costs(layout.succeeded, BASELINE, [ROW], prepared.timings, of.controls)


def test_turns_come_first() -> None:
    experiment = made()
    found = costs(replace(experiment, timings=(make_timing(experiment.records, {BASELINE: 0.2, ROW: 0.1}),)))
    assert found is not None
    assert found.measure == "timed_train_seconds"
    times, low, high = found.times_cheaper(ROW, BASELINE)
    assert (times, found.is_cheaper(ROW, BASELINE)) == (pytest.approx(2.0, rel=0.02), True)
    assert 1.9 < low < times < high < 2.1


def test_turns_too_few_for_an_interval_hide_nothing_that_operations_show() -> None:
    experiment = replace(made(jobs=2), timings=())
    turn = make_timing(experiment.records, {BASELINE: 0.2, ROW: 0.19}, rounds=1)
    for timings in ((), (turn,)):
        found = costs(replace(experiment, timings=timings))
        assert found is not None
        assert (found.measure, found.is_cheaper(ROW, BASELINE)) == ("flops", True)


def test_recorded_seconds_need_an_even_machine_to_themselves() -> None:
    even = costs(made())
    assert even is not None
    assert (even.measure, even.amounts[ROW]) == ("train_seconds", 100.0)
    assert even.times_cheaper(ROW, BASELINE)[0] == 3.0
    assert even.is_cheaper(ROW, BASELINE)
    assert not even.is_cheaper(BASELINE, ROW)
    uneven = replace(made(), controls=(make_control(), make_control(20.0, moment="after")))
    elsewhere = altered(made(), "environment", hardware="H100")
    for other in (uneven, elsewhere, replace(made(), controls=()), replace(made(), controls=(make_control(),)), made(jobs=2)):
        found = costs(other)
        assert found is not None
        assert (found.measure, found.times_cheaper(ROW, BASELINE)) == ("flops", (4.0, 4.0, 4.0))


def test_a_cost_is_cheaper_only_where_its_whole_interval_is() -> None:
    noisy = made()
    for seed, train in enumerate([100.0, 400.0, 250.0]):
        part = dict.fromkeys(noisy.records[0].cost.phase_seconds, 1.0)  # type: ignore[union-attr]
        noisy = altered(noisy, "cost", seeds=[seed], phase_seconds=part | {"warm-up": 0.0, "train": train})
    found = costs(noisy)
    assert found is not None
    assert found.amounts[ROW] < found.amounts[BASELINE]
    assert not found.is_cheaper(ROW, BASELINE)


def test_without_any_cost_there_is_none() -> None:
    bare = replace(altered(made(), "cost", row=None, flops=None), controls=())
    assert costs(bare) is None
