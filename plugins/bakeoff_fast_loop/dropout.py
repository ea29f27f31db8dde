"""Dropout masks from 16-bit lanes of the device's random stream: four decisions a draw instead of one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
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


class Stream:
    """Masks for one forward pass; its seed is from the default generator, which `begin_step` starts anew at each step.

    On the CPU, SFC64 (Doty-Humphrey's, as numpy has it) then draws: twice as fast as torch's Mersenne twister.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.generator = np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_())) if device.type == "cpu" else None

    def draw(self, p: float, shape: tuple[int, ...], dtype: torch.dtype) -> Mask | None:
        """A fresh mask; None where nothing is dropped. p is kept to 1 / 65536; `scale` is exact for what it is then."""
        dropped = round(p * LANES)
        if dropped == 0:
            return None
        count = math.prod(shape)
        lanes = self.bits(-(-count // 4)).view(torch.int16)[:count]
        keep = lanes.ge_(dropped - LANES // 2).mul_(ONE).view(torch.bfloat16)  # in place, and no conversion of bool to float
        return Mask(keep.view(shape).to(dtype), LANES / (LANES - dropped))

    def bits(self, count: int) -> Tensor:
        """(count,), 64 random bits each."""
        if self.generator is None:
            return torch.empty(count, dtype=torch.int64, device=self.device).random_(-(2**63), None)  # by default, 63 bits
        return torch.from_numpy(self.generator.random_raw(count).view(np.int64))
