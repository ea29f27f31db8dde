"""What may go wrong, said in one line: what, where, what is valid, the nearest name.

Whatever is raised as a `BakeoffError` reaches the user as its message and an exit code; anything else keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class BakeoffError(Exception):
    """An expected error: its message is one line and complete."""

    exit_code = 2


class PluginError(BakeoffError):
    """A plugin is broken, clashes with another, or broke its contract; the message names it."""


class DataError(BakeoffError):
    """A dataset is missing or damaged."""


class ModelError(BakeoffError):
    """A model's files are missing or damaged."""


class StoreError(BakeoffError):
    """An experiment's folder cannot be used as asked."""


class DamageError(StoreError):
    """A record cannot be read; its run can be made again."""


class RunError(BakeoffError):
    """One run failed for a reason that can be said in a word: it becomes a record with that reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in an experiment file. `line` and `column` count from 1; 0 where the file has no such place."""

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


def quoted(text: object) -> str:
    """Foreign text, safe to print: control characters escaped, cut at 80 characters."""
    shown = repr(str(text))
    return shown if len(shown) <= 80 else shown[:76] + "...'"


def escaped(text: object) -> str:
    """Foreign text in full, safe to print: control characters, line ends and lone surrogates written as escapes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(text))


def shown_path(path: object) -> str:
    """A path in full, safe to print; `quoted` would cut the file's name off."""
    return escaped(path)


def unknown(what: str, name: str, valid: Iterable[str]) -> str:
    """The sentence for a name that does not exist: the nearest one, else all that do."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(names)}" if names else "there is none"
    return f"no {what} {quoted(name)}; {hint}"
