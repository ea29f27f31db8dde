"""The losses and optimizers of plugins that a recipe names: found in the registry, their options checked."""

from __future__ import annotations

from pydantic import ValidationError

from bakeoff.contracts.configured import Configured, part_named
from bakeoff.contracts.recipe import BUILT_IN, Recipe
from bakeoff.contracts.recipe_parts import PARTS, is_resolved
from bakeoff.contracts.registry import Registry
from bakeoff.errors import PluginError
from bakeoff.spec.messages import sentence
from bakeoff.spec.other_names import value_meant_by
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.words import did_you_mean, quoted

Wrong = tuple[str, KeyPath, str]
"""A recipe key, the path of an option in its value (empty for the value as a whole), and a message."""


def found_in(recipe: Recipe, registry: Registry) -> tuple[dict[str, Configured], list[Wrong]]:
    """The plugins' components that a recipe of an experiment file names, by key, and what is wrong with those that are left
    out."""
    found: dict[str, Configured] = {}
    wrong: list[Wrong] = []
    for key in PARTS:
        value = getattr(recipe, key)
        if is_resolved(value):
            wrong.append((key, ("options",), f"options stand beside the name: {{name: {value['name']}, OPTION: VALUE}}"))
            continue
        name = value if isinstance(value, str) else value["name"]
        try:
            part = part_named(recipe, key, registry)
        except PluginError as error:
            wrong.append((key, (), _unknown(key, name, registry, error)))
        except ValidationError as error:
            schema = registry.get(key, name).component.Options
            wrong += [(key, detail["loc"], sentence(detail, schema)) for detail in error.errors(include_url=False)]
        else:
            if part is not None and (needs := part.registered.told_needs):
                wrong.append((key, (), f"{key} '{part.name}' {needs}"))
            elif part is not None:
                found[key] = part
    return found, wrong


def _unknown(key: str, name: str, registry: Registry, error: PluginError) -> str:
    """That there is no optimizer or loss of this name, and which there are."""
    known = [*BUILT_IN[key], *registry.names(key)]
    if (meant := value_meant_by(key, name)) in known:
        return f"no {key} {quoted(name)}; write `{key}: {meant}`"
    if registry.broken or any((clash.kind, clash.name) == (key, name) for clash in registry.clashes):
        return str(error)  # it tells which plugin may offer it
    return did_you_mean(key, name, known)
