"""What rows tell of runs beyond their scores: where models were kept, and scores while training."""

from __future__ import annotations

from builders import make_declaration, make_record, make_selection

from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import KeptModel


def test_kept_models_have_a_folder_and_those_that_were_not_kept_have_none() -> None:
    first, second, third = (make_record("full", seed) for seed in range(3))
    records = [
        first.model_copy(update={"kept": KeptModel(reason=None, difference=0.0)}),
        second.model_copy(update={"kept": KeptModel(reason="the disk is full", difference=None)}),
        third,
    ]
    made = Experiment(make_declaration(records), tuple(records), lambda _: {}, lambda _: None, folders=("results/mine",))
    (row,) = describe(made, layouts(made)[0]).rows
    assert [(one.seed, one.folder) for one in row.kept] == [(0, f"results/mine/records/{first.id}/model")]
    assert [one.seed for one in row.unkept] == [1]


def test_scores_by_epoch_are_of_runs_that_were_evaluated_more_than_once() -> None:
    once, often, long = make_selection(evaluations=1), make_selection(evaluations=3), make_selection(evaluations=32)
    long = long.model_copy(update={"evaluations": 40, "chosen_epoch": 38})
    records = [
        make_record("full", seed).model_copy(update={"selection": one}) for seed, one in enumerate([None, once, often, long])
    ]
    made = Experiment(make_declaration(records), tuple(records), lambda _: {}, lambda _: None)
    (row,) = describe(made, layouts(made)[0]).rows
    assert [(one.seed, one.first, one.chosen, len(one.scores)) for one in row.by_epoch] == [(2, 1, 2, 3), (3, 9, 38, 32)]
