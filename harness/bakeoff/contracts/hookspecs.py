"""The hooks that a plugin implements. Each takes no argument and returns a list of components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy

from bakeoff.contracts.component import Component
from bakeoff.contracts.engine import Engine
from bakeoff.contracts.method import Method
from bakeoff.contracts.model import Model
from bakeoff.contracts.recipe_parts import Loss, Optimizer
from bakeoff.contracts.task import Task
from bakeoff.contracts.tracker import Tracker
from bakeoff.contracts.trainer import Trainer

GROUP = "bakeoff"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def bakeoff_tasks() -> Iterable[Task]:  # type: ignore[empty-body]  # pluggy reads only the signature
    """Returns the tasks that the plugin offers: `return [Mrpc()]`."""


@hookspec
def bakeoff_models() -> Iterable[Model]:  # type: ignore[empty-body]
    """Returns the models that the plugin offers: `return [MiniLM()]`."""


@hookspec
def bakeoff_methods() -> Iterable[Method]:  # type: ignore[empty-body]
    """Returns the methods that the plugin offers: `return [Full()]`."""


@hookspec
def bakeoff_trainers() -> Iterable[Trainer]:  # type: ignore[empty-body]
    """Returns the trainers that the plugin offers: `return [TorchLoop()]`."""


@hookspec
def bakeoff_optimizers() -> Iterable[Optimizer]:  # type: ignore[empty-body]
    """Returns the optimizers that the plugin offers: `return [Lion()]`."""


@hookspec
def bakeoff_losses() -> Iterable[Loss]:  # type: ignore[empty-body]
    """Returns the losses that the plugin offers: `return [Focal()]`."""


@hookspec
def bakeoff_engines() -> Iterable[Engine]:  # type: ignore[empty-body]
    """Returns the engines that the plugin offers: `return [Slurm()]`."""


@hookspec
def bakeoff_trackers() -> Iterable[Tracker]:  # type: ignore[empty-body]
    """Returns the trackers that the plugin offers: `return [TensorBoard()]`."""


COMPONENT_KINDS: Mapping[str, type[Component]] = {
    "task": Task,
    "model": Model,
    "method": Method,
    "trainer": Trainer,
    "optimizer": Optimizer,
    "loss": Loss,
    "engine": Engine,
    "tracker": Tracker,
}
"""Kind of component, in the singular (`task` for the hook `bakeoff_tasks`) -> the base class of such components."""
SPEC_KINDS = tuple(kind for kind in COMPONENT_KINDS if kind not in ("engine", "tracker"))
"""The kinds that an experiment file names; engines and trackers are named on the command line."""
