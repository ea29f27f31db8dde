"""Rewrites pydantic's errors in plain words: what is valid, and what was given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from bakeoff.spec.advice import unknown_value
from bakeoff.text.values import spelt, yaml_value
from bakeoff.text.words import did_you_mean, escaped, quoted

HINTS = 50
"""The nearest valid name is looked up for at most this many unknown keys; for thousands it would take minutes."""
NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
MESSAGE = "message"
"""Key in the context of a pydantic error whose value is a message already in plain words."""


def in_plain_words(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[ErrorDetails, str]]:
    """Yields each error of a model's validation with its message in plain words."""
    unknown_keys = 0
    for detail in error.errors(include_url=False):
        unknown_keys += detail["type"] == "extra_forbidden"
        yield detail, sentence(detail, model, with_hint=unknown_keys <= HINTS)


def reworded(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    """A copy of the error with its messages in plain words, to be raised during the validation of another model."""
    return validation_error(
        *((detail["type"], detail["loc"], message, detail["input"]) for detail, message in in_plain_words(error, model))
    )


def validation_error(*wrong: tuple[str, tuple[str | int, ...], str, Any]) -> ValidationError:
    """A ValidationError with one error for each of `wrong`: (kind, path, message, value that was given)."""
    lines = [
        InitErrorDetails(type=PydanticCustomError(kind, "{message}", {MESSAGE: message}), loc=place, input=given)
        for kind, place, message, given in wrong
    ]
    return ValidationError.from_exception_data("experiment file", lines)


def _annotation_at(annotation: Any, path: tuple[str | int, ...]) -> Any:
    """The type annotation of the value at a path; None if it is unknown."""
    if not path:
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        known = annotation.model_fields.get(str(path[0]))
        return _annotation_at(known.annotation, path[1:]) if known else None
    arguments = get_args(annotation)
    if get_origin(annotation) in (list, dict, tuple, Mapping):
        return _annotation_at(arguments[-1], path[1:])
    return next((found for part in arguments if (found := _annotation_at(part, path)) is not None), None)


def _keys_in(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return [key for part in get_args(annotation) for key in _keys_in(part)]


_DEMANDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_from_float": "must be an integer",
    "int_type": "must be an integer",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping of keys",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_too_short": "must have {min_length} characters or more",
    "string_type": "must be text",
    "too_long": "must have {max_length} or fewer entries",
    "too_short": "must have {min_length} or more entries",
}
"""Type of a pydantic error -> message."""


def sentence(detail: ErrorDetails, model: type[BaseModel], *, with_hint: bool = True) -> str:
    """A pydantic error in one line: what is valid, and what was given."""
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if MESSAGE in context:
        return str(context[MESSAGE])
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        if not with_hint:
            return f"no key {quoted(key)}"
        place = detail["loc"][:-1]  # of a union it ends with the member's name, which nobody wrote
        keys = _keys_in(_annotation_at(model, place)) or _keys_in(_annotation_at(model, place[:-1])) or model.model_fields
        return did_you_mean("key", key, keys) if keys else f"no key {quoted(key)}; nothing can be set here"
    if kind == "missing":
        return "this key is needed"
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        if isinstance(given, dict | list) or quoted(given) in message:
            return message
    elif kind in _DEMANDS:
        plain = {name: spelt(value) if isinstance(value, float) else value for name, value in context.items()}
        message = _DEMANDS[kind].format(**plain)
        return f"{message}; got {_shown(given, context)}{_instead(detail)}"
    else:
        message = escaped(detail["msg"][0].lower() + detail["msg"][1:])
    return f"{message}; got {_shown(given, context)}"


def _instead(detail: ErrorDetails) -> str:
    """What to write in place of a value of another type, as the end of a sentence; empty where that is not known."""
    kind, given, key = detail["type"], detail.get("input"), str((detail["loc"] or ("",))[-1])
    if kind == "literal_error":
        return unknown_value(key, given, re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", ""))))
    if kind == "list_type" and isinstance(given, str) and given.startswith("-"):
        return ": put a blank after each `-`"
    if kind == "list_type" and isinstance(given, str | dict) and len(text := yaml_value(_as_list(given))) <= 80:
        return f"; write `{key}: {text}`"
    if kind == "dict_type" and key == "strategies":
        return "; write `strategies: {NAME: {trainer: TRAINER}}`, with a name of your own for each"
    if kind in ("float_type", "int_type") and isinstance(given, str) and NUMBER.fullmatch(given):
        return f"; write it without quotes: `{key}: {given}`"
    return ""


def _as_list(given: str | dict[str, Any]) -> list[Any]:
    return given.split(", ") if isinstance(given, str) else [given]


def _shown(given: Any, context: Mapping[str, Any]) -> str:
    """The value that was given, shortened and safe to print."""
    if isinstance(given, str):
        return f"{len(given)}" if "max_length" in context else quoted(given)
    if given is None or isinstance(given, bool):
        return {None: "nothing", True: "true", False: "false"}[given]
    if isinstance(given, dict | list):
        return f"{len(given)}" if "actual_length" in context else "a mapping" if isinstance(given, dict) else "a list"
    return escaped(str(given))[:80]
