"""The JSON Schema (draft 2020-12) of experiment files with the installed components, for completion and checks in editors.

It covers names, keys, types and ranges. What JSON Schema can't express, such as two strategies being the same run, is reported
by `bakeoff check` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.contracts.component import TITLED, Component
from bakeoff.contracts.hookspecs import SPEC_KINDS
from bakeoff.contracts.recipe import DEFINED
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.strategy import SearchRange, TitledRef

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ONE_LENGTH = {
    "not": {"required": ["epochs", "max_steps"], "properties": {key: {"type": "number"} for key in ("epochs", "max_steps")}},
    "if": {"required": ["epochs"], "properties": {"epochs": {"type": "null"}}},
    "then": {"required": ["max_steps"], "properties": {"max_steps": {"type": "integer"}}},
}
"""Schema of the rule that the shared recipe has either `epochs` or `max_steps`."""

Schema = dict[str, Any]


def experiment_schema(components: Iterable[Component]) -> Schema:
    """The schema of an experiment file that may name these components."""
    schema: Schema = _cleaned(Spec.model_json_schema())
    definitions = schema.pop("$defs")
    recipe = definitions["Recipe"]
    keys = {name: {word: told for word, told in key.items() if word != "default"} for name, key in recipe["properties"].items()}
    definitions["RecipeChanges"] = recipe | {"description": "Recipe keys in which this strategy differs.", "properties": keys}
    definitions["Recipe"] = recipe | ONE_LENGTH
    definitions["SearchRange"] = _cleaned(SearchRange.model_json_schema())
    known = sorted(components, key=lambda component: component.name)
    for kind in SPEC_KINDS:
        definitions[kind] = _any_component(kind, [one for one in known if one.kind == kind], definitions)
    return {"$schema": DRAFT, "title": "A Bakeoff experiment", **schema, "$defs": definitions}


def _any_component(kind: str, members: list[Component], definitions: Schema) -> Schema:
    """Schema of a reference to one of these components: its name, where no option is required, or a mapping of name and
    options."""
    bare, objects = [], []
    title = {"title": _cleaned(TitledRef.model_json_schema())["properties"]["title"]} if kind in TITLED else {}
    for component in members:
        own = f"{kind}:{component.name}".replace("/", ".")  # a slash would part the pointer
        options = _cleaned(component.Options.model_json_schema(ref_template=f"#/$defs/{own}:{{model}}"))
        definitions |= {f"{own}:{name}": definition for name, definition in options.pop("$defs", {}).items()}
        definitions[own] = {
            "type": "object",
            "description": component.summary,
            "properties": {
                "name": {"const": component.name, "description": component.summary},
                **title,
                **options.get("properties", {}),
            },
            "required": ["name", *options.get("required", [])],
            "additionalProperties": False,
        }
        objects.append({"$ref": f"#/$defs/{own}"})
        if "required" not in options:
            bare.append({"const": component.name, "description": component.summary})
    return {"anyOf": [*bare, *objects] or [False], "description": f"A {kind}: its name, or a mapping with name and options."}


def _cleaned(schema: Any) -> Any:
    """pydantic's schema without its generated titles, its references pointing to the definitions added here."""
    if isinstance(schema, list):
        return [_cleaned(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if DEFINED in schema:
        told = {"description": schema["description"]} if "description" in schema else {}
        return {"$ref": f"#/$defs/{schema[DEFINED]}", **told}
    cleaned: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            cleaned[key] = {name: _cleaned(item) for name, item in value.items()}
        elif key == "patternProperties" and "additionalProperties" not in schema:  # no other names are allowed
            ((pattern, values),) = value.items()
            cleaned |= {"propertyNames": {"pattern": pattern}, "additionalProperties": _cleaned(values)}
        elif not (key == "neutral" or (key == "title" and isinstance(value, str)) or (key == "default" and "$ref" in schema)):
            cleaned[key] = _cleaned(value)
    return cleaned
