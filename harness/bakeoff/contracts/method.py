"""What a method gives: the parameters that train, in groups."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from bakeoff.contracts.component import Component
from bakeoff.contracts.model import Built
from bakeoff.contracts.recipe import Recipe


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that train alike."""

    names: tuple[str, ...]
    lr_scale: float
    weight_decay: float


@dataclass(frozen=True)
class Adaptation:
    """A model made ready for training: only the parameters in `groups` train."""

    model: Any
    groups: tuple[ParameterGroup, ...]
    lineage: tuple[str, ...] = ()
    """Other checkpoints that the trained parameters started from."""


class Method(Component):
    """Which parameters train, and how. The head always trains."""

    kind = "method"

    @abstractmethod
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        """Freezes, wraps or adds to `built.model`; random draws come from the run's `init` stream."""
