"""The hooks that a plugin implements. Each takes nothing and returns a list of components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy

from bakeoff.contracts.component import Component
from bakeoff.contracts.method import Method
from bakeoff.contracts.model import Model
from bakeoff.contracts.task import Task
from bakeoff.contracts.trainer import Trainer

GROUP = "bakeoff"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def bakeoff_tasks() -> Iterable[Task]:  # type: ignore[empty-body]  # pluggy reads only the signature
    """Tasks: `return [Mrpc()]`."""


@hookspec
def bakeoff_models() -> Iterable[Model]:  # type: ignore[empty-body]
    """Models: `return [MiniLM()]`."""


@hookspec
def bakeoff_methods() -> Iterable[Method]:  # type: ignore[empty-body]
    """Methods: `return [Full()]`."""


@hookspec
def bakeoff_trainers() -> Iterable[Trainer]:  # type: ignore[empty-body]
    """Trainers: `return [TorchLoop()]`."""


COMPONENT_KINDS: Mapping[str, type[Component]] = {
    "task": Task,
    "model": Model,
    "method": Method,
    "trainer": Trainer,
}
"""Kind, as in the names of the hooks -> base class of its components."""
