"""Classification: numbers of labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bakeoff.kinds import CLASSIFICATION

LOGITS = np.array([[0.1, 2.0], [3.0, -1.0]], dtype=np.float32)


def test_the_largest_logit_is_the_answer_and_the_softmax_its_probability() -> None:
    assert CLASSIFICATION.answers(LOGITS).tolist() == [1, 0]
    probabilities = CLASSIFICATION.probabilities(LOGITS)
    assert probabilities is not None
    assert probabilities == pytest.approx(torch.from_numpy(LOGITS).double().softmax(dim=1).numpy())


def test_its_loss_is_cross_entropy_with_label_smoothing() -> None:
    logits, targets = torch.from_numpy(LOGITS), torch.tensor([1, 1])
    for smoothing in (0.0, 0.2):
        wanted = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, targets)
        assert CLASSIFICATION.mean_loss(logits, targets, label_smoothing=smoothing).equal(wanted)
    assert "label_smoothing" not in CLASSIFICATION.recipe_conflicts


def test_labels_are_counted_told_and_cut_by() -> None:
    labels = [1, 1, 0]
    assert CLASSIFICATION.label_counts(labels, ["no", "yes", "perhaps"]) == {"no": 1, "yes": 2, "perhaps": 0}
    assert CLASSIFICATION.label_in_words(1, ["no", "yes"]) == "yes"
    cut = CLASSIFICATION.slice_labels(np.asarray(labels))
    assert cut is not None
    assert cut.tolist() == labels
    assert CLASSIFICATION.majority(np.asarray(labels)) == 1


@pytest.mark.parametrize(("label", "possible"), [(0, True), (2, True), (3, False), (-1, False)])
def test_labels_are_0_to_the_last(label: int, possible: bool) -> None:
    assert CLASSIFICATION.possible(np.asarray([label]), 3).tolist() == [possible]
    assert CLASSIFICATION.impossible_in_words(3) == "not one of 0 to 2"


@pytest.mark.parametrize("classes", [2, 1000, 32_768, 32_769, 70_000])
def test_the_last_of_many_labels_keeps_its_number(classes: int) -> None:
    last = CLASSIFICATION.compact(np.asarray([classes - 1]), classes)
    assert last.tolist() == [classes - 1]
    assert last.itemsize == (2 if classes <= 32_768 else 4)
