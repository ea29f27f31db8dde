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
    """Names of the checkpoints, beside the model's own, from which parameters that train were initialised."""


class Method(Component):
    """A way to choose which parameters train. The head must always train."""

    kind = "method"

    @abstractmethod
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        """Freezes, wraps or extends `built.model`. Returns the model and the groups of parameters that train.

        The global random generators are seeded from the run's seed before, so new weights may be drawn from them.
        Raises ModelError where the method can't be applied to the model.
        """
