"""An experiment file as it was read: its data, the line and column of each value, and what is wrong with it."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bakeoff.contracts.registry import Registry
from bakeoff.errors import Problem
from bakeoff.files import read_regular
from bakeoff.spec.advice import Unknown
from bakeoff.spec.experiment_file import Spec
from bakeoff.spec.messages import HINTS, in_plain_words
from bakeoff.spec.strategy import Reading, Strategy
from bakeoff.spec.yaml_reader import KeyPath, dotted, read_tree, stop
from bakeoff.text.words import escaped

MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Document:
    """An experiment file as plain data, with the line and column of each key."""

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, tuple[int, int]]
    flaws: Mapping[KeyPath, Problem] = field(default_factory=dict)
    """What YAML allows and an experiment file does not (tags, dates, NaN, duplicate keys), by the path of its key."""
    content: bytes = b""
    """The bytes of the file as it was read, since it may be edited while its runs train."""
    path: Path = Path()
    """The path of the file that was read."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem whose line and column are those of the deepest part of `path` that is in the file."""
        reached = (self.places[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self.places)
        return Problem(self.file, *next(reached, (0, 0)), dotted(path), message)

    def read(self, registry: Registry) -> tuple[Spec | None, list[Problem], Reading]:
        """Validates the file in one pass. Returns the spec (None if anything is wrong), all problems, and the parts that are
        valid."""
        reading, problems = Reading(registry), list(self.flaws.values())
        spec = None
        try:
            spec = Spec.model_validate(self.data, context=reading)
        except ValidationError as error:
            problems += self.problems_of(error, registry=registry)
        if reading.strategies:
            reading.named = dict(zip(self.data["strategies"], reading.strategies, strict=True))
        return (None if problems else spec), problems, reading

    def problems_of(
        self, error: ValidationError, *, model: type[BaseModel] = Spec, registry: Registry | None = None
    ) -> list[Problem]:
        """pydantic's errors as problems with line and column; those already reported as flaws are left out.

        model: the model that was validated. registry: the components that an unknown key may belong to; None for a file
        other than an experiment file.
        """
        found, unknown_keys = [], 0
        for detail, message in in_plain_words(error, model):
            path = self._in_file(tuple(part for part in detail["loc"] if part != "[key]"))
            path += detail["loc"][-1:] if detail["type"] == "missing" else ()
            if path in self.flaws:
                continue
            unknown_keys += detail["type"] == "extra_forbidden"
            if registry and detail["type"] == "extra_forbidden" and unknown_keys <= HINTS:
                message = Unknown(self.data, path, registry, {"file": Spec, "strategy": Strategy}).sentence or message
            found.append(self.problem(path, message))
        return found

    def _in_file(self, path: KeyPath) -> KeyPath:
        """The part of the path that is in the file; pydantic adds the names of a union's members, which nobody wrote."""
        value: Any = self.data
        reached: KeyPath = ()
        for part in path:
            there = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
            if there:
                value, reached = value[part], (*reached, part)
        return reached


# --- reading the file ----------------------------------------------------------------------------------------------------


def read_document(path: Path) -> Document:
    """Reads an experiment file, as data with line and column of each key.

    Raises SpecError for a file that is not one YAML mapping: missing, over 1 MB, binary, empty, nested too deeply, or of two
    documents.
    """
    file = escaped(str(path))
    try:
        content = read_regular(path, at_most=MAX_BYTES)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise stop(file, "no such file") from None
    except IsADirectoryError:
        raise stop(file, "this is a folder; give the path of the experiment file in it") from None
    except UnicodeDecodeError as error:
        marked = ", but this is UTF-16" if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""
        raise stop(file, f"not a text file: byte {error.start} is not UTF-8{marked}; save it as UTF-8") from None
    except OSError as error:
        raise stop(file, f"cannot be read: {error.strerror}") from None
    return replace(parse_document(text, file), content=content, path=path)


def parse_document(text: str, file: str) -> Document:
    """Parses YAML text, as data with line and column of each key. file: the name that error messages use."""
    tree = read_tree(text, file)
    return Document(file, tree.root, tree.places, tree.flaws, path=Path(file))
