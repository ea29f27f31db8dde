"""Regression: numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bakeoff.kinds import REGRESSION


def test_the_only_output_is_the_answer() -> None:
    answers = REGRESSION.answers(np.array([[0.5], [-2.0]], dtype=np.float32))
    assert answers.tolist() == [0.5, -2.0]
    assert answers.dtype == np.float64
    assert REGRESSION.probabilities(np.zeros((2, 1))) is None


def test_its_loss_is_the_squared_error_and_nothing_is_smoothed() -> None:
    logits, targets = torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0])
    assert REGRESSION.mean_loss(logits, targets).item() == 2.5
    assert REGRESSION.recipe_conflicts.keys() == {"label_smoothing", "class_weights", "sampling"}


def test_the_majority_baseline_is_the_mean() -> None:
    assert REGRESSION.majority(np.array([1.0, 2.0, 6.0])) == 3.0
    assert REGRESSION.majority(np.array([4.0, 4.0])) == 4.0


def test_numbers_have_no_names_and_cut_nothing() -> None:
    assert not REGRESSION.has_labels
    assert REGRESSION.label_counts([1.0, 2.0], []) == {}
    assert REGRESSION.label_in_words(1.5, []) == "1.5"
    assert REGRESSION.slice_labels(np.array([1.0])) is None


@pytest.mark.parametrize(("label", "place"), [(1.0, None), (1, 0), (float("inf"), 0), (float("nan"), 0)])
def test_a_label_is_a_finite_float(label: float, place: int | None) -> None:
    assert REGRESSION.first_impossible([label], 1) == place
