"""The embedded task: pairs of sentences from the documentation of the libraries that are installed anyway."""

from __future__ import annotations

from bakeoff.plugin import Task, hookimpl
from bakeoff_docstrings.task import Docstrings


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Docstrings()]
