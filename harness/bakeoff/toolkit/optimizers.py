"""The optimizers, schedulers and parameter groups of a recipe, for training loops written by hand; and the norm of
gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.contracts.trainer import TrainingJob

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


from bakeoff.contracts.method import ParameterGroup
from bakeoff.contracts.recipe import Recipe, steps_in

PAST_CORRECTION = 1e7
"""A step number for which 1 - beta ** step is 1.0 in double precision, for every beta up to 0.99999."""


def make_optimizer(job: TrainingJob, groups: list[dict[str, Any]] | None = None) -> Optimizer:
    """The recipe's optimizer: AdamW (Loshchilov and Hutter, 2019: weight decay on the weights, not in the gradient), SGD
    with momentum, or one that a plugin offers.

    groups: parameter groups of torch; by default the job's.
    """
    from torch.optim import SGD, AdamW

    recipe, groups = job.recipe, groups or job.parameter_groups()
    made: Optimizer | None = job.plugin_optimizer(groups)
    if made is not None:
        return made
    fused = recipe.fused or None  # None leaves the choice to torch: False would rule out its fast plain kernel too
    if recipe.optimizer == "sgd":
        return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=fused)
    beta1, beta2 = recipe.betas
    optimizer = AdamW(groups, lr=recipe.learning_rate, betas=(beta1, beta2), eps=recipe.eps, fused=fused)
    if not recipe.bias_correction:
        skip_bias_correction(optimizer)
    return optimizer


def skip_bias_correction(optimizer: Optimizer) -> None:
    """Turns off bias correction in one of torch's Adam optimizers, as in the first BERT code (Zhang et al., 2021, section 4).

    torch divides the moments by 1 - beta ** step, so the step count is set to a number for which that is 1.
    """
    import torch

    for group in optimizer.param_groups:
        for parameter in group["params"]:
            on = parameter.device if group.get("fused") or group.get("capturable") else "cpu"
            optimizer.state[parameter] = {
                "step": torch.tensor(PAST_CORRECTION, dtype=torch.float32, device=on),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }


def make_scheduler(job: TrainingJob, optimizer: Optimizer) -> Any:
    """The recipe's learning-rate schedule, as transformers makes it: up during warm-up, then down to 0 (linear, cosine,
    polynomial), or constant."""
    from transformers import get_scheduler

    recipe = job.recipe
    return get_scheduler(
        scheduler_name(recipe.scheduler),
        optimizer,
        num_warmup_steps=job.warmup_steps,
        num_training_steps=job.total_steps,
        scheduler_specific_kwargs=scheduler_settings(recipe, job.total_steps),
    )


def scheduler_name(scheduler: str) -> str:
    """The name that transformers has for a recipe's `scheduler`."""
    return "constant_with_warmup" if scheduler == "constant" else scheduler


def decay_steps(recipe: Recipe, total_steps: int) -> int:
    """The steps in which the learning rate of `warmup_stable_decay` falls; of shares that are rounded up no more than warm-up
    leaves."""
    steps = steps_in(recipe.decay, total_steps)
    left = total_steps - steps_in(recipe.warmup, total_steps)
    return min(steps, left) if isinstance(recipe.decay, float) and isinstance(recipe.warmup, float) else steps


def scheduler_settings(recipe: Recipe, total_steps: int) -> dict[str, Any]:
    """Extra arguments of transformers' scheduler: its polynomial schedule would end at 1e-7, ours ends at 0;
    without warm-up its inverse square root would hardly fall in 10,000 steps, ours falls from the first."""
    settings: dict[str, dict[str, Any]] = {
        "polynomial": {"power": recipe.power, "lr_end": 0.0},
        "cosine_with_restarts": {"num_cycles": recipe.cycles},
        "inverse_sqrt": {"timescale": max(1, steps_in(recipe.warmup, total_steps))},
        "warmup_stable_decay": {"num_decay_steps": decay_steps(recipe, total_steps)},
    }
    return settings.get(recipe.scheduler, {})


PIECE = 2**17
"""How many elements are squared and summed at a time, so that they stay in the processor's cache."""


def gradient_norm(gradients: Iterable[Tensor]) -> float | Tensor:
    """The 2-norm of all gradients together, with a relative error below 1e-7: a number, or a tensor if they are not on the
    CPU.

    torch's norm of one large float32 tensor on the CPU adds up to 1 % too small a sum (1.2 % at 110 million elements), because
    it adds each small square to an ever larger total. numpy sums in pairs (https://numpy.org/doc/stable/reference/generated/
    numpy.sum.html), and the pieces are added in double precision.
    """
    import torch

    dense = [_values(gradient.detach()) for gradient in gradients]
    if any(gradient.device.type != "cpu" for gradient in dense):
        return torch.nn.utils.get_total_norm(dense)  # a device adds up in a tree
    return math.sqrt(sum(square for gradient in dense for square in _squares(gradient.numpy())))


def _values(gradient: Tensor) -> Tensor:
    """The gradient's elements, (n,), in float32 or float64; for a sparse gradient only those that are stored."""
    import torch

    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return values.flatten().to(torch.promote_types(values.dtype, torch.float32))


def _squares(values: Any) -> Iterable[float]:
    """Yields sums of squares of the (n,) values, one sum for each `PIECE` values."""
    room = np.empty(min(PIECE, len(values)), dtype=values.dtype)
    with np.errstate(all="ignore"):  # a gradient that overflows has an infinite norm, and the run is stopped for its loss
        for start in range(0, len(values), PIECE):
            piece = values[start : start + PIECE]
            yield float(np.square(piece, out=room[: len(piece)]).sum())


def weight_decay_groups(model: Any, recipe: Recipe) -> tuple[ParameterGroup, ...]:
    """The trainable parameters in two groups, with and without weight decay, by `recipe.weight_decay_exempt`.

    By default biases and parameters of normalisation layers are exempt, as in transformers' Trainer.
    """
    exempt = set()
    for module_name, module in model.named_modules():
        is_norm = "norm" in type(module).__name__.lower()
        for name, _ in module.named_parameters(recurse=False):
            if ("norm" in recipe.weight_decay_exempt and is_norm and name != "bias") or (
                "bias" in recipe.weight_decay_exempt and name == "bias"
            ):
                exempt.add(f"{module_name}.{name}" if module_name else name)
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    decayed = tuple(name for name in trainable if name not in exempt)
    spared = tuple(name for name in trainable if name in exempt)
    groups = (ParameterGroup(decayed, 1.0, recipe.weight_decay), ParameterGroup(spared, 1.0, 0.0))
    return tuple(group for group in groups if group.names)
