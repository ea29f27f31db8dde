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

from bakeoff.selection import SCORES_KEPT, BestState, discordance


def network() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Dropout(), torch.nn.BatchNorm1d(1))


def set_weight(module: torch.nn.Sequential, value: float) -> None:
    with torch.no_grad():
        module[0].weight.fill_(value)


def keeper(module: torch.nn.Module, scores: list[float], **rest: Any) -> BestState:
    told: Iterator[float] = iter(scores)

    def evaluate() -> tuple[Any, float]:
        module.eval()
        return np.zeros(4, dtype=np.int64), next(told)

    return BestState(module, evaluate, split="dev", **rest)


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
        best.look()
    set_weight(module, 99.0)
    found = best.restore()
    assert module[0].weight.item() == chosen
    assert (found.split, found.evaluations, found.chosen_epoch, found.scores) == ("dev", len(scores), chosen, scores)


def test_a_look_leaves_every_part_in_its_own_mode() -> None:
    module = network().train()
    module[2].eval()  # a frozen normalisation, as some methods keep it
    keeper(module, [0.5]).look()
    assert [part.training for part in module] == [True, True, False]
    assert module.training


def test_buffers_come_back_too_and_what_is_frozen_is_not_copied() -> None:
    module = network()
    module[2].weight.requires_grad_(False)
    best = keeper(module, [0.9, 0.1])
    best.look()
    assert "2.weight" not in best._state
    module.train()
    module(torch.randn(8, 1))
    assert module[2].running_mean.item() != 0.0
    best.look()
    best.restore()
    assert module[2].running_mean.item() == 0.0


def test_a_record_stays_small_however_many_epochs_there_are() -> None:
    module = network()
    best = keeper(module, [number / 1000 for number in range(200)])
    for _ in range(200):
        best.look()
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
