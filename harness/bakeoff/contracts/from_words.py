"""A component and its options as a command line names them: engines and trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from pydantic import ValidationError

from bakeoff.contracts.recipe import Options
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
    return component, options_from_words(component.Options, f"{kind} {name}", given)


def options_from_words(options: type[Options], of: str, given: Words) -> Any:
    """The options of this model, from a command line. of: whose they are: `tracker wandb`. Raises BakeoffError for an
    unknown option and a wrong value."""
    fields = options.model_fields
    plain: dict[str, Any] = {}
    for option, values in given.items():
        key = key_of(option)
        if key not in fields:
            raise BakeoffError(f"--{option}: {did_you_mean(f'option of {of}', option, spelt_options(options))}")
        many = get_origin(fields[key].annotation) is list
        if len(values) > 1 and not many:
            raise BakeoffError(f"--{option} is given {len(values)} times; {of} takes it once")
        plain[key] = [*values] if many else values[0]
    try:
        return options.model_validate(plain, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])).replace("_", "-")
        raise BakeoffError(f"--{key}: {quoted(first['input'])}: {first['msg']}") from None


def spelt_options(known: type[Options]) -> list[str]:
    """Names of options as a command line spells them, without hyphens in front: `at-once` for a field `at_once`."""
    return [name.replace("_", "-") for name in known.model_fields]


def options_of(component: Any) -> list[str]:
    """A component's options, as a command line spells them without hyphens in front: `at-once` for a field `at_once`."""
    return spelt_options(component.Options)


def key_of(option: str) -> str:
    """The field of an option that a command line names."""
    return option.replace("-", "_")
