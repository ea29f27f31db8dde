"""Methods that train a part of the model and leave the rest as it came."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any

from pydantic import Field

from bakeoff.plugin import Adaptation, Built, Method, Options, Recipe, head_names, top_layers, weight_decay_groups


class HeadOnly(Method):
    """The encoder is frozen; dropout stays on, unlike with features that are encoded once."""

    name = "head-only"
    summary = "Only the classification head trains; the encoder stays as it came."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        return train_only(built, (), recipe)


class BitFit(Method):
    """Ben Zaken, Ravfogel and Goldberg (2022): the biases of every layer, and the head."""

    name = "bitfit"
    summary = "BitFit: all biases and the head train."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        biases = {name for name, _ in built.model.named_parameters() if name.rpartition(".")[2] == "bias"}
        return train_only(built, biases, recipe)


class LastLayersOptions(Options):
    """How many."""

    k: Annotated[int, Field(ge=1, le=1000, description="Encoder layers that train, counted from the head.")] = 2


class LastLayers(Method):
    """The top of the model trains: k encoder layers, whatever comes after them, and the head."""

    name = "last-layers"
    summary = "The last k encoder layers, what comes after them, and the head train."
    version = "1"
    Options = LastLayersOptions

    def adapt(self, built: Built, options: LastLayersOptions, recipe: Recipe) -> Adaptation:
        return train_only(built, top_layers(built.model, options.k), recipe)


def train_only(built: Built, names: Container[str], recipe: Recipe) -> Adaptation:
    """These parameters and the head train, and no others."""
    head = head_names(built)
    for name, parameter in built.model.named_parameters():
        parameter.requires_grad_(name in names or name in head)
    model: Any = built.model
    return Adaptation(model, weight_decay_groups(model, recipe))
