"""The losses and optimizers of plugins at work in a training: what they return is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.returned import described, required
from bakeoff.errors import PluginError


def mean_loss(part: Configured) -> Callable[..., Any]:
    """A function as `Kind.mean_loss`, which takes the mean over the rows' losses by a plugin's loss. It raises PluginError
    where these are not one number for each row."""
    loss = part.registered.component

    def mean(logits: Any, targets: Any, *, label_smoothing: float = 0.0, class_weights: Any = None) -> Any:
        losses = loss.losses(logits.float(), targets, part.options)
        if tuple(getattr(losses, "shape", ())) != (len(targets),):
            shape = getattr(losses, "shape", None)
            given = described(losses) if shape is None else f"a tensor of shape {tuple(shape)}"
            raise PluginError(
                f"loss '{part.name}' ({part.registered.origin}): `losses` returned {given} for {len(targets)} rows; return the "
                "loss of each row, (batch,)"
            )
        return (losses if class_weights is None else losses * class_weights.to(losses.device)[targets]).mean()

    return mean


def optimizer_maker(part: Configured, recipe: Recipe) -> Callable[[list[dict[str, Any]]], Any]:
    """A function that makes a plugin's optimizer of parameter groups. It raises PluginError where that is no optimizer of
    torch."""
    made_by = part.registered.component

    def make(groups: list[dict[str, Any]]) -> Any:
        from torch.optim import Optimizer

        of = f"optimizer '{part.name}' ({part.registered.origin}): `make`"
        return required(made_by.make(groups, recipe, part.options), Optimizer, of=of, must="a torch.optim.Optimizer")

    return make
