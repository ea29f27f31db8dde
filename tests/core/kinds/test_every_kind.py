"""What each kind of task promises, asked of all of them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from builders import task_info
from pydantic import TypeAdapter, ValidationError

from bakeoff.contracts.metric_lookup import metric_named
from bakeoff.errors import PluginError
from bakeoff.kinds import KINDS, Kind, KindName, kind_named

EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=str)
OUTPUTS = 3


def n_outputs(kind: Kind) -> int:
    return kind.n_outputs(OUTPUTS if kind.has_labels else 0)


def some_answers(kind: Kind) -> tuple[Any, Any]:
    return next(kind.made_up_answers(np.random.default_rng(0), n_outputs(kind)))


@EACH
def test_it_is_found_by_the_name_that_files_hold(kind: Kind) -> None:
    assert kind_named(kind.name) is kind
    assert str(kind) == kind.name
    assert TypeAdapter(KindName).validate_python(kind.name) == kind.name
    assert pickle.loads(pickle.dumps(kind)) == kind  # noqa: S301 - just made
    assert sum(kind == other for other in KINDS.values()) == 1


def test_no_other_name_is_known() -> None:
    with pytest.raises(KeyError):
        kind_named("tokens")
    with pytest.raises(ValidationError):
        TypeAdapter(KindName).validate_python("tokens")


@EACH
def test_a_task_s_labels_and_outputs_are_checked(kind: Kind) -> None:
    for labels in (0, 1, 2, 62, 63):
        allowed = kind.min_labels <= labels <= (63 if kind.max_labels is None else kind.max_labels)
        assert kind.allows(labels) is allowed
        if allowed:
            kind.check_outputs(labels, kind.n_outputs(labels))
        for outputs in (kind.n_outputs(labels) + 1, *([] if allowed else [kind.n_outputs(labels)])):
            with pytest.raises(PluginError, match=f"^it has {labels} labels and {outputs} outputs: "):
                kind.check_outputs(labels, outputs)


@EACH
def test_a_task_without_chosen_metrics_has_those_of_its_kind(kind: Kind) -> None:
    labels = ("a", "b", "c") if kind.has_labels else ()
    metrics = tuple(map(metric_named, kind.default_metrics))
    info = task_info(labels, kind=kind, n_outputs=n_outputs(kind), metrics=metrics)
    predictions, references = some_answers(kind)
    for metric in info.metrics:
        best, other = metric.score(references, references), metric.score(predictions, references)
        assert (best >= other) is metric.higher_is_better or best == other
        assert metric.unit.holds(best)
    for name in kind.overall_metrics:
        assert kind.name in (metric_named(name).kinds or ())


@EACH
def test_its_made_up_answers_are_possible_labels(kind: Kind) -> None:
    for predictions, references in kind.made_up_answers(np.random.default_rng(1), n_outputs(kind)):
        assert predictions.shape == references.shape
        assert kind.possible(references, n_outputs(kind)).all()
        assert kind.first_impossible(references.tolist(), n_outputs(kind)) is None
        assert {type(label) for label in references.tolist()} == {kind.label_type}


@EACH
@pytest.mark.parametrize("wrong", [None, "1", True, 10**9, float("nan"), np.int64(1)])
def test_a_label_of_another_type_or_out_of_range_is_found(kind: Kind, wrong: Any) -> None:
    labels = [*some_answers(kind)[1].tolist()[:3], wrong]
    assert kind.first_impossible(labels, n_outputs(kind)) == 3
    assert kind.impossible_in_words(n_outputs(kind)).startswith("no")


@EACH
def test_no_labels_at_all_are_no_error(kind: Kind) -> None:
    assert kind.first_impossible([], n_outputs(kind)) is None
    assert list(kind.read_labels([], n_outputs(kind))) == []
    assert set(kind.label_counts([], ["a", "b", "c"] if kind.has_labels else []).values()) <= {0}


@EACH
def test_its_loss_is_smaller_at_right_logits_and_has_a_gradient(kind: Kind) -> None:
    labels = some_answers(kind)[1].tolist()[:8]
    targets = torch.tensor(kind.targets(labels, n_outputs(kind)))
    right = torch.from_numpy(right_logits(kind, np.asarray(labels))).float().requires_grad_()
    loss = kind.mean_loss(right, targets)
    assert loss.shape == ()
    assert loss.item() < kind.mean_loss(right * -1.0 + 1.0, targets).item()
    loss.backward()
    assert right.grad is not None


def right_logits(kind: Kind, labels: np.ndarray) -> np.ndarray:
    """(n, n_outputs) logits from which these labels are read."""
    if not kind.has_labels:
        return labels[:, None]
    members = np.stack([kind.has_label(labels, number) for number in range(OUTPUTS)], axis=1)
    return np.where(members, 4.0, -4.0)


@EACH
def test_answers_are_read_from_logits_and_stay_what_they_are_when_compact(kind: Kind) -> None:
    labels = some_answers(kind)[1]
    logits = right_logits(kind, labels)
    answers = kind.answers(logits)
    assert answers.tolist() == labels.tolist()
    assert kind.compact(answers, n_outputs(kind)).tolist() == answers.tolist()
    probabilities = kind.probabilities(logits)
    assert probabilities is None or np.allclose(probabilities.sum(axis=1), 1)


@EACH
def test_the_majority_of_equal_labels_is_that_label(kind: Kind) -> None:
    labels = np.full(5, some_answers(kind)[1][0])
    assert kind.majority(labels) == labels[0]
    assert kind.first_impossible(labels.tolist(), n_outputs(kind)) is None


@EACH
def test_right_answers_have_a_micro_f1_of_1(kind: Kind) -> None:
    _, references = some_answers(kind)
    above, below = kind.micro_f1_terms(references, references)
    assert above.shape == below.shape == references.shape
    assert above.sum() / below.sum() == 1


@EACH
def test_each_label_is_found_in_the_answer_that_is_it_alone(kind: Kind) -> None:
    for number in range(OUTPUTS if kind.has_labels else 0):
        alone = np.asarray([kind.only_label(number)])
        assert [bool(kind.has_label(alone, other)[0]) for other in range(OUTPUTS)] == [
            other == number for other in range(OUTPUTS)
        ]


@EACH
def test_its_recipe_conflicts_are_recipe_keys(kind: Kind) -> None:
    from bakeoff.contracts.recipe import Recipe

    assert kind.recipe_conflicts.keys() <= Recipe.model_fields.keys()


def test_a_kind_s_name_in_place_of_the_kind_is_told_what_to_write() -> None:
    with pytest.raises(PluginError, match="CLASSIFICATION, REGRESSION or"):
        replace(task_info(), kind="classification")  # type: ignore[arg-type]
