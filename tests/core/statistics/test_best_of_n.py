"""The best of n by brute force, and figures that no confusion matrix gives."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.statistics.best_of_n import expected_best_of_n, expected_bests, grim, probability_of_improvement

VALUES = [0.80, 0.82, 0.84, 0.86, 0.90]


def test_the_known_expected_maxima() -> None:
    found = [expected_best_of_n(VALUES[::-1], n) for n in range(1, 6)]
    assert found == pytest.approx([0.844, 0.868, 0.882, 0.892, 0.900])


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=5), data=st.data())
def test_expected_maxima_are_those_of_all_draws(values: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(values)))
    assert expected_best_of_n(values, n) == pytest.approx(np.mean([max(draw) for draw in combinations(values, n)]))


@pytest.mark.parametrize("n", [0, 6])
def test_nothing_is_extrapolated(n: int) -> None:
    with pytest.raises(ValueError, match="estimated from 5"):
        expected_best_of_n(VALUES, n)


def test_the_best_is_the_least_where_less_is_better_and_no_more_than_ten_are_told() -> None:
    assert expected_bests(VALUES, higher_is_better=True) == pytest.approx([0.844, 0.868, 0.882, 0.892, 0.900])
    assert expected_bests(VALUES, higher_is_better=False) == pytest.approx([0.844, 0.820, 0.810, 0.804, 0.800])
    assert len(expected_bests(range(25), higher_is_better=True)) == 10
    assert expected_bests([0.3], higher_is_better=False) == pytest.approx([0.3])


def test_improvement_counts_ties_half() -> None:
    assert probability_of_improvement([1, 2, 3], [2]) == 0.5
    assert probability_of_improvement([3, 4], [1, 2]) == 1
    assert probability_of_improvement([1, 5], [1, 2]) == pytest.approx(1 - probability_of_improvement([1, 2], [1, 5]))


def test_one_of_two_published_pairs_for_mrpc_cannot_be_one_evaluation() -> None:
    right = grim(0.8407, 0.8885, positives=279, negatives=129, digits=4)
    wrong = grim(0.8358, 0.8812, positives=279, negatives=129, digits=4)
    assert right.attainable
    assert not wrong.attainable
    assert round(wrong.f1, 4) in (0.8810, 0.8814)
    assert wrong.accuracy == 341 / 408


@settings(max_examples=150, deadline=None)
@given(
    positives=st.integers(1, 30),
    negatives=st.integers(0, 30),
    tp=st.integers(0, 30),
    fp=st.integers(0, 30),
    digits=st.integers(1, 6),
)
def test_every_real_confusion_matrix_is_attainable(positives: int, negatives: int, tp: int, fp: int, digits: int) -> None:
    tp, fp = min(tp, positives), min(fp, negatives)
    total = positives + fp + tp
    accuracy, f1 = (tp + negatives - fp) / (positives + negatives), 2 * tp / total if total else 0.0
    answer = grim(round(accuracy, digits), round(f1, digits), positives=positives, negatives=negatives, digits=digits)
    assert answer.attainable
    assert round(answer.accuracy, digits) == pytest.approx(round(accuracy, digits), abs=1.01 * 10**-digits)


@settings(max_examples=60, deadline=None)
@given(positives=st.integers(1, 12), negatives=st.integers(0, 12), accuracy=st.floats(0, 1), f1=st.floats(0, 1))
def test_the_closest_confusion_matrix_is_the_closest_of_all(positives: int, negatives: int, accuracy: float, f1: float) -> None:
    n = positives + negatives
    distances = [
        max(abs((tp + negatives - fp) / n - accuracy), abs(2 * tp / (positives + tp + fp) - f1))
        for tp in range(positives + 1)
        for fp in range(negatives + 1)
    ]
    answer = grim(accuracy, f1, positives=positives, negatives=negatives, digits=3)
    assert max(abs(answer.accuracy - accuracy), abs(answer.f1 - f1)) == pytest.approx(min(distances))
    assert answer.attainable == (min(distances) <= 0.0005 + 1e-12)
