"""What all runs took: reported, failed, repeated, tried and replaced ones, on each class of hardware."""

from __future__ import annotations

from dataclasses import replace

from builders import failed, make_attempt, make_declaration, make_record

from bakeoff.analysis.summary.spent import ATTEMPTS, FAILED, REPLACED, REPORTED, TRIALS, mean_seconds, spent
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Record


def experiment(*records: Record, trials: tuple[Record, ...] = ()) -> Experiment:
    made = Experiment(make_declaration(records), records, lambda _: {}, lambda _: None)
    return replace(made, trials={record.id: record for record in trials})


def test_every_kind_of_run_is_counted_once_and_what_left_no_time_is_told() -> None:
    good = make_record("a", 0, train_seconds=82.0).model_copy(update={"attempts": [make_attempt(seconds=5.0)]})
    lost = failed(make_record("a", 1))
    trial = make_record("a", 7, train_seconds=32.0).model_copy(update={"attempts": [make_attempt(seconds=0.0)]})
    old = make_record("a", 3, train_seconds=2.0)
    found = spent(experiment(good, lost, trials=(trial,)), [old])
    assert {(one.what, one.runs, one.seconds, one.unknown) for one in found} == {
        (REPORTED, 1, 100.0, 0),
        (FAILED, 1, 0.0, 1),
        (ATTEMPTS, 2, 5.0, 1),
        (TRIALS, 1, 50.0, 0),
        (REPLACED, 1, 20.0, 0),
    }


def test_classes_of_hardware_stand_apart() -> None:
    found = spent(experiment(make_record("a", 0), make_record("a", 1, hardware="NVIDIA H200")), [])
    assert [(one.hardware, one.what, one.runs) for one in found] == [
        ("AMD EPYC, 2 threads", REPORTED, 1),
        ("NVIDIA H200", REPORTED, 1),
    ]


def test_runs_that_were_made_elsewhere_have_no_time_of_ours() -> None:
    theirs = make_record("a", 0).model_copy(update={"timed": "nothing"})
    (one,) = spent(experiment(theirs), [])
    assert (one.seconds, one.unknown) == (0.0, 1)
    assert mean_seconds([theirs]) is None
    assert mean_seconds([make_record("a", 1, train_seconds=2.0), make_record("a", 2, train_seconds=4.0)]) == 21.0
