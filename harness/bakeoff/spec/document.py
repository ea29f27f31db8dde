"""An experiment file as it was read: its data, where each thing stands in it, and what is wrong with it, in our words."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bakeoff.errors import Problem
from bakeoff.files import read_regular
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.yaml_reader import KeyPath, dotted, read_tree, stop
from bakeoff.text.words import did_you_mean, escaped, quoted

MAX_BYTES = 1_000_000
HINTS = 50
"""Of so many unknown keys the nearest name is looked for: with thousands of them that would take minutes."""


@dataclass(frozen=True)
class Document:
    """An experiment file as plain data, with the place of each key."""

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, tuple[int, int]]
    flaws: Mapping[KeyPath, Problem] = field(default_factory=dict)
    """What YAML allows and an experiment file does not (tags, dates, NaN, keys that stand twice), by where it stands."""
    content: bytes = b""
    """Of the file when it was read: it may be edited while its runs are made."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """The message at the deepest place that the path has in the file."""
        reached = (self.places[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.places)
        return Problem(self.file, *next(reached, (0, 0)), dotted(path), message)

    @cached_property
    def parsed(self) -> tuple[Spec | None, list[Problem]]:
        """The validated spec, or what is wrong in it."""
        flaws = list(self.flaws.values())
        try:
            spec = Spec.model_validate(self.data)
        except ValidationError as error:
            return None, flaws + self.problems_of(error)
        return (None if flaws else spec), flaws

    def problems_of(
        self,
        error: ValidationError,
        prefix: KeyPath = (),
        *,
        model: type[BaseModel] = Spec,
        only: Callable[[KeyPath], bool] = lambda location: True,
    ) -> list[Problem]:
        """pydantic's findings, each at its place; what is a flaw already is not said twice."""
        found, unknown_keys = [], 0
        for detail in error.errors(include_url=False):
            if not only(detail["loc"]):
                continue
            path = self._in_file(prefix + tuple(part for part in detail["loc"] if part != "[key]"))
            path += detail["loc"][-1:] if detail["type"] == "missing" else ()
            unknown_keys += detail["type"] == "extra_forbidden"
            if path not in self.flaws:
                found.append(self.problem(path, sentence(detail, model, with_hint=unknown_keys <= HINTS)))
        return found

    def _in_file(self, path: KeyPath) -> KeyPath:
        """The path as far as it leads; of a union pydantic also names the member, which nobody wrote."""
        value: Any = self.data
        reached: KeyPath = ()
        for part in path:
            there = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
            if there:
                value, reached = value[part], (*reached, part)
        return reached


def _annotation_at(annotation: Any, path: KeyPath) -> Any:
    """The type of what stands at the path; None where it cannot be told."""
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
"""pydantic's kinds of errors in our words."""


def sentence(detail: ErrorDetails, model: type[BaseModel], *, with_hint: bool = True) -> str:
    """pydantic's finding in one line: what is valid, and what was given."""
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        if not with_hint:
            return f"no key {quoted(key)}"
        place = detail["loc"][:-1]  # of a union it ends with the member's name, which nobody wrote
        keys = _keys_in(_annotation_at(model, place)) or _keys_in(_annotation_at(model, place[:-1])) or model.model_fields
        return did_you_mean("key", key, keys) if keys else f"no key {quoted(key)}; there are no options to be set here"
    if kind == "missing":
        return "this key is needed"
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        if isinstance(given, dict | list) or quoted(given) in message:
            return message
    elif kind in _DEMANDS:
        plain = {name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}
        message = _DEMANDS[kind].format(**plain)
    else:
        message = escaped(detail["msg"][0].lower() + detail["msg"][1:])
    return f"{message}; got {_shown(given, context)}"


def _shown(given: Any, context: Mapping[str, Any]) -> str:
    """What was given, short and safe to print."""
    if isinstance(given, str):
        return f"{len(given)}" if "max_length" in context else quoted(given)
    if given is None or isinstance(given, bool):
        return {None: "nothing", True: "true", False: "false"}[given]
    if isinstance(given, dict | list):
        return f"{len(given)}" if "actual_length" in context else "a mapping" if isinstance(given, dict) else "a list"
    return escaped(str(given))[:80]


# --- reading the file ----------------------------------------------------------------------------------------------------


def read_document(path: Path) -> Document:
    """The experiment file as data with places.

    Raises SpecError for a file that is no YAML mapping: missing, over 1 MB, binary, empty, two documents, too deep.
    """
    file = escaped(str(path))
    try:
        content = read_regular(path, at_most=MAX_BYTES)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise stop(file, "no such file") from None
    except IsADirectoryError:
        raise stop(file, "this is a folder; name the experiment file in it") from None
    except UnicodeDecodeError as error:
        marked = ", but this is UTF-16" if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""
        raise stop(file, f"not a text file: byte {error.start} is not UTF-8{marked}; save it as UTF-8") from None
    except OSError as error:
        raise stop(file, f"cannot be read: {error.strerror}") from None
    return replace(parse_document(text, file), content=content)


def parse_document(text: str, file: str) -> Document:
    """YAML text as data with places; `file` is what error messages call it."""
    tree = read_tree(text, file)
    return Document(file, tree.root, tree.places, tree.flaws)
