"""Methods: which parameters train, and how."""

from __future__ import annotations

from bakeoff.plugin import Adaptation, Built, Method, Options, Recipe, decay_groups, hookimpl


class Full(Method):
    """Every parameter trains."""

    name = "full"
    summary = "Full fine-tuning: every parameter trains."
    version = "1"

    def adapt(self, built: Built, options: Options, recipe: Recipe) -> Adaptation:
        for parameter in built.model.parameters():
            parameter.requires_grad_(True)
        return Adaptation(built.model, decay_groups(built.model, recipe))


@hookimpl
def bakeoff_methods() -> list[Method]:
    return [Full()]
