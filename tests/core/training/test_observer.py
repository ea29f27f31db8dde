"""The observer sees what optimizers really do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bakeoff.toolkit.optimizers import gradient_norm
from bakeoff.training.observer import NORM_EVERY, Observer, pile_up


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
    seen = observer.observed(counts=(3, 12, 12), order_sha256="0" * 64)
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
    seen = observer.observed(counts=(1, 1, 1), order_sha256="0" * 64)
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
