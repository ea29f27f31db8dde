"""Methods: which parameters train, and how."""

from __future__ import annotations

from typing import Any

from bakeoff.plugin import Adaptation, Method, Options, Recipe, decay_groups, hookimpl


class Full(Method):
    """Every parameter trains."""

    name = "full"
    summary = "Full fine-tuning: every parameter trains."
    version = "1"

    def adapt(self, model: Any, options: Options, recipe: Recipe) -> Adaptation:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return Adaptation(model, decay_groups(model, recipe))


@hookimpl
def bakeoff_methods() -> list[Method]:
    return [Full()]
