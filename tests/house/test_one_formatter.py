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
    "harness/bakeoff/report/page/charts.py": "coordinates of SVG",
    "harness/bakeoff/report/page/drawing.py": "coordinates of SVG, and ticks, whose digits follow from their step",
    "harness/bakeoff/records/record_files.py": "indentation of JSON",
    "harness/bakeoff/training/record_writer.py": "seconds are recorded to the microsecond",
    "harness/bakeoff/training/kept_model.py": "seconds are recorded to the microsecond",
    "harness/bakeoff/training/flops.py": "operations are whole",
    "harness/bakeoff/training/preview.py": "names of quantiles in JSON",
    "harness/bakeoff/analysis/comparability.py": "a number of steps is whole",
    "harness/bakeoff/cli/drafted.py": "a number of rows is whole",
    "harness/bakeoff/cli/notebook_progress.py": "the share of a bar in HTML",
    "harness/bakeoff/drafting/experiment_text.py": "an experiment file, with its comments below each other",
    "harness/bakeoff/drafting/proposal.py": "numbers of examples, and shares of a split, are whole",
    "harness/bakeoff/drafting/tables.py": "guesses that are nearly as good count as equal",
    "plugins/bakeoff_fast_loop/parts.py": "a number of lanes is whole",
    "tasks/bakeoff_glue/folder.py": "an error's range, as the data has it",
    "tasks/bakeoff_glue/hub.py": "an error's range, as the data has it",
    "tasks/bakeoff_table/contents.py": "an error's size of a file",
}
FLOAT = re.compile(r"[-+,_ #<>^\0\d]*(?:\.[\0\d]+)?[eEfFgG%]")
PADDED = re.compile(r".?[<>^][\0\d]+")
ATTRIBUTES = {"ljust", "rjust", "center", "zfill", "round", "quantize", "format_float_positional", "format_float_scientific"}
IN_TEXT = re.compile(r"\{\w*:[-+,]*(?:\.\d+)?[eEfFgG%]\}|%[-+]?\.\d+[efg]\b")

IN_TEMPLATE = re.compile(rf"{IN_TEXT.pattern}|\|\s*(?:round|format)\b")


def formats_of(source: str) -> Iterator[str]:
    """Each format of a float, call of `round`, and padding of a cell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.format_spec.values]
            spec = "".join(map(str, parts))
            if FLOAT.fullmatch(spec) or PADDED.fullmatch(spec):
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from IN_TEXT.findall(node.value)
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if called in ("round", "format") or attribute in ATTRIBUTES:
                yield ast.unparse(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            text, times = sorted((node.left, node.right), key=lambda side: not isinstance(side, ast.Constant))
            if isinstance(text, ast.Constant) and text.value == " " and not isinstance(times, ast.Constant):
                yield ast.unparse(node)


def sources() -> dict[str, str]:
    files = (file for shelf in ("harness", "plugins", "tasks") for file in (ROOT / shelf).rglob("*.py"))
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def test_figures_are_written_in_one_place() -> None:
    found = {name: list(formats_of(text)) for name, text in sources().items() if not name.startswith(HOME)}
    strange = {name: formats for name, formats in found.items() if formats and name not in ALLOWED}
    assert not strange, "write them with a function of text/numbers.py, or with the metric's unit"
    assert [name for name in ALLOWED if not found.get(name)] == [], "no longer needed in the list"


def test_templates_format_nothing_by_themselves() -> None:
    found = {str(file.relative_to(ROOT)): IN_TEMPLATE.findall(file.read_text()) for file in (ROOT / "harness").rglob("*.j2")}
    assert found
    assert not any(found.values()), "templates write figures with the functions that they are given"
    assert IN_TEMPLATE.findall("{{ '%.4f' | format(x) }} {{ y | round(2) }}") == ["%.4f", "| format", "| round"]


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
name.center(20)
value.quantize(Decimal("0.01"))
f"{name:<20}"
f"{name!r:>8}"
" " * (width - len(name))
"""


@pytest.mark.parametrize("line", WAYS.split("\n")[1:-1])
def test_every_way_around_it_is_seen(line: str) -> None:
    assert len(list(formats_of(line))) == 1


@pytest.mark.parametrize("line", ['f"{n:,}"', 'f"{name}"', 'f"{name!r}"', 'f"{minutes:02d}"', '"50 % of it"', 'f"{code:04x}"'])
def test_whole_numbers_and_words_are_free(line: str) -> None:
    assert list(formats_of(line)) == []
