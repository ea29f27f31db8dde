"""selection-bias, different-data, different-metrics, published-figures: figures that were picked, mixed or copied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    altered,
    clean_answers,
    clean_experiment,
    importing,
    make_experiment,
    make_selection,
    published,
    scored_by,
)
from core.analysis.found_warnings import codes, only_warning, the_warning, warnings_of

from bakeoff.analysis.flags.figures import decimals
from bakeoff.contracts.metric import Metric, MetricChoice, MetricFacts
from bakeoff.contracts.metric_lookup import facts_of, metric_named
from bakeoff.contracts.metrics import Accuracy
from bakeoff.contracts.unit import SHARE
from bakeoff.kinds import kind_named
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Selection
from bakeoff.statistics.power import best_epoch_optimism


def test_the_best_epoch_on_the_reported_split_is_told_with_its_optimism() -> None:
    warning = only_warning(altered(clean_experiment(), "", selection=make_selection("test")), "selection-bias")
    assert warning.rows == [ROW]
    assert "best of 5 evaluations" in warning.what
    assert f"by luck alone adds {100 * best_epoch_optimism(5, 0.1, 400):.2f} points" in warning.what
    assert "'select: last-epoch'" in warning.what_to_do


def test_what_resampling_found_goes_before_the_formula() -> None:
    chosen = make_selection("test").model_copy(update={"optimism": 0.0234})
    warning = only_warning(altered(clean_experiment(), "", selection=chosen), "selection-bias")
    assert "adds 2.34 points" in warning.what


@pytest.mark.parametrize(
    ("change", "metric"),
    [({}, "f1"), ({"labels": ["a", "b", "c"]}, "accuracy")],
    ids=["another metric", "three labels"],
)
def test_where_nobody_resampled_the_formula_is_told_of_accuracy_and_two_labels_alone(
    change: dict[str, object], metric: str
) -> None:
    made = altered(clean_experiment(), "data", row=None, primary_metric=metric, **change)
    warning = the_warning(altered(made, "", selection=make_selection("test")), "selection-bias")
    assert "5 evaluations" in warning.what
    assert "points" not in warning.what


@pytest.mark.parametrize("chosen", [make_selection("dev"), make_selection("test", evaluations=1)])
def test_a_choice_elsewhere_or_of_one_state_is_none(chosen: Selection) -> None:
    assert codes(altered(clean_experiment(), "", row=None, selection=chosen)) == []


def test_a_figure_published_for_another_split_is_found() -> None:
    warning = the_warning(importing(clean_experiment(), published(split="dev", accuracy=0.8579)), "different-data")
    assert warning.rows == ["theirs"]
    assert "theirs were measured" in warning.what


def test_a_row_scored_on_another_split_alone_is_found() -> None:
    warning = the_warning(altered(clean_experiment(), "", scores={"dev": {"accuracy": 0.8, "f1": 0.86}}), "different-data")
    assert warning.rows == [ROW]
    assert "dev" in warning.what


def test_two_versions_of_a_metric_are_found() -> None:
    facts = [MetricFacts(name=name, higher_is_better=True, version="2") for name in ("accuracy", "f1")]
    warning = the_warning(altered(clean_experiment(), "data", metrics=facts), "different-metrics")
    assert warning.rows == [ROW]
    assert "1 for trainer-api" in warning.what
    assert "2 for manual-loop" in warning.what


def mrpc_dev() -> np.ndarray:
    return np.repeat([1, 0], [279, 129])


def on_mrpc_dev(*rows: object) -> list[tuple[str, list[str]]]:
    """(sentence, rows) of different-metrics for these imported rows, on a split with the class counts of MRPC's dev set."""
    labels = mrpc_dev()
    generator = np.random.default_rng(3)
    given = {BASELINE: np.where(generator.random((8, 408)) < 0.75, labels, 1 - labels)}
    made = make_experiment(given, labels, split="dev", imported=list(rows))
    return [(warning.what, warning.rows) for warning in warnings_of(made) if warning.name == "different-metrics"]


def test_figures_that_no_confusion_matrix_gives_are_found() -> None:
    """The pair of run_glue's fp16 table: 83.58 / 88.12 cannot come from 279 and 129 examples; its fp32 pair can."""
    bad = published("fp16", split="dev", accuracy=0.8358, f1=0.8812)
    good = published("fp32", split="dev", accuracy=0.8407, f1=0.8885)
    course = published("course", split="dev", accuracy=0.857843, f1=0.899654)
    ((sentence, rows),) = on_mrpc_dev(bad, good, course)
    assert rows == ["fp16"]
    assert "0.8358 with F1 0.8812" in sentence


def test_a_mean_over_runs_need_not_come_from_one_confusion_matrix() -> None:
    assert on_mrpc_dev(published("mean", split="dev", seeds=5, accuracy=0.8358, f1=0.8812)) == []


@pytest.mark.parametrize(
    ("metric", "value", "meant"),
    [("accuracy", 0.8122, "the f1"), ("f1", 0.6838, "the accuracy"), ("f1", 0.748, "the mean of accuracy and f1")],
)
def test_the_fingerprint_of_a_collapsed_run_tells_the_metric(metric: str, value: float, meant: str) -> None:
    ((sentence, rows),) = on_mrpc_dev(published(split="dev", **{metric: value}))
    assert rows == ["theirs"]
    assert meant in sentence
    assert "always answering" in sentence


def test_a_figure_of_two_digits_meets_a_floor_by_chance() -> None:
    assert on_mrpc_dev(published(split="dev", accuracy=0.81), published("b", split="dev", accuracy=0.8579)) == []


def test_a_metric_that_the_task_has_not_is_named() -> None:
    ((sentence, _),) = on_mrpc_dev(published(split="dev", mcc=0.6))
    assert "mcc" in sentence
    assert "accuracy and f1" in sentence


def test_points_in_place_of_a_share_are_named() -> None:
    ((sentence, _),) = on_mrpc_dev(published(split="dev", accuracy=84.07))
    assert "84.07" in sentence
    assert "between 0 and 1" in sentence


def test_a_row_whose_accuracy_is_an_f1_is_found() -> None:
    fallen = clean_answers()
    fallen[0] = 1
    floor = 2 * 266 / (2 * 266 + 134)  # F1 of answering always 1
    made = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: fallen})
    assert "different-metrics" not in codes(made)
    made = altered(made, "", seeds=[0], scores={"test": {"accuracy": floor, "f1": floor}})
    warning = the_warning(made, "different-metrics")
    assert warning.rows == [ROW]
    assert "f1 of always" in warning.what


def sets(*, answer: int, kind: str = "multilabel", own: tuple[Metric, ...] = ()) -> Experiment:
    """Runs of four labels or sets of them that always give one answer, with a floor at label 1, or the set of it alone."""
    truth = np.array([1, 1, 1, 2, 3, 8, 4, 2, 1, 5] * 6)
    made = make_experiment({BASELINE: np.zeros((3, 60), int), ROW: np.zeros((3, 60), int)}, truth % 2)
    labels = truth if kind == "multilabel" else truth % 4
    members = np.arange(4) == answer if kind == "classification" else answer >> np.arange(4) & 1
    logits = np.where(members, 1.5, -1.5)
    given = dict.fromkeys((BASELINE, ROW), np.broadcast_to(logits, (3, 60, 4)))
    made = scored_by(made, Accuracy(), kind=kind, truth=labels, given=given)
    whole = ("accuracy", "micro_f1", "label_f1") if kind == "multilabel" else ("accuracy", "macro_f1", "mcc")
    asked = [*whole, *(MetricChoice(name=name, of="each") for name in ("f1", "recall"))]
    fitted = [*own, *(one for choice in asked for one in metric_named(choice).fitted(kind_named(kind), list("pqrs"), None))]
    everything = {metric.name: metric for metric in fitted}
    (predicted,) = made.predictions(made.records[0].id).values()
    answers = predicted.kind.answers(predicted.logits)
    floor = {name: metric.score(np.ones_like(labels), labels) for name, metric in everything.items()}
    made = altered(
        made, "data", row=None, metrics=[facts_of(metric) for metric in everything.values()], majority_baseline={"test": floor}
    )
    found = {name: metric.score(answers, labels) for name, metric in everything.items()}
    made = altered(made, "", row=None, scores={"test": found})
    known = {name: metric for name, metric in everything.items() if metric not in own}
    return replace(made, metrics=dict.fromkeys(made.metrics, known))


@pytest.mark.parametrize("answer", range(16))
def test_a_constant_answer_is_no_mistake_where_each_metric_gives_what_was_recorded(answer: int) -> None:
    assert "different-metrics" not in codes(sets(answer=answer))
    assert answer > 3 or "different-metrics" not in codes(sets(answer=answer, kind="classification"))


class Theirs(Metric):
    """A plugin's that is not installed: nothing here can compute it anew."""

    name, version, unit = "theirs", "1", SHARE

    def __init__(self, given: float) -> None:
        self.given = given

    def load(self) -> Any:
        raise NotImplementedError

    def score(self, predictions: Any, references: Any) -> float:
        return self.given


@pytest.mark.parametrize(("given", "told"), [(0.0, False), (1.0, False), (0.4, True), (0.35, False)])
def test_what_is_no_figure_of_ours_is_held_against_floors_that_tell_something(given: float, told: bool) -> None:
    """A share of 0 or 1 is met by any metric; 0.4 is what always answering label 1 has in accuracy here."""
    made = sets(answer=0, own=(Theirs(given),))
    made = altered(
        made, "data", row=None, majority_baseline={"test": {**made.records[0].data.majority_baseline["test"], "theirs": 0.7}}
    )
    assert made.records[0].data.majority_baseline["test"]["accuracy"] == pytest.approx(0.4)
    assert ("different-metrics" in codes(made)) == told


def test_a_published_f1_of_one_class_is_not_called_the_f1_of_another() -> None:
    floor = sets(answer=0).records[0].data.majority_baseline["test"]
    made = importing(sets(answer=4), published(**{"f1 (q)": round(floor["f1 (p)"], 4)}))
    assert [warning for warning in warnings_of(made) if warning.name == "different-metrics" and "theirs" in warning.rows] == []


def test_a_run_that_learned_may_meet_a_floor_by_chance() -> None:
    balanced = np.arange(300) % 2
    right = np.arange(300) % 3 > 0  # two thirds, which is the F1 of answering always 1
    given = np.stack([np.where(np.roll(right, seed), balanced, 1 - balanced) for seed in range(3)])
    assert "different-metrics" not in codes(make_experiment({BASELINE: given}, balanced))


def test_copied_figures_are_named() -> None:
    warning = only_warning(importing(clean_experiment(), published(seeds=3, accuracy=0.5)), "published-figures")
    assert warning.rows == ["theirs"]
    assert "1 row" in warning.what
    assert "no test" in warning.what


@pytest.mark.parametrize(("value", "digits"), [(0.8407, 4), (0.5, 1), (1.0, 0), (84.07, 2), (1e-7, 0)])
def test_decimals_are_counted_as_printed(value: float, digits: int) -> None:
    assert decimals(value) == digits


def test_labels_of_the_clean_experiment_have_the_floor_that_these_tests_use() -> None:
    assert (LABELS == 1).sum() == 266
    assert clean_answers().shape == (8, 400)
