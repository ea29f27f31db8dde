"""A component and its options as a command line names them: engines and trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from pydantic import ValidationError

from bakeoff.contracts.registry import Registry
from bakeoff.errors import BakeoffError
from bakeoff.text.words import did_you_mean, quoted

Words = Mapping[str, Sequence[str]]
"""Option, as on the command line without its hyphens (`at-once`) -> its values."""


def component_from_words(registry: Registry, kind: str, name: str, given: Words) -> tuple[Any, Any]:
    """The component and its options. Raises PluginError for an unknown name, BakeoffError for a component that lacks an extra
    and for wrong options."""
    registered = registry.get(kind, name)
    if registered.told_needs:
        raise BakeoffError(f"{kind} '{name}' {registered.told_needs}")
    component = registered.component
    fields = component.Options.model_fields
    plain: dict[str, Any] = {}
    for option, values in given.items():
        key = key_of(option)
        if key not in fields:
            raise BakeoffError(f"--{option}: {did_you_mean(f'option of {kind} {name}', option, options_of(component))}")
        many = get_origin(fields[key].annotation) is list
        if len(values) > 1 and not many:
            raise BakeoffError(f"--{option} is given {len(values)} times; {kind} '{name}' takes it once")
        plain[key] = [*values] if many else values[0]
    try:
        return component, component.Options.model_validate(plain, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])).replace("_", "-")
        raise BakeoffError(f"--{key}: {quoted(first['input'])}: {first['msg']}") from None


def options_of(component: Any) -> list[str]:
    """A component's options, as a command line spells them without hyphens in front: `at-once` for a field `at_once`."""
    return [name.replace("_", "-") for name in component.Options.model_fields]


def key_of(option: str) -> str:
    """The field of an option that a command line names."""
    return option.replace("-", "_")
