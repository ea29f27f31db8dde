"""Expected errors, each one line: what is wrong and where, what is valid, the nearest name.

Whatever is raised as a `BakeoffError` reaches the user as its message and an exit code; anything else keeps its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bakeoff.text.words import escaped


class BakeoffError(Exception):
    """An expected error: its message is one line, complete, and safe to print, whatever names are in it."""

    exit_code = 2

    def __init__(self, message: object = "") -> None:
        super().__init__("\n".join(map(escaped, str(message).split("\n"))))

    @property
    def lines(self) -> list[str]:
        """The lines to print: the message as one line, also if a library's part of it had line breaks. SpecError has more."""
        return [re.sub(r"\s*\n\s*", " ", str(self))]


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the exception and its causes, each once, the nearest first."""
    todo, seen = [error], set[int]()
    for one in todo:
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += filter(None, (one.__cause__, one.__context__))


class PluginError(BakeoffError):
    """A plugin is broken, clashes with another, or broke its contract; the message names it."""


class DataError(BakeoffError):
    """A dataset is missing or damaged."""


class ModelError(BakeoffError):
    """A model's files are missing or damaged."""


class StoreError(BakeoffError):
    """An experiment's folder cannot be used as asked."""


class DamageError(StoreError):
    """A record is damaged; its run can be rerun."""


class MachineError(BakeoffError):
    """The machine can't continue (no space, a quota, a failing disk). It is not the run's fault, so no record
    is written."""


class RunError(BakeoffError):
    """One run failed for a known reason (`diverged`, ...), which its record names."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, order=True)
class Problem:
    """One error in an experiment file. `line` and `column` count from 1; both are 0 if it has no place in the file."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class SpecError(BakeoffError):
    """All that is wrong in an experiment file, one line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def lines(self) -> list[str]:
        return [str(problem) for problem in self.problems]
