"""What a verb prints when it is done, so that nothing about the reader changes its exit code."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import click

from bakeoff.errors import BakeoffError


def say(text: str = "", *, nl: bool = True) -> None:
    """Prints; a reader that is gone has read enough: the verb goes on, and its exit code stands.

    Raises BakeoffError where the output cannot be written otherwise, on a full disk say.
    """
    try:
        click.echo(text, nl=nl)
    except OSError as error:
        # what is buffered still would fail once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            raise BakeoffError(f"standard output cannot be written: {error.strerror}") from None


def say_page(page: str) -> None:
    """Prints Markdown, on a terminal cut to its width."""
    from bakeoff.report.terminal import fitted

    say(fitted(page, columns()) if sys.stdout.isatty() else page, nl=False)


def columns() -> int:
    """Of the terminal; 120 where there is none."""
    return shutil.get_terminal_size((120, 24)).columns
