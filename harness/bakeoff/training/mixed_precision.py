"""What a recipe's `precision` means: the dtype of the forward pass, and the scaled loss of fp16.

Weights and optimizer stay in float32. With fp16, gradients below 6e-8 would become 0, so the loss is scaled up before the
backward pass and the gradients are scaled down before the step; a step whose gradients overflowed is skipped, and the scale is
lowered (Micikevicius et al., 2018, arXiv:1710.03740).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any


def autocast(device: Any, precision: str) -> AbstractContextManager[Any]:
    """The context of a forward pass on this device: mixed precision for bf16 and fp16, nothing for fp32."""
    import torch

    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32")


def loss_scaler(device: Any, precision: str) -> Any:
    """A new `torch.amp.GradScaler`, which does nothing unless the precision is fp16."""
    import torch

    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
