"""Built-in metrics: known figures through evaluate, parts that add up to the score, other libraries' answers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import evaluate
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sklearn_metrics
from builders import task_info
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric, MetricChoice, MetricFacts
from bakeoff.contracts.metric_lookup import metric_named, recorded_metric
from bakeoff.contracts.metrics import BUILT_IN, F1, OF_ONE_LABEL, Accuracy, MicroF1
from bakeoff.contracts.task import TaskInfo
from bakeoff.contracts.unit import OWN_UNIT, SHARE
from bakeoff.errors import DataError, PluginError
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION, Kind
from bakeoff.text.values import yaml_value


def confusion(*, tp: int, fp: int, fn: int, tn: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and references, (n,) each, with these counts for label 1."""
    predictions = np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    references = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    return predictions, references


def ready(name: str) -> Metric:
    """A built-in; where it is of one label, of label 1."""
    return BUILT_IN[name](1) if name in OF_ONE_LABEL else metric_named(name)  # type: ignore[call-arg]


@pytest.mark.parametrize(("name", "score"), [("accuracy", 0.857843), ("f1", 0.899654)])
def test_the_known_confusion_gives_the_known_scores(name: str, score: float) -> None:
    predictions, references = confusion(tp=260, fp=39, fn=19, tn=90)
    module = ready(name).load()
    assert isinstance(module, evaluate.Metric)
    assert module.compute(predictions=predictions, references=references)[name] == pytest.approx(score, abs=5e-7)
    assert ready(name).score(predictions, references) == pytest.approx(score, abs=5e-7)


@pytest.mark.parametrize(("name", "score"), [("accuracy", 0.683824), ("f1", 0.812227)])
def test_always_answering_1_gives_the_known_floor(name: str, score: float) -> None:
    assert ready(name).score(*confusion(tp=279, fp=129, fn=0, tn=0)) == pytest.approx(score, abs=5e-7)


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
        numerator, denominator = metric.ratio_terms(predictions, references)
        assert numerator.shape == denominator.shape == (len(pairs),)
        total = denominator.sum()
        assert (numerator.sum() / total if total else 0.0) == pytest.approx(textbook[metric.name])
        assert metric.score(predictions, references) == pytest.approx(textbook[metric.name])


def test_batches_added_one_by_one_give_the_same_score() -> None:
    predictions, references = confusion(tp=5, fp=3, fn=2, tn=4)
    module = F1(1).load()
    for start in range(0, len(predictions), 4):
        module.add_batch(predictions=predictions[start : start + 4], references=references[start : start + 4])
    assert module.compute()["f1"] == pytest.approx(F1(1).score(predictions, references))


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
    assert metric.ratio_terms(np.array([1]), np.array([1])) is None
    with pytest.raises(
        DataError, match=r"'matthews_correlation' comes from the hub.*available offline are accuracy, f1, .*mcc"
    ):
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
    assert ready(name).score(predictions, references) == pytest.approx(OF_LABELS[name](references, predictions), abs=1e-12)


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
    assert ready(name).score(predictions, references) == pytest.approx(expected, abs=1e-9)


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
    metric = ready(name)
    assert metric.load().compute(predictions=predictions, references=references) == {
        name: metric.score(predictions, references)
    }


@pytest.mark.parametrize("name", ["accuracy", "f1", "precision", "recall"])
def test_ratios_have_parts_and_the_others_say_that_they_have_none(name: str) -> None:
    assert ready(name).ratio_terms(*confusion(tp=1, fp=1, fn=1, tn=1)) is not None
    assert metric_named("mcc").ratio_terms(*confusion(tp=1, fp=1, fn=1, tn=1)) is None


def test_unequal_lengths_are_refused_without_evaluate_too() -> None:
    with pytest.raises(DataError, match="'accuracy': 2 predictions"):
        Accuracy().score(np.array([1, 0]), np.array([1]))


def test_answers_are_the_largest_logit_or_the_number() -> None:
    logits = np.array([[0.1, 0.9], [2.0, -1.0]], dtype=np.float32)
    assert CLASSIFICATION.answers(logits).tolist() == [1, 0]
    assert REGRESSION.answers(logits[:, :1]).tolist() == pytest.approx([0.1, 2.0])


def test_rescoring_loads_nothing_that_trains() -> None:
    code = (
        "import sys, numpy; from bakeoff.contracts.metric_lookup import BUILT_IN, OF_ONE_LABEL, metric_named; "
        "ready = [BUILT_IN[name](1) if name in OF_ONE_LABEL else metric_named(name) for name in BUILT_IN]; "
        "[metric.score(numpy.array([0, 1, 1]), numpy.array([0, 1, 0])) for metric in ready]; "
        "print(sorted({'torch', 'datasets', 'evaluate', 'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


# --- of which class ------------------------------------------------------------------------------------------------------

LABELS = ("ham", "phishing", "spam")
TRUTH, GIVEN = np.array([0, 1, 2, 2, 2, 0]), np.array([0, 1, 2, 2, 0, 2])


def task(
    *choices: str | dict[str, str], labels: tuple[str, ...] = LABELS, kind: Kind = CLASSIFICATION, **more: Any
) -> TaskInfo:
    asked = [choice if isinstance(choice, str) else MetricChoice.model_validate(choice) for choice in choices]
    chosen = tuple(map(metric_named, asked))
    return task_info(labels, kind=kind, metrics=chosen, n_outputs=len(labels), **more)


def scores(info: TaskInfo) -> dict[str, float]:
    return {metric.name: round(metric.score(GIVEN, TRUTH), 6) for metric in info.metrics}


@pytest.mark.parametrize("name", OF_ONE_LABEL)
@pytest.mark.parametrize("labels", [LABELS, ("no", "yes"), ("0", "1"), ()])
def test_a_metric_of_one_class_that_nobody_names_is_refused_with_the_ways_out(name: str, labels: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        task("accuracy", name, labels=labels)
    one = yaml_value(labels[0]) if labels else "CLASS"
    for way_out in (f"{{name: {name}, positive: {one}}}", f"{{name: {name}, of: each}}", "macro_f1", "micro_f1"):
        assert way_out in str(caught.value)
    assert all(label in str(caught.value) for label in labels)


def test_every_way_out_gives_the_textbooks_scores() -> None:
    of_each = sklearn_metrics.f1_score(TRUTH, GIVEN, average=None)
    info = task("accuracy", {"name": "f1", "of": "each"}, "macro_f1", "micro_f1", {"name": "recall", "positive": "spam"})
    assert scores(info) == {
        "accuracy": 0.666667,
        **{f"f1 ({label})": round(float(score), 6) for label, score in zip(LABELS, of_each, strict=True)},
        "macro_f1": round(float(of_each.mean()), 6),
        "micro_f1": round(float(sklearn_metrics.f1_score(TRUTH, GIVEN, average="micro")), 6),
        "recall (spam)": 0.666667,
    }


def test_the_class_that_a_task_declares_counts_as_named_and_another_word_comes_before_it() -> None:
    assert task("f1", labels=("yes", "no"), positive="yes").primary_metric == "f1 (yes)"
    assert scores(task("f1", {"name": "precision", "positive": "phishing"}, positive="spam")).keys() == {
        "f1 (spam)",
        "precision (phishing)",
    }


def test_a_class_is_found_by_its_name_not_by_its_place() -> None:
    first, last = (task({"name": "f1", "positive": "spam"}, labels=labels) for labels in (("spam", "ham"), ("ham", "spam")))
    assert first.metrics[0].score(1 - GIVEN.clip(0, 1), 1 - TRUTH.clip(0, 1)) == last.metrics[0].score(
        GIVEN.clip(0, 1), TRUTH.clip(0, 1)
    )


def test_where_only_the_data_know_the_labels_the_class_has_its_name_before_and_its_number_after() -> None:
    before = task("accuracy", {"name": "f1", "positive": "spam"}, {"name": "recall", "of": "each"}, labels=())
    assert [metric.name for metric in before.metrics] == ["accuracy", "f1 (spam)", "recall (each)"]
    after = replace(before, labels=LABELS, n_outputs=3)
    assert [metric.name for metric in after.metrics] == ["accuracy", "f1 (spam)", *(f"recall ({label})" for label in LABELS)]
    assert scores(after) == scores(task("accuracy", {"name": "f1", "positive": "spam"}, {"name": "recall", "of": "each"}))
    with pytest.raises(DataError, match="did you mean 'spam'"):
        replace(task({"name": "f1", "positive": "spamm"}, labels=()), labels=LABELS, n_outputs=3)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ([{"name": "f1", "positive": "spamm"}], "did you mean 'spam'"),
        ([{"name": "f1", "of": "each"}], "can't be the primary one"),
        ([{"name": "macro_f1", "positive": "spam"}], "is of all classes"),
        ([{"name": "accuracy", "better": "lower"}], "is built in"),
        ([{"name": "bleu", "positive": "spam"}], "comes from the hub"),
        ([{"name": "f1", "positive": "spam"}, {"name": "f1", "of": "each"}], "appears twice"),
    ],
)
def test_what_goes_ill_together_is_refused(choices: list[dict[str, str]], words: str) -> None:
    with pytest.raises((DataError, PluginError), match=words):
        task(*choices)


def test_a_metric_of_each_class_is_never_the_primary_one_whatever_a_class_is_called() -> None:
    for labels in (("each", "ham"), ("ham", "each"), ("ham", "spam")):
        with pytest.raises(DataError, match="for each class"):
            task({"name": "f1", "of": "each"}, labels=labels)
    assert task({"name": "f1", "positive": "each"}, labels=("each", "ham")).primary_metric == "f1 (each)"


def test_of_each_has_a_limit_since_a_record_is_small() -> None:
    with pytest.raises(DataError, match="at most 10"):
        task("accuracy", {"name": "f1", "of": "each"}, labels=tuple(f"class {number}" for number in range(11)))


def test_of_sets_of_labels_a_class_is_one_bit() -> None:
    truth, given = np.array([0b01, 0b11, 0b10, 0b00]), np.array([0b01, 0b01, 0b10, 0b11])
    info = task("micro_f1", {"name": "f1", "of": "each"}, labels=("a", "b"), kind=MULTILABEL)
    bits = [sklearn_metrics.f1_score(truth >> bit & 1, given >> bit & 1) for bit in (0, 1)]
    assert [metric.score(given, truth) for metric in info.metrics[1:]] == pytest.approx(bits)


@pytest.mark.parametrize(
    ("name", "label", "kind"),
    [("f1 (ham)", 0, CLASSIFICATION), ("recall (a (b))", 2, MULTILABEL), ("micro_f1", None, CLASSIFICATION)],
)
def test_a_record_alone_tells_which_class(name: str, label: int | None, kind: Kind) -> None:
    metric = recorded_metric(MetricFacts(name=name, higher_is_better=True, version="1", label=label), kind)
    assert metric is not None
    assert (metric.name, getattr(metric, "number", None)) == (name, label)
    assert getattr(metric, "kind", kind) == kind
    assert not isinstance(metric, MicroF1) or metric.score(GIVEN, TRUTH) == pytest.approx(2 / 3)


def test_the_hubs_metrics_are_what_the_experiment_file_says() -> None:
    wer = metric_named(MetricChoice(name="wer", better="lower", unit="share"))
    assert isinstance(wer, HubMetric)
    assert (wer.higher_is_better, wer.unit) == (False, SHARE)
    assert metric_named("bleu").unit == OWN_UNIT
