"""Checks what a method of a component returned, so that a wrong type is told where it arises and not where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.errors import PluginError
from bakeoff.text.words import quoted


def required(value: Any, wanted: type[Any], *, of: str, verb: str = "returned", must: str = "") -> Any:
    """The value, if it has the type. Raises PluginError that begins with `of`, a method (`method 'x': adapt`).

    must: what that must be, in words; by default a `wanted` of bakeoff.plugin. verb: `is`, where `of` is no method.
    """
    if isinstance(value, wanted):
        return value
    raise PluginError(f"{of} {verb} {described(value)}; it must be {must or f'a bakeoff.plugin.{wanted.__name__}'}")


def required_texts(value: Any, *, of: str, verb: str = "returned") -> list[str]:
    """The texts in a collection. Raises PluginError for a text, which is a collection of letters, and for anything else."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        texts = list(value)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise PluginError(f"{of} {verb} {described(value)}; it must be a tuple or list of texts")


def described(value: Any) -> str:
    """A value in a message: what kind of thing it is, and a short text or number itself."""
    if value is None:
        return "nothing (None)"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return f"the {type(value).__name__} {value}"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
