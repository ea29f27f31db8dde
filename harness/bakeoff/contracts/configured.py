"""A component of the registry with its validated options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.model import Model
from bakeoff.contracts.recipe import Options, Recipe
from bakeoff.contracts.recipe_parts import PARTS, part_of
from bakeoff.contracts.registry import Registered, Registry
from bakeoff.contracts.returned import required, required_texts
from bakeoff.contracts.task import Paths
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import PluginError
from bakeoff.text.words import escaped, one_line

CODE = "code_sha256"
"""Name of the trainer option that Bakeoff fills in with the SHA-256 of the code that the trainer runs."""
LONGEST_TITLE = 80
"""The longest title, in characters."""
LONGEST_NOTE = 500
"""The longest note of a trainer that a record stores, in characters."""


def identity(options: BaseModel) -> dict[str, Any]:
    """The options that enter a run's id, by name.

    An option that was added in a later version declares a neutral value, `Field(..., json_schema_extra={"neutral": value})`.
    An option that has its neutral value is left out, so that the ids of earlier runs do not change.
    """
    result = {}
    for name, known in type(options).model_fields.items():
        value = getattr(options, name)
        extra = known.json_schema_extra if isinstance(known.json_schema_extra, dict) else {}
        if "neutral" in extra and value == extra["neutral"]:
            continue
        result[name] = _identity_within(value)
    return result


def _identity_within(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return identity(value)
    if isinstance(value, list | tuple):
        return [_identity_within(item) for item in value]
    if isinstance(value, dict):
        return {key: _identity_within(item) for key, item in value.items()}
    return value


def canonical(value: Any) -> str:
    """The value as JSON in one spelling: sorted keys, no spaces, ASCII; paths, dates and enums as text. Raises ValueError for
    NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=to_jsonable_python)


@dataclass(frozen=True)
class Configured:
    """A component of the registry with validated options."""

    registered: Registered
    options: Options
    given_title: str = ""
    """The title that the experiment file gives; empty if it gives none."""

    @property
    def name(self) -> str:
        return str(self.registered.component.name)

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.registered.component.version, "options": identity(self.options)}

    @cached_property
    def label(self) -> str:
        """The name with the options that were given: `lora (r=4)`."""
        return with_options(self.name, self.given)

    @cached_property
    def given(self) -> dict[str, Any]:
        """The options that were given, without those that have a neutral value."""
        return {name: value for name, value in self.identity["options"].items() if name in self.options.model_fields_set}

    @cached_property
    def title(self) -> str:
        """The title for headings: the given one, else the component's own. Raises PluginError if the latter is not a text."""
        if self.given_title:
            return self.given_title
        component = self.registered.component
        own = required(component.title(self.options), str, of=f"{component.kind} '{self.name}': title", must="a text")
        return one_line(own)[:LONGEST_TITLE]

    @property
    def hub_dataset(self) -> HubDataset | None:
        """The dataset on the hub with a task's rows; None where there is none. Raises PluginError for anything else."""
        found = self.registered.component.hub_dataset(self.options)
        if found is None:
            return None
        dataset: HubDataset = required(found, HubDataset, of=f"task '{self.name}': hub_dataset")
        return dataset

    @property
    def licence(self) -> str:
        """The licence that a task or model states for its rows or weights; empty if it states none. Raises PluginError if it is
        not a text."""
        component = self.registered.component
        own = required(component.licence(self.options), str, of=f"{component.kind} '{self.name}': licence", must="a text")
        return one_line(own)[:LONGEST_NOTE]

    def changed(self, options: Mapping[str, Any]) -> Configured:
        """A copy in which these options (name -> value) replace its own. Raises pydantic's ValidationError for an invalid
        one."""
        if not options:
            return self
        given = self.options.model_dump(include=self.options.model_fields_set)
        return replace(self, options=type(self.options).model_validate({**given, **options}))

    def options_at(self, places: Paths) -> Options:
        """The options with their paths resolved to folders of this machine (`places`). Ids and labels use `options`, which are
        the same on every machine."""
        component = self.registered.component
        return component.resolved(self.options, places) if isinstance(component, Model | Trainer) else self.options

    def with_code(self, places: Paths) -> Configured:
        """A copy of a trainer whose options hold the SHA-256 of the code beside the experiment file that it runs; the trainer
        itself if it runs none. Raises BakeoffError where the code is missing, or the options already give another hash."""
        component: Trainer = self.registered.component
        digest = component.code_digest(self.options, places)
        given = getattr(self.options, CODE, None)
        if digest is not None and given not in (None, digest):
            raise PluginError(
                f"`{CODE}` is {given[:16]}..., but that of the code here is {digest[:16]}...: correct it, or leave `{CODE}` out"
            )
        return self if digest is None else self.changed({CODE: digest})

    def check_available(self, places: Paths) -> None:
        """Raises BakeoffError where the data or a metric of a task, or the weights of a model, are not available.

        Takes seconds at most, and imports neither torch nor transformers. It may set the environment variable HF_HUB_OFFLINE.
        """
        component, options = self.registered.component, self.options_at(places)
        if component.kind != "task":
            component.check_available(options)
            return
        component.check_available(options, places)
        for metric in component.info(options).metrics:
            metric.check_available()


def part_named(recipe: Recipe, key: str, registry: Registry) -> Configured | None:
    """The plugin's component that a recipe key (`optimizer`, `loss`) names; None for a built-in value. Raises PluginError for a
    component that is not installed, pydantic's ValidationError for a wrong option."""
    if (named := part_of(recipe, key)) is None:
        return None
    name, options = named
    registered = registry.get(key, name)
    return Configured(registered, registered.component.Options.model_validate(options))


def parts_of(recipe: Recipe, registry: Registry) -> dict[str, Configured]:
    """Recipe key -> the plugin's component that the recipe names for it; keys with a built-in value are left out. Raises as
    `part_named`."""
    found = {key: part_named(recipe, key, registry) for key in PARTS}
    return {key: part for key, part in found.items() if part is not None}


def with_parts(recipe: Recipe, parts: Mapping[str, Configured]) -> Recipe:
    """The recipe with the version and all options of its components, as ids and records have it."""
    return recipe.model_copy(update={key: part.identity for key, part in parts.items()}) if parts else recipe


def with_options(name: str, options: Mapping[str, Any]) -> str:
    """A name followed by options: `lora (r=4)`; the name alone where there are no options."""
    shown = ", ".join(f"{key}={_as_label(value)}" for key, value in options.items())
    return f"{name} ({shown})" if shown else name


def _as_label(value: Any) -> str:
    """An option's value in a label: lists of words joined by `+`, other values as JSON."""
    words = [_as_word(item) for item in value] if isinstance(value, list) else []
    if words and None not in words:
        return "+".join(filter(None, words))
    return value if isinstance(value, str) else canonical(value)


def _as_word(item: Any) -> str | None:
    """A text unchanged, a metric's mapping as its name and class, `f1 (spam)`; None for any other value."""
    if isinstance(item, dict) and isinstance(name := item.get("name"), str):
        return f"{name} ({', '.join(str(value) for key, value in item.items() if key != 'name')})"
    return item if isinstance(item, str) else None


def notes_of(trainer: Trainer, recipe: Recipe, options: Options) -> list[str]:
    """The trainer's notes on a recipe, each as one line that is short enough for a record."""
    notes = required_texts(trainer.notes(recipe, options), of=f"trainer '{trainer.name}': `notes`")
    return [escaped(" ".join(note.split())[:LONGEST_NOTE]) for note in notes]
