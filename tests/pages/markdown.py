"""How the reference pages write tables, code and the values that a key may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bakeoff.text.values import listed, yaml_value

Schema = dict[str, Any]
UNLIMITED: Final = 1e9
"""A bound this far from 0 guards against typing errors and is not told."""
BOUNDS: Final = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
RECIPE_KEY: Final = "recipe.KEY"
KINDS: Final = {
    **{kind: f"a [{kind}](components.md#{kind}s)" for kind in ("task", "model", "method", "trainer")},
    "optimizer": "an [optimizer](components.md#optimizers)",
    "loss": "a [loss](components.md#losses)",
    "Recipe": "[the recipe](#the-recipe)",
    "RecipeChanges": "keys of [the recipe](#the-recipe)",
    "Strategy": "[a strategy](#a-strategy)",
    "SearchSpace": "[a search](#a-search)",
    "SearchRange": "[a range](#a-range)",
    "EarlyStopping": "[early stopping](#early-stopping)",
    "Gate": "[a gate](#a-gate)",
    "ImportedRow": "[a published figure](#a-published-figure)",
    "ImportedRun": "[an imported run](#an-imported-run)",
    "FileOptions": "[a file](#a-file)",
    "SplitOptions": "[a split](#a-split)",
    "MetricChoice": "[a metric](#a-metric)",
}
"""Definition of the schema -> how a value of it is called, with where it is told."""


def code(text: str) -> str:
    """The text as code in a cell of a table: a bar in backticks would end the cell on one of the two, GitHub or the site."""
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def cell(text: str) -> str:
    """A sentence as a cell: on one line, bars escaped, braces and brackets as they are."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def keys(schema: Schema, definitions: Schema, *, leave_out: Sequence[str] = ()) -> list[str]:
    """The table of the keys of a mapping: the values that each may have, its default, what it means."""
    required = schema.get("required", ())
    rows = [
        [code(name), values(key, definitions), default(key, required=name in required), cell(key.get("description", ""))]
        for name, key in schema["properties"].items()
        if name not in leave_out
    ]
    return table(["key", "values", "default", "what it means"], rows) if rows else []


def flags(options: Schema) -> list[str]:
    """The table of options that stand on a command line, as those of engines do in that of `bakeoff submit`."""
    renamed = {f"--{name.replace('_', '-')}": key for name, key in options.get("properties", {}).items()}
    return keys(options | {"properties": renamed, "required": []}, options.get("$defs", {}))


def default(key: Schema, *, required: bool) -> str:
    if required:
        return "required"
    value = key.get("default")
    return "–" if value in (None, "", [], {}) else code(yaml_value(value))


def values(schema: Schema, definitions: Schema) -> str:
    """What may stand as the value, in words: `an integer from 1 to 300, or a list of texts`."""
    told: list[str] = []
    for choice in schema.get("anyOf", schema.get("oneOf", [schema])):
        if choice.get("type") != "null":
            before, words = ", or ".join(told), _one(choice, definitions)
            told.append("a list of these" if words == f"a list, each {before}" else words)
    return ", or ".join(dict.fromkeys(told))


def _one(schema: Schema, definitions: Schema) -> str:
    if "anyOf" in schema or "oneOf" in schema:
        return values(schema, definitions)
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return KINDS.get(name.rpartition(":")[2]) or _inner(definitions[name])
    if "const" in schema:
        return code(yaml_value(schema["const"]))
    if "enum" in schema:
        return _alternatives(schema["enum"])
    kind = schema.get("type")
    if kind == "boolean":
        return "`true` or `false`"
    if kind in ("integer", "number"):
        return f"{'an integer' if kind == 'integer' else 'a number'}{_bounds(schema)}"
    if kind == "array":
        return f"a list, each {values(schema['items'], definitions)}" if schema.get("items") else "a list"
    return "a mapping" + _mapped(schema, definitions) if kind == "object" else "text"


def _inner(schema: Schema) -> str:
    return f"a mapping with {listed(code(name) for name in schema['properties'])}"


def _alternatives(names: Sequence[Any]) -> str:
    """Values to choose from; names of recipe keys are not listed one by one."""
    shown = dict.fromkeys(RECIPE_KEY if str(name).startswith("recipe.") else yaml_value(name) for name in names)
    *most, last = map(code, shown)
    return f"{', '.join(most)} or {last}" if most else last


def _mapped(schema: Schema, definitions: Schema) -> str:
    if "properties" in schema:
        return f" with {listed(code(name) for name in schema['properties'])}"
    inner = schema.get("additionalProperties")
    return f", each {values(inner, definitions)}" if isinstance(inner, dict) else ""


def _bounds(schema: Schema) -> str:
    ends = {name: end for name, end in schema.items() if name in BOUNDS and abs(end) < UNLIMITED}
    told = " ".join(f"{BOUNDS[name]} {ends[name]:,}" for name in BOUNDS if name in ends)
    return f" {told}" if told else ""
