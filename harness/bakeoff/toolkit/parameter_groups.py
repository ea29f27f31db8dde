"""Which parameters train alike."""

from __future__ import annotations

from typing import Any

from bakeoff.contracts.method import ParameterGroup
from bakeoff.contracts.recipe import Recipe


def weight_decay_groups(model: Any, recipe: Recipe) -> tuple[ParameterGroup, ...]:
    """The trainable parameters in two groups, with and without weight decay, as `recipe.weight_decay_exempt` says.

    With the default, biases and the parameters of normalisation layers are exempt: the split that the Trainer API makes.
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
