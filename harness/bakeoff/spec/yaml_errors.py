"""Explains why a text is not YAML: the parser names the token that it did not expect, but a person needs the line to mend.

Mistakes with indentation, tabs, colons, commas, brackets and quotes are explained; any other keeps the parser's own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ruamel.yaml.error import MarkedYAMLError

from bakeoff.text.words import escaped, quoted

Place = tuple[int, int]
"""Line and column, from 1."""
NO_BLANK: Final = re.compile(r"""^(\s*(?:-\s+)?["']?[\w.-]+["']?):([^\s:/].*)$""")
"""Matches a line such as `epochs:3`; not `http://...`."""
KEY: Final = re.compile(r"""^\s*(?:-\s+)?["']?[\w.-]+["']?\s*:(?:\s|$)""")
LINE_END: Final = re.compile(r"\r\n|\r|\n")
CLOSING: Final = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Fault:
    """A parser's error, with the text around it."""

    lines: Sequence[str]
    problem: str
    line: int
    """Where the parser stopped, from 1."""
    column: int
    opened: Place
    """Where the value that the parser was reading began; (0, 0) if the parser does not say."""

    def at(self, line: int) -> str:
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    @property
    def before(self) -> int:
        """The number of the last line above that is neither empty nor a comment; 0 if there is none."""
        numbers = range(self.line - 1, 0, -1)
        return next((number for number in numbers if self.at(number).strip() and self.at(number).strip()[0] != "#"), 0)


Told = tuple[Place, str]


def explained(text: str, error: MarkedYAMLError) -> Told:
    """(place to mend, sentence) for an error of the YAML parser."""
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    opened = (context.line + 1, context.column + 1) if context else (0, 0)
    problem = str(error.problem or error.context)
    fault = Fault(re.split(LINE_END, text), problem, line, column, opened)
    place, told = next(
        (found for explain in _EXPLAIN if (found := explain(fault))), ((line, column), f"not YAML: {escaped(problem)}")
    )
    shown = fault.at(place[0])
    return place, f"{told}; the line reads {quoted(shown)}" if shown.strip() else told


# --- one function for each kind of mistake; None where it is another ---------------------------------------------------------


def _tab(fault: Fault) -> Told | None:
    if "'\\t'" not in fault.problem:
        return None
    column = fault.at(fault.line).find("\t") + 1 or fault.column
    what = (
        "indent by spaces, two for each level, and not by a tab"
        if not fault.at(fault.line)[: column - 1].strip()
        else "put a blank here, not a tab"
    )
    return (fault.line, column), what


def _no_blank(fault: Fault) -> Told | None:
    """`epochs:3`, which is one word to YAML; the parser complains about a later line."""
    if "mapping values" not in fault.problem and "expected ':'" not in fault.problem:
        return None
    for number in dict.fromkeys((fault.opened[0], fault.before, fault.line)):
        if found := NO_BLANK.match(fault.at(number)):
            key, value = found[1].strip().removeprefix("- "), found[2].strip()
            return (number, len(found[1]) + 1), f"put a blank after the colon: `{escaped(key)}: {escaped(value)[:60]}`"
    return None


def _no_colon(fault: Fault) -> Told | None:
    if "expected ':'" not in fault.problem:
        return None
    number = fault.opened[0] or fault.line
    word = fault.at(number).split()[:1]
    return (number, fault.opened[1] or 1), f"put a colon after the key: `{escaped(word[0])}:`" if word else "a colon is missing"


def _colon_in_value(fault: Fault) -> Told | None:
    """A text with a colon of its own, without quotes: `question: Which is better: a or b?`"""
    line = fault.at(fault.line)
    key = KEY.match(line)
    if "mapping values" not in fault.problem or not key or fault.column <= key.end():
        return None
    if line[key.end() :].lstrip()[:1] in ("'", '"', "[", "{"):
        return None
    return (fault.line, fault.column), "the text has a colon of its own: put quotes around all of it"


def _indented(fault: Fault) -> Told | None:
    """A line that stands in another column than its neighbours."""
    wanted = ("mapping values", "'<block mapping start>'", "'<block sequence start>'")
    if not any(one in fault.problem for one in wanted):
        return None
    line, above = fault.at(fault.line), fault.at(fault.before)
    own, theirs = _indent(line), _indent(above)
    place = (fault.line, own + 1)
    if own > theirs and fault.before:
        return place, (
            f"indented by {_spaces(own)}, and line {fault.before} above it, by {_spaces(theirs)}, has its value already: begin "
            "both in the same column"
        )
    levels = _levels(fault)
    if own not in levels and levels:
        columns = " or ".join(_spaces(level) for level in sorted(levels))
        return place, (
            f"indented by {_spaces(own)}, and the lines above that it may belong to by {columns}: begin it in the same column "
            "as its neighbours"
        )
    return None


def _item_beside_keys(fault: Fault) -> Told | None:
    if "but found '-'" not in fault.problem:
        return None
    return (fault.line, fault.column), "a list's item stands among keys: take the `-` away, or indent it under a key of its own"


def _closing(fault: Fault) -> Told | None:
    found = re.search(r"but found '([\]}])'", fault.problem)
    return ((fault.line, fault.column), f"there is one `{found[1]}` too many") if found else None


def _after_quote(fault: Fault) -> Told | None:
    if "but found '<scalar>'" not in fault.problem:
        return None
    return (
        fault.line,
        fault.column,
    ), "text goes on after its closing quote: within single quotes write a quote twice, as in 'it''s'"


def _unclosed(fault: Fault) -> Told | None:
    """A bracket or a comma that is missing."""
    found = re.search(r"expected ',' or '([\]}])'", fault.problem)
    if not found:
        return None
    closing = found[1]
    if fault.line > fault.opened[0] and ("stream end" in fault.problem or KEY.match(fault.at(fault.line))):
        opening = next(one for one, other in CLOSING.items() if other == closing)
        return fault.opened, f"the `{opening}` in column {fault.opened[1]} is never closed: add `{closing}`"
    before = fault.at(fault.line)[: fault.column - 1].rstrip()
    word = re.search(r"\S+$", before)
    if word is None:
        return (fault.line, fault.column), "a comma is missing here: entries between brackets are parted by `, `"
    return (fault.line, word.start() + 1), f"a comma is missing before {quoted(word[0])}"


def _unclosed_quote(fault: Fault) -> Told | None:
    if "unexpected end of stream" not in fault.problem or not fault.opened[0]:
        return None
    quote = fault.at(fault.opened[0])[fault.opened[1] - 1 : fault.opened[1]]
    return fault.opened, f"the quote {quote} in column {fault.opened[1]} is never closed"


def _first_character(fault: Fault) -> Told | None:
    found = re.search(r"found character '(.)' that cannot start any token", fault.problem)
    if found or "alphabetic or numeric character" in fault.problem:
        column = fault.column if found else fault.opened[1] or fault.column
        character = found[1] if found else fault.at(fault.line)[column - 1 : column]
        return (fault.line, column), f"a text can't begin with {character}: put quotes around it"
    return None


def _escape(fault: Fault) -> Told | None:
    if "unknown escape character" not in fault.problem:
        return None
    return (fault.line, fault.column), "within double quotes a backslash has a meaning: use single quotes, or write it twice"


def _block_text(fault: Fault) -> Told | None:
    if "expected a comment or a line break" not in fault.problem:
        return None
    return (
        fault.line,
        fault.column,
    ), "text after `>` or `|` begins on the next line, indented; on one line, put quotes around it"


_EXPLAIN: Final[Sequence[Callable[[Fault], Told | None]]] = (
    *(_tab, _no_blank, _no_colon, _colon_in_value, _indented, _item_beside_keys, _closing, _after_quote, _unclosed),
    *(_unclosed_quote, _first_character, _escape, _block_text),
)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _spaces(count: int) -> str:
    return "1 space" if count == 1 else f"{count or 'no'} spaces"


def _levels(fault: Fault) -> set[int]:
    """The indentations, in spaces, that the faulty line could have: those of the lines above it and of the blocks they are
    in."""
    levels: set[int] = set()
    for number in range(fault.line - 1, 0, -1):
        line = fault.at(number)
        if line.strip() and line.strip()[0] != "#" and (not levels or _indent(line) < min(levels)):
            levels.add(_indent(line))
    return levels


def no_mapping(text: str) -> Told | None:
    """(place to mend, sentence) for a file that is one text and no mapping, as `name = toy` is; None where there is no `=`."""
    for number, line in enumerate(re.split(LINE_END, text), 1):
        if found := re.match(r"\s*([\w.-]+)\s*=\s*(\S.*)$", line):
            return (number, 1), f"write a colon in place of `=`: `{found[1]}: {escaped(found[2])[:60]}`"
        if line.strip() and not line.strip().startswith("#"):
            break
    return None
