"""What a verb prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import shutil
import sys

import click


def say(text: str = "", *, nl: bool = True) -> None:
    """Prints a result; colours only on a terminal."""
    click.echo(text, file=sys.stdout, nl=nl)


def tell(text: str) -> None:
    """Prints what is no result: a warning, an error, how it goes."""
    click.echo(text, file=sys.stderr)


def say_page(page: str) -> None:
    """Prints Markdown, on a terminal cut to its width."""
    from bakeoff.report.terminal import fitted

    say(fitted(page, columns()) if sys.stdout.isatty() else page, nl=False)


def columns() -> int:
    """Of the terminal; 120 where there is none."""
    return shutil.get_terminal_size((120, 24)).columns
