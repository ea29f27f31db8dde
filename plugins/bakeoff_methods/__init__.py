"""The built-in methods: all parameters train, some of them, or all at rates by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from bakeoff.plugin import (
    Adaptation,
    Built,
    Method,
    ModelError,
    Options,
    ParameterGroup,
    Recipe,
    head_names,
    hookimpl,
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
        return adapted(built, recipe)


class LayerDecayOptions(Options):
    """Options of `layer-decay`."""

    rate: Annotated[
        float,
        Field(gt=0, le=1, allow_inf_nan=False, description="Learning rate of a layer divided by that of the layer above it."),
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
        depth = layer_depths(built.model)
        top = max(depth.values())
        groups = []
        for group in adapted(built, recipe).groups:
            names: dict[int, list[str]] = defaultdict(list)
            for name in group.names:
                names[depth[name]].append(name)
            groups += [
                ParameterGroup(tuple(names[level]), options.rate ** (top - level), group.weight_decay)
                for level in sorted(names, reverse=True)
            ]
        return Adaptation(built.model, tuple(groups))


class ReinitOptions(Options):
    """Options of `reinit`."""

    k: Annotated[
        int, Field(ge=1, le=1000, description="How many encoder layers, counted from the head, start from random weights.")
    ] = 1


class Reinit(Method):
    """The top k layers, and what comes after them, start from random weights (Zhang et al., 2021, section 5)."""

    name = "reinit"
    summary = "Every parameter trains; the last k encoder layers and the pooler start from random weights."
    version = "1"
    Options = ReinitOptions

    def adapt(self, built: Built, options: ReinitOptions, recipe: Recipe) -> Adaptation:
        anew = top_layers(built.model, options.k)
        for module_name, module in built.model.named_modules():
            own = [f"{module_name}.{name}" for name, _ in module.named_parameters(recurse=False)]
            if own and all(name in anew for name in own):
                start_anew(built.model, module)
        return adapted(built, recipe)


class HeadOnly(Method):
    """Only the head trains. Dropout stays on in the frozen encoder, unlike in `linear-probe`, which encodes features once."""

    name = "head-only"
    summary = "Only the classification head trains; the encoder is frozen."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        return adapted(built, recipe, ())


class BitFit(Method):
    """Biases and the head train (Ben Zaken, Ravfogel and Goldberg, 2022)."""

    name = "bitfit"
    summary = "BitFit: all biases and the head train."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        biases = {name for name, _ in built.model.named_parameters() if name.rpartition(".")[2] == "bias"}
        if biases <= head_names(built):
            raise ModelError(
                f"bitfit trains biases, and {type(built.model).__name__} has none outside its head: use `lora`, `last-layers`, "
                "or `head-only`, which is all that would be left"
            )
        return adapted(built, recipe, biases)


class LastLayersOptions(Options):
    """Options of `last-layers`."""

    k: Annotated[int, Field(ge=1, le=1000, description="How many encoder layers train, counted from the head.")] = 2


class LastLayers(Method):
    """The last k encoder layers, whatever comes after them, and the head train."""

    name = "last-layers"
    summary = "The last k encoder layers, what comes after them, and the head train."
    version = "1"
    Options = LastLayersOptions

    def adapt(self, built: Built, options: LastLayersOptions, recipe: Recipe) -> Adaptation:
        return adapted(built, recipe, top_layers(built.model, options.k))


def adapted(built: Built, recipe: Recipe, names: Iterable[str] | None = None) -> Adaptation:
    """The model with every parameter trained, or only `names` and the head."""
    chosen = None if names is None else {*names, *head_names(built)}
    for name, parameter in built.model.named_parameters():
        parameter.requires_grad_(chosen is None or name in chosen)
    return Adaptation(built.model, weight_decay_groups(built.model, recipe))


@hookimpl
def bakeoff_methods() -> list[Method]:
    return [Full(), HeadOnly(), BitFit(), LastLayers(), LayerDecay(), Reinit()]
