"""Advice for error messages: what to write in place of an unknown key, value or component of an experiment file.

A key may be another tool's (`other_names`), or one of Bakeoff's in the wrong place: `learning_rate` in a strategy, `r` beside
`method`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import BaseModel

from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import Registry
from bakeoff.errors import PluginError
from bakeoff.spec.other_names import Home, Meant, entry, hub_id, meant_by, plain, value_meant_by
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.values import yaml_value
from bakeoff.text.words import did_you_mean, nearest, quoted

Place = Literal["file", "recipe", "strategy", "method", "trainer", "task", "model", "search", ""]
"""Which part of an experiment file a mapping is; empty for any other mapping."""
OF_STRATEGY: Final = ("method", "trainer")
COMPONENTS: Final = (*OF_STRATEGY, "task", "model")
TABLES: Final = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
"""The endings of files that hold rows."""


def place_of(path: KeyPath) -> Place:
    """Which part of an experiment file the mapping at this path is; empty for any other path."""
    match path:
        case ():
            return "file"
        case ("recipe",) | ("strategies", _, "recipe"):
            return "recipe"
        case ("search",) | ("strategies", _, "search"):
            return "search"
        case ("strategies", _):
            return "strategy"
        case ("strategies", _, "method"):
            return "method"
        case ("strategies", _, "trainer"):
            return "trainer"
        case ("tasks", _):
            return "task"
        case ("models", _) | ("strategies", _, "model"):
            return "model"
    return ""


@dataclass(frozen=True)
class Unknown:
    """A key that is unknown where it stands in an experiment file, with what is needed to advise on it."""

    data: Mapping[str, Any]
    """The whole file."""
    path: KeyPath
    """The path of the key in the file."""
    registry: Registry
    keys: Mapping[Literal["file", "strategy"], type[BaseModel]]
    """`file`, `strategy` -> the model whose fields are the keys that are allowed there."""

    @property
    def key(self) -> str:
        return str(self.path[-1])

    @cached_property
    def place(self) -> Place:
        return place_of(self.path[:-1])

    @cached_property
    def beside(self) -> Mapping[str, Any]:
        """The mapping that the key stands in."""
        found: Any = self.data
        for part in self.path[:-1]:
            found = found[part]
        return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}

    @property
    def sentence(self) -> str | None:
        """The error message: where the key belongs, or what Bakeoff calls it. None where neither is known."""
        if not self.place or any(plain(self.key) == plain(one) for one in self._valid):
            return None  # a mapping of a few keys of its own; or it is only spelt differently, which `did_you_mean` tells
        if (joined := re.fullmatch(r"([\w.-]+):(\S.*)", self.key)) and self.beside.get(self.key) is None:
            return f"put a blank after the colon: `{joined[1]}: {joined[2]}`"
        found = self._ours or self._of_another_tool
        if found is None:
            return None
        where = {"strategy": " in a strategy", "recipe": " in a recipe"}.get(self.place, "")
        told = self._told(found)
        return f"no key {quoted(self.key)}{where}; {f'{told} ({found.note})' if found.note and told else told or found.note}"

    @property
    def _valid(self) -> list[str]:
        """The keys that the mapping may have."""
        if self.place in ("file", "strategy"):
            return list(self.keys[self.place].model_fields)
        if self.place == "recipe":
            return list(Recipe.model_fields)
        return ["name", *self._options(self.place, self.beside.get("name"))] if self.place in COMPONENTS else []

    def _options(self, kind: str, name: Any) -> list[str]:
        return options_of(self.registry, kind, name)

    # --- what is meant ---

    @property
    def _of_another_tool(self) -> Meant | None:
        value = self.beside.get(self.key)
        found = meant_by(self.key, value, self.beside)
        if found and found.home in ("task", "model") and value in self.registry.names(found.home):
            return Meant("file", f"{found.home}s: [{value}]")
        return found

    @property
    def _ours(self) -> Meant | None:
        """What to write if the key is one of Bakeoff's that belongs elsewhere in the file; None if it is not."""
        homes: dict[Home, type[BaseModel]] = {"recipe": Recipe, "file": self.keys["file"], "strategy": self.keys["strategy"]}
        fields_of_file = self.keys["file"].model_fields
        for home, fields in homes.items():
            name = next((one for one in fields.model_fields if plain(one) == plain(self.key)), None)
            shared = self.place == "file" and f"{name}s" in fields_of_file
            if name is not None and home != self.place and not shared:
                return Meant(home, entry(name, self.beside.get(self.key)))
        for kind, name in self._components_with(self.key):
            if not (self.place == kind and self.beside.get("name") == name):
                return Meant(kind, entry(self.key, self.beside.get(self.key)))
        return None

    def _components_with(self, option: str, kind: Home = "") -> Iterator[tuple[Home, str]]:
        """Yields (kind, name) of the components that have this option; components that the file names come first."""
        near = self.place in ("recipe", *OF_STRATEGY, "strategy")
        kinds: tuple[Home, ...] = OF_STRATEGY if near else ("model", "task", *OF_STRATEGY)
        for one in (kind,) if kind else kinds:
            sizes = {name: len(self._options(one, name)) for name in self.registry.names(one)}
            installed = sorted(sizes, key=sizes.__getitem__)  # the plainest first
            for name in dict.fromkeys([*(name for name in self._named(one) if name in installed), *installed]):
                if option in self._options(one, name):
                    yield one, name

    def _named(self, kind: str) -> list[Any]:
        """The names of the components of this kind that the key may refer to: method or trainer of its strategy, else all
        tasks or models of the file."""
        if kind in OF_STRATEGY:
            found = [self.beside.get(kind)] if self.place == "strategy" else []
        else:
            given = self.data.get(f"{kind}s")
            found = given if isinstance(given, list) else [given]
        return [one.get("name") if isinstance(one, dict) else one for one in found]

    # --- what to write ---

    def _told(self, meant: Meant) -> str:
        """What to write, and where; empty where nothing is to be written."""
        write, inside = f"write `{meant.write}`", self.place == meant.home
        in_strategy = self.place in OF_STRATEGY
        match meant.home:
            case "recipe" if not inside:
                whose = "the strategy's " if in_strategy or self.place == "strategy" else ""
                return f"it belongs in {whose}`recipe`: write `recipe: {{{meant.write}}}`"
            case "file" if not inside:
                return f"it belongs at the top level of the file: {write}"
            case "strategy" if in_strategy:
                return f"it belongs beside `{self.place}`: {write}"
            case "strategy" if not inside:
                return f"it belongs in a strategy: write `strategies: {{NAME: {{{meant.write}}}}}`"
            case "command":
                return f"it is an option of the command line: `bakeoff run {meant.write}`"
            case "method" | "trainer" | "task" | "model":
                return self._told_of_component(meant)
        return write if meant.home else ""

    def _told_of_component(self, meant: Meant) -> str:
        kind, option = meant.home, meant.write.partition(":")[0]
        if self.place == kind and option in self._options(kind, self.beside.get("name")):
            return f"write `{meant.write}`"
        _, name = next(self._components_with(option, kind), (kind, kind.upper()))
        installed = [one for one in self._named(kind) if one in self.registry.names(kind)]
        if installed and self.place == kind and not any(option in self._options(kind, one) for one in installed):
            return f"`{option}` is an option of {kind} {quoted(name)}, not of {quoted(installed[0])}"
        whole = f"{{name: {name}, {meant.write}}}" if meant.write else "..."
        if kind in OF_STRATEGY:
            return f"it is an option of {kind} {quoted(name)}: write `{kind}: {whole}`"
        return f"write `{kind}: {whole}`" if kind == "model" and self.path[0] == "strategies" else f"write `{kind}s: [{whole}]`"


def unknown_value(key: str, given: Any, valid: Sequence[str]) -> str:
    """What to write in place of a value that is not one of the valid ones, as the end of a sentence; empty if not known."""
    found = value_meant_by(key, given)
    if found is None and isinstance(given, str):
        found = nearest(given, valid)
    return f"; write `{key}: {found}`" if found in valid else ""


# --- components ----------------------------------------------------------------------------------------------------------


def options_of(registry: Registry, kind: str, name: Any) -> list[str]:
    """The names of a component's options; empty if it is not installed."""
    try:
        return list(registry.get(kind, str(name)).component.Options.model_fields)
    except PluginError:
        return []


def unknown_component(kind: str, name: str, registry: Registry) -> str:
    """The error message for a component that is not installed: the nearest name, or how to write a model of the hub or a
    file."""
    if " - " in name:
        return f"no {kind} {quoted(name)}; it was read as one text of several lines: begin each `-` in the same column"
    written = by_path(kind, name, registry)
    if written:
        return f"no {kind} {quoted(name)}; write `{written}`"
    try:
        registry.get(kind, name)
    except PluginError as error:
        return str(error)
    return did_you_mean(kind, name, registry.names(kind))


def by_path(kind: str, name: str, registry: Registry) -> str | None:
    """How to write a model that was named by its hub id or folder, or a task that was named by its file. None where the name is
    neither, or no installed component reads it."""
    near = nearest(name, registry.names(kind))
    if kind == "model":
        path = hub_id(name) or (name if _is_path(name) else None)
        takes = [one for one in registry.names(kind) if "path" in options_of(registry, kind, one)]
        return f"{{name: {takes[0]}, path: {yaml_value(path)}}}" if path and takes else None
    is_file = _is_path(name) or name.casefold().endswith(TABLES)
    if kind == "task" and near is None and (is_file or "/" in name):
        options = {one: set(options_of(registry, kind, one)) for one in registry.names(kind)}
        rows = [one for one, own in options.items() if own >= {"train", "text", "label"}]
        takes = [one for one in rows if ("revision" in options[one]) != is_file]
        given = f"train: {yaml_value(name)}" if is_file else f"path: {yaml_value(name)}, revision: COMMIT, train: FILE"
        return f"{{name: {takes[0]}, {given}, text: COLUMN, label: COLUMN}}" if takes else None
    return None


def _is_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~"))
