"""Numbers are put into words, rounded and set in columns in one place each: elsewhere no format of a float, no `round`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = ("harness/bakeoff/text/", "harness/bakeoff/contracts/unit.py")
ALLOWED = {
    "harness/bakeoff/report/page/drawing.py": "coordinates of SVG, and ticks, whose digits follow from their step",
    "harness/bakeoff/training/record_writer.py": "seconds are recorded to the microsecond",
    "harness/bakeoff/training/kept_model.py": "seconds are recorded to the microsecond",
    "harness/bakeoff/training/flops.py": "operations are whole",
    "harness/bakeoff/training/preview.py": "names of quantiles in JSON",
    "plugins/bakeoff_fast_loop/dropout.py": "a number of lanes is whole",
    "tasks/bakeoff_glue/folder.py": "an error's range, as the data has it",
    "tasks/bakeoff_glue/hub.py": "an error's range, as the data has it",
    "tasks/bakeoff_table/contents.py": "an error's size of a file",
}
FLOAT = re.compile(r"[-+,_ #<>^\0\d]*(?:\.[\0\d]+)?[eEfFgG%]")
IN_TEXT = re.compile(r"\{\w*:[-+,]*(?:\.\d+)?[eEfFgG%]\}|%[-+]?\.\d+[efg]\b")


def formats_of(source: str) -> Iterator[str]:
    """Each format of a float, call of `round`, and padding of a cell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.format_spec.values]
            if FLOAT.fullmatch("".join(map(str, parts))):
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from IN_TEXT.findall(node.value)
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            padded = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if called in ("round", "format") or padded in ("ljust", "rjust", "round"):
                yield ast.unparse(node)


def sources() -> dict[str, str]:
    files = (file for shelf in ("harness", "plugins", "tasks") for file in (ROOT / shelf).rglob("*.py"))
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def test_figures_are_written_in_one_place() -> None:
    found = {name: list(formats_of(text)) for name, text in sources().items() if not name.startswith(HOME)}
    strange = {name: formats for name, formats in found.items() if formats and name not in ALLOWED}
    assert not strange, "write them with a function of text/numbers.py, or with the metric's unit"
    assert [name for name in ALLOWED if not found.get(name)] == [], "no longer needed in the list"


WAYS = """
f"{p:.3f}"
f"{p:,.{digits}f}"
f"{p:g}"
f"{p:+.0%}"
f"{p:>8.3f}"
round(p, 2)
np.round(p, 2)
"{:.2f}".format(p)
"%.3g" % p
format(p, ".3f")
name.ljust(20)
"""


@pytest.mark.parametrize("line", WAYS.split("\n")[1:-1])
def test_every_way_around_it_is_seen(line: str) -> None:
    assert len(list(formats_of(line))) == 1


@pytest.mark.parametrize(
    "line", ['f"{n:,}"', 'f"{name}"', 'f"{name!r:>8}"', 'f"{minutes:02d}"', '"50 % of it"', 'f"{code:04x}"']
)
def test_whole_numbers_and_words_are_free(line: str) -> None:
    assert list(formats_of(line)) == []
