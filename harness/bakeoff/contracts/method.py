"""The contract of a method: which parameters train, and in which groups."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from bakeoff.contracts.component import Component
from bakeoff.contracts.model import Built
from bakeoff.contracts.recipe import Recipe


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with the same learning rate, `lr_scale` times the recipe's, and the same weight decay."""

    names: tuple[str, ...]
    lr_scale: float
    weight_decay: float


@dataclass(frozen=True)
class Adaptation:
    """A model that is ready for training: exactly the parameters in `groups` require a gradient."""

    model: Any
    groups: tuple[ParameterGroup, ...]
    lineage: tuple[str, ...] = ()
    """Names of further checkpoints from which trained parameters were initialised, beside the model's own."""


class Method(Component):
    """A way to choose which parameters train. The head always has to."""

    kind = "method"

    @abstractmethod
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        """Freezes, wraps or extends `built.model`; random numbers come from the run's `init` stream.

        Raises ModelError where the method can't be applied to the model.
        """
