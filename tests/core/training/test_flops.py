"""Counting floating-point operations: right by hand, near the whole count, and without a trace in the training."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from bakeoff.training.flops import COUNTED_STEPS, Counter, counted_steps, extrapolate

PLANTED = Path(__file__).parents[2] / "thirdparty" / "planted"
ROW = "{one: {trainer: torch-loop}}"
RECIPE = "{epochs: 5, batch_size: 4, learning_rate: 1e-3}"


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLANTED)


def run(folder: Path, strategies: str = ROW, recipe: str = RECIPE) -> Any:
    from bakeoff_planted_bench import plan_of, requests_of

    from bakeoff.training.worker import perform

    folder.mkdir(exist_ok=True)
    request = requests_of(plan_of(folder, strategies, recipe=recipe))["one"]
    (folder / "run").mkdir()
    return perform(request, folder / "run")


def test_a_linear_layer_counts_two_operations_a_product_and_three_products_a_step() -> None:
    import torch

    layer = torch.nn.Linear(8, 16)
    inputs = torch.randn(4, 8, requires_grad=True)
    counter = Counter()
    counter.start()
    layer(inputs).sum().backward()
    counter.stop()
    assert counter.flops == 3 * 2 * 4 * 8 * 16
    layer(inputs)
    assert counter.flops == 3 * 2 * 4 * 8 * 16, "nothing is counted after the end"


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_a_forward_pass_counts_the_same_without_gradients(mode: str) -> None:
    import torch

    layer, inputs, heads = torch.nn.Linear(8, 16), torch.randn(4, 8), torch.randn(1, 2, 5, 8)
    counter = Counter()
    with getattr(torch, mode)():
        counter.start()
        layer(inputs)
        torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)
        counter.stop()
    assert counter.flops == 2 * 4 * 8 * 16 + 2 * 2 * 2 * 5 * 5 * 8


def test_compiled_code_goes_on_as_compiled_code_and_is_not_counted() -> None:
    import torch

    ran = []

    def backend(graph: Any, inputs: Any) -> Any:
        def run_compiled(*given: Any) -> Any:
            ran.append("compiled")
            return graph.forward(*given)

        return run_compiled

    counter = Counter()
    layer = torch.nn.Linear(8, 16)
    double = torch.compile(lambda inputs: layer(inputs) * 2, backend=backend)
    for _ in range(2):
        double(torch.randn(4, 8))
        counter.start()
        double(torch.randn(4, 8))
        counter.stop()
    assert ran == ["compiled"] * 4
    assert (counter.flops, counter.compiled) == (0, True)


def test_the_cpus_attention_kernel_counts_as_the_same_attention_written_out() -> None:
    import torch
    from torch.nn.functional import scaled_dot_product_attention, softmax

    def counted(attend: Any) -> int:
        q, k, v = (torch.randn(2, 3, 5, 8, requires_grad=True) for _ in range(3))
        counter = Counter()
        counter.start()
        attend(q, k, v).sum().backward()
        counter.stop()
        return counter.flops

    written_out = counted(lambda q, k, v: softmax(q @ k.transpose(-1, -2), -1) @ v)
    kernel = counted(scaled_dot_product_attention)
    one = 2 * 2 * 3 * 5 * 5 * 8
    assert written_out == 6 * one
    assert kernel == 7 * one, "its backward pass computes the scores once more"


def test_watched_steps_are_spread_over_the_run() -> None:
    assert sorted(counted_steps(1377)) == [137, 413, 688, 963, 1239]
    assert sorted(counted_steps(5)) == [1, 2, 3, 4], "the first step may compile"
    assert sorted(counted_steps(1)) == [0]
    assert len(counted_steps(10**6)) == COUNTED_STEPS


def test_the_unit_is_the_one_on_which_the_steps_agree() -> None:
    total, note = extrapolate([(100, 10, 30), (200, 20, 35)], tokens=50, padded=100)
    assert total == 500
    assert note.endswith("all tokens")
    total, note = extrapolate([(100, 10, 20), (200, 25, 40)], tokens=50, padded=100)
    assert total == 500
    assert note.endswith("all padded tokens")


def test_without_a_watched_step_nothing_is_claimed() -> None:
    assert extrapolate([], tokens=5, padded=5)[0] is None


def test_a_runs_total_is_within_two_percent_of_counting_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = run(tmp_path / "few").cost
    monkeypatch.setattr("bakeoff.training.job.counted_steps", lambda total: frozenset(range(total)))
    every = run(tmp_path / "every").cost
    assert every.flops > 1e8
    assert few.flops == pytest.approx(every.flops, rel=0.02)


@pytest.mark.parametrize("trainer", ["torch-loop", "hf-trainer"])
def test_counting_does_not_change_a_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str) -> None:
    strategies = f"{{one: {{trainer: {trainer}}}}}"
    counted = run(tmp_path / "counted", strategies)
    monkeypatch.setattr("bakeoff.training.job.counted_steps", lambda total: frozenset())
    free = run(tmp_path / "free", strategies)
    assert counted.weights == free.weights
    unwatched = {"loss_scale": None}  # fewer steps are watched for it
    assert counted.observed.model_copy(update=unwatched) == free.observed.model_copy(update=unwatched)
    assert (free.cost.flops, free.cost.flops_note) == (None, "not counted: no step with tokens was counted to its end")


def test_a_run_whose_trainer_compiled_says_why_it_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = itertools.count()
    monkeypatch.setattr("bakeoff.training.flops._compiled_frames", lambda: next(frames))
    cost = run(tmp_path / "one").cost
    assert cost.flops is None
    assert cost.flops_note.startswith("not counted: torch.compile")


def test_accumulation_costs_the_same_operations(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", recipe="{epochs: 4, batch_size: 4, padding: max_length, max_length: 16}").cost
    parts = run(
        tmp_path / "parts", recipe="{epochs: 4, batch_size: 4, micro_batch_size: 1, padding: max_length, max_length: 16}"
    ).cost
    assert parts.flops == pytest.approx(whole.flops, rel=1e-6)


def test_a_frozen_encoder_saves_its_backward_pass_and_a_probe_the_epochs(tmp_path: Path) -> None:
    full = run(tmp_path / "full").cost.flops
    head = run(tmp_path / "head", "{one: {trainer: torch-loop, method: head-only}}").cost.flops
    probe = run(tmp_path / "probe", "{one: {trainer: linear-probe, method: head-only}}").cost.flops
    assert head < 0.4 * full
    assert probe < 0.15 * head, "once through the data in place of ten times"
