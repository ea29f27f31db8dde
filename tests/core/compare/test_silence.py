"""A metric that can't vary on a split says nothing there: no figure, no verdict, no rank, in any output."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core.compare.made_records import make_experiment_in_memory
from numpy.typing import NDArray

from bakeoff.compare.boards import compare
from bakeoff.compare.experiment import Experiment
from bakeoff.compare.gate import judge
from bakeoff.compare.rescoring import rescore
from bakeoff.compare.silence import why_silent
from bakeoff.components import Metric, TaskInfo
from bakeoff.data import Columns
from bakeoff.errors import DataError
from bakeoff.metrics import (
    F1,
    Accuracy,
    BalancedAccuracy,
    HubMetric,
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
from bakeoff.rehearsal import require_choice
from bakeoff.remarks import remarks
from bakeoff.report.html import write_html
from bakeoff.report.latex import write_tex
from bakeoff.report.page import write_page
from bakeoff.report.table import build_report
from bakeoff.report.tidy import write_csv, write_json

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
        (MicroF1(), ZEROS, "every example has the label 'ham'"),
        (Recall.numbered(1, "recall (spam)", "multilabel"), np.array([0, 1, 1, 4]), "no example has the label 'spam'"),
        (Luck(), BOTH, "whatever is answered, it is 0.25"),
        (Undefined(), ZEROS, "every example has the label 'ham'"),
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
        (Recall.numbered(1, "recall (spam)", "multilabel"), np.array([3, 1, 1, 4])),
        (MicroF1(), np.array([0, 0, 4])),
        (Undefined(), BOTH),
        (HubMetric("bleurt"), ZEROS),
    ],
    ids=lambda value: value.name if isinstance(value, Metric) else "",
)
def test_what_can_vary_may_say_something(metric: Metric, labels: NDArray[Any]) -> None:
    assert why_silent(metric, labels) == ""


# --- in every output -----------------------------------------------------------------------------------------------------


def silent_experiment(**keywords: Any) -> Experiment:
    """Two rows, F1 on a split without a case of its label, accuracy beside it."""
    rng = np.random.default_rng(0)
    rows = {name: np.where(rng.random((4, 30)) < share, 1, 0) for name, share in (("base", 0.1), ("row", 0.4), ("twin", 0.4))}
    rows["twin"] = rows["base"]
    made = make_experiment_in_memory(rows, ZEROS, under_test=["trainer"], **keywords)
    records = []
    for record in made.records:
        assert record.data is not None
        records.append(record.model_copy(update={"data": record.data.model_copy(update={"primary_metric": "f1"})}))
    return replace(made, records=tuple(records))


def test_nobody_is_judged_by_a_metric_that_says_nothing() -> None:
    (board,) = compare(silent_experiment()).boards
    assert board.silent == {"test": {"f1": "no example has the label 'label 1'"}}
    assert (board.to_baseline, board.all_pairs, board.slices, board.floor) == ([], [], [], None)
    assert {row.rank for row in board.rows} == {None}
    assert [list(row.scores["test"]) for row in board.rows] == [["accuracy"]] * 3
    assert [(row.mean_without_degenerate, row.expected_best, row.front_probability) for row in board.rows] == [
        (None, [], None)
    ] * 3
    assert board.answer.startswith("f1 says nothing on test of glue/mrpc: no example has the label 'label 1'.")


def test_every_output_says_so_and_shows_no_figure() -> None:
    made = silent_experiment()
    comparison, report = compare(made), build_report(made.declared, made.records)
    page = write_page(report, comparison)
    told = "f1 says nothing on test: no example has the label 'label 1'"
    assert told in " ".join(page.split())
    (line,) = [line for line in page.splitlines() if line.startswith("| base")][:1]
    assert [cell.strip() for cell in line.strip("|").split("|")].count("–") >= 2
    html = write_html(comparison, report, made.records, lambda run: None)
    assert "f1 says nothing on test" in html
    for text in (page, html, write_tex(comparison, report)):
        for word in ("equivalent within", "are identical", "inconclusive:", "✅"):
            assert word not in text
    for row in csv.DictReader(io.StringIO(write_csv(report, comparison))):
        assert (row["test_f1_mean"], row["test_f1_low"], row["rank_low"], row["verdict"]) == ("", "", "", "")
        assert row["test_accuracy_mean"]
    whole = json.loads(write_json(report, comparison))
    assert all("f1" not in row["scores"]["test"] for row in whole["tables"][0]["rows"])
    assert whole["comparison"]["boards"][0]["silent"]["test"]["f1"]
    (found,) = rescore(made)
    assert found.rows == []
    assert "f1 says nothing on test" in found.notes[0]
    assert [row.score.mean for row in rescore(made, "accuracy")[0].rows]


def test_a_second_metric_that_says_nothing_is_told_beside_the_first() -> None:
    rows = {"base": np.zeros((3, 30), dtype=int), "row": np.tile(BOTH, (3, 1))}
    made = make_experiment_in_memory(rows, ZEROS, under_test=["trainer"])
    (board,) = compare(made).boards
    assert board.metric == "accuracy"
    assert board.to_baseline[0].verdict == "worse"
    assert board.notes == ["f1 says nothing on test: no example has the label 'label 1'. It is shown without figures there."]


def test_a_part_of_the_split_on_which_it_says_nothing_has_no_score() -> None:
    rng = np.random.default_rng(1)
    labels = np.concatenate([ZEROS, BOTH, BOTH])
    rows = {name: np.where(rng.random((3, 90)) < 0.8, labels, 1 - labels) for name in ("base", "row")}
    made = make_experiment_in_memory(rows, labels, slices={"source": ["quiet"] * 30 + ["loud"] * 60})
    (board,) = rescore(made, "mcc")
    found = {part.value: part.score for part in board.slices if part.column == "source"}
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
    assert "f1 says nothing on test" in found.checks[0].reason


# --- before anything is trained ------------------------------------------------------------------------------------------


def task(metric: Metric, labels: Any, *, kind: Any = "classification") -> tuple[TaskInfo, dict[str, Columns]]:
    info = TaskInfo(
        kind=kind,
        text_columns=("text",),
        labels=("ham", "spam") if kind == "classification" else (),
        n_outputs=2 if kind == "classification" else 1,
        metrics=(metric,),
        primary_metric=metric.name,
        splits=("train", "dev"),
        labelled_splits=("train", "dev"),
    )
    texts = [f"text {number}" for number in range(len(labels))]
    train = Columns({"id": texts, "text": texts, "label": list(labels)})
    dev = Columns({"id": texts, "text": [f"dev {text}" for text in texts], "label": list(labels)})
    return info, {"train": train, "dev": dev}


def test_it_is_told_before_training_and_no_state_is_chosen_by_it() -> None:
    info, splits = task(MatthewsCorrelation(), [0] * 6)
    assert "dev: mcc says nothing there: every example has the label 'ham'" in remarks(info, splits)
    with pytest.raises(DataError, match=r"the best is chosen by mcc on dev, which says nothing there: .*, or no 'search:'"):
        require_choice(info, splits, "no 'search:'")
    fine, both = task(MatthewsCorrelation(), [0, 1, 0])
    require_choice(fine, both, "no 'search:'")
    assert not [remark for remark in remarks(fine, both) if "says nothing" in remark]
