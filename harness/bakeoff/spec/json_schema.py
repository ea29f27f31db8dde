"""The JSON Schema of experiment files (draft 2020-12), with the installed components: what editors complete and check.

It says what JSON Schema can: names, keys, types, ranges. That two strategies are the same run, `check` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.contracts.component import Component
from bakeoff.contracts.recipe import Recipe
from bakeoff.spec.experiment_file import Gate, ImportedRow, Spec
from bakeoff.spec.strategy import NAME, SearchSpace, Strategy

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def experiment_schema(components: Iterable[Component]) -> Schema:
    """The schema of an experiment file that may name these components."""
    of_kind: dict[str, list[Component]] = {"task": [], "model": [], "method": [], "trainer": []}
    for component in components:
        of_kind[component.kind].append(component)
    whole = _cleaned(Spec.model_json_schema())
    definitions: Schema = {
        "recipe": _recipe(),
        "recipe-changes": _changes(),
        "strategy": _strategy(),
        "gate": _cleaned(Gate.model_json_schema()),
        "imported": _imported(),
        "search": _search(),
    }
    for kind, members in of_kind.items():
        definitions[kind] = _any_component(kind, members, definitions)
    properties = whole["properties"]
    properties["tasks"]["items"] = {"$ref": "#/$defs/task"}
    properties["models"]["items"] = {"$ref": "#/$defs/model"}
    properties["recipe"] = {"$ref": "#/$defs/recipe"}
    properties["gate"] = {"$ref": "#/$defs/gate"}
    properties["imported"]["items"] = {"$ref": "#/$defs/imported"}
    properties["search"] = {"anyOf": [{"$ref": "#/$defs/search"}, {"type": "null"}]}
    properties["strategies"] |= {
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"$ref": "#/$defs/strategy"},
    }
    properties["strategies"].pop("patternProperties", None)
    properties["report_on"]["pattern"] = f"^{NAME.pattern}$"
    return {
        "$schema": DRAFT,
        "title": "A Bakeoff experiment",
        **{key: value for key, value in whole.items() if key not in ("$defs", "title")},
        "$defs": definitions,
    }


def _recipe() -> Schema:
    """The shared recipe; of `epochs` and `max_steps` one may be given, and one must be left."""
    recipe: Schema = _cleaned(Recipe.model_json_schema())
    given = {"required": ["epochs", "max_steps"], "properties": {key: {"type": "integer"} for key in ("epochs", "max_steps")}}
    no_epochs = {"required": ["epochs"], "properties": {"epochs": {"type": "null"}}}
    steps = {"required": ["max_steps"], "properties": {"max_steps": {"type": "integer"}}}
    return recipe | {"not": given, "if": no_epochs, "then": steps}


def _changes() -> Schema:
    """A strategy's part of the recipe: the same keys, none of them with a default."""
    changes: Schema = _cleaned(Recipe.model_json_schema())
    changes["description"] = "Recipe keys in which this strategy differs."
    for key in changes["properties"].values():
        key.pop("default", None)
    return changes


def _strategy() -> Schema:
    strategy: Schema = _cleaned(Strategy.model_json_schema())
    for kind in ("trainer", "method"):
        strategy["properties"][kind] = {"anyOf": [{"$ref": f"#/$defs/{kind}"}, {"type": "null"}]}
    strategy["properties"]["recipe"] = {"$ref": "#/$defs/recipe-changes"}
    strategy["properties"]["search"] = {"anyOf": [{"$ref": "#/$defs/search"}, {"const": "none"}, {"type": "null"}]}
    repeats = {"required": ["same_as"], "properties": {"same_as": {"type": "string"}}}
    alone = {"properties": {"trainer": {"type": "null"}, "method": {"type": "null"}, "recipe": {"maxProperties": 0}}}
    alone["properties"]["search"] = {"enum": ["none", None]}
    alone["properties"]["trials"] = {"const": 1}
    trains = {"required": ["trainer"], "properties": {"trainer": {"not": {"type": "null"}}}}
    strategy.pop("$defs", None)
    return strategy | {"if": repeats, "then": alone, "else": trains}


def _search() -> Schema:
    """Recipe keys and components' options, each with the values to try."""
    search: Schema = _cleaned(SearchSpace.model_json_schema())
    keys = "|".join(Recipe.model_fields)
    return search | {
        "patternProperties": {f"^({keys}|(trainer|method)\\..+)$": {"type": "array", "minItems": 1, "uniqueItems": True}},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _imported() -> Schema:
    row: Schema = _cleaned(ImportedRow.model_json_schema())
    row["properties"]["split"]["pattern"] = f"^{NAME.pattern}$"
    scores = row["properties"]["scores"]
    scores.pop("patternProperties", None)
    scores |= {"propertyNames": {"pattern": f"^{NAME.pattern}$"}, "additionalProperties": {"type": "number"}}
    return row


def _any_component(kind: str, members: list[Component], definitions: Schema) -> Schema:
    """One of the installed components: its bare name where no option is needed, or its name and options."""
    bare, objects = [], []
    for component in sorted(members, key=lambda component: component.name):
        own = f"{kind}:{component.name}".replace("/", ".")  # a slash would part the pointer
        definitions[own] = _with_options(component, own, definitions)
        objects.append({"$ref": f"#/$defs/{own}"})
        if definitions[own]["required"] == ["name"]:
            bare.append(component.name)
    by_name = [{"enum": bare}] if bare else []
    return {"anyOf": [*by_name, *objects] or [False], "description": f"A {kind}: its name, or a mapping with name and options."}


def _with_options(component: Component, own: str, definitions: Schema) -> Schema:
    options = _cleaned(component.Options.model_json_schema(ref_template=f"#/$defs/{own}:{{model}}"))
    for name, definition in options.pop("$defs", {}).items():
        definitions[f"{own}:{name}"] = definition
    return {
        "type": "object",
        "description": component.summary,
        "properties": {"name": {"const": component.name}, **options.get("properties", {})},
        "required": ["name", *options.get("required", [])],
        "additionalProperties": False,
    }


def _cleaned(schema: Any) -> Any:
    """Without the titles that pydantic makes of names, and without our own marks."""
    if isinstance(schema, list):
        return [_cleaned(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    cleaned = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            cleaned[key] = {name: _cleaned(item) for name, item in value.items()}
        elif not (key == "neutral" or (key == "title" and isinstance(value, str))):
            cleaned[key] = _cleaned(value)
    return cleaned


def schema_text(components: Iterable[Component]) -> str:
    return json.dumps(experiment_schema(components), indent=2)
