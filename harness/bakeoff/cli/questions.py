"""Asks the user what a command can't find out, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bakeoff.cli.output import print_note
from bakeoff.errors import BakeoffError
from bakeoff.machine.streams import write_line
from bakeoff.text.words import did_you_mean, escaped

ATTEMPTS = 5
"""After so many wrong answers the command ends."""


def can_ask() -> bool:
    """Whether standard input and standard error are a terminal, so that the user can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, options: Sequence[str]) -> str:
    """Asks the user for one of the options, by its number or its name, and returns it; the first if nothing is typed. Raises
    BakeoffError after ATTEMPTS wrong answers, and where the input ends."""
    print_note(question, *(f"  {number}  {escaped(option)}" for number, option in enumerate(options, 1)))
    for _ in range(ATTEMPTS):
        write_line(sys.stderr, "number or name [1]: ", end="")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise BakeoffError(f"no answer to: {question}")
        typed = line.strip() or "1"
        if typed in options:
            return typed
        if typed.isdecimal() and 1 <= int(typed) <= len(options):
            return options[int(typed) - 1]
        print_note(did_you_mean("such answer", typed, options))
    raise BakeoffError(f"{ATTEMPTS} answers were none of the options to: {question}")
