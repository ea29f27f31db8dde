"""A metric that can't vary on a split says nothing there: no figure, no verdict, no rank, in any output."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_experiment, make_folder, scored_by, task_info
from messages import tells
from numpy.typing import NDArray

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.gate.gate import judge
from bakeoff.analysis.rescoring import rescore
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric, MetricFacts
from bakeoff.contracts.metrics import (
    F1,
    Accuracy,
    BalancedAccuracy,
    LabelF1,
    MacroF1,
    MatthewsCorrelation,
    MeanAbsoluteError,
    MicroF1,
    Pearson,
    Precision,
    Recall,
    Spearman,
)
from bakeoff.contracts.task import Task, TaskInfo
from bakeoff.contracts.unit import SHARE
from bakeoff.errors import DataError, RunError
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, Kind
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import MadeFrom
from bakeoff.records.silent_metrics import why_silent
from bakeoff.report.beside import set_beside, write_beside
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.latex import write_tex
from bakeoff.report.text.table_md import write_page
from bakeoff.runner.preflight import require_choice
from bakeoff.training.data import Columns, LoadedTask
from bakeoff.training.data_checks import data_checks, describe_data, without_learning
from bakeoff.training.evaluation import score
from bakeoff.training.kept_model import score_lines

ZEROS, ONES, BOTH = np.zeros(30, dtype=np.int64), np.ones(30, dtype=np.int64), np.arange(30) % 2


class Luck(Metric):
    """A plugin's metric that likes every answer alike, whatever is right."""

    name = "luck"

    def load(self) -> Any:
        raise NotImplementedError

    def score(self, predictions: Any, references: Any) -> float:
        return 0.25


class Undefined(Luck):
    """Of one label it has no value, as scikit-learn's ROC AUC."""

    name = "undefined"

    def score(self, predictions: Any, references: Any) -> float:
        return float("nan") if len(np.unique(references)) < 2 else float(np.mean(predictions == references))


class Refusing(Undefined):
    """As `Undefined`, by an error."""

    name = "refusing"

    def score(self, predictions: Any, references: Any) -> float:
        if len(np.unique(references)) < 2:
            raise ValueError("Only one class\npresent in y_true")
        return super().score(predictions, references)


class Broken(Luck):
    name = "broken"

    def score(self, predictions: Any, references: Any) -> float:
        raise KeyError("average")


class OfAnswers(Luck):
    """Has no value where all answers are one, as scipy's correlations."""

    name = "of_answers"

    def score(self, predictions: Any, references: Any) -> float:
        return float("nan") if len(np.unique(predictions)) < 2 else float(np.mean(predictions == references))


class Elsewhere(Luck):
    """Scored by the evaluate library: what `load` gives."""

    name = "elsewhere"
    score = Metric.score

    def load(self) -> Any:
        return self

    def compute(self, *, predictions: Any, references: Any) -> dict[str, float]:
        return {self.name: MatthewsCorrelation().score(predictions, references)}


@pytest.mark.parametrize(
    ("metric", "labels", "reason"),
    [
        (MatthewsCorrelation(), ZEROS, "every example has the label 'ham'"),
        (BalancedAccuracy(), ONES, "every example has the label 'spam'"),
        (Pearson(), np.full(20, 2.5), "every example has the number 2.5"),
        (Spearman(), np.full(20, 2.5), "every example has the number 2.5"),
        (Pearson(), np.array([1.0]), "every example has the number 1"),
        (F1(1), ZEROS, "no example has the label 'spam'"),
        (Recall(1), ZEROS, "no example has the label 'spam'"),
        (Precision(1), ZEROS, "no example has the label 'spam'"),
        (Recall(7), BOTH, "no example has the label number 7"),
        (MicroF1(MULTILABEL), ZEROS, "every example has the label 'ham'"),
        (Recall.numbered(1, "recall (spam)", MULTILABEL), np.array([0, 1, 1, 4]), "no example has the label 'spam'"),
        (Luck(), BOTH, "any predictions get 0.25"),
        (Undefined(), ZEROS, "every example has the label 'ham'"),
        (Refusing(), ONES, "every example has the label 'spam'"),
        (Broken(), BOTH, "it gives no score (KeyError: 'average')"),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_what_can_give_one_score_only_says_nothing(metric: Metric, labels: NDArray[Any], reason: str) -> None:
    assert why_silent(metric, labels, ["ham", "spam"]) == reason


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        (Accuracy(), ZEROS),
        (Accuracy(), np.array([1])),
        (MacroF1(), ZEROS),
        (F1(1), ONES),
        (Recall(1), ONES),
        (F1(1), BOTH),
        (MatthewsCorrelation(), BOTH),
        (MatthewsCorrelation(), np.array([0] * 29 + [1])),
        (BalancedAccuracy(), BOTH),
        (MeanAbsoluteError(), np.full(20, 2.5)),
        (Pearson(), np.array([1.0, 1.0, 2.0])),
        (Spearman(), np.linspace(0, 1, 9)),
        (LabelF1(), np.array([1, 2, 3, 0])),
        (Recall.numbered(1, "recall (spam)", MULTILABEL), np.array([3, 1, 1, 4])),
        (MicroF1(MULTILABEL), np.array([0, 0, 4])),
        (Undefined(), BOTH),
        (Refusing(), BOTH),
        (OfAnswers(), BOTH),
        (OfAnswers(), ZEROS),
        (Elsewhere(), ZEROS),
        (HubMetric("bleurt"), ZEROS),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_what_can_vary_may_say_something(metric: Metric, labels: NDArray[Any]) -> None:
    assert why_silent(metric, labels) == ""


def test_where_a_run_loads_its_metrics_those_of_the_evaluate_library_are_asked_too() -> None:
    assert why_silent(Elsewhere(), ZEROS, ["ham", "spam"], load=True) == "every example has the label 'ham'"
    assert why_silent(Elsewhere(), BOTH, load=True) == ""


# --- in every output -----------------------------------------------------------------------------------------------------


def silent_experiment(**keywords: Any) -> Experiment:
    """Two rows, F1 on a split without a case of its label, accuracy beside it."""
    rng = np.random.default_rng(0)
    rows = {name: np.where(rng.random((4, 30)) < share, 1, 0) for name, share in (("base", 0.1), ("row", 0.4), ("twin", 0.4))}
    rows["twin"] = rows["base"]
    made = make_experiment(rows, ZEROS, under_test=["trainer"], **keywords)
    records = []
    for record in made.records:
        assert record.data is not None
        records.append(record.model_copy(update={"data": record.data.model_copy(update={"primary_metric": "f1"})}))
    return replace(made, records=tuple(records))


def test_nobody_is_judged_by_a_metric_that_says_nothing() -> None:
    (group,) = compare(silent_experiment()).groups
    assert group.silent == {"test": {"f1": "no example has the label 'label 1'"}}
    assert (group.to_baseline, group.all_pairs, group.slices, group.majority_baseline) == ([], [], [], None)
    assert {row.rank for row in group.rows} == {None}
    assert [list(row.scores["test"]) for row in group.rows] == [["accuracy"]] * 3
    assert [(row.collapsed, row.expected_best, row.front_probability) for row in group.rows] == [([], [], None)] * 3
    assert group.answer.startswith("f1 says nothing on test of glue/mrpc: no example has the label 'label 1'.")


def test_every_output_says_so_and_shows_no_figure() -> None:
    made = silent_experiment()
    comparison = compare(made)
    page = write_page(comparison)
    told = "f1 says nothing on test: no example has the label 'label 1'"
    assert told in " ".join(page.split())
    (line,) = [line for line in page.splitlines() if line.startswith("| base")][:1]
    assert [cell.strip() for cell in line.strip("|").split("|")].count("–") >= 2
    html = write_html(comparison, made.records, lambda run: None)
    assert "f1 says nothing" in html
    for text in (page, html, write_tex(comparison)):
        for word in ("equivalent within", "are identical", "inconclusive:", "✅"):
            assert word not in text
    for row in csv.DictReader(io.StringIO(write_csv(comparison))):
        assert (row["test_f1_mean"], row["test_f1_low"], row["rank_low"], row["verdict"]) == ("", "", "", "")
        assert row["test_accuracy_mean"]
    whole = json.loads(write_json(comparison))
    assert all("f1" not in row["scores"]["test"] for row in whole["groups"][0]["rows"])
    assert whole["groups"][0]["silent"]["test"]["f1"]
    (found,) = rescore(made).groups
    assert found.rows == []
    assert "f1 says nothing" in found.notes[0]
    assert [row.score.mean for row in rescore(made, "accuracy").groups[0].rows]


def test_a_second_metric_that_says_nothing_is_told_beside_the_first() -> None:
    rows = {"base": np.zeros((3, 30), dtype=int), "row": np.tile(BOTH, (3, 1))}
    made = make_experiment(rows, ZEROS, under_test=["trainer"])
    (group,) = compare(made).groups
    assert group.metric == "accuracy"
    assert group.to_baseline[0].verdict == "worse"
    (note,) = group.notes
    assert tells(note, "f1 ", "test: ", "'label 1'. ")


def test_a_part_of_the_split_on_which_it_says_nothing_has_no_score() -> None:
    rng = np.random.default_rng(1)
    labels = np.concatenate([ZEROS, BOTH, BOTH])
    rows = {name: np.where(rng.random((3, 90)) < 0.8, labels, 1 - labels) for name in ("base", "row")}
    made = make_experiment(rows, labels, slices={"source": ["quiet"] * 30 + ["loud"] * 60})
    (group,) = rescore(made, "mcc").groups
    found = {part.value: part.score for part in group.slices if part.column == "source"}
    assert found["quiet"] is None
    assert found["loud"] is not None


def test_a_gate_has_no_evidence_by_it_even_where_nothing_changed() -> None:
    made = silent_experiment(gate={"quality": "-1 points"})
    again = replace(
        made, records=tuple(record.model_copy(update={"started": "2027-01-01T00:00:00+00:00"}) for record in made.records)
    )
    found = judge(again, made)
    assert found.result == "not enough evidence"
    assert {check.result for check in found.checks} == {"not enough evidence"}
    assert "f1 says nothing" in found.checks[0].reason


def test_a_folder_of_older_records_is_read_so(tmp_path: Path) -> None:
    rows = {"base": np.zeros((2, 30), dtype=int), "row": np.tile(BOTH, (2, 1))}
    folder = make_folder(tmp_path / "e", rows, ZEROS)
    for record in load_experiment([folder]).records:
        assert record.data is not None
        assert record.data.silent == {"test": {"f1": "no example has the label 'label 1'"}}
        assert (list(record.scores["test"]), list(record.data.majority_baseline["test"])) == (["accuracy"], ["accuracy"])


def test_beside_another_experiment_it_has_no_figure_either() -> None:
    made = silent_experiment()
    page = write_beside(set_beside((made.declared, made.records), (made.declared, made.records)), here="A", there="B")
    (line,) = [line for line in page.splitlines() if line.startswith("| base")]
    assert [cell.strip() for cell in line.strip("|").split("|")][1:3] == ["–", "–"]
    assert "label 'label 1'." in page


def test_a_model_card_says_it_and_writes_figures_in_their_unit() -> None:
    record = silent_experiment().records[0]
    assert record.data is not None
    mae = MetricFacts(name="mae", higher_is_better=False, version="1")
    gone = MetricFacts(name="auc", higher_is_better=True, version="1", unit=SHARE)
    data = record.data.model_copy(update={"metrics": [*record.data.metrics, mae, gone]})
    scores = {"test": {**record.scores["test"], "mae": 1.25e-7}}
    accuracy = scores["test"]["accuracy"]
    assert list(score_lines(record.model_copy(update={"scores": scores}), data)) == [
        f"| test | accuracy | {100 * accuracy:.2f} points | 100.00 |",
        "| test | f1 | cannot tell predictions apart here: no example has the label 'label 1' | – |",
        "| test | mae | 1.250e-7 | – |",
        "| test | auc | no score of these predictions | – |",
    ]


@pytest.mark.parametrize("metric", [Undefined(), Refusing()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("seeds", [1, 4])
def test_resamples_of_one_class_leave_finite_intervals(metric: Metric, seeds: int) -> None:
    """Of 40 examples one has the second class: a third of the resamples lacks it."""
    labels = np.zeros(40, dtype=np.int64)
    labels[0], metric.unit = 1, SHARE
    rng, names = np.random.default_rng(0), ("base", "row")
    given = {name: np.where(rng.random((seeds, 40)) < 0.8, labels, 1 - labels) for name in names}
    logits = {name: np.stack([0.5 - answers, answers - 0.5], axis=2) for name, answers in given.items()}
    rows = {name: np.zeros((seeds, 40), dtype=np.int64) for name in names}
    made = make_experiment(rows, labels, under_test=["trainer"])
    made = scored_by(made, metric, kind="classification", truth=labels, given=logits)
    comparison = compare(made)
    write_json(comparison)  # which refuses what is not finite
    for row in comparison.groups[0].rows:
        score = row.scores["test"][metric.name]
        assert score.low is not None
        assert score.high is not None
        assert 0 <= score.low < score.mean < score.high <= 1


def test_a_metric_without_a_score_at_one_seed_has_no_mean() -> None:
    made = make_experiment({"base": [BOTH] * 3, "row": [BOTH] * 3}, BOTH, under_test=["trainer"])
    first, *rest = made.records
    missing = first.model_copy(update={"scores": {"test": {"accuracy": 1.0}}})
    made = replace(made, records=(missing, *rest))
    comparison = compare(made)
    shown = {row.strategy: sorted(row.scores["test"]) for row in comparison.groups[0].rows}
    assert shown == {"base": ["accuracy"], "row": ["accuracy", "f1"]}
    assert {row.strategy: sorted(row.scores["test"]) for row in comparison.groups[0].rows} == shown
    page = " ".join(write_page(comparison).split())
    assert "f1 gave base" in page


# --- before anything is trained ------------------------------------------------------------------------------------------


def task(metric: Metric, labels: Any, *, kind: Kind = CLASSIFICATION) -> tuple[TaskInfo, dict[str, Columns]]:
    info = task_info(("ham", "spam"), kind=kind, metrics=[metric], splits=("train", "dev"))
    texts = [f"text {number}" for number in range(len(labels))]
    train = Columns({"id": texts, "text": texts, "label": list(labels)})
    dev = Columns({"id": texts, "text": [f"dev {text}" for text in texts], "label": list(labels)})
    return info, {"train": train, "dev": dev}


def test_it_is_told_before_training_and_no_state_is_chosen_by_it() -> None:
    info, splits = task(MatthewsCorrelation(), [0] * 6)
    assert any(line.startswith("dev: mcc") and "'ham'" in line for line in data_checks(info, splits))
    with pytest.raises(DataError, match=r"mcc on dev, .*, or no 'search:'"):
        require_choice(info, splits, "no 'search:'")
    fine, both = task(MatthewsCorrelation(), [0, 1, 0])
    require_choice(fine, both, "no 'search:'")
    assert not [remark for remark in data_checks(fine, both) if "says nothing" in remark]


class Own(Task):
    """A task whose floor is the majority's."""

    name, version, summary = "own", "1", "A task."

    def info(self, options: Any) -> TaskInfo:
        raise NotImplementedError

    def load(self, options: Any, places: Any) -> Any:
        raise NotImplementedError


def test_a_record_holds_no_score_and_no_floor_that_mean_nothing() -> None:
    info, splits = task(Accuracy(), [0] * 6)
    info = replace(info, metrics=(Accuracy(), MatthewsCorrelation(), Refusing(), OfAnswers()))
    data = describe_data(LoadedTask(Own(), info, splits, MadeFrom()))
    one = "every example has the label 'ham'"
    assert data.silent == {"dev": {"mcc": one, "refusing": one}}
    assert data.majority_baseline == {"dev": {"accuracy": 1.0}}
    assert without_learning(Own(), info, splits).undefined == {"dev": {"of_answers": "nan"}}
    logits = np.tile([1.0, -1.0], (6, 1))
    assert score(info, logits, [0] * 6, data.silent["dev"]) == {"accuracy": 1.0}
    with pytest.raises(RunError, match="metric 'of_answers'"):
        score(replace(info, primary_metric="of_answers"), logits, [0] * 6, data.silent["dev"])
