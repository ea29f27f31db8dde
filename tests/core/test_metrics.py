"""Built-in metrics: known figures through evaluate, parts that add up to the score, other libraries' answers."""

from __future__ import annotations

import subprocess
import sys

import evaluate
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sklearn_metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff import metrics
from bakeoff.errors import DataError
from bakeoff.metrics import BUILT_IN, F1, Accuracy, metric_named


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
    with pytest.raises(DataError, match=r"'matthews_correlation' comes from the hub.*offline work accuracy, f1, .*mcc"):
        metric.load()


# --- against scikit-learn and scipy --------------------------------------------------------------------------------------

OF_LABELS = {
    "accuracy": sklearn_metrics.accuracy_score,
    "f1": lambda truth, given: sklearn_metrics.f1_score(truth, given, labels=[1], average="macro", zero_division=0),
    "precision": lambda truth, given: sklearn_metrics.precision_score(
        truth, given, labels=[1], average="macro", zero_division=0
    ),
    "recall": lambda truth, given: sklearn_metrics.recall_score(truth, given, labels=[1], average="macro", zero_division=0),
    "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
    "macro_f1": lambda truth, given: sklearn_metrics.f1_score(truth, given, average="macro", zero_division=0),
    "mcc": sklearn_metrics.matthews_corrcoef,
}
OF_NUMBERS = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@pytest.mark.parametrize("name", OF_LABELS)
@settings(max_examples=60, deadline=None)
@given(pairs=answers)
def test_label_metrics_are_scikit_learns(name: str, pairs: list[tuple[int, int]]) -> None:
    predictions, references = np.array(pairs).T
    assert metric_named(name).score(predictions, references) == pytest.approx(
        OF_LABELS[name](references, predictions), abs=1e-12
    )


numbers = st.lists(st.tuples(st.integers(-40, 40), st.integers(0, 10)), min_size=3, max_size=40)


@pytest.mark.parametrize("name", OF_NUMBERS)
@settings(max_examples=60, deadline=None)
@given(pairs=numbers)
def test_correlations_are_scipys_and_0_where_one_side_is_constant(name: str, pairs: list[tuple[int, int]]) -> None:
    predictions, references = np.array(pairs, dtype=np.float64).T / 8
    if len(set(predictions)) == 1 or len(set(references)) == 1:
        expected = 0.0
    else:
        expected = OF_NUMBERS[name](predictions, references).statistic
    assert metric_named(name).score(predictions, references) == pytest.approx(expected, abs=1e-9)


def test_a_constant_answer_correlates_with_nothing_however_its_mean_rounds() -> None:
    constant, other = np.full(7, 0.1), np.arange(7.0)
    assert metric_named("pearson").score(constant, other) == 0.0
    assert metric_named("mcc").score(np.ones(7, dtype=np.int64), np.arange(7) % 2) == 0.0


@pytest.mark.parametrize("name", BUILT_IN)
def test_evaluates_kind_of_object_gives_the_very_same_score(name: str) -> None:
    draw = np.random.default_rng(3)
    predictions, references = draw.integers(0, 3, 50), draw.integers(0, 3, 50)
    if name in OF_NUMBERS:
        predictions, references = draw.normal(size=50), draw.normal(size=50)
    metric = metric_named(name)
    assert metric.load().compute(predictions=predictions, references=references) == {
        name: metric.score(predictions, references)
    }


@pytest.mark.parametrize("name", ["accuracy", "f1", "precision", "recall"])
def test_ratios_have_parts_and_the_others_say_that_they_have_none(name: str) -> None:
    assert metric_named(name).parts(*confusion(tp=1, fp=1, fn=1, tn=1)) is not None
    assert metric_named("mcc").parts(*confusion(tp=1, fp=1, fn=1, tn=1)) is None


def test_unequal_lengths_are_refused_without_evaluate_too() -> None:
    with pytest.raises(DataError, match="metric 'accuracy': 2 predictions and 1 references"):
        Accuracy().score(np.array([1, 0]), np.array([1]))


def test_answers_are_the_largest_logit_or_the_number() -> None:
    logits = np.array([[0.1, 0.9], [2.0, -1.0]], dtype=np.float32)
    assert metrics.answers(logits, "classification").tolist() == [1, 0]
    assert metrics.answers(logits[:, :1], "regression").tolist() == pytest.approx([0.1, 2.0])


def test_rescoring_loads_nothing_that_trains() -> None:
    code = (
        "import sys, numpy; from bakeoff.metrics import BUILT_IN, metric_named; "
        "[metric_named(name).score(numpy.array([0, 1, 1]), numpy.array([0, 1, 0])) for name in BUILT_IN]; "
        "print(sorted({'torch', 'datasets', 'evaluate', 'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
