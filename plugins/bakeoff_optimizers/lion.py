"""Lion as a torch optimizer. Imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer


class LionSteps(Optimizer):
    """Lion, algorithm 2 of Chen et al., 2023: with gradient g, momentum m, weights w and rate r, a step is
    c = beta1 m + (1 - beta1) g; w = w - r (sign(c) + weight_decay w); m = beta2 m + (1 - beta2) g."""

    def __init__(self, groups: Any, lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            weights = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not weights:
                continue
            gradients = [parameter.grad for parameter in weights]
            for parameter in weights:
                if "exp_avg" not in self.state[parameter]:
                    self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
            momenta = [self.state[parameter]["exp_avg"] for parameter in weights]
            updates = torch._foreach_lerp(gradients, momenta, beta1)  # g + beta1 (m - g)
            torch._foreach_sign_(updates)
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, updates, alpha=-group["lr"])
            torch._foreach_lerp_(momenta, gradients, 1 - beta2)
        return loss
