"""A component of the registry with its validated options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from bakeoff.contracts.model import Model
from bakeoff.contracts.recipe import Options, Recipe
from bakeoff.contracts.registry import Registered
from bakeoff.contracts.returned import required, required_texts
from bakeoff.contracts.task import Paths
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import PluginError
from bakeoff.text.words import escaped, one_line

CODE = "code_sha256"
"""The option of a trainer that is filled in with the hash of the code that it runs."""
LONGEST_TITLE = 80
"""The longest title, in characters."""
LONGEST_NOTE = 500
"""The longest note of a trainer that a record stores, in characters."""


def identity(options: BaseModel) -> dict[str, Any]:
    """The options that enter a run's id, by name.

    An option that was added in a later version declares a neutral value, `Field(..., json_schema_extra={"neutral": value})`;
    while it has that value it is left out, so that the ids of earlier runs do not change.
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
    """JSON in one spelling: sorted keys, no spaces, ASCII; paths, dates and enums as text. Raises ValueError for NaN and
    infinity."""
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
        """What headings call it: the given title, else the component's own. Raises PluginError if that is no line of text."""
        if self.given_title:
            return self.given_title
        component = self.registered.component
        own = required(component.title(self.options), str, of=f"{component.kind} '{self.name}': title", must="a text")
        return one_line(own)[:LONGEST_TITLE]

    def changed(self, options: Mapping[str, Any]) -> Configured:
        """A copy with other values of these options. Raises pydantic's ValidationError."""
        if not options:
            return self
        given = self.options.model_dump(include=self.options.model_fields_set)
        return replace(self, options=type(self.options).model_validate({**given, **options}))

    def options_at(self, places: Paths) -> Options:
        """The options with their paths resolved on this machine. Ids and labels come from `options`, which have no machine's
        paths."""
        component = self.registered.component
        return component.resolved(self.options, places) if isinstance(component, Model | Trainer) else self.options

    def with_code(self, places: Paths) -> Configured:
        """A trainer with the hash of the code beside the experiment file that it runs, where it runs any. Raises BakeoffError
        where the code is missing, or is not the code whose hash the options give already."""
        component: Trainer = self.registered.component
        digest = component.code_digest(self.options, places)
        given = getattr(self.options, CODE, None)
        if digest is not None and given not in (None, digest):
            raise PluginError(
                f"`{CODE}` says {given[:16]}..., and the code here is {digest[:16]}...: correct it, or leave it out"
            )
        return self if digest is None else self.changed({CODE: digest})

    def check_available(self, places: Paths) -> None:
        """Raises BakeoffError where the data or a metric of a task, or the weights of a model, are not available.

        Takes seconds at most, and imports none of the heavy libraries. It may set HF_HUB_OFFLINE.
        """
        component, options = self.registered.component, self.options_at(places)
        if component.kind != "task":
            component.check_available(options)
            return
        component.check_available(options, places)
        for metric in component.info(options).metrics:
            metric.check_available()


def with_options(name: str, options: Mapping[str, Any]) -> str:
    """A name with options: `lora (r=4)`; without any, the name."""
    shown = ", ".join(f"{key}={_as_label(value)}" for key, value in options.items())
    return f"{name} ({shown})" if shown else name


def _as_label(value: Any) -> str:
    """An option's value in a label: lists of words joined by `+`, other values as JSON."""
    words = [_as_word(item) for item in value] if isinstance(value, list) else []
    if words and None not in words:
        return "+".join(filter(None, words))
    return value if isinstance(value, str) else canonical(value)


def _as_word(item: Any) -> str | None:
    """A text as it is, a metric with its class as `f1 (spam)`; None for any other value."""
    if isinstance(item, dict) and isinstance(name := item.get("name"), str):
        return f"{name} ({', '.join(str(value) for key, value in item.items() if key != 'name')})"
    return item if isinstance(item, str) else None


def notes_of(trainer: Trainer, recipe: Recipe, options: Options) -> list[str]:
    """The trainer's notes on a recipe, each as one line that is short enough for a record."""
    notes = required_texts(trainer.notes(recipe, options), of=f"trainer '{trainer.name}': `notes`")
    return [escaped(" ".join(note.split())[:LONGEST_NOTE]) for note in notes]
