"""Parts of a recipe that plugins offer: losses and optimizers, each named by a recipe key of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from bakeoff.contracts.component import Component
from bakeoff.contracts.recipe import BUILT_IN, Recipe


class Loss(Component):
    """A loss, chosen by the recipe key `loss`: `loss: {name: focal, gamma: 2.0}`.

    A batch's loss is the mean over its rows, so that micro-batches and processes add up to it; before the mean is taken,
    `class_weights` multiplies each row's loss by its label's weight.
    """

    kind = "loss"
    kinds: ClassVar[frozenset[str] | None] = frozenset({"classification"})
    """Names of the kinds of task that it is for; None for every kind."""

    @abstractmethod
    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        """The loss of each row, a float32 tensor (batch,) that can be differentiated.

        logits: (batch, n_outputs), float32; targets: (batch,) label numbers, or numbers for regression; (batch, n_outputs) of
        0.0 and 1.0 for multi-label. The loss of a row must depend on that row alone, and on no random number. A result of
        another shape ends the run with PluginError.
        """


class Optimizer(Component):
    """An optimizer, chosen by the recipe key `optimizer`: `optimizer: lion`, or `{name: lion, beta1: 0.95}`.

    It has the recipe's learning rate, schedule, weight decay and clipping. The recipe's `momentum`, `betas`, `eps`, `fused` and
    `bias_correction` are those of adamw and sgd; other optimizers have options of their own.
    """

    kind = "optimizer"
    elementwise: ClassVar[bool] = True
    """Whether the update of an element depends on nothing but that element's own history, and is 0 without weight decay where
    its gradient was always 0. `fast-loop` stores all parameters in one tensor, and leaves out rows of embeddings whose words do
    not occur, so it takes only such optimizers."""
    devices: ClassVar[frozenset[str] | None] = None
    """The types of device that it works on, such as `cuda`; None for all."""
    resumes: ClassVar[bool] = True
    """Whether its `state_dict` has tensors and plain numbers only, so that a checkpoint can store it (`checkpoint_every`)."""

    @abstractmethod
    def make(self, groups: list[dict[str, Any]], recipe: Recipe, options: Any) -> Any:
        """A new `torch.optim.Optimizer`. groups: parameter groups with `params`, `lr` and `weight_decay`."""


PARTS: Mapping[str, type[Component]] = {"optimizer": Optimizer, "loss": Loss}
"""Recipe key -> the base class of the components that it may name."""


def part_of(recipe: Recipe, key: str) -> tuple[str, dict[str, Any]] | None:
    """The name and the options of the component that a recipe key names; None where it is built in. The value is as an
    experiment file has it, or as ids and records do (name, version, options)."""
    value = getattr(recipe, key)
    if isinstance(value, str):
        return None if value in BUILT_IN[key] else (value, {})
    if is_resolved(value):
        return value["name"], dict(value["options"])
    return value["name"], {name: option for name, option in value.items() if name != "name"}


def is_resolved(value: Any) -> bool:
    """Whether the value of a recipe key is a component with version and options, as ids and records have it."""
    return isinstance(value, dict) and value.keys() == {"name", "version", "options"}
