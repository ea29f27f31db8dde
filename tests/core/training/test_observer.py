"""The clock adds up, and the observer sees what optimizers really do."""

from __future__ import annotations

import sys
import time
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bakeoff.records.schema import PHASES
from bakeoff.toolkit.optimizers import gradient_norm
from bakeoff.training.observer import NORM_EVERY, Clock, EnergyCounter, Observer, forget_peak_memory, peak_memory_bytes, pile_up


def test_phases_add_up_to_a_total_measured_apart() -> None:
    clock = Clock()
    began = time.monotonic()
    clock.enter("load")
    time.sleep(0.05)
    clock.enter("train")
    time.sleep(0.1)
    clock.enter("load")
    time.sleep(0.05)
    total = clock.stop()
    assert tuple(clock.seconds) == PHASES
    assert sum(clock.seconds.values()) == pytest.approx(total)
    assert clock.seconds["load"] >= 0.1
    assert clock.seconds["train"] >= 0.1
    assert 0.2 <= clock.seconds["load"] + clock.seconds["train"] <= time.monotonic() - began


def test_the_clock_waits_for_the_device_at_every_boundary() -> None:
    waits: list[str] = []
    clock = Clock(synchronize=lambda: waits.append(clock.phase))
    clock.enter("train")
    clock.enter("evaluate")
    clock.stop()
    assert waits == ["import", "train", "evaluate"]


def train(optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter, gradients: list[float]) -> None:
    for gradient in gradients:
        parameter.grad = torch.full_like(parameter, gradient)
        torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()


def test_the_observer_sees_settings_steps_rates_and_clipped_norms() -> None:
    parameter = torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.AdamW([parameter], lr=0.5, eps=1e-6, betas=(0.8, 0.9), weight_decay=0.03)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (0.5, 1.0, 0.25)[min(step, 2)])
    with Observer() as observer:
        for gradient in (2.0, 0.1, 3.0):
            train(optimizer, parameter, [gradient])
            scheduler.step()
    seen = observer.observed(seen=(3, 12, 12), order_sha256="0" * 64)
    assert seen is not None
    assert (seen.optimizer, seen.optimizer_steps) == ("AdamW", 3)
    (group,) = seen.groups
    assert (group.weight_decay, group.betas, group.eps, group.elements) == (0.03, [0.8, 0.9], 1e-6, 4)
    assert observer.learning_rates == [0.25, 0.5, 0.125]
    assert (seen.learning_rate_peak, seen.warmup_steps) == (0.5, 1)
    assert list(observer.norms.values()) == pytest.approx([1.0, 0.2, 1.0], rel=1e-5)
    assert seen.clipped_at == 1.0


def test_the_observer_is_blind_once_it_has_left() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    with Observer() as observer:
        train(optimizer, parameter, [1.0])
    train(optimizer, parameter, [1.0])
    assert observer.steps == 1


def test_norms_are_measured_at_first_and_then_now_and_then() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    with Observer() as sparse:
        train(optimizer, parameter, [1.0] * 40)
    with Observer(norm_every=1) as dense:
        train(optimizer, parameter, [1.0] * 40)
    assert list(sparse.norms) == [*range(NORM_EVERY), 16, 32]
    assert list(dense.norms) == list(range(40))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Gradients of very unlike sizes, as those of a model are."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * torch.exp(torch.randn(shape, generator=generator)) * 1e-4


def exact_norm(gradients: list[torch.Tensor]) -> float:
    return sum(float(part.double().square().sum()) for gradient in gradients for part in gradient.split(2**20)) ** 0.5


@pytest.mark.parametrize(
    "gradients",
    [
        [drawn(12_000_000)],
        [drawn(30_000, 384), drawn(384, seed=1), drawn(3, 7, 5, seed=2)],
        [torch.full((9_000_000,), 0.1)],
        [drawn(2_000_000).bfloat16(), drawn(11, seed=3).bfloat16()],
        [drawn(4_000_000).half(), drawn(500, 300, seed=4).T],
        [drawn(1_000_000).double(), drawn(5)],
        [torch.zeros(2_000_000)],
    ],
    ids=["one flat tensor", "a table of words", "all alike", "bf16", "fp16, transposed", "fp64 and fp32", "nothing"],
)
def test_the_norm_of_a_gradient_is_right_to_the_digits_of_float32(gradients: list[torch.Tensor]) -> None:
    assert float(gradient_norm(gradients)) == pytest.approx(exact_norm(gradients), rel=1e-7, abs=0)


def test_a_sparse_gradient_and_one_that_is_not_finite_have_a_norm() -> None:
    table = torch.nn.Embedding(9, 4, sparse=True)
    table(torch.tensor([[1, 5, 1]])).sum().backward()
    assert table.weight.grad is not None
    assert float(gradient_norm([table.weight.grad])) == pytest.approx((4 * 4 + 4) ** 0.5)
    assert float(gradient_norm([torch.tensor([3.0, float("inf")])])) == float("inf")
    assert np.isnan(float(gradient_norm([torch.tensor([3.0, float("nan")])])))
    assert float(gradient_norm([torch.tensor([3e38, 3e38])])) == float("inf")  # in silence: the loss stops such a run
    assert float(gradient_norm([])) == 0


@pytest.mark.parametrize("flat", [True, False])
def test_one_flat_parameter_is_recorded_with_the_norm_of_its_parts(flat: bool) -> None:
    """As `fast-loop` hands over its gradients, and as others do."""
    gradients = [drawn(24_000, 500), *(drawn(1000, seed=seed) for seed in range(4))]
    gradients = [torch.cat([gradient.flatten() for gradient in gradients])] if flat else gradients
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    with Observer() as observer:
        torch.optim.SGD(parameters, lr=0.1).step()
    seen = observer.observed(seen=(1, 1, 1), order_sha256="0" * 64)
    assert seen is not None
    assert seen.gradient_norm_max == seen.gradient_norm_median == float(f"{exact_norm(gradients):.7g}")


@pytest.mark.parametrize(
    ("norms", "limit"),
    [
        ([1.0, 0.9999999, 0.3], 1.0),
        ([0.4999998, 0.5, 0.1, 0.2], 0.5),
        ([3.1, 2.7, 1.9], None),
        ([1.0], None),
        ([], None),
        ([0.0, 0.0], None),
    ],
)
def test_clipping_is_where_the_largest_norms_pile_up(norms: list[float], limit: float | None) -> None:
    assert pile_up(norms) == limit


def test_peak_memory_forgets_and_grows() -> None:
    forget_peak_memory()
    before = peak_memory_bytes()
    with mmap(-1, 64 * 2**20) as block:  # pages of its own: what malloc gives may be there since an earlier test
        for place in range(0, len(block), 4096):
            block[place] = 1
        assert peak_memory_bytes() >= before + 32 * 2**20


def test_a_cuda_device_without_a_counter_is_unmeasured_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type = "cuda"

    monkeypatch.setitem(sys.modules, "pynvml", None)  # as where nvidia-ml-py is not installed
    counter = EnergyCounter()
    counter.watch(Device())
    joules, note = counter.joules()
    assert joules is None
    assert note.startswith("the device's energy is unmeasured: ")
    assert "pynvml" in note


def test_a_cuda_devices_joules_are_those_since_the_watch_began(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type = "cuda"

    readings = iter([1000.0, 1042.5])
    monkeypatch.setattr("bakeoff.training.observer.device_energy", lambda device: lambda: next(readings))
    counter = EnergyCounter()
    counter.watch(Device())
    assert counter.joules() == (42.5, "NVML, the whole device, idle power included")


@pytest.mark.parametrize("last", [3.0, 1000.0])
def test_energy_that_is_negative_or_nothing_is_unmeasured(monkeypatch: pytest.MonkeyPatch, last: float) -> None:
    class Device:
        type = "cuda"

    readings = iter([1000.0, last])
    monkeypatch.setattr("bakeoff.training.observer.device_energy", lambda device: lambda: next(readings))
    counter = EnergyCounter()
    counter.watch(Device())
    assert counter.joules() == (None, "unmeasured: the device's energy counter began anew, or stood still")


def test_a_counter_of_the_processor_that_stands_still_measures_nothing(tmp_path: Path) -> None:
    """As in some virtual machines."""
    (tmp_path / "energy_uj").write_text("0")
    counter = EnergyCounter()
    counter.zones = [tmp_path]
    counter._before = counter._read()
    assert counter.joules() == (None, "unmeasured: the RAPL counter stood still")
    (tmp_path / "energy_uj").write_text("2500000")
    assert counter.joules()[0] == 2.5


def test_a_counter_that_fails_at_the_end_is_unmeasured_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type = "cuda"

    def fail() -> float:
        raise RuntimeError("GPU is lost")

    readings = iter([lambda: 1000.0, fail])
    monkeypatch.setattr("bakeoff.training.observer.device_energy", lambda device: lambda: next(readings)())
    counter = EnergyCounter()
    counter.watch(Device())
    assert counter.joules() == (None, "the device's energy is unmeasured: GPU is lost")


def test_a_run_on_several_devices_does_not_pass_one_devices_energy_for_its_own() -> None:
    class Device:
        type = "cuda"

    counter = EnergyCounter()
    counter.watch(Device(), devices=2)
    joules, note = counter.joules()
    assert joules is None
    assert note.startswith("unmeasured: the run has 2 devices")


def test_energy_is_measured_or_said_to_be_unmeasured() -> None:
    joules, note = EnergyCounter().joules()
    assert (joules is None) == note.startswith("unmeasured")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak can only be started anew on Linux")
def test_what_is_made_of_a_trained_model_is_no_memory_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.training import worker

    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "thirdparty" / "planted")
    from bakeoff_planted_bench import plan_of, requests_of

    large, describe = 2**29, worker.describe_weights

    def describe_with_a_copy(*arguments: Any) -> Any:
        np.ones(large, dtype=np.int8)
        return describe(*arguments)

    monkeypatch.setattr(worker, "describe_weights", describe_with_a_copy)
    (tmp_path / "run").mkdir()
    request = requests_of(plan_of(tmp_path, "{one: {trainer: torch-loop}}"))["one"]
    record = worker.perform(request, tmp_path / "run")
    assert record.cost is not None
    assert record.cost.peak_memory_bytes < peak_memory_bytes() - large / 2
