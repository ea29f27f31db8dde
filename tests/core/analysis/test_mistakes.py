"""Mistakes by label and by example, against scikit-learn's own numbers and counts made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import drawn_answers, make_experiment
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.mistakes import MOST_IN_MATRIX, by_label, hard_examples, label_names
from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.contracts.kind import Kind
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION

NAMES = ["bug", "question", "praise"]
LABELS = np.array([0, 0, 0, 1, 1, 2])
RIGHT = LABELS[None]


def outputs(
    answers: dict[str, NDArray[np.generic]], labels: NDArray[np.generic] = LABELS, kind: Kind = CLASSIFICATION
) -> SplitOutputs:
    return SplitOutputs(
        ids=tuple(f"e{number}" for number in range(len(labels))),
        labels=labels,
        tokens=np.full(len(labels), 8),
        slices={},
        answers=answers,
        seeds={name: tuple(range(len(runs))) for name, runs in answers.items()},
        streams={name: {} for name in answers},
        calibration={},
        kind=kind,
    )


def test_precision_recall_and_confusion_are_means_over_runs_as_scikit_learn_counts_them() -> None:
    draw = np.random.default_rng(1)
    labels, answers = draw.integers(3, size=90), draw.integers(3, size=(4, 90))
    found = by_label(outputs({"lora": answers}, labels), ["lora"], NAMES)
    assert found is not None
    (own,) = found.scores
    every = [[function(labels, run, average=None) for run in answers] for function in (precision_score, recall_score)]
    assert own.precision == pytest.approx(np.mean(every[0], axis=0))
    assert own.recall == pytest.approx(np.mean(every[1], axis=0))
    assert np.array(own.confusion) == pytest.approx(np.mean([confusion_matrix(labels, run) for run in answers], axis=0))
    assert found.examples == np.bincount(labels).tolist()


def test_what_no_run_answers_has_no_precision_and_what_no_example_has_no_recall() -> None:
    found = by_label(outputs({"lora": np.zeros((2, 6), dtype=int)}), ["lora"], [*NAMES, "spam"])
    assert found is not None
    assert found.scores[0].precision == [0.5, None, None, None]
    assert found.scores[0].recall == [1.0, 0.0, 0.0, None]


def test_sets_of_labels_have_precision_and_recall_and_no_matrix() -> None:
    labels, answers = np.array([0b01, 0b11, 0b10, 0b00]), np.array([[0b01, 0b01, 0b11, 0b00]])
    found = by_label(outputs({"lora": answers}, labels, MULTILABEL), ["lora"], ["a", "b"])
    assert found is not None
    (own,) = found.scores
    assert (own.precision, own.recall, own.confusion) == ([pytest.approx(2 / 3), 1.0], [1.0, 0.5], [])
    assert found.examples == [2, 2]


def test_numbers_have_neither_labels_nor_wrong_examples() -> None:
    own = outputs({"lora": np.array([[0.5, 1.5]])}, np.array([1.0, 2.0]), REGRESSION)
    assert by_label(own, ["lora"], []) is None
    assert hard_examples(own, "test", ["lora"], []) is None
    unlabelled = outputs({"lora": RIGHT}, np.full(6, np.nan))
    assert by_label(unlabelled, ["lora"], NAMES) is None


def test_of_many_labels_there_is_no_matrix_but_the_most_frequent_mistakes() -> None:
    number = MOST_IN_MATRIX + 1
    labels = np.repeat(np.arange(number), 4)
    answers = np.where(np.arange(len(labels)) % 4 == 0, (labels + 1) % number, labels)[None]
    answers[0, :3] = 2
    names = label_names(["red", "green", f"and {number - 2} more"], number)
    assert names[:3] == ["red", "green", f"and {number - 2} more"]
    found = by_label(outputs({"lora": answers}, labels), ["lora"], names)
    assert found is not None
    assert found.scores[0].confusion == []
    assert (found.confused[0].label, found.confused[0].answer, found.confused[0].examples) == ("red", names[2], 3.0)
    assert len(found.confused) == 5


def test_examples_that_all_or_only_one_strategy_get_wrong_in_most_runs() -> None:
    answers = {
        "full": np.array([[1, 0, 0, 1, 1, 2], [1, 0, 0, 1, 1, 2], [1, 0, 0, 1, 0, 2]]),
        "lora": np.array([[1, 0, 2, 1, 1, 2], [2, 0, 2, 1, 1, 2], [1, 0, 0, 1, 1, 2]]),
    }
    found = hard_examples(outputs(answers), "test", ["full", "lora"], NAMES)
    assert found is not None
    (hardest,) = found.examples
    assert (found.number, found.of, hardest.id, hardest.label, hardest.answer) == (1, 6, "e0", "bug", "question")
    assert (hardest.wrong, hardest.runs) == (6, 6)
    (only,) = found.only
    (one,) = only.examples
    assert (only.strategies, only.number, one.id, one.answer) == (["lora"], 1, "e2", "praise")
    assert (one.wrong, one.runs, one.others_wrong, one.others) == (2, 3, 0, 3)


def test_strategies_that_answer_alike_count_as_one() -> None:
    wrong = RIGHT.copy()
    wrong[0, 0] = 2
    alike = hard_examples(outputs({"a": wrong, "b": wrong}), "test", ["a", "b"], NAMES)
    assert alike is not None
    assert (alike.number, alike.only) == (1, [])
    beside = hard_examples(outputs({"a": wrong, "b": wrong, "c": RIGHT}), "test", ["a", "b", "c"], NAMES)
    assert beside is not None
    assert (beside.number, [one.strategies for one in beside.only]) == (0, [["a", "b"]])


def test_a_comparison_has_them_of_runs_that_learned_and_its_json_holds_no_text() -> None:
    labels = np.array([0, 1, 1] * 40)
    answers = {
        "full": drawn_answers(labels, seeds=3, accuracy=0.9, seed=1),
        "lora": np.vstack([drawn_answers(labels, seeds=2, accuracy=0.8, seed=2), np.ones((1, 120), dtype=int)]),
    }
    (group,) = compare(make_experiment(answers, labels)).groups
    assert group.by_label is not None
    assert group.hard_examples is not None
    lora = next(own for own in group.by_label.scores if own.strategy == "lora")
    matrices = [confusion_matrix(labels, run) for run in answers["lora"][:2]]
    assert np.array(lora.confusion) == pytest.approx(np.mean(matrices, axis=0))
    only = next(own for own in group.hard_examples.only if own.strategies == ["lora"])
    fields = {"id", "label", "answer", "wrong", "runs", "others_wrong", "others"}
    assert set(json.loads(only.examples[0].model_dump_json())) == fields
