"""Writes the pages that are made: every key, component, command, exit code, warning, metric and function, from the code itself.

`make reference` writes them anew; tests/house/test_readme.py holds them against the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pages.commands import commands, exit_codes
from pages.from_python import course, functions
from pages.keys import components, experiment_file
from pages.lists import metrics, terms, warnings

DOCS: Final = Path(__file__).parents[2] / "docs"
MADE: Final = "<!-- Made by `make reference`: edit the code, or the notebook, and not this page. -->"


def pages() -> dict[str, str]:
    """Path of a page in docs/ -> its text."""
    made = {
        "reference/experiment-file.md": experiment_file(),
        "reference/components.md": components(),
        "reference/commands.md": commands(),
        "reference/exit-codes.md": exit_codes(),
        "reference/warnings.md": warnings(),
        "reference/terms.md": terms(),
        "reference/metrics.md": metrics(),
        "reference/python.md": functions(),
        "tutorial/course.md": course(),
    }
    return {name: "\n".join([MADE, "", *lines]).rstrip() + "\n" for name, lines in made.items()}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
