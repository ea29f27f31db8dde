"""Dropout masks from 16-bit lanes of the device's random stream: four decisions a draw instead of one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LANES = 2**16
ONE = torch.tensor(1.0, dtype=torch.bfloat16).view(torch.int16).item()
"""The bits of 1.0 in bfloat16."""


@dataclass(frozen=True)
class Mask:
    """1 where a value is kept, 0 where not; kept values are to be multiplied by `scale`."""

    keep: Tensor
    scale: float


def draw(p: float, shape: tuple[int, ...], like: Tensor) -> Mask | None:
    """A fresh mask of `like`'s dtype from its device's default generator, which `begin_step` starts anew at every step.

    None where nothing is dropped. p is kept to 1 / 65536; `scale` is exact for what it is then.
    """
    dropped = round(p * LANES)
    if dropped == 0:
        return None
    count = math.prod(shape)
    draws = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device)
    draws.random_(-(2**63), None)  # by default the highest bit would always be 0
    lanes = draws.view(torch.int16)[:count]
    keep = lanes.ge_(dropped - LANES // 2).mul_(ONE).view(torch.bfloat16)  # in place, and no conversion of bool to float
    return Mask(keep.view(shape).to(like.dtype), LANES / (LANES - dropped))
