"""Checks what a method of a component returned, so that a wrong type is reported where it arises and not
where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.errors import PluginError
from bakeoff.text.words import quoted


def required(value: Any, wanted: type[Any], *, of: str, verb: str = "returned", must: str = "") -> Any:
    """Returns the value if it has the type `wanted`. Raises PluginError otherwise.

    of: where the value comes from, with which the error begins: `method 'x': adapt`. verb: `is` where `of` is no method.
    must: what the value must be, in words; by default an object of the class of bakeoff.plugin with the name of `wanted`.
    """
    if isinstance(value, wanted):
        return value
    raise PluginError(f"{of} {verb} {described(value)}; it must be {must or f'a bakeoff.plugin.{wanted.__name__}'}")


def required_texts(value: Any, *, of: str, verb: str = "returned") -> list[str]:
    """The texts in a collection, as a list. Raises PluginError for anything else, a single text included. of, verb: as in
    `required`."""
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
