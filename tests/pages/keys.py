"""Pages of what an experiment file may have: its keys, and the components with their options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bakeoff.contracts.component import Component
from bakeoff.contracts.hookspecs import COMPONENT_KINDS, SPEC_KINDS
from bakeoff.contracts.registry import load_registry
from bakeoff.spec.json_schema import experiment_schema
from bakeoff.text.values import listed
from pages.markdown import cell, code, flags, keys, table

KEYS: Final = """\
# Keys of an experiment file

An experiment file is YAML. `bakeoff check` finds everything that is wrong with one, at its line; `bakeoff schema` prints what
follows as a JSON Schema, by which editors complete and check it.

## The top level
"""
COMPONENTS: Final = """\
# Components

What Bakeoff itself brings, all of it by plugins; `bakeoff plugins` lists what is installed with you. In an experiment file a
component is its name, or a mapping of name and options: `minilm`, `{name: lora, r: 8}`. Where an extra is named, install
`bakeoff[EXTRA]` for it.
"""
SECTIONS: Final = (
    ("The recipe", "recipe: {...}", "Recipe"),
    ("A strategy", "strategies: {NAME: {...}}", "Strategy"),
    ("A search", "search: {...}", "SearchSpace"),
    ("A range", "search: {KEY: {...}}", "SearchRange"),
    ("Early stopping", "recipe: {early_stopping: {...}}", "EarlyStopping"),
    ("A gate", "gate: {...}", "Gate"),
    ("A published figure", "imported: [{...}]", "ImportedRow"),
    ("An imported run", "imported_runs: [{...}]", "ImportedRun"),
)
"""Title, where it stands in an experiment file, and its definition in the schema."""
PARTS: Final = {"A file": "FileOptions", "A split": "SplitOptions", "A metric": "MetricChoice"}
"""Title of a mapping among the options of tasks -> its definition."""


def own() -> list[Component]:
    """The components of Bakeoff itself, whatever else is installed here."""
    return [found.component for found in load_registry().all() if found.origin.distribution == "bakeoff"]


def experiment_file() -> Iterator[str]:
    schema = experiment_schema(own())
    definitions = schema["$defs"]
    yield KEYS
    yield from keys(schema, definitions)
    looks = next(one for one in schema["properties"]["seeds"]["anyOf"] if "properties" in one)
    sections = [("Looks", "seeds: {...}", looks), *((title, place, definitions[name]) for title, place, name in SECTIONS)]
    for title, place, section in sections:
        yield from ("", f"## {title}", "", f"`{place}`. {_told(section)}", "", *keys(section, definitions))


def _told(schema: dict[str, Any]) -> str:
    return " ".join(schema.get("description", "").split())


def components() -> Iterator[str]:
    definitions = experiment_schema(own())["$defs"]
    yield COMPONENTS.rstrip()
    for kind in COMPONENT_KINDS:
        found = [component for component in own() if component.kind == kind]
        yield from ("", f"## {plural(kind).capitalize()}", "")
        yield from table(["name", "what it is", "extra"], ([code(one.name), cell(one.summary), _extras(one)] for one in found))
        for names, options in _grouped(found, definitions):
            yield from ("", f"### Options of {listed(names)}", "", *options)
    yield "\n## Parts of a task's options"
    for title, name in PARTS.items():
        part = definitions[f"task:table:{name}"]
        yield from (f"\n### {title}", f"\n{_told(part)}\n", *keys(part, definitions))


def plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _extras(component: Component) -> str:
    return ", ".join(code(extra) for extra in sorted({*component.needs.values()})) or "–"


def _grouped(found: list[Component], definitions: dict[str, Any]) -> Iterator[tuple[list[str], list[str]]]:
    """The names of components whose options are told in the same words, and these options; those without any are left out."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        if one.kind in SPEC_KINDS:
            lines = keys(definitions[f"{one.kind}:{one.name}".replace("/", ".")], definitions, leave_out=("name", "title"))
        else:
            lines = flags(one.Options.model_json_schema())
        groups.setdefault(tuple(lines), []).append(one.name)
    yield from ((names, list(lines)) for lines, names in groups.items() if lines)
