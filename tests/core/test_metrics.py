"""Accuracy and F1: known figures through evaluate, and per-example parts that add up to the same score."""

from __future__ import annotations

import evaluate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import DataError
from bakeoff.metrics import F1, Accuracy, metric_named


def confusion(*, tp: int, fp: int, fn: int, tn: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and references, (n,) each, with these counts for label 1."""
    predictions = np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    references = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    return predictions, references


@pytest.mark.parametrize(("name", "score"), [("accuracy", 0.857843), ("f1", 0.899654)])
def test_the_known_confusion_gives_the_known_scores(name: str, score: float) -> None:
    predictions, references = confusion(tp=260, fp=39, fn=19, tn=90)
    module = metric_named(name).load()
    assert isinstance(module, evaluate.Metric)
    assert module.compute(predictions=predictions, references=references)[name] == pytest.approx(score, abs=5e-7)
    assert metric_named(name).score(predictions, references) == pytest.approx(score, abs=5e-7)


@pytest.mark.parametrize(("name", "score"), [("accuracy", 0.683824), ("f1", 0.812227)])
def test_always_answering_1_gives_the_known_floor(name: str, score: float) -> None:
    assert metric_named(name).score(*confusion(tp=279, fp=129, fn=0, tn=0)) == pytest.approx(score, abs=5e-7)


answers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)


@settings(max_examples=40, deadline=None)
@given(pairs=answers, positive=st.integers(0, 3))
def test_parts_add_up_to_the_score_and_to_the_textbook(pairs: list[tuple[int, int]], positive: int) -> None:
    predictions, references = np.array(pairs).T
    tp = sum(p == r == positive for p, r in pairs)
    wrong = sum((p == positive) != (r == positive) for p, r in pairs)
    textbook = {
        "accuracy": sum(p == r for p, r in pairs) / len(pairs),
        "f1": 2 * tp / (2 * tp + wrong) if tp + wrong else 0.0,
    }
    for metric in (Accuracy(), F1(positive)):
        numerator, denominator = metric.parts(predictions, references)
        assert numerator.shape == denominator.shape == (len(pairs),)
        total = denominator.sum()
        assert (numerator.sum() / total if total else 0.0) == pytest.approx(textbook[metric.name])
        assert metric.score(predictions, references) == pytest.approx(textbook[metric.name])


def test_batches_added_one_by_one_give_the_same_score() -> None:
    predictions, references = confusion(tp=5, fp=3, fn=2, tn=4)
    module = F1().load()
    for start in range(0, len(predictions), 4):
        module.add_batch(predictions=predictions[start : start + 4], references=references[start : start + 4])
    assert module.compute()["f1"] == pytest.approx(F1().score(predictions, references))


def test_two_metrics_at_once_do_not_disturb_each_other() -> None:
    first, second = Accuracy().load(), Accuracy().load()
    first.add_batch(predictions=[1, 1], references=[1, 1])
    second.add_batch(predictions=[1, 1], references=[0, 0])
    assert (first.compute()["accuracy"], second.compute()["accuracy"]) == (1.0, 0.0)


def test_predictions_and_references_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="number"):
        Accuracy().load().compute(predictions=[1, 0], references=[1])


def test_any_other_name_is_the_hubs_and_says_so_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    metric = metric_named("matthews_correlation")
    assert metric.name == "matthews_correlation"
    assert metric.parts(np.array([1]), np.array([1])) is None
    with pytest.raises(DataError, match=r"'matthews_correlation' comes from the hub.*accuracy and f1 work offline"):
        metric.load()
