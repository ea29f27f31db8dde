"""Multi-label: sets of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.errors import DataError
from bakeoff.kinds import MULTILABEL
from bakeoff.kinds.multilabel import MAX_LABELS, label_sets, memberships

NAMES = ["red", "blue", "green"]


def test_lists_of_label_numbers_are_sets_and_targets() -> None:
    sets = MULTILABEL.read_labels([[0, 2], [], [1, 1]], 3)
    assert list(sets) == [5, 0, 2]
    assert MULTILABEL.targets(sets, 3) == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("wrong", [None, 1, "red", [3], [-1], [True], [1.0]])
def test_what_is_no_list_of_label_numbers_is_told_with_its_row(wrong: Any) -> None:
    with pytest.raises(DataError, match=r"^row 1: labels .* are not a list of numbers from 0 to 2$"):
        MULTILABEL.read_labels([[0], wrong], 3)


def test_logits_above_0_are_in_the_answer() -> None:
    assert MULTILABEL.answers(np.array([[0.1, -1.0, 3.0], [0.0, -0.1, -2.0]])).tolist() == [5, 0]
    assert MULTILABEL.probabilities(np.zeros((2, 3))) is None


def test_its_loss_is_the_binary_cross_entropy_of_each_label() -> None:
    logits, targets = torch.tensor([[1.0, -2.0], [0.5, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert MULTILABEL.mean_loss(logits, targets).equal(torch.nn.BCEWithLogitsLoss()(logits, targets))


def test_an_example_counts_for_each_of_its_labels() -> None:
    assert MULTILABEL.label_counts([5, 1, 0], NAMES) == {"red": 2, "blue": 0, "green": 1}
    assert [MULTILABEL.label_in_words(label, NAMES) for label in (5, 0)] == ["red, green", "none"]
    assert MULTILABEL.slice_labels(np.array([5])) is None


def test_the_majority_baseline_is_the_most_frequent_set() -> None:
    assert MULTILABEL.majority(np.array([5, 1, 5, 4])) == 5
    assert MULTILABEL.majority(np.array([0, 0])) == 0


def test_terms_of_micro_f1_count_labels() -> None:
    above, below = MULTILABEL.micro_f1_terms(np.array([5, 0, 2]), np.array([1, 0, 4]))
    assert (above.tolist(), below.tolist()) == ([2, 0, 0], [3, 0, 2])


def test_the_last_of_the_most_labels_fits_into_64_bits() -> None:
    every = np.ones((1, MAX_LABELS), dtype=bool)
    sets = label_sets(every)
    assert sets.tolist() == [2**MAX_LABELS - 1]
    assert memberships(sets, MAX_LABELS).all()
    assert MULTILABEL.possible(sets, MAX_LABELS).all()
    assert not MULTILABEL.possible(sets, MAX_LABELS - 1).any()
