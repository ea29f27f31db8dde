"""An experiment that is passed from Python: the path of a file, YAML text, a mapping, or a validated `Spec`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pydantic import BaseModel

from bakeoff.contracts.configured import Configured
from bakeoff.errors import Problem, SpecError
from bakeoff.spec.document import Document, parse_document, read_document
from bakeoff.spec.experiment_file import PLAIN_MARGIN, Spec
from bakeoff.spec.location import experiment_file
from bakeoff.spec.seeds import ReportedSeeds
from bakeoff.spec.strategy import Strategy
from bakeoff.spec.varied import Varied
from bakeoff.spec.yaml_reader import MAX_DEPTH, KeyPath, dotted
from bakeoff.text.values import yaml_value
from bakeoff.text.words import quoted

Given = str | Path | Mapping[str, Any] | Spec

SHOWN = "spec"
"""What messages call an experiment that has no file."""
NOWHERE = Path(os.devnull) / "experiment.yaml"
"""The path of an experiment that has no file: nothing is there, but under that file name it is stored beside its records."""


def document_of(spec: Given) -> Document:
    """The experiment as a document. A text with a line break is YAML, any other a path: of a file, or of its folder.

    Raises SpecError as `read_document` does; in a mapping or a Spec there are no lines, so that its errors name keys alone.
    """
    if isinstance(spec, Spec):
        return document_from(data_of(spec))
    if isinstance(spec, Mapping):
        return document_from(spec)
    if isinstance(spec, str) and "\n" in spec:
        return replace(parse_document(spec, SHOWN), content=spec.encode("utf-8", "surrogatepass"), path=NOWHERE)
    if isinstance(spec, str | PurePath) and "\0" not in str(spec):
        return read_document(experiment_file(Path(spec)))
    kind = type(spec).__name__
    raise SpecError([_problem((), f"must be a mapping, the path of a file, YAML text, or a Spec; got {quoted(kind)}")])


def is_given(document: Document) -> bool:
    """Whether the document was passed from Python, so that no file holds it."""
    return document.path.parent == NOWHERE.parent


def document_from(data: Mapping[str, Any]) -> Document:
    """A mapping as a document, checked like an experiment file. Raises SpecError, with keys in place of lines."""
    text = yaml_text(_plain(data, ()))
    try:
        found = parse_document(text, SHOWN)
    except SpecError as error:
        raise SpecError([replace(one, line=0, column=0) for one in error.problems]) from None
    flaws = {path: replace(flaw, line=0, column=0) for path, flaw in found.flaws.items()}
    places = dict.fromkeys(found.places, (0, 0))
    return replace(found, places=places, flaws=flaws, content=text.encode(), path=NOWHERE)


def yaml_text(data: Mapping[str, Any]) -> str:
    """The text of an experiment file with this data: a line for each key, each strategy and each task."""
    lines = []
    for key, value in data.items():
        if isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values()):
            lines += [f"{yaml_value(key)}:", *(f"  {yaml_value(name)}: {yaml_value(entry)}" for name, entry in value.items())]
        elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
            lines += [f"{yaml_value(key)}:", *(f"  - {yaml_value(entry)}" for entry in value)]
        else:
            lines.append(f"{yaml_value(key)}: {yaml_value(value)}")
    return "\n".join(lines) + "\n" if lines else ""


def _plain(value: Any, path: KeyPath) -> Any:
    """The value as YAML has it: tuples as lists, paths as texts, numbers of numpy as numbers. Raises SpecError for other
    types."""
    if len(path) > MAX_DEPTH:
        raise SpecError([_problem(path[:1], f"nested deeper than {MAX_DEPTH} levels")])
    if isinstance(value, Mapping):
        return {key: _plain(entry, (*path, str(key))) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, (*path, number)) for number, entry in enumerate(value)]
    if isinstance(value, np.generic):
        return _plain(value.item(), path)
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    hint = "; pass rows by `data=`" if hasattr(value, "columns") or hasattr(value, "column_names") else ""
    raise SpecError([_problem(path, f"an experiment can't hold a value of type {quoted(type(value).__name__)}{hint}")])


def _problem(path: KeyPath, message: str) -> Problem:
    return Problem(SHOWN, 0, 0, dotted(path), message)


# --- files of rows that a program gives ---------------------------------------------------------------------------------


def tasks_in(document: Document) -> list[dict[str, Any]]:
    """The tasks as the document has them, each as a mapping with its name; `{}` in place of what can't be a task."""
    entries = document.data.get("tasks")
    named = [{"name": entry} if isinstance(entry, str) else entry for entry in (entries if isinstance(entries, list) else [])]
    return [entry if isinstance(entry, dict) else {} for entry in named]


def with_files(document: Document, files: Mapping[int, Mapping[str, str]]) -> Document:
    """The document with files of rows in the options of its tasks. files: index of a task -> split -> file.

    A task without a title gets the experiment's name as its title, so that it is not called after its files. The document has
    no file of its own; what is stored is its `content`.
    """
    title = {"title": name} if isinstance(name := document.data.get("name"), str) else {}
    tasks = [
        {"name": task["name"], **title, **task, **files[index]} if index in files else written
        for index, (task, written) in enumerate(zip(tasks_in(document), document.data["tasks"], strict=True))
    ]
    data = {**document.data, "tasks": tasks}
    content = yaml_text(data).encode("utf-8", "surrogatepass")
    return replace(document, data=data, content=content, path=NOWHERE.with_name(document.path.name))


def files_in(document: Document, folder: str) -> list[str]:
    """The names of the files below a folder that the document's tasks name."""
    return [name for task in tasks_in(document) for name in _texts(task) if name.startswith(f"{folder}/")]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry)


# --- a validated Spec as data --------------------------------------------------------------------------------------------


def data_of(spec: Spec) -> dict[str, Any]:
    """The data of an experiment file that says the same as this Spec; read again, it gives an equal Spec."""
    return {key: _written(key, getattr(spec, key)) for key in type(spec).model_fields if key in spec.model_fields_set}


def _written(key: str, value: Any) -> Any:
    if isinstance(value, Configured):
        title = {"title": value.given_title} if value.given_title else {}
        options = title | value.options.model_dump(mode="json", exclude_unset=True)
        return {"name": value.name, **options} if options else value.name
    if isinstance(value, ReportedSeeds):
        if not value.looks:
            return list(value.numbers)
        return {"looks": list(value.looks), "first": value.numbers[0], "ranks": value.ranks}
    if isinstance(value, Varied):
        return value.written
    if isinstance(value, Strategy):
        return {name: _of_strategy(name, getattr(value, name)) for name in value.model_fields_set}
    if key == "margin" and set(value) == {PLAIN_MARGIN}:
        return value[PLAIN_MARGIN]
    if isinstance(value, list):
        return [_written("", entry) for entry in value]
    if isinstance(value, dict):
        return {name: _written("", entry) for name, entry in value.items()}
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value


def _of_strategy(name: str, value: Any) -> Any:
    if name == "recipe":
        return value.changes
    return "none" if name == "search" and value is None else _written(name, value)
