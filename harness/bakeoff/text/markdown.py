"""Markdown that is also readable on a terminal. Untrusted text is escaped, so that it can't leave its cell or become a
format or link."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from bakeoff.text.words import one_line

WIDTH = 120
"""The longest line of running text, in characters; tables may be wider."""

_BLANK = "\0"
"""Takes the place of a blank at which a line must not be broken, while text is wrapped."""

_SPECIAL = re.compile(r"[\\`*|~\[\]]|(?<![^\W_])_|_(?![^\W_])")
_OPENING = re.compile(r"^(\d+)?(>|[#+=-](?=[#+=-]*(?:\s|$))|(?<=\d)[.)](?=\s|$)|[:-](?=-*:?$))")
_LIVE = re.compile(
    r"""://|www\.|(?:mailto|xmpp):              # links without brackets
    |(?<!\w)@\w|\w@[\w-]+\.\w|@[\da-f]{7}    # people, addresses, commits
    |\#\d|\bgh-\d                             # issues
    |\$                                       # formulas
    |:(?:\w*[a-z][\w-]*|[+-]1|100|1234):      # emoji
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What GitHub's Markdown turns into links, mentions, formulas or emoji anywhere outside code."""
_BRACKETED = re.compile(r"""([(\["']*)(.*?)([)\]"'.,;:!?]*)""")
"""Splits a word from the brackets and punctuation around it."""
_COMMAND = re.compile(r"(`(?:bakeoff|rm) [^`]*`|`seeds: \{looks: \[[\d, ]+\], first: \d+\}`)")
_TAG = re.compile(r"<(?=[^\s\d=])")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def as_markdown(text: object) -> str:
    """Untrusted text as one line of Markdown that displays it literally."""
    return _marked(one_line(text))


def _marked(line: str) -> str:
    words = [_code(word) if _LIVE.search(word) else _plain(word) for word in line.split(" ")]
    if not words[-1].strip("#"):
        words[-1] = f"\\{words[-1]}" if words[-1] else ""  # else it closes a heading
    return " ".join(words)


def _plain(word: str) -> str:
    marked = _SPECIAL.sub(lambda found: "\\" + found[0], word)
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", marked))


def _code(word: str) -> str:
    """A word that GitHub would turn into a link or mention, as code. Backquotes, which would end the code, and bars, which
    would end a table's cell, stay outside."""
    opening, inner, closing = _BRACKETED.fullmatch(word).groups()  # type: ignore[union-attr]  # it fits every word
    parts = re.split(r"([`|])", inner)  # odd ones are these signs
    shown = [f"\\{part}" if number % 2 else f"`{part}`" if part else "" for number, part in enumerate(parts)]
    return _plain(opening) + "".join(shown) + _plain(closing)


def prose(text: object) -> str:
    """A sentence that Bakeoff wrote as one line of Markdown: untrusted text in it is escaped, commands and looks in backticks
    stay code."""
    parts = _COMMAND.split(one_line(text))  # odd ones are commands
    return "".join(part if number % 2 else _marked(part) for number, part in enumerate(parts))


@dataclass(frozen=True)
class Column:
    """A column of a table; its cells are already Markdown."""

    title: str
    cells: list[str]
    align: Literal["left", "right"] = "right"


def padded(text: str, width: int, align: Literal["left", "right"] = "left") -> str:
    """The text filled up with blanks to `width` columns of a terminal."""
    blanks = " " * (width - cell_len(text))
    return blanks + text if align == "right" else text + blanks


def grid(columns: Sequence[Column]) -> list[str]:
    """The lines of a table, its columns aligned for a terminal."""
    lines = []
    widths = [max(map(cell_len, ["---", column.title, *column.cells])) for column in columns]
    rows = zip(*(column.cells for column in columns), strict=True)
    ruler = [
        "-" * (width - 1) + ":" if column.align == "right" else "-" * width
        for column, width in zip(columns, widths, strict=True)
    ]
    for row in ([column.title for column in columns], ruler, *rows):
        cells = [padded(cell, width, column.align) for column, cell, width in zip(columns, row, widths, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def item(text: str) -> list[str]:
    """A list item of Markdown text, wrapped."""
    first, *others = _wrapped(text, WIDTH - 2)
    return [f"- {first}", *(f"  {line}" for line in others)]


def paragraph(text: str) -> list[str]:
    """A paragraph of Markdown text, wrapped."""
    return _wrapped(text, WIDTH)


def _wrapped(text: str, width: int) -> list[str]:
    """The text wrapped; where a line begins with what would start a heading, quotation or list, that is escaped."""
    lines = wrap(text, width)
    return [_OPENING.sub(lambda found: f"{found[1] or ''}\\{found[2]}", line) for line in lines]


def wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """Lines of at most `width` characters, broken between words but not in backticks; all but the first begin with `indent`."""
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _BLANK), text)
    lines = textwrap.wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_BLANK, " ") for line in lines] or [""]


def level(cells: Sequence[tuple[str, str]]) -> list[str]:
    """Joins (number, suffix), such as ` ± sd`, to cells of a column; suffixes are padded so that the numbers align."""
    width = max((cell_len(tail) for _, tail in cells), default=0)
    return [head + padded(tail, width) for head, tail in cells]
