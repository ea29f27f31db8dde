"""The best of a run's states: the first of equals, kept whole, and how far the evaluations disagree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metrics import (
    F1,
    Accuracy,
    LabelF1,
    MacroF1,
    MatthewsCorrelation,
    MeanAbsoluteError,
    Pearson,
    Recall,
    Spearman,
)
from bakeoff.statistics.power import best_epoch_optimism
from bakeoff.statistics.scorers import luck_of_the_best
from bakeoff.training.evaluation import SCORES_KEPT, BestState, discordance


def network() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Dropout(), torch.nn.BatchNorm1d(1))


def set_weight(module: torch.nn.Sequential, value: float) -> None:
    with torch.no_grad():
        module[0].weight.fill_(value)


def keeper(module: torch.nn.Module, scores: list[float], *, higher_is_better: bool = True) -> BestState:
    told: Iterator[float] = iter(scores)

    def evaluate() -> tuple[Any, float]:
        module.eval()
        return np.zeros(4, dtype=np.int64), next(told)

    metric = Accuracy() if higher_is_better else MeanAbsoluteError()
    return BestState(module, evaluate, split="dev", metric=metric, labels=np.zeros(4, dtype=np.int64))


@pytest.mark.parametrize(
    ("scores", "higher", "chosen"),
    [
        ([0.5, 0.7, 0.6], True, 2),
        ([0.5, 0.7, 0.7], True, 2),
        ([0.5, 0.7, 0.6], False, 1),
        ([0.5, 0.5, 0.4], False, 3),
        ([0.0], True, 1),
        ([-0.2, -0.1], True, 2),
    ],
)
def test_the_first_best_state_is_put_back(scores: list[float], higher: bool, chosen: int) -> None:
    module = network()
    best = keeper(module, scores, higher_is_better=higher)
    for number in range(len(scores)):
        set_weight(module, number + 1.0)
        best.evaluate()
    set_weight(module, 99.0)
    found = best.restore()
    assert module[0].weight.item() == chosen
    assert (found.split, found.evaluations, found.chosen_epoch, found.scores) == ("dev", len(scores), chosen, scores)


def test_a_look_leaves_every_part_in_its_own_mode() -> None:
    module = network().train()
    module[2].eval()  # a frozen normalisation, as some methods keep it
    keeper(module, [0.5]).evaluate()
    assert [part.training for part in module] == [True, True, False]
    assert module.training


def test_buffers_come_back_too_and_what_is_frozen_is_not_copied() -> None:
    module = network()
    module[2].weight.requires_grad_(False)
    best = keeper(module, [0.9, 0.1])
    best.evaluate()
    assert "2.weight" not in best._state
    module.train()
    module(torch.randn(8, 1))
    assert module[2].running_mean.item() != 0.0
    best.evaluate()
    best.restore()
    assert module[2].running_mean.item() == 0.0


def test_a_record_stays_small_however_many_epochs_there_are() -> None:
    module = network()
    best = keeper(module, [number / 1000 for number in range(200)])
    for _ in range(200):
        best.evaluate()
    found = best.restore()
    assert (found.evaluations, found.chosen_epoch, len(found.scores)) == (200, 200, SCORES_KEPT)
    assert found.scores[-1] == 0.199


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_discordance_is_the_mean_over_all_pairs(data: st.DataObject) -> None:
    evaluations, examples = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 12))
    some = st.lists(st.integers(0, 3), min_size=examples, max_size=examples).map(np.array)
    answers = [data.draw(some) for _ in range(evaluations)]
    pairs = [float((one != other).mean()) for one, other in itertools.combinations(answers, 2)]
    assert discordance(answers) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_one_evaluation_disagrees_with_none() -> None:
    assert discordance([np.array([0, 1])]) == 0.0


# --- what the best of several owes to luck -------------------------------------------------------------------------------

TRUTH = np.arange(400) % 2


def equally_good(evaluations: int, *, seed: int = 0, wrong: float = 0.2) -> Any:
    """(E, 400) answers that are wrong on examples of their own: nothing but luck tells them apart."""
    return np.where(np.random.default_rng(seed).random((evaluations, len(TRUTH))) < wrong, 1 - TRUTH, TRUTH)


@pytest.mark.parametrize("evaluations", [2, 5, 20])
def test_of_a_share_of_right_answers_resampling_says_what_the_formula_says(evaluations: int) -> None:
    given = equally_good(evaluations)
    formula = best_epoch_optimism(evaluations, discordance(list(given)), len(TRUTH))
    assert luck_of_the_best(Accuracy(), given, TRUTH) == pytest.approx(formula, rel=0.1)


def test_two_wrong_labels_are_no_luck_though_they_differ() -> None:
    """The formula takes unlike answers for unlike scores, which of many labels they are not."""
    given = np.array([TRUTH, TRUTH])
    given[0, :80], given[1, :80] = 7, 8
    assert discordance(list(given)) == pytest.approx(0.2)
    assert luck_of_the_best(Accuracy(), given, TRUTH) == 0.0


@pytest.mark.parametrize("metric", [F1(1), Recall(1), MatthewsCorrelation(), MacroF1()], ids=lambda metric: metric.name)
def test_the_luck_of_another_metric_is_what_fresh_examples_show(metric: Metric) -> None:
    """States that are equally good in a world of 200,000 examples: the best of five on 400 of them, over 300 test sets."""
    given, truth = np.tile(equally_good(5, wrong=0.3), 500), np.tile(TRUTH, 500)
    rng = np.random.default_rng(1)
    world = np.where(rng.random(given.shape) < 0.3, 1 - truth, truth)
    whole = np.array([metric.score(run, truth) for run in world])
    gains = []
    for start in range(0, 120_000, 400):
        part = slice(start, start + 400)
        moves = np.array([metric.score(run[part], truth[part]) for run in world]) - whole
        gains.append(moves.max())
    assert luck_of_the_best(metric, world[:, :400], truth[:400]) == pytest.approx(np.mean(gains), rel=0.2)


@pytest.mark.parametrize("metric", [MeanAbsoluteError(), Pearson(), Spearman()], ids=lambda metric: metric.name)
def test_numbers_have_a_luck_too_and_no_discordance(metric: Metric) -> None:
    truth = np.linspace(0, 5, 300)
    given = truth + np.random.default_rng(2).normal(0, 0.8, (4, 300))
    found = luck_of_the_best(metric, given, truth)
    assert found is not None
    assert 0 < found < 0.1
    assert luck_of_the_best(metric, given[:1].repeat(4, axis=0), truth) == 0.0
    told = iter(given)
    module = network()
    best = BestState(module, lambda: (next(told), 0.5), split="dev", metric=metric, labels=truth)
    for _ in given:
        best.evaluate()
    selection = best.restore()
    assert (selection.discordance, selection.optimism) == (None, found)


def test_sets_have_a_luck_and_what_the_hub_scores_has_none() -> None:
    sets = np.array([[1, 2, 3, 0] * 50, [1, 2, 1, 0] * 50])
    assert (luck_of_the_best(LabelF1(), sets, sets[0]) or 0) > 0
    assert luck_of_the_best(HubMetric("bleurt"), equally_good(3), TRUTH) is None


def test_what_a_checkpoint_keeps_of_numbers_is_not_rounded() -> None:
    module, answers = network(), np.array([0.25, 3.5])
    first = BestState(module, lambda: (answers, 0.5), split="dev", metric=MeanAbsoluteError(), labels=answers)
    first.evaluate()
    tensors, facts = first.state()
    again = BestState(module, lambda: (answers, 0.5), split="dev", metric=MeanAbsoluteError(), labels=answers)
    again.continue_from(tensors, facts)
    assert again.answers[0].tolist() == [0.25, 3.5]
