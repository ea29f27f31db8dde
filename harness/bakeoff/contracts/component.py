"""What tasks, models, methods, trainers, optimizers, losses, engines and trackers have in common."""

from __future__ import annotations

import importlib.util
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from bakeoff.contracts.recipe import Options

TITLED = ("task", "model")
"""Kinds of component to which an experiment file may give a `title`, so that none of their options may have that name."""


class Component(ABC):
    """A task, model, method, trainer, optimizer, loss, engine or tracker. Its author raises `version` when the same options no
    longer give the same result."""

    kind: ClassVar[Literal["task", "model", "method", "trainer", "optimizer", "loss", "engine", "tracker"]]
    name: str
    summary: str
    version: str
    Options: ClassVar[type[Options]] = Options
    """The pydantic model of the component's options, a subclass of `Options`; every value is checked before anything runs."""
    needs: ClassVar[Mapping[str, str]] = {}
    """Importable module that is not among the distribution's dependencies -> the extra that installs it: `{"peft": "peft"}`."""

    def title(self, options: Any) -> str:
        """A short name, for headings, of the task or model that these options choose: `tickets`, `bert-base-uncased`. It is not
        part of a run's id."""
        return self.name

    def licence(self, options: Any) -> str:
        """The licence of the task's rows, or of the model's weights, that these options choose, as their owner states it:
        `Apache-2.0`. Empty, the default, where it is not known."""
        return ""

    def missing_extras(self) -> list[str]:
        """Extras, by name, that have to be installed before this component can run."""
        return sorted({extra for module, extra in self.needs.items() if not _is_installed(module)})


def _is_installed(module: str) -> bool:
    """Whether a module could be imported; a dotted one's parents may be missing too."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
