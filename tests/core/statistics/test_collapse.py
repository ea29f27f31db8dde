"""When answers are a constant plus noise, for each kind of task; shares of runs against exact bounds and Wilson's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION
from bakeoff.statistics.collapse import has_collapsed, most_by_noise, share_range, widest_by_noise
from bakeoff.statistics.intervals import share_interval

GENERATOR = np.random.default_rng
LABELS = (np.arange(1725) < 1147).astype(np.int64)  # MRPC test: 66.49 % are 1


def collapses(answers: object, labels: object, kind: object = CLASSIFICATION) -> bool:
    return has_collapsed(kind.beside_constant(np.asarray(answers), np.asarray(labels)))  # type: ignore[attr-defined]


def with_noise(others: int, *, seed: int = 0) -> np.ndarray:
    answers = np.ones_like(LABELS)
    answers[GENERATOR(seed).choice(len(LABELS), others, replace=False)] = 0
    return answers


@pytest.mark.parametrize("examples", [1, 4, 5, 71, 277, 408, 1725, 100_000])
def test_noise_on_one_example_in_a_hundred_is_allowed_for(examples: int) -> None:
    assert most_by_noise(examples) == stats.binom.ppf(0.95, examples, 0.01)


def test_a_constant_plus_noise_has_collapsed() -> None:
    assert collapses(np.ones_like(LABELS), LABELS)
    assert collapses(np.zeros_like(LABELS), LABELS)  # whatever the label
    assert most_by_noise(1725) == 24
    called = [collapses(with_noise(24, seed=seed), LABELS) for seed in range(400)]
    assert np.mean(called) == pytest.approx(0.96, abs=0.02)  # 5 % at most pass for knowledge, Monte-Carlo error 0.01
    assert not any(collapses(with_noise(25, seed=seed), LABELS) for seed in range(20))


def test_a_few_answers_that_know_the_label_are_learned() -> None:
    answers = np.ones_like(LABELS)
    answers[-6:] = 0  # six of six right, where chance gives two
    assert not collapses(answers, LABELS)
    answers[:6] = 0  # six of twelve
    assert collapses(answers, LABELS)


@pytest.mark.parametrize(("examples", "rare"), [(1000, 10), (100, 1), (20, 1), (10, 1)])
def test_a_rare_label_that_is_found_is_learned(examples: int, rare: int) -> None:
    labels = (np.arange(examples) < rare).astype(np.int64)
    assert not collapses(labels, labels)
    assert collapses(np.zeros_like(labels), labels)


def test_labels_that_are_all_one_tell_nothing() -> None:
    assert not collapses(np.zeros(50, dtype=np.int64), np.zeros(50, dtype=np.int64))
    assert not collapses(np.zeros(50, dtype=np.int64), np.ones(50, dtype=np.int64))
    assert not collapses([1.0, 1.0], [2.0, 2.0], REGRESSION)


def test_many_wrong_answers_are_no_collapse() -> None:
    labels = GENERATOR(0).integers(0, 77, 3000)
    assert not collapses(GENERATOR(1).integers(0, 77, 3000), labels)
    assert collapses(np.where(GENERATOR(2).random(3000) < 0.005, 5, 12), labels)


def test_sets_of_labels_are_held_against_the_set_that_is_answered_most() -> None:
    labels = GENERATOR(0).choice([0, 1, 2, 3, 6], 500)
    empty = np.zeros(500, dtype=np.int64)
    assert collapses(empty, labels, MULTILABEL)
    noisy = empty.copy()
    noisy[:4] = 8  # a label that nobody has is never nearer to the truth
    assert collapses(noisy, labels, MULTILABEL)
    found = empty.copy()
    third = np.flatnonzero(labels == 6)[:7]
    found[third] = 2  # a part of the right set is nearer than none
    assert not collapses(found, labels, MULTILABEL)
    assert MULTILABEL.beside_constant(found, labels).nearer == 7
    assert not collapses(labels, labels, MULTILABEL)


def test_numbers_without_spread_have_collapsed() -> None:
    draw = GENERATOR(3)
    labels = draw.normal(3, 1.5, 1500)
    assert collapses(np.full(1500, 2.7), labels, REGRESSION)
    assert collapses(np.full(1500, 2.7) + 1e-16 * draw.normal(size=1500), labels, REGRESSION)
    narrow = [collapses(2.7 + 0.14 * GENERATOR(seed).normal(size=1500), labels, REGRESSION) for seed in range(400)]
    assert np.mean(narrow) == pytest.approx(0.95, abs=0.025)
    assert not collapses(2.7 + 0.3 * draw.normal(size=1500), labels, REGRESSION)  # 4 % of the variance: many other answers
    assert not collapses(2.7 + 0.01 * labels, labels, REGRESSION)  # on another scale, and all that there is to know
    assert not collapses(labels, labels, REGRESSION)
    assert collapses([1.0, 1.0], [0.0, 5.0], REGRESSION)


def test_the_width_of_noise_is_the_quantile_of_its_variance() -> None:
    assert widest_by_noise(1500) == pytest.approx(0.01 * stats.chi2.ppf(0.95, 1499) / 1499)
    drawn = GENERATOR(0).normal(scale=0.1, size=(20_000, 50)).var(axis=1, ddof=1)
    assert (drawn <= widest_by_noise(50)).mean() == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize(("of", "bound"), [(3, 0.6316), (5, 0.4507), (10, 0.2589)])
def test_none_of_the_runs_leaves_an_exact_bound(of: int, bound: float) -> None:
    assert share_range(0, of) == (0.0, pytest.approx(bound, abs=5e-5))
    assert (1 - share_range(0, of)[1]) ** of == pytest.approx(0.05)
    assert share_range(of, of) == (pytest.approx(1 - bound, abs=5e-5), 1.0)


def test_some_of_the_runs_have_wilsons_interval() -> None:
    assert share_range(1, 5) == share_interval(0.2, 5) == (pytest.approx(0.0362, abs=5e-5), pytest.approx(0.6245, abs=5e-5))
    assert share_range(0, 0) == (0.0, 1.0)


def test_the_chance_of_other_answers_is_not_computed_where_noise_cannot_have_made_them() -> None:
    assert all(most_by_noise(examples) <= max(10, examples // 10) for examples in range(1, 3000))
    many, few = with_noise(173), with_noise(172)
    assert np.isnan(CLASSIFICATION.beside_constant(many, LABELS).by_chance)
    assert CLASSIFICATION.beside_constant(few, LABELS).by_chance == pytest.approx(172 * (1 - LABELS.mean()))
