"""Answers of contestants: every id once, only possible ones, and in predictions.parquet nothing but what was answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from bakeoff.contracts.own_model import Answer
from bakeoff.errors import DataError
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION, Kind
from bakeoff.training.answers import Answered, read_answers

LABELS = ("neg", "pos", "mixed")


def read(*given: Any, kind: Kind = CLASSIFICATION, labels: Sequence[str] = LABELS, ids: Any = None, **more: Any) -> Answered:
    asked = [one.id for one in given if isinstance(one, Answer)] if ids is None else ids
    return read_answers(given, asked, kind, labels, of="script 'x'", **more)


def test_every_kind_gives_back_the_answers_that_were_given_in_the_order_of_the_rows() -> None:
    for scores in (None, {"neg": 0.3, "pos": 0.3, "mixed": 0.4}):
        found = read(Answer(7, "mixed", scores), Answer(3, "mixed", scores), ids=[3, 7])
        assert (CLASSIFICATION.answers(found.logits).tolist(), found.scored) == ([2, 2], scores is not None)
    found = read(Answer(1, ["neg", "mixed"]), Answer(2, []), kind=MULTILABEL)
    assert MULTILABEL.answers(found.logits).tolist() == [0b101, 0]
    assert found.logits.tolist()[1] == [-1.0, -1.0, -1.0]
    numbers = read(Answer(1, 2), Answer(2, np.float32(-0.5)), kind=REGRESSION, labels=())
    assert REGRESSION.answers(numbers.logits).tolist() == [2.0, -0.5]


def test_names_of_labels_are_read_back_as_the_labels() -> None:
    for kind, labels, names in ((CLASSIFICATION, [0, 2], LABELS), (MULTILABEL, [0, 5, 7], LABELS), (REGRESSION, [1.5], ())):
        assert [kind.read_answer(kind.named(label, names), names) for label in labels] == labels


def test_scores_are_the_probabilities_of_the_logits() -> None:
    scores = {"neg": 0.25, "pos": 0.0, "mixed": 0.75}
    logits = read(Answer(1, "mixed", scores)).logits
    assert np.isfinite(logits).all()
    assert CLASSIFICATION.probabilities(logits) == pytest.approx(np.array([[0.25, 0.0, 0.75]]))
    odds = read(Answer(1, ["mixed"], scores), kind=MULTILABEL).logits[0]
    assert 1 / (1 + np.exp(-odds)) == pytest.approx([0.25, 0.0, 0.75])


def test_the_answer_counts_where_scores_are_equal() -> None:
    """Also after rounding to float32."""
    for scores in ({"neg": 0.4, "pos": 0.4, "mixed": 0.2}, {"neg": 0.4, "pos": 0.4 + 1e-12, "mixed": 0.2}):
        assert CLASSIFICATION.answers(read(Answer(1, "pos", scores)).logits).tolist() == [1]
    half = {"neg": 0.5, "pos": 0.5, "mixed": 0.5}
    assert MULTILABEL.answers(read(Answer(1, ["pos"], half), kind=MULTILABEL).logits).tolist() == [0b010]


ROW = "the answer to row 1"
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: read(Answer(1, "neg"), ids=[1, 2, 3]), "2 rows of 3 without an answer: row 2, row 3; answer each once"),
    (lambda: read(Answer(1, "neg"), Answer(1, "pos"), ids=[1]), "row 1 is answered twice"),
    (lambda: read(Answer(9, "neg"), ids=[1]), "row 9 was not asked for"),
    (lambda: read(Answer(True, "neg"), ids=[1]), "the bool True was not asked for"),
    (lambda: read(Answer([], "neg"), ids=[1]), "a list was not asked for"),  # type: ignore[arg-type]
    (lambda: read({"id": 1}, ids=[1]), "the answer is a dict; it must be a bakeoff.plugin.Answer"),
    (lambda: read(Answer(1, "Pos")), f"{ROW} is unknown: no label 'Pos'; did you mean 'pos'?"),
    (lambda: read(Answer(1, 1)), f"{ROW} is the int 1, and must be the name of a label, a text"),
    (lambda: read(Answer(1, "pos"), kind=MULTILABEL), f"{ROW} is 'pos', and must be a list of names of labels"),
    (lambda: read(Answer(1, ["pos", "pos"]), kind=MULTILABEL), f"{ROW} names a label twice"),
    (lambda: read(Answer(1, "2"), kind=REGRESSION, labels=()), f"{ROW} is '2', and must be a number"),
    (lambda: read(Answer(1, math.nan), kind=REGRESSION, labels=()), f"{ROW} is nan, and must be a finite number"),
    (lambda: read(Answer(1, 1e39), kind=REGRESSION, labels=()), "and must be a finite number, 3.4e+38 at most"),
    (lambda: read(Answer(1, 1.0, {}), kind=REGRESSION, labels=()), f"{ROW} has scores, and numbers have none"),
    (lambda: read(Answer(1, "pos", {"pos": 1.0})), f"{ROW} has no score of label 'neg': give those of all labels, or none"),
    (lambda: read(Answer(1, "pos", {"Pos": 1.0})), f"{ROW} has a score of an unknown label: no label 'Pos'; did you"),
    (lambda: read(Answer(1, "pos", {"neg": math.nan, "pos": 1, "mixed": 0})), f"{ROW} has nan as the score of label 'neg'"),
    (lambda: read(Answer(1, "pos", {"neg": 0.5, "pos": 1, "mixed": 0})), f"{ROW} has scores that sum to 1.5"),
    (lambda: read(Answer(1, "neg", {"neg": 0, "pos": 1, "mixed": 0})), f"{ROW} is not the label with the largest score"),
    (
        lambda: read(Answer(1, [], {"neg": 0, "pos": 1, "mixed": 0}), kind=MULTILABEL),
        "the labels whose score is above",
    ),
    (
        lambda: read(Answer(1, "neg"), Answer(2, "neg", {"neg": 1, "pos": 0, "mixed": 0})),
        "row 1 is answered without scores, and others with",
    ),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_wrong_answer_is_told_with_its_row(wrong: Callable[[], Any], told: str) -> None:
    with pytest.raises(DataError) as error:
        wrong()
    assert str(error.value).startswith("script 'x': ")
    assert told in str(error.value)


def test_whoever_read_a_file_names_its_lines() -> None:
    lines = {"place": lambda number: f"line {number + 1} of out.jsonl", "row": lambda one: f"id {one!r}"}
    with pytest.raises(DataError, match=r"^script 'x', line 2 of out.jsonl: id 'a' is answered twice; .* line 1 of out.jsonl$"):
        read(Answer("a", "neg"), Answer("a", "pos"), ids=["a"], **lines)  # type: ignore[arg-type]
