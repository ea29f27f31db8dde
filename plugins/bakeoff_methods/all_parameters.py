"""Methods that train every parameter."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from pydantic import Field

from bakeoff.plugin import (
    Adaptation,
    Built,
    Method,
    Options,
    ParameterGroup,
    Recipe,
    layer_depths,
    start_anew,
    top_layers,
    weight_decay_groups,
)


class Full(Method):
    """Every parameter trains."""

    name = "full"
    summary = "Full fine-tuning: every parameter trains."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        train_all(built.model)
        return Adaptation(built.model, weight_decay_groups(built.model, recipe))


class LayerDecayOptions(Options):
    """How steep."""

    rate: Annotated[
        float, Field(gt=0, le=1, allow_inf_nan=False, description="Learning rate of a layer over that of the layer above it.")
    ] = 0.9


class LayerDecay(Method):
    """Layer-wise learning rates: rate ** (layers from the top), as ULMFiT (Howard and Ruder, 2018) and ELECTRA have them.

    The head and what comes after the last layer train at the recipe's rate, the last layer at `rate` times it, and so on down
    to the embeddings: ELECTRA's formula (Clark et al., 2020).
    """

    name = "layer-decay"
    summary = "Every parameter trains; learning rates fall from the head down to the embeddings."
    version = "1"
    Options = LayerDecayOptions

    def adapt(self, built: Built, options: LayerDecayOptions, recipe: Recipe) -> Adaptation:
        train_all(built.model)
        depth = layer_depths(built.model)
        top = max(depth.values())
        groups = []
        for group in weight_decay_groups(built.model, recipe):
            names: dict[int, list[str]] = defaultdict(list)
            for name in group.names:
                names[depth[name]].append(name)
            groups += [
                ParameterGroup(tuple(names[level]), options.rate ** (top - level), group.weight_decay)
                for level in sorted(names, reverse=True)
            ]
        return Adaptation(built.model, tuple(groups))


class ReinitOptions(Options):
    """How many."""

    k: Annotated[int, Field(ge=1, le=1000, description="Encoder layers that start anew, counted from the head.")] = 1


class Reinit(Method):
    """The top k layers, and what comes after them, start from random weights (Zhang et al., 2021, section 5)."""

    name = "reinit"
    summary = "Every parameter trains; the last k encoder layers and the pooler start anew."
    version = "1"
    Options = ReinitOptions

    def adapt(self, built: Built, options: ReinitOptions, recipe: Recipe) -> Adaptation:
        anew = top_layers(built.model, options.k)
        for module_name, module in built.model.named_modules():
            own = [f"{module_name}.{name}" for name, _ in module.named_parameters(recurse=False)]
            if own and all(name in anew for name in own):
                start_anew(built.model, module)
        train_all(built.model)
        return Adaptation(built.model, weight_decay_groups(built.model, recipe))


def train_all(model: Any) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_(True)
