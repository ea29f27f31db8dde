"""Pages for those who work from Python: the functions, and the course's chapter, which is a notebook."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import bakeoff

NOTEBOOK: Final = Path(__file__).parents[2] / "docs" / "course.ipynb"
FUNCTIONS: Final = """\
# From Python

What `import bakeoff` gives. [Work from Python](../how-to/python.md) shows it in use; authors of plugins import from
`bakeoff.plugin` ([writing a plugin](../writing-a-plugin.md)).
"""
OF_THE_NOTEBOOK: Final = """
[The notebook](../course.ipynb) has all that follows, to be run cell by cell;
[results/course-today](../../results/course-today/table.md) is what came of the same comparison with three seeds each.
"""


def functions() -> Iterator[str]:
    yield FUNCTIONS.rstrip()
    for name in ("check", "plan", "run", "load", "compare"):
        function = getattr(bakeoff, name)
        yield from (f"\n## bakeoff.{name}\n", "```python", *_signature(name, function), "```\n")
        yield from _docstring(inspect.getdoc(function) or "")


def _signature(name: str, function: Any) -> list[str]:
    signature, told, starred = inspect.signature(function), list[str](), False
    for one in signature.parameters.values():
        if one.kind == one.KEYWORD_ONLY and not starred:
            told.append("*")
        starred = starred or one.kind in (one.VAR_POSITIONAL, one.KEYWORD_ONLY)
        star = "*" if one.kind == one.VAR_POSITIONAL else ""
        value = "" if one.default is one.empty else f" = {one.default!r}"
        told.append(f"{star}{one.name}: {one.annotation}{value}")
    return [f"bakeoff.{name}(", *(f"    {text}," for text in told), f") -> {signature.return_annotation}"]


def _docstring(text: str) -> Iterator[str]:
    """A docstring as Markdown: its sections under bold words, its arguments a list, its examples code."""
    for block in text.split("\n\n"):
        head, _, rest = block.partition("\n")
        if head in ("Args:", "Returns:", "Raises:"):
            yield f"**{'Arguments' if head == 'Args:' else head[:-1]}**\n"
            for entry in filter(None, re.split(r"\n(?= {4}\S)", f"\n{rest}")):
                told = " ".join(entry.split())
                named = re.match(r"([\w.]+): (.*)", told)
                yield f"- `{named[1]}`: {named[2]}" if named and head != "Returns:" else told
            yield ""
        elif block.startswith("    "):
            yield from ("```python", *inspect.cleandoc(block).split("\n"), "```\n")
        else:
            yield " ".join(block.split()) + "\n"


def course() -> Iterator[str]:
    """The notebook as a page; it has no outputs."""
    first, *others = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    yield from ("".join(first["source"]), OF_THE_NOTEBOOK)
    for cell in others:
        text = "".join(cell["source"])
        yield f"{text}\n" if cell["cell_type"] == "markdown" else f"```python\n{text}\n```\n"
