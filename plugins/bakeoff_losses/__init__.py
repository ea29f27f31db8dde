"""Losses beside the default ones of the kinds of task: the focal loss."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from bakeoff.plugin import Loss, Options, hookimpl


class FocalOptions(Options):
    """Options of `focal`."""

    gamma: Annotated[float, Field(ge=0, le=100)] = Field(
        2.0,
        description="Focusing parameter: the larger, the less count rows that are predicted right with confidence; 0 is "
        "cross-entropy.",
    )


class Focal(Loss):
    """Lin et al., 2017 (arXiv:1708.02002), equation 4: -(1 - p) ** gamma log p, where p is the probability of a row's label.
    The weights alpha of their equation 5 are the recipe's `class_weights`."""

    name = "focal"
    summary = "Focal loss: rows that are predicted right with confidence count little."
    version = "1"
    Options = FocalOptions

    def losses(self, logits: Any, targets: Any, options: FocalOptions) -> Any:
        import torch
        from torch.nn.functional import cross_entropy

        entropies = cross_entropy(logits, targets, reduction="none")  # -log p, (batch,)
        doubts = (-torch.expm1(-entropies)).clamp_min(torch.finfo(torch.float32).tiny)  # 1 - p
        return doubts**options.gamma * entropies


@hookimpl
def bakeoff_losses() -> list[Loss]:
    return [Focal()]
